/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>

#include "moonpost/clock.h"
#include "sink.h"

/* Fields that say nothing of the event. */
static bool is_dull(const char *name)
{
    static const char *const dull[] = {
        "host",       "accept",         "accept-encoding",
        "connection", "content-length", "transfer-encoding"};
    for (size_t i = 0; i < sizeof dull / sizeof dull[0]; i++) {
        if (mp_str_equal_nocase(mp_str_of(name), mp_str_of(dull[i]))) {
            return true;
        }
    }
    return false;
}

/* The next name; NULL at the end. `*at` begins as NULL and is the value after a call. */
static const char *next_field(const struct mp_buf *head, const char **at)
{
    const char *end = head->data + head->length;
    const char *name = *at ? *at : head->data;
    name += strlen(name) + 1;
    if (name >= end) {
        return NULL;
    }
    *at = name + strlen(name) + 1;
    return name;
}

static int append_field(struct mp_buf *out, const char *name, const char *value)
{
    int status = mp_buf_append_text(out, "  ");
    status = status ? status : mp__append_shown(out, mp_str_of(name));
    status = status ? status : mp_buf_append_text(out, ": ");
    status = status ? status : mp__append_shown(out, mp_str_of(value));
    return status ? status : mp_buf_append_char(out, '\n');
}

static int append_body(struct mp_buf *out, const struct mp__sink_request *request)
{
    if (request->body_bytes == 0) {
        return MP_OK;
    }
    int status = mp_buf_append_text(out, "  ");
    status = status ? status : mp__append_shown(out, mp_buf_str(&request->body));
    if (request->body_bytes > request->body.length) {
        status = status ? status
                        : mp_buf_printf(out, "… (%" PRIu64 " bytes in all)",
                                        request->body_bytes);
    }
    return status ? status : mp_buf_append_char(out, '\n');
}

/* "22:04:19.123Z POST /hook -> 200", the fields, the body. */
static int append_text(struct mp_buf *out, const struct mp__sink_request *request,
                       const char *time, int status)
{
    const char *at = NULL, *name;
    int failed =
        mp_buf_printf(out, "%s %s ", time + strlen("2026-11-23T"), request->method);
    failed = failed ? failed : mp__append_shown(out, mp_str_of(request->head.data));
    failed = failed ? failed : mp_buf_printf(out, " -> %d\n", status);
    while (!failed && (name = next_field(&request->head, &at)) != NULL) {
        failed = is_dull(name) ? MP_OK : append_field(out, name, at);
    }
    return failed ? failed : append_body(out, request);
}

static int append_json_fields(struct mp_buf *out, const struct mp__sink_request *request)
{
    const char *at = NULL, *name;
    int failed = mp_buf_append_text(out, ",\"headers\":{");
    bool is_first = true;
    while (!failed && (name = next_field(&request->head, &at)) != NULL) {
        failed = is_first ? MP_OK : mp_buf_append_char(out, ',');
        failed = failed ? failed : mp_json_write_string(out, mp_str_of(name));
        failed = failed ? failed : mp_buf_append_char(out, ':');
        failed = failed ? failed : mp_json_write_string(out, mp_str_of(at));
        is_first = false;
    }
    return failed ? failed : mp_buf_append_char(out, '}');
}

static int append_json(struct mp_buf *out, const struct mp__sink_request *request,
                       const char *time, int status)
{
    int failed = mp_buf_printf(
        out, "{\"time\":\"%s\",\"method\":\"%s\",\"target\":", time, request->method);
    failed = failed ? failed : mp_json_write_string(out, mp_str_of(request->head.data));
    failed = failed ? failed : append_json_fields(out, request);
    failed = failed ? failed : mp_buf_append_text(out, ",\"body\":");
    failed = failed ? failed : mp_json_write_string(out, mp_buf_str(&request->body));
    return failed ? failed
                  : mp_buf_printf(out, ",\"body_bytes\":%" PRIu64 ",\"status\":%d}\n",
                                  request->body_bytes, status);
}

void mp__sink_print(struct mp__sink *sink, const struct mp__sink_request *request,
                    int status)
{
    char time[MP_TIME_BYTES];
    struct mp_buf out;
    mp_time_format(mp_clock_wall_ms(), time);
    mp_buf_init(&out, SIZE_MAX);
    bool failed = sink->settings->json ? append_json(&out, request, time, status)
                                       : append_text(&out, request, time, status);
    if (mp__print_buf(&out, failed) != MP_EXIT_OK) {
        mp__sink_stop(sink);
    }
}
