/* SPDX-License-Identifier: MIT */
#include "source_read.h"

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '_';
}

static void step(struct mp__reader *reader)
{
    reader->line += *reader->at == '\n';
    reader->braces += *reader->at == '{' ? 1 : *reader->at == '}' ? -1 : 0;
    reader->at++;
}

/* At `[`: the level of a long bracket, or -1. */
static int long_level(const struct mp__reader *reader)
{
    const char *at = reader->at + 1;
    while (at < reader->end && *at == '=') {
        at++;
    }
    return at < reader->end && *at == '[' ? (int)(at - reader->at - 1) : -1;
}

static void skip_long(struct mp__reader *reader, int level)
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

static void skip_comment(struct mp__reader *reader)
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

static struct mp_str read_quoted(struct mp__reader *reader)
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

static void count_block(struct mp__reader *reader, struct mp_str word)
{
    if (mp_str_is(word, "function") || mp_str_is(word, "if") || mp_str_is(word, "do") ||
        mp_str_is(word, "repeat")) {
        reader->blocks++;
    } else if (mp_str_is(word, "end") || mp_str_is(word, "until")) {
        reader->blocks--;
    }
}

static struct mp_str read_name(struct mp__reader *reader)
{
    const char *start = reader->at;
    while (reader->at < reader->end && is_name_byte(*reader->at)) {
        reader->at++;
    }
    struct mp_str name = {start, (size_t)(reader->at - start)};
    count_block(reader, name);
    return name;
}

struct mp__word mp__reader_word(struct mp__reader *reader)
{
    while (reader->at < reader->end) {
        char c = *reader->at;
        if (c == '-' && reader->end - reader->at > 1 && reader->at[1] == '-') {
            skip_comment(reader);
        } else if (c == '[' && long_level(reader) >= 0) {
            skip_long(reader, long_level(reader));
        } else if (c == '"' || c == '\'') {
            return (struct mp__word){read_quoted(reader), true};
        } else if (is_name_byte(c)) {
            return (struct mp__word){read_name(reader), false};
        } else {
            step(reader);
        }
    }
    return (struct mp__word){{NULL, 0}, false};
}
