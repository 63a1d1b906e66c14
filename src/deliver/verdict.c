/* SPDX-License-Identifier: MIT */
#include "moonpost/deliver.h"

#include <stdlib.h>
#include <string.h>

#include "moonpost/clock.h"
#include "moonpost/json.h"

#define RETRY_AFTER_MAX_MS (24 * 60 * 60 * (int64_t)1000)

static void set(struct mp_verdict *verdict, enum mp_verdict_kind kind, int status,
                const char *more)
{
    mp_verdict_set(verdict, kind, "status %d%s", status, more);
    verdict->delay_ms = -1;
}

static void set_without_answer(const struct mp_response *response,
                               struct mp_verdict *verdict)
{
    const char *error = response->error ? response->error : "network_error";
    if (strcmp(error, "blocked_address") == 0) {
        /* It stays refused until an operator allows it: waiting would not help. */
        mp_verdict_set(verdict, MP_VERDICT_DEAD,
                       "%s: not a public address; --egress-allow "
                       "names what may be reached",
                       error);
    } else {
        mp_verdict_set(verdict, MP_VERDICT_RETRY, "%s%s%s", error,
                       response->detail && *response->detail ? ": " : "",
                       response->detail ? response->detail : "");
    }
    verdict->delay_ms = -1;
}

void mp_verdict_default(const struct mp_response *response, struct mp_verdict *verdict)
{
    int status = response->status;
    if (status == 0) {
        set_without_answer(response, verdict);
    } else if (status >= 200 && status <= 299) {
        set(verdict, MP_VERDICT_DELIVERED, status, "");
    } else if (status == 401 || status == 403 || status == 408 || status == 425 ||
               status == 429 || (status >= 500 && status <= 599)) {
        set(verdict, MP_VERDICT_RETRY, status, "");
    } else if (status == 410) {
        mp_verdict_set(verdict, MP_VERDICT_PAUSE, "410 Gone");
        verdict->delay_ms = -1;
    } else if (status >= 300 && status <= 399) {
        set(verdict, MP_VERDICT_DEAD, status, ": redirects are not followed");
    } else {
        set(verdict, MP_VERDICT_DEAD, status, "");
    }
}

static bool is_integer(struct mp_str raw)
{
    return memchr(raw.data, '.', raw.length) == NULL &&
           memchr(raw.data, 'e', raw.length) == NULL &&
           memchr(raw.data, 'E', raw.length) == NULL;
}

static bool numbers_equal(struct mp_str a, struct mp_str b)
{
    char texts[2][128];
    if (mp_str_equal(a, b)) {
        return true;
    }
    /* Two integers differ when their digits do; a double would make big ones equal. */
    if ((is_integer(a) && is_integer(b)) || a.length >= sizeof(texts[0]) ||
        b.length >= sizeof(texts[1])) {
        return mp_str_is(a, "-0") ? mp_str_is(b, "0")
                                  : mp_str_is(b, "-0") && mp_str_is(a, "0");
    }
    memcpy(texts[0], a.data, a.length);
    texts[0][a.length] = '\0';
    memcpy(texts[1], b.data, b.length);
    texts[1][b.length] = '\0';
    return strtod(texts[0], NULL) == strtod(texts[1], NULL);
}

static bool strings_equal(struct mp_str a, struct mp_str b)
{
    if (mp_str_equal(a, b)) {
        return true;
    }
    struct mp_buf text;
    mp_buf_init(&text, b.length);
    bool equal =
        mp_json_unescape(b, &text) == MP_OK && mp_json_string_is(a, mp_buf_str(&text));
    mp_buf_fini(&text);
    return equal;
}

static bool values_equal(struct mp_str a, struct mp_str b)
{
    enum mp_json_kind kind = mp_json_kind(a);
    if (kind != mp_json_kind(b)) {
        return false;
    }
    switch (kind) {
    case MP_JSON_NUMBER:
        return numbers_equal(a, b);
    case MP_JSON_STRING:
        return strings_equal(a, b);
    default:
        return mp_str_equal(a, b);
    }
}

