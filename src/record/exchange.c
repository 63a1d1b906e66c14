/* SPDX-License-Identifier: MIT */
#include "moonpost/exchange.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const verdict_names[] = {
    [MP_VERDICT_NONE] = "",           [MP_VERDICT_DELIVERED] = "delivered",
    [MP_VERDICT_RETRY] = "retry",     [MP_VERDICT_DEAD] = "dead",
    [MP_VERDICT_SKIPPED] = "skipped", [MP_VERDICT_PAUSE] = "pause",
    [MP_VERDICT_SPLIT] = "split",
};
#define VERDICTS (sizeof(verdict_names) / sizeof(verdict_names[0]))

const char *mp_verdict_name(enum mp_verdict_kind kind)
{
    return (size_t)kind < VERDICTS ? verdict_names[kind] : "";
}

enum mp_verdict_kind mp_verdict_of_name(struct mp_str name)
{
    for (size_t i = 1; i < VERDICTS; i++) {
        if (mp_str_is(name, verdict_names[i])) {
            return (enum mp_verdict_kind)i;
        }
    }
    return MP_VERDICT_NONE;
}

void mp_verdict_set(struct mp_verdict *verdict, enum mp_verdict_kind kind,
                    const char *format, ...)
{
    /* The arguments may point into the text that is being replaced. */
    char why[sizeof(verdict->why)] = "";
    if (format) {
        va_list args;
        va_start(args, format);
        vsnprintf(why, sizeof(why), format, args);
        va_end(args);
    }
    for (char *at = why; *at; at++) {
        if (*at == '\n' || *at == '\r') {
            *at = ' ';
        }
    }
    verdict->kind = kind;
    verdict->delay_ms = -1;
    memcpy(verdict->why, why, sizeof(why));
}

void mp_verdict_give_up(struct mp_verdict *verdict, uint32_t attempts)
{
    const char *why = verdict->why;
    mp_verdict_set(verdict, MP_VERDICT_DEAD, "gave up after %u attempt%s%s%s", attempts,
                   attempts == 1 ? "" : "s", *why ? ": " : "", why);
}

struct mp_str mp_request_body(const struct mp_request *request)
{
    if (!request->has_body) {
        return mp_str_of("");
    }
    return request->body_borrowed.data ? request->body_borrowed
                                       : mp_buf_str(&request->body);
}

struct mp_str mp_request_url_shown(const struct mp_request *request)
{
    return mp_buf_str(request->url_shown.length > 0 ? &request->url_shown
                                                    : &request->url);
}

/* The next line of `rest`, without its end; false: none left. */
static bool next_line(struct mp_str *rest, struct mp_str *line)
{
    if (rest->length == 0) {
        return false;
    }
    const char *end = memchr(rest->data, '\n', rest->length);
    size_t taken = end ? (size_t)(end - rest->data) + 1 : rest->length;
    *line = (struct mp_str){rest->data, end ? taken - 1 : taken};
    if (line->length > 0 && line->data[line->length - 1] == '\r') {
        line->length--;
    }
    rest->data += taken;
    rest->length -= taken;
    return true;
}

bool mp_response_header(const struct mp_response *response, struct mp_str name,
                        struct mp_buf *out)
{
    struct mp_str rest = response->headers;
    struct mp_str line;
    bool found = false;
    while (next_line(&rest, &line)) {
        const char *colon = line.length > 0 ? memchr(line.data, ':', line.length) : NULL;
        struct mp_str field = {line.data, colon ? (size_t)(colon - line.data) : 0};
        if (!colon || !mp_str_equal_nocase(field, name)) {
            continue;
        }
        struct mp_str value =
            mp_str_trim((struct mp_str){colon + 1, line.length - field.length - 1});
        /* A value that does not fit is left out whole: half a value would be another
         * value. */
        size_t before = out->length;
        if ((found && mp_buf_append_text(out, ", ") != MP_OK) ||
            mp_buf_append_str(out, value) != MP_OK) {
            out->length = before;
        }
        found = true;
    }
    return found;
}
