/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "plan.h"

/* A table's content does not remember its lines. Errors that name one look the key up in
 * the source: a light reading that knows comments and strings, and can be mistaken at
 * worst about which of two equal keys was meant. */

struct reader {
    const char *at, *end;
    unsigned line;
};

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '_';
}

static void step(struct reader *reader)
{
    reader->line += *reader->at == '\n';
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
    for (; reader->at < reader->end; step(reader)) {
        const char *at = reader->at;
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

/* The next name or quoted text; empty at the end. */
static struct mp_str next_word(struct reader *reader)
{
    while (reader->at < reader->end) {
        char c = *reader->at;
        if (c == '-' && reader->end - reader->at > 1 && reader->at[1] == '-') {
            skip_comment(reader);
        } else if (c == '[' && long_level(reader) >= 0) {
            skip_long(reader, long_level(reader));
        } else if (c == '"' || c == '\'') {
            return read_quoted(reader);
        } else if (is_name_byte(c)) {
            const char *start = reader->at;
            while (reader->at < reader->end && is_name_byte(*reader->at)) {
                reader->at++;
            }
            return (struct mp_str){start, (size_t)(reader->at - start)};
        } else {
            step(reader);
        }
    }
    return (struct mp_str){NULL, 0};
}

static bool is_assigned(struct reader reader)
{
    while (reader.at < reader.end &&
           (*reader.at == ' ' || *reader.at == '\t' || *reader.at == ']')) {
        reader.at++;
    }
    return reader.end - reader.at > 1 && reader.at[0] == '=' && reader.at[1] != '=';
}

static unsigned find_key(struct reader *reader, const char *key)
{
    for (;;) {
        struct mp_str word = next_word(reader);
        if (!word.data) {
            return 0;
        }
        if (mp_str_is(word, key) && is_assigned(*reader)) {
            return reader->line;
        }
    }
}

unsigned mp__source_line(struct mp_str source, struct mp__at at)
{
    struct reader reader = {source.data, source.data + source.length, 1};
    unsigned line = at.key ? find_key(&reader, at.key) : 0;
    unsigned inner = line > 0 && at.child ? find_key(&reader, at.child) : 0;
    return inner > 0 ? inner : line;
}
