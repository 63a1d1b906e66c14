/* SPDX-License-Identifier: MIT */
#include "api.h"

#include "moonpost/clock.h"

int mp__write_text(struct mp_buf *out, const char *before, struct mp_str text)
{
    int status = mp_buf_append_text(out, before);
    return status ? status : mp_json_write_string(out, text);
}

int mp__write_cstr(struct mp_buf *out, const char *before, const char *text)
{
    if (text) {
        return mp__write_text(out, before, mp_str_of(text));
    }
    int status = mp_buf_append_text(out, before);
    return status ? status : mp_buf_append_text(out, "null");
}

int mp__write_time(struct mp_buf *out, const char *before, int64_t wall_ms)
{
    char text[MP_TIME_BYTES];
    if (wall_ms == 0) {
        return mp__write_cstr(out, before, NULL);
    }
    mp_time_format(wall_ms, text);
    return mp__write_cstr(out, before, text);
}

void mp__api_answer(struct mp_call *call, struct mp_buf *body, bool failed)
{
    if (failed) {
        mp_call_problem(call, 500, "internal",
                        "could not write the answer: out of memory");
    } else {
        mp_call_respond(call, 200, "application/json", "Cache-Control: no-store\r\n",
                        mp_buf_str(body));
    }
    mp_buf_fini(body);
}

void mp__api_refuse(struct mp_call *call, int status, const char *why)
{
    switch (status) {
    case MP_EAGAIN:
    case MP_EBUSY:
    case MP_ECLOSED:
    case MP_EFULL:
    case MP_EIO:
        mp_call_problem(call, 503, "unavailable", "%s",
                        why ? why : mp_status_text(status));
        break;
    default:
        mp_call_problem(call, 500, "internal", "%s", why ? why : mp_status_text(status));
        break;
    }
}
