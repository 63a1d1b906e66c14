/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moonpost/deliver.h"
#include "moonpost/json.h"
#include "tokens.h"
#include "tokens_file.h"

/* The token endpoint's answer, read. */

#define LIFE_DEFAULT_MS (60 * 60 * (int64_t)1000)
#define LIFE_MAX_MS     (365 * 24 * 60 * 60 * (int64_t)1000)
#define AGAIN_MAX_MS    (10 * 60 * (int64_t)1000)
#define DEPTH_MAX       32

void mp__grant_init(struct mp__grant *grant)
{
    *grant = (struct mp__grant){.life_ms = LIFE_DEFAULT_MS, .again_ms = -1};
    mp_buf_init(&grant->access, MP__TOKEN_BYTES_MAX);
    mp_buf_init(&grant->refresh, MP__REFRESH_BYTES_MAX);
    mp_buf_init(&grant->why, 2 * (size_t)MP_RESPONSE_BODY_MAX);
}

void mp__grant_fini(struct mp__grant *grant)
{
    mp_buf_fini(&grant->access);
    mp_buf_fini(&grant->refresh);
    mp_buf_fini(&grant->why);
}

/* Its sentence is as good as memory lasts: the kind stands without it. */
static void say(struct mp__grant *grant, enum mp__grant_kind kind, const char *what,
                const char *more)
{
    grant->kind = kind;
    mp_buf_reset(&grant->why);
    if (mp_buf_append_text(&grant->why, what) != MP_OK ||
        mp_buf_append_text(&grant->why, more) != MP_OK) {
        mp_buf_reset(&grant->why);
    }
}

static bool text_member(struct mp_str object, const char *key, struct mp_buf *out)
{
    struct mp_str raw;
    mp_buf_reset(out);
    return mp_json_member(object, mp_str_of(key), &raw) &&
           mp_json_kind(raw) == MP_JSON_STRING && mp_json_unescape(raw, out) == MP_OK &&
           out->length > 0;
}

/* The codes of section 5.2, none of which waiting would change. */
static bool is_final(struct mp_str error)
{
    static const char *const codes[] = {"invalid_request",        "invalid_client",
                                        "invalid_grant",          "unauthorized_client",
                                        "unsupported_grant_type", "invalid_scope"};
    for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
        if (mp_str_is(error, codes[i])) {
            return true;
        }
    }
    return false;
}

static int write_error(struct mp_str object, struct mp_buf *error, struct mp_buf *out)
{
    struct mp_buf text;
    mp_buf_init(&text, MP_RESPONSE_BODY_MAX);
    int status = mp_buf_append_str(out, mp_buf_str(error));
    if (status == MP_OK && text_member(object, "error_description", &text)) {
        status = mp_buf_append_text(out, ": ");
        if (status == MP_OK) {
            status = mp_buf_append_str(out, mp_buf_str(&text));
        }
    }
    mp_buf_fini(&text);
    return status;
}

/* True: it says what is wrong. */
static bool read_error(struct mp_str object, int status, struct mp__grant *grant)
{
    struct mp_buf error;
    mp_buf_init(&error, MP_RESPONSE_BODY_MAX);
    bool is_error = text_member(object, "error", &error);
    if (is_error) {
        bool is_server = status == 408 || status == 429 || status >= 500;
        grant->kind = !is_server && is_final(mp_buf_str(&error)) ? MP__GRANT_REFUSED
                                                                 : MP__GRANT_FAILED;
        mp_buf_reset(&grant->why);
        if (write_error(object, &error, &grant->why) != MP_OK) {
            mp_buf_reset(&grant->why);
        }
    }
    mp_buf_fini(&error);
    return is_error;
}

/* `expires_in`, a number or, from some, a string of digits. What is no time to come says
 * nothing. */
