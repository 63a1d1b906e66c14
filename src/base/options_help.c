/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "options_table.h"

#define COLUMNS 100
#define INDENT  6

static int write_head(const struct mp_option *option, struct mp_buf *out)
{
    int status = option->letter
                     ? mp_buf_printf(out, "  -%c, --%s", option->letter, option->name)
                     : mp_buf_printf(out, "  --%s", option->name);
    if (status == MP_OK && option->argument) {
        status = mp_buf_printf(out, " %s", option->argument);
    }
    return status == MP_OK ? mp_buf_append_char(out, '\n') : status;
}

/* Words on lines of at most COLUMNS, each line indented. */
static int write_wrapped(const char *text, struct mp_buf *out)
{
    size_t column = 0;
    int status = MP_OK;
    while (*text && status == MP_OK) {
        size_t length = strcspn(text, " ");
        if (column > 0 && column + 1 + length > COLUMNS) {
            status = mp_buf_append_char(out, '\n');
            column = 0;
        }
        if (status == MP_OK) {
            status =
                mp_buf_printf(out, "%*s%.*s", column ? 1 : INDENT, "", (int)length, text);
        }
        column += length + (column ? 1 : INDENT);
        text += length;
        text += strspn(text, " ");
    }
    return status == MP_OK ? mp_buf_append_char(out, '\n') : status;
}

static int write_option(const struct mp_option *option, struct mp_buf *out)
{
    char environment[MP__ENVIRONMENT_NAME_BYTES];
    mp__option_environment(option, environment);
    struct mp_buf text;
    mp_buf_init(&text, SIZE_MAX);
    bool has_default =
        option->fallback && *option->fallback && option->kind != MP_OPTION_FLAG;
    int status = has_default ? mp_buf_printf(&text, "%s (default %s; %s)", option->help,
                                             option->fallback, environment)
                             : mp_buf_printf(&text, "%s (%s)", option->help, environment);
    if (status == MP_OK) {
        status = write_head(option, out);
    }
    if (status == MP_OK) {
        status = mp_buf_cstr(&text) ? write_wrapped(text.data, out) : MP_ENOMEM;
    }
    mp_buf_fini(&text);
    return status;
}

int mp_options_help(const struct mp_option *table, size_t count, unsigned command,
                    struct mp_buf *out)
{
    size_t before = out->length;
    int status = MP_OK;
    for (size_t i = 0; i < count && status == MP_OK; i++) {
        if (table[i].commands & command) {
            status = write_option(&table[i], out);
        }
    }
    if (status != MP_OK) {
        out->length = before;
    }
    return status;
}
