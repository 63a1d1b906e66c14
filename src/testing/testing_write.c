/* SPDX-License-Identifier: MIT */
#include "moonpost/clock.h"
#include "testing.h"

int mp__write_member(struct mp_buf *out, const char *name, struct mp_str text)
{
    int status = mp_buf_printf(out, ",\"%s\":", name);
    return status ? status : mp_json_write_string(out, text);
}

static int write_word(struct mp_buf *out, const char *word, struct mp_str why)
{
    int status = mp_buf_append_text(out, "{\"word\":");
    status = status ? status : mp_json_write_string(out, mp_str_of(word));
    return status ? status : mp__write_member(out, "why", why);
}

static int write_named(struct mp_buf *out, int64_t delay_ms)
{
    int status = mp_buf_append_text(out, ",\"named\":\"");
    status = status ? status : mp_duration_write(out, delay_ms);
    return status ? status : mp_buf_append_char(out, '"');
}

/* Of a retry: when, and what it is instead once no attempt is left. */
static int write_wait(struct mp_buf *out, const struct mp_verdict *verdict,
                      int64_t wait_ms, uint32_t attempts)
{
    int status = mp_buf_printf(out, ",\"wait_ms\":%lld", (long long)wait_ms);
    if (verdict->delay_ms >= 0) {
        status = status ? status : write_named(out, verdict->delay_ms);
    }
    if (wait_ms < 0) {
        struct mp_verdict dead = *verdict;
        mp_verdict_give_up(&dead, attempts);
        status = status ? status : mp__write_member(out, "gave_up", mp_str_of(dead.why));
    }
    return status;
}

int mp__write_verdict(struct mp_buf *out, const struct mp_testing *testing,
                      const struct mp__subjects *subjects,
                      const struct mp__subject *subject, const struct mp_verdict *verdict,
                      const struct mp_response *response)
{
    const char *word = subject->status ? "error" : mp_verdict_name(verdict->kind);
    uint32_t attempts = subject->record->attempts + 1;
    int status = write_word(out, word, mp_str_of(verdict->why));
    if (verdict->kind == MP_VERDICT_RETRY) {
        int64_t wait_ms = mp_retry_wait_ms(testing->script, attempts, verdict, response,
                                           subjects->now_ms, 0.5);
        status = status ? status : write_wait(out, verdict, wait_ms, attempts);
    }
    return status ? status : mp_buf_append_char(out, '}');
}

static int write_fate(struct mp_buf *out, const struct mp_testing *testing,
                      const struct mp__subjects *subjects,
                      const struct mp__subject *subject)
{
    struct mp_verdict verdict = subject->verdict;
    if (subject->status != MP_OK) {
        mp_verdict_set(&verdict, MP_VERDICT_RETRY, "%s", subject->err.text);
    }
    return mp__goes_on(subject)
               ? mp_buf_append_text(out, "null")
               : mp__write_verdict(out, testing, subjects, subject, &verdict, NULL);
}

int mp__write_fates(struct mp_buf *out, const struct mp_testing *testing,
                    const struct mp__subjects *subjects)
{
    int status = mp_buf_append_text(out, ",\"fates\":[");
    for (size_t i = 0; i < subjects->count && status == MP_OK; i++) {
        status = i == 0 ? MP_OK : mp_buf_append_char(out, ',');
        status =
            status ? status : write_fate(out, testing, subjects, &subjects->items[i]);
    }
    return status ? status : mp_buf_append_char(out, ']');
}

static int write_header(struct mp_buf *out, const struct mp_request *request, size_t i)
{
    int status = mp_buf_append_text(out, i == 0 ? "[" : ",[");
    status = status ? status : mp_json_write_string(out, mp_header_name(request, i));
    status = status ? status : mp_buf_append_char(out, ',');
    status = status ? status : mp_json_write_string(out, mp_header_value(request, i));
    return status ? status : mp_buf_append_char(out, ']');
}

int mp__write_request(struct mp_buf *out, const struct mp_request *request)
{
    int status = mp_buf_printf(out, ",\"request\":{\"has_body\":%s",
                               request->has_body ? "true" : "false");
    status =
        status ? status : mp__write_member(out, "method", mp_str_of(request->method));
    status = status ? status : mp__write_member(out, "url", mp_buf_str(&request->url));
    status = status ? status : mp_buf_append_text(out, ",\"headers\":[");
    for (size_t i = 0; i < request->header_count && status == MP_OK; i++) {
        status = write_header(out, request, i);
    }
    return status ? status : mp_buf_append_text(out, "]}");
}
