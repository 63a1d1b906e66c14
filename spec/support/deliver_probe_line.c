/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "deliver_probe.h"

void mp__probe_fail(const char *what, const char *why)
{
    fprintf(stderr, "mp_deliver_probe: %s: %s\n", what, why);
    exit(2);
}

struct mp_buf mp__probe_line(void)
{
    struct mp_buf line;
    mp_buf_init(&line, 16 * 1024 * 1024);
    return line;
}

void mp__probe_put(struct mp_buf *line, const char *text)
{
    if (mp_buf_append_text(line, text) != MP_OK) {
        exit(2);
    }
}

void mp__probe_put_text(struct mp_buf *line, const char *name, struct mp_str text)
{
    mp__probe_put(line, name);
    if (mp_json_write_string(line, text) != MP_OK) {
        exit(2);
    }
}

void mp__probe_put_number(struct mp_buf *line, const char *name, int64_t number)
{
    mp__probe_put(line, name);
    if (mp_buf_append_int(line, number) != MP_OK) {
        exit(2);
    }
}

void mp__probe_say(struct mp_buf *line)
{
    if (mp_buf_append_char(line, '\n') != MP_OK ||
        write(2, line->data, line->length) != (ssize_t)line->length) {
        exit(2);
    }
    mp_buf_fini(line);
}