static bool status_matches(const struct mp_answer *answer, int status)
{
    for (size_t i = 0; i < answer->status_count; i++) {
        if (answer->statuses[i] == status) {
            return true;
        }
    }
    return answer->status_count == 0;
}

static bool json_matches(const struct mp_answer_json *condition, struct mp_str json)
{
    struct mp_str found;
    if (json.length == 0 || !mp_json_path(json, condition->path, &found)) {
        return false;
    }
    for (size_t i = 0; i < condition->value_count; i++) {
        if (values_equal(found, condition->values[i])) {
            return true;
        }
    }
    return false;
}

static bool body_matches(const struct mp_answer *answer, struct mp_str body)
{
    return answer->body.length == 0 ||
           (body.length >= answer->body.length &&
            memmem(body.data, body.length, answer->body.data, answer->body.length));
}

static bool answer_matches(const struct mp_answer *answer,
                           const struct mp_response *response, struct mp_str json)
{
    if (!status_matches(answer, response->status) ||
        !body_matches(answer, response->body)) {
        return false;
    }
    for (size_t i = 0; i < answer->json_count; i++) {
        if (!json_matches(&answer->json[i], json)) {
            return false;
        }
    }
    return true;
}

static void name_rule(const struct mp_answer *answer, const struct mp_response *response,
                      struct mp_verdict *verdict)
{
    int64_t delay_ms = verdict->delay_ms;
    if (answer->json_count > 0) {
        mp_verdict_set(verdict, verdict->kind, "answers: json %.*s",
                       (int)answer->json[0].path.length, answer->json[0].path.data);
    } else if (answer->body.length > 0) {
        mp_verdict_set(verdict, verdict->kind, "answers: body \"%.*s\"",
                       (int)answer->body.length, answer->body.data);
    } else {
        mp_verdict_set(verdict, verdict->kind, "answers: status %d", response->status);
    }
    verdict->delay_ms = delay_ms;
}

static bool wants_json(const struct mp_script *script)
{
    for (size_t i = 0; i < script->answer_count; i++) {
        if (script->answers[i].json_count > 0) {
            return true;
        }
    }
    return false;
}

bool mp_verdict_answers(const struct mp_script *script,
                        const struct mp_response *response, struct mp_verdict *verdict)
{
    struct mp_str json = {0};
    if (wants_json(script) &&
        mp_json_check(response->body, MP_JSON_DEPTH_DEFAULT, &json, NULL) != MP_OK) {
        json = (struct mp_str){0};
    }
    for (size_t i = 0; i < script->answer_count; i++) {
        const struct mp_answer *answer = &script->answers[i];
        if (answer_matches(answer, response, json)) {
            *verdict = answer->verdict;
            if (verdict->why[0] == '\0') {
                name_rule(answer, response, verdict);
            }
            return true;
        }
    }
    return false;
}

static int64_t seconds_ms(struct mp_str digits)
{
    int64_t seconds = 0;
    for (size_t i = 0; i < digits.length; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9') {
            return -1;
        }
        seconds = seconds * 10 + (digits.data[i] - '0');
        if (seconds > RETRY_AFTER_MAX_MS / 1000) {
            seconds = RETRY_AFTER_MAX_MS / 1000;
        }
    }
    return digits.length > 0 ? seconds * 1000 : -1;
}

int64_t mp_retry_after(const struct mp_response *response, int64_t now_ms)
{
    struct mp_buf text;
    mp_buf_init(&text, 1024);
    int64_t wait_ms = -1;
    if (mp_response_header(response, mp_str_of("Retry-After"), &text)) {
        int64_t at_ms;
        wait_ms = seconds_ms(mp_buf_str(&text));
        if (wait_ms < 0 && mp_http_date_parse(mp_buf_str(&text), &at_ms) == MP_OK) {
            wait_ms = at_ms > now_ms ? at_ms - now_ms : 0;
        }
    }
    mp_buf_fini(&text);
    return wait_ms < RETRY_AFTER_MAX_MS ? wait_ms : RETRY_AFTER_MAX_MS;
}
