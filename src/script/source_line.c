/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "plan.h"

/* A table's content does not remember its lines. Errors that name one look the key up in
 * the source: a light reading that knows comments and strings, and can be mistaken at
 * worst about which of two equal keys was meant. */

struct reader {
    const char *at, *end;
    unsigned line;
    int braces; /* how deep in { */
    int blocks; /* how deep in function, if, do, repeat */
};
struct word {
    struct mp_str text; /* no data: the end */
    bool is_quoted;
};

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '_';
}

static void step(struct reader *reader)
{
    reader->line += *reader->at == '\n';
    reader->braces += *reader->at == '{' ? 1 : *reader->at == '}' ? -1 : 0;
    reader->at++;
}

/* At `[`: the level of a long bracket, or -1. */
static int long_level(const struct reader *reader)
{
    const char *at = reader->at + 1;
    while (at < reader->end && *at == '=') {
        at++;
    }
    return at < reader->end && *at == '[' ? (int)(at - reader->at - 1) : -1;
}

static void skip_long(struct reader *reader, int level)
{
    for (; reader->at < reader->end; reader->at++) {
        const char *at = reader->at;
        reader->line += *at == '\n';
        if (*at != ']' || reader->end - at < level + 2 || at[level + 1] != ']') {
            continue;
        }
        bool closes = true;
        for (int i = 1; i <= level; i++) {
            closes = closes && at[i] == '=';
        }
        if (closes) {
            reader->at += level + 2;
            return;
        }
    }
}

static void skip_comment(struct reader *reader)
{
    reader->at += 2;
    int level = reader->at < reader->end && *reader->at == '[' ? long_level(reader) : -1;
    if (level >= 0) {
        skip_long(reader, level);
    } else {
        while (reader->at < reader->end && *reader->at != '\n') {
            reader->at++;
        }
    }
}

static struct mp_str read_quoted(struct reader *reader)
{
    char quote = *reader->at++;
    const char *start = reader->at;
    while (reader->at < reader->end && *reader->at != quote && *reader->at != '\n') {
        reader->at += *reader->at == '\\' && reader->end - reader->at > 1 ? 2 : 1;
    }
    struct mp_str text = {start, (size_t)(reader->at - start)};
    reader->at += reader->at < reader->end && *reader->at == quote;
    return text;
}

static void count_block(struct reader *reader, struct mp_str word)
{
    if (mp_str_is(word, "function") || mp_str_is(word, "if") || mp_str_is(word, "do") ||
        mp_str_is(word, "repeat")) {
        reader->blocks++;
    } else if (mp_str_is(word, "end") || mp_str_is(word, "until")) {
        reader->blocks--;
    }
}

static struct mp_str read_name(struct reader *reader)
{
    const char *start = reader->at;
    while (reader->at < reader->end && is_name_byte(*reader->at)) {
        reader->at++;
    }
    struct mp_str name = {start, (size_t)(reader->at - start)};
    count_block(reader, name);
    return name;
}

/* The next name or quoted text. */
static struct word next_word(struct reader *reader)
{
    while (reader->at < reader->end) {
        char c = *reader->at;
        if (c == '-' && reader->end - reader->at > 1 && reader->at[1] == '-') {
            skip_comment(reader);
        } else if (c == '[' && long_level(reader) >= 0) {
            skip_long(reader, long_level(reader));
        } else if (c == '"' || c == '\'') {
            return (struct word){read_quoted(reader), true};
        } else if (is_name_byte(c)) {
            return (struct word){read_name(reader), false};
        } else {
            step(reader);
        }
    }
    return (struct word){{NULL, 0}, false};
}

static bool is_assigned(struct reader reader)
{
    while (reader.at < reader.end &&
           (*reader.at == ' ' || *reader.at == '\t' || *reader.at == ']')) {
        reader.at++;
    }
    return reader.end - reader.at > 1 && reader.at[0] == '=' && reader.at[1] != '=';
}

/* At the depth of braces `depth`, or at any when it is 0. */
static unsigned find_key(struct reader *reader, const char *key, int depth)
{
    for (;;) {
        struct word word = next_word(reader);
        if (!word.text.data) {
            return 0;
        }
        bool is_here = depth == 0 || (reader->braces == depth && reader->blocks == 0);
        if (is_here && mp_str_is(word.text, key) && is_assigned(*reader)) {
            return reader->line;
        }
    }
}

/* After the `return` that ends the script. */
static bool find_return(struct reader *reader)
{
    for (;;) {
        struct word word = next_word(reader);
        if (!word.text.data) {
            return false;
        }
        if (!word.is_quoted && reader->blocks == 0 && reader->braces == 0 &&
            mp_str_is(word.text, "return")) {
            return true;
        }
    }
}

static unsigned line_of(struct reader reader, struct mp__at at, int depth)
{
    unsigned line = at.key ? find_key(&reader, at.key, depth) : 0;
    unsigned inner = line > 0 && at.child ? find_key(&reader, at.child, 0) : 0;
    return inner > 0 ? inner : line;
}

/* A key of the table itself; else, when that was made elsewhere, the first of that name.
 */
unsigned mp__source_line(struct mp_str source, struct mp__at at)
{
    struct reader whole = {
        .at = source.data, .end = source.data + source.length, .line = 1};
    struct reader table = whole;
    unsigned line = find_return(&table) ? line_of(table, at, 1) : 0;
    return line > 0 ? line : line_of(whole, at, 0);
}
