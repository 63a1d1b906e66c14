/* SPDX-License-Identifier: MIT */
#include "attempt_log.h"

#include <stdio.h>

#include "moonpost/clock.h"
#include "moonpost/json.h"

#define BODY_SHOWN_BYTES 1024

/* The line under way: the first failure is kept, what follows it does nothing. */
struct line {
    struct mp_buf *out;
    int status;
};

static void put(struct line *line, const char *text)
{
    if (line->status == MP_OK) {
        line->status = mp_buf_append_text(line->out, text);
    }
}

static void put_string(struct line *line, struct mp_str text)
{
    if (line->status == MP_OK) {
        line->status = mp_json_write_string(line->out, text);
    }
}

static void put_int(struct line *line, int64_t number)
{
    if (line->status == MP_OK) {
        line->status = mp_buf_append_int(line->out, number);
    }
}

static void put_string_or_null(struct line *line, const char *text)
{
    if (text) {
        put_string(line, mp_str_of(text));
    } else {
        put(line, "null");
    }
}

/* The first 1 KiB, but no character cut in two: that would read as damage. */
static struct mp_str shown_body(struct mp_str body)
{
    if (body.length <= BODY_SHOWN_BYTES) {
        return body;
    }
    size_t end = BODY_SHOWN_BYTES;
    size_t back = 0;
    while (back < 3 && ((unsigned char)body.data[end - back] & 0xc0) == 0x80) {
        back++;
    }
    if ((unsigned char)body.data[end - back] >= 0xc0) {
        end -= back;
    }
    return (struct mp_str){body.data, end};
}

static void put_duration(struct line *line, int64_t us)
{
    char fraction[] = {'.', (char)('0' + us % 1000 / 100), (char)('0' + us % 100 / 10),
                       (char)('0' + us % 10), '\0'};
    put_int(line, us / 1000);
    put(line, fraction);
}

static void put_request(struct line *line, const struct mp_request *request)
{
    put(line, ",\"method\":");
    put_string_or_null(line, request ? request->method : NULL);
    put(line, ",\"url\":");
    if (request) {
        put_string(line, mp_request_url_shown(request));
    } else {
        put(line, "null");
    }
}

static void put_response(struct line *line, const struct mp_response *response,
                         int64_t duration_us)
{
    put(line, ",\"status\":");
    if (response->status != 0) {
        put_int(line, response->status);
    } else {
        put(line, "null");
    }
    put(line, ",\"error\":");
    put_string_or_null(line, response->status != 0 ? NULL : response->error);
    put(line, ",\"duration_ms\":");
    put_duration(line, duration_us);
    put(line, ",\"body\":");
    put_string(line, shown_body(response->body));
}

static void put_next(struct line *line, int64_t next_ms)
{
    char text[MP_TIME_BYTES];
    put(line, ",\"next_at\":");
    if (next_ms < 0) {
        put(line, "null");
        return;
    }
    mp_time_format(next_ms, text);
    put_string(line, mp_str_of(text));
}

int mp__attempt_line_write(struct mp_buf *out, const struct mp__attempt_line *line)
{
    size_t before = out->length;
    struct line to = {out, MP_OK};
    put(&to, "{\"time\":\"");
    put(&to, line->time);
    put(&to, "\",\"partner\":");
    put_string(&to, line->record->partner);
    put(&to, ",\"id\":");
    put_string(&to, line->record->id);
    put(&to, ",\"attempt\":");
    put_int(&to, line->attempt);
    put(&to, ",\"generation\":\"");
    put(&to, line->generation);
    put(&to, "\"");
    put_request(&to, line->request);
    put_response(&to, line->response, line->duration_us);
    put(&to, ",\"verdict\":\"");
    put(&to, mp_verdict_name(line->verdict->kind));
    put(&to, "\",\"why\":");
    put_string(&to, mp_str_of(line->verdict->why));
    put_next(&to, line->next_ms);
    if (line->batch.length > 0) {
        put(&to, ",\"batch\":");
        put_string(&to, line->batch);
    }
    put(&to, "}\n");
    if (to.status != MP_OK) {
        out->length = before;
    }
    return to.status;
}
