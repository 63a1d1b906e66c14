/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "plan.h"
#include "source_read.h"

/* A table's content does not remember its lines. Errors that name one look the key up in
 * the source, and can be mistaken at worst about which of two equal keys was meant. */

static bool is_assigned(struct mp__reader reader)
{
    while (reader.at < reader.end &&
           (*reader.at == ' ' || *reader.at == '\t' || *reader.at == ']')) {
        reader.at++;
    }
    return reader.end - reader.at > 1 && reader.at[0] == '=' && reader.at[1] != '=';
}

/* At the depth of braces `depth`, or at any when it is 0. */
static unsigned find_key(struct mp__reader *reader, const char *key, int depth)
{
    for (;;) {
        struct mp__word word = mp__reader_word(reader);
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
static bool find_return(struct mp__reader *reader)
{
    for (;;) {
        struct mp__word word = mp__reader_word(reader);
        if (!word.text.data) {
            return false;
        }
        if (!word.is_quoted && reader->blocks == 0 && reader->braces == 0 &&
            mp_str_is(word.text, "return")) {
            return true;
        }
    }
}

static unsigned line_of(struct mp__reader reader, struct mp__at at, int depth)
{
    unsigned line = at.key ? find_key(&reader, at.key, depth) : 0;
    unsigned inner = line > 0 && at.child ? find_key(&reader, at.child, 0) : 0;
    return inner > 0 ? inner : line;
}

static unsigned last_line(struct mp_str source)
{
    unsigned line = 1;
    source = mp_str_trim_space(source);
    for (size_t i = 0; i < source.length; i++) {
        line += source.data[i] == '\n';
    }
    return line;
}

/* A key of the table itself; else, when that was made elsewhere, the first of that name.
 * Without a key: the return, else the end, where one is missing. */
unsigned mp__source_line(struct mp_str source, struct mp__at at)
{
    struct mp__reader whole = {
        .at = source.data, .end = source.data + source.length, .line = 1};
    struct mp__reader table = whole;
    bool returns = find_return(&table);
    if (!at.key) {
        return returns ? table.line : last_line(source);
    }
    unsigned line = returns ? line_of(table, at, 1) : 0;
    return line > 0 ? line : line_of(whole, at, 0);
}
