/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "kafka_pauses.h"
#include "moonpost/json.h"

/* A pause's record, both ways. */

#define SINCE_DIGITS_MAX 15

static const char *const kinds[] = {
    [MP_PAUSE_OPERATOR] = "operator", [MP_PAUSE_AUTH] = "auth",
    [MP_PAUSE_GONE] = "gone",         [MP_PAUSE_SCRIPT] = "script",
    [MP_PAUSE_VERDICT] = "verdict",   [MP_PAUSE_FILE] = "file",
};
#define KINDS (sizeof(kinds) / sizeof(*kinds))

int mp__kafka_pause_write(const struct mp_pause *pause, struct mp_buf *out)
{
    size_t kind = (size_t)pause->kind < KINDS ? (size_t)pause->kind : MP_PAUSE_OPERATOR;
    struct mp_str reason = {pause->reason, strnlen(pause->reason, sizeof(pause->reason))};
    int status = mp_buf_printf(out, "{\"kind\":\"%s\",\"reason\":", kinds[kind]);
    status = status ? status : mp_json_write_string(out, reason);
    status = status ? status : mp_buf_append_text(out, ",\"since\":");
    status = status ? status : mp_buf_append_int(out, pause->since_ms);
    return status ? status : mp_buf_append_char(out, '}');
}

static int refuse(struct mp_error *err, const char *what)
{
    return mp_error_set(err, MP_EINVAL, "%s", what);
}

static int read_kind(struct mp_str object, struct mp_pause *out, struct mp_error *err)
{
    struct mp_str raw;
    if (!mp_json_member(object, mp_str_of("kind"), &raw) ||
        mp_json_kind(raw) != MP_JSON_STRING) {
        return refuse(err, "it has no \"kind\"");
    }
    for (size_t i = 0; i < KINDS; i++) {
        if (mp_json_string_is(raw, mp_str_of(kinds[i]))) {
            out->kind = (enum mp_pause_kind)i;
            return MP_OK;
        }
    }
    return refuse(err, "its \"kind\" is none of ours");
}

/* A stranger's is cut between two characters. */
static int read_reason(struct mp_str object, struct mp_pause *out, struct mp_error *err)
{
    struct mp_str raw;
    if (!mp_json_member(object, mp_str_of("reason"), &raw)) {
        return MP_OK;
    }
    if (mp_json_kind(raw) != MP_JSON_STRING) {
        return refuse(err, "its \"reason\" is no string");
    }
    struct mp_buf text;
    mp_buf_init(&text, SIZE_MAX);
    int status = mp_json_unescape(raw, &text);
    if (status == MP_OK) {
        size_t length = text.length;
        if (length >= sizeof(out->reason)) {
            length = sizeof(out->reason) - 1;
            while (length > 0 && ((unsigned char)text.data[length] & 0xc0) == 0x80) {
                length--;
            }
        }
        snprintf(out->reason, sizeof(out->reason), "%.*s", (int)length,
                 text.data ? text.data : "");
    }
    mp_buf_fini(&text);
    return status;
}

static int read_since(struct mp_str object, struct mp_pause *out, struct mp_error *err)
{
    struct mp_str raw;
    int64_t since_ms = 0;
    if (!mp_json_member(object, mp_str_of("since"), &raw)) {
        return MP_OK;
    }
    for (size_t i = 0; i < raw.length; i++) {
        if (raw.data[i] < '0' || raw.data[i] > '9' || raw.length > SINCE_DIGITS_MAX) {
            return refuse(err, "its \"since\" is no time in Unix milliseconds");
        }
        since_ms = since_ms * 10 + (raw.data[i] - '0');
    }
    out->since_ms = since_ms;
    return MP_OK;
}

int mp__kafka_pause_read(struct mp_str value, unsigned json_depth, struct mp_pause *out,
                         struct mp_error *err)
{
    struct mp_str object;
    if (mp_json_check(value, json_depth, &object, NULL) != MP_OK ||
        mp_json_kind(object) != MP_JSON_OBJECT) {
        return refuse(err, "it is no JSON object");
    }
    int status = read_kind(object, out, err);
    status = status ? status : read_reason(object, out, err);
    return status ? status : read_since(object, out, err);
}
