/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools.h"

#define GAP 2

void mp__table_init(struct mp__table *table, size_t columns)
{
    *table = (struct mp__table){.columns = columns};
}

void mp__table_fini(struct mp__table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        free(table->cells[i]);
    }
    free(table->cells);
    *table = (struct mp__table){.columns = table->columns};
}

static char *shown_copy(struct mp_str text)
{
    struct mp_buf buf;
    mp_buf_init(&buf, MP_CLI_BYTES_MAX);
    if (mp__append_shown(&buf, text) || !mp_buf_cstr(&buf)) {
        mp_buf_fini(&buf);
        return NULL;
    }
    for (char *c = buf.data; *c; c++) {
        *c = *c == '\n' || *c == '\t' ? ' ' : *c;
    }
    return buf.data;
}

void mp__table_cell(struct mp__table *table, struct mp_str text)
{
    if (table->count == table->capacity) {
        size_t capacity = table->capacity ? table->capacity * 2 : 64;
        char **cells = realloc(table->cells, capacity * sizeof *cells);
        if (!cells) {
            table->failed = true;
            return;
        }
        table->cells = cells;
        table->capacity = capacity;
    }
    char *copy = shown_copy(text);
    table->failed = table->failed || !copy;
    if (copy) {
        table->cells[table->count++] = copy;
    }
}

void mp__table_member(struct mp__table *table, struct mp_str object, const char *key)
{
    struct mp_str value = {NULL, 0};
    struct mp_buf text;
    (void)mp_json_member(object, mp_str_of(key), &value);
    enum mp_json_kind kind = mp_json_kind(value);
    if (kind == MP_JSON_NONE || kind == MP_JSON_NULL) {
        mp__table_cell(table, mp_str_of("-"));
    } else if (kind == MP_JSON_STRING) {
        mp_buf_init(&text, MP_CLI_BYTES_MAX);
        table->failed = mp_json_unescape(value, &text) || table->failed;
        mp__table_cell(table, mp_buf_str(&text));
        mp_buf_fini(&text);
    } else {
        mp__table_cell(table, value);
    }
}

/* Characters, not bytes: UTF-8's further bytes take no place. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text; text++) {
        width += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return width;
}

static size_t column_width(const struct mp__table *table, size_t column)
{
    size_t widest = 0;
    for (size_t i = column; i < table->count; i += table->columns) {
        size_t width = width_of(table->cells[i]);
        widest = width > widest ? width : widest;
    }
    return widest;
}

static int write_cell(struct mp_buf *out, const char *text, size_t padded)
{
    int status = mp_buf_append_text(out, text);
    for (size_t width = width_of(text); !status && width < padded; width++) {
        status = mp_buf_append_char(out, ' ');
    }
    return status;
}

int mp__table_print(const struct mp__table *table)
{
    struct mp_buf out;
    size_t widths[16] = {0};
    for (size_t column = 0; column + 1 < table->columns && column < 16; column++) {
        widths[column] = column_width(table, column) + GAP;
    }
    mp_buf_init(&out, SIZE_MAX);
    bool failed = table->failed;
    for (size_t i = 0; !failed && i < table->count; i++) {
        size_t column = i % table->columns;
        failed = write_cell(&out, table->cells[i], widths[column]) ||
                 (column + 1 == table->columns && mp_buf_append_char(&out, '\n'));
    }
    return mp__print_buf(&out, failed);
}