static int64_t life_of(struct mp_str object)
{
    char digits[32];
    struct mp_str raw;
    if (!mp_json_member(object, mp_str_of("expires_in"), &raw)) {
        return LIFE_DEFAULT_MS;
    }
    if (mp_json_kind(raw) == MP_JSON_STRING) {
        raw = (struct mp_str){raw.data + 1, raw.length - 2};
    }
    if (raw.length == 0 || raw.length >= sizeof(digits) || raw.data[0] < '0' ||
        raw.data[0] > '9') {
        return LIFE_DEFAULT_MS;
    }
    memcpy(digits, raw.data, raw.length);
    digits[raw.length] = '\0';
    double seconds = strtod(digits, NULL);
    if (seconds * 1000 >= (double)LIFE_MAX_MS) {
        return LIFE_MAX_MS;
    }
    return seconds * 1000 >= 1 ? (int64_t)(seconds * 1000) : LIFE_DEFAULT_MS;
}

/* What may stand behind `Bearer ` in a field (RFC 6750 section 2.1, and a little more).
 */
static bool is_sendable(struct mp_str token)
{
    for (size_t i = 0; i < token.length; i++) {
        if (token.data[i] <= ' ' || token.data[i] >= 0x7f) {
            return false;
        }
    }
    return token.length > 0;
}

static void read_grant(struct mp_str object, struct mp__grant *grant)
{
    struct mp_buf type;
    mp_buf_init(&type, MP_RESPONSE_BODY_MAX);
    bool has_type = text_member(object, "token_type", &type);
    if (!text_member(object, "access_token", &grant->access)) {
        say(grant, MP__GRANT_FAILED, "the answer has no access_token of up to 16 KiB",
            "");
    } else if (!is_sendable(mp_buf_str(&grant->access))) {
        say(grant, MP__GRANT_FAILED, "the access_token can not be sent in a field", "");
    } else if (has_type && !mp_str_equal_nocase(mp_buf_str(&type), mp_str_of("Bearer"))) {
        say(grant, MP__GRANT_FAILED, "the token_type is not Bearer", "");
    } else {
        grant->kind = MP__GRANT_GIVEN;
        grant->life_ms = life_of(object);
        if (!text_member(object, "refresh_token", &grant->refresh)) {
            mp_buf_reset(&grant->refresh);
        }
    }
    mp_buf_fini(&type);
}

static void read_no_answer(const struct mp_response *response, struct mp__grant *grant)
{
    if (strcmp(response->error, "blocked_address") == 0) {
        say(grant, MP__GRANT_REFUSED, response->error,
            ": not a public address; --egress-allow names what may be reached");
    } else if (response->detail && *response->detail) {
        say(grant, MP__GRANT_FAILED, response->error, ": ");
        if (mp_buf_append_text(&grant->why, response->detail) != MP_OK) {
            mp_buf_reset(&grant->why);
        }
    } else {
        say(grant, MP__GRANT_FAILED, response->error, "");
    }
}

void mp__grant_read(const struct mp_response *response, int64_t now_wall_ms,
                    struct mp__grant *grant)
{
    struct mp_str object = {0}, token;
    char number[16];
    if (response->status == 0) {
        read_no_answer(response, grant);
        return;
    }
    int64_t again_ms = mp_retry_after(response, now_wall_ms);
    grant->again_ms = again_ms < AGAIN_MAX_MS ? again_ms : AGAIN_MAX_MS;
    bool is_object = !response->truncated &&
                     mp_json_check(response->body, DEPTH_MAX, &object, NULL) == MP_OK &&
                     mp_json_kind(object) == MP_JSON_OBJECT;
    bool is_ok = response->status >= 200 && response->status <= 299;
    bool is_given =
        is_ok && is_object && mp_json_member(object, mp_str_of("access_token"), &token);
    if (is_object && !is_given && read_error(object, response->status, grant)) {
        return;
    }
    if (!is_ok) {
        snprintf(number, sizeof(number), "%d", response->status);
        say(grant, MP__GRANT_FAILED, "status ", number);
    } else if (response->truncated) {
        say(grant, MP__GRANT_FAILED, "the answer is over 64 KiB", "");
    } else if (!is_object) {
        say(grant, MP__GRANT_FAILED, "the answer is no JSON object", "");
    } else {
        read_grant(object, grant);
    }
}
