/* SPDX-License-Identifier: MIT */
#include "api.h"

#include <string.h>

#define NAMED_MAX 64 /* of a stranger's member name, in a message */

static bool is_known(struct mp_str key, const char *const *known)
{
    for (size_t i = 0; known[i]; i++) {
        if (mp_json_string_is(key, mp_str_of(known[i]))) {
            return true;
        }
    }
    return false;
}

static void answer_unknown(struct mp_call *call, struct mp_str key,
                           const char *const *known)
{
    char list[256] = "";
    for (size_t i = 0; known[i] && strlen(list) + strlen(known[i]) + 3 < sizeof list;
         i++) {
        strcat(list, i ? ", " : "");
        strcat(list, known[i]);
    }
    int shown = key.length > NAMED_MAX ? NAMED_MAX : (int)key.length;
    mp_call_problem(call, 422, "unknown-member", "%.*s is no member here; known are: %s",
                    shown, key.data, list[0] ? list : "none");
}

bool mp__api_object(struct mp_api *api, struct mp_call *call, const char *const *known,
                    struct mp_str *object)
{
    struct mp_str body = mp_call_body(call);
    if (body.length == 0) {
        mp_call_problem(call, 422, "invalid-request",
                        "the body is empty: a JSON object was expected");
        return false;
    }
    struct mp_json_fault fault;
    if (mp_json_check(body, (unsigned)api->owner.json_depth, object, &fault)) {
        mp_call_problem(call, 400, "malformed-json", "line %u, column %u: %s", fault.line,
                        fault.column, fault.reason);
        return false;
    }
    if (mp_json_kind(*object) != MP_JSON_OBJECT) {
        mp_call_problem(call, 422, "invalid-request", "the body must be a JSON object");
        return false;
    }
    struct mp_json_iter iter;
    struct mp_str key, value;
    mp_json_iter_init(&iter, *object);
    while (mp_json_iter_next(&iter, &key, &value)) {
        if (!is_known(key, known)) {
            answer_unknown(call, key, known);
            return false;
        }
    }
    return true;
}

bool mp__api_nothing(struct mp_api *api, struct mp_call *call)
{
    static const char *const none[] = {NULL};
    struct mp_str object;
    return mp_call_body(call).length == 0 || mp__api_object(api, call, none, &object);
}

bool mp__api_text(struct mp_call *call, struct mp_str object, const char *name,
                  struct mp_buf *out, bool *present)
{
    struct mp_str value;
    *present = mp_json_member(object, mp_str_of(name), &value);
    if (!*present) {
        return true;
    }
    if (mp_json_kind(value) != MP_JSON_STRING) {
        mp_call_problem(call, 422, "invalid-request", "\"%s\" must be a string", name);
        return false;
    }
    if (mp_json_unescape(value, out)) {
        mp_call_problem(call, 422, "invalid-request", "\"%s\" is too long", name);
        return false;
    }
    return true;
}

bool mp__api_bool(struct mp_call *call, struct mp_str object, const char *name, bool *out)
{
    struct mp_str value;
    if (!mp_json_member(object, mp_str_of(name), &value)) {
        return true;
    }
    enum mp_json_kind kind = mp_json_kind(value);
    if (kind != MP_JSON_TRUE && kind != MP_JSON_FALSE) {
        mp_call_problem(call, 422, "invalid-request", "\"%s\" must be true or false",
                        name);
        return false;
    }
    *out = kind == MP_JSON_TRUE;
    return true;
}

bool mp__api_digits(struct mp_str text, int64_t *out)
{
    int64_t number = 0;
    if (text.length == 0 || text.length > 10) {
        return false;
    }
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        number = number * 10 + (text.data[i] - '0');
    }
    *out = number;
    return true;
}

bool mp__api_number(struct mp_call *call, struct mp_str object, const char *name,
                    int64_t min, int64_t max, int64_t *out)
{
    struct mp_str value;
    int64_t number;
    if (!mp_json_member(object, mp_str_of(name), &value)) {
        return true;
    }
    if (!mp__api_digits(value, &number) || number < min || number > max) {
        mp_call_problem(call, 422, "invalid-request",
                        "\"%s\" must be a whole number, %lld to %lld", name,
                        (long long)min, (long long)max);
        return false;
    }
    *out = number;
    return true;
}

static bool read_limit(struct mp_call *call, size_t *out)
{
    struct mp_buf text;
    int64_t limit = MP_API_LIMIT_DEFAULT;
    mp_buf_init(&text, 1024);
    /* What did not fit was given all the same. */
    bool is_given = mp_call_query(call, "limit", &text) || text.length > 0;
    bool is_good = !is_given || mp__api_digits(mp_buf_str(&text), &limit);
    mp_buf_fini(&text);
    if (!is_good || limit < 1 || limit > MP_API_LIMIT_MAX) {
        mp_call_problem(call, 422, "invalid-request",
                        "limit must be a whole number, 1 to %d", MP_API_LIMIT_MAX);
        return false;
    }
    *out = (size_t)limit;
    return true;
}

bool mp__api_page(struct mp_call *call, struct mp__page *page)
{
    if (!read_limit(call, &page->limit)) {
        return false;
    }
    mp_buf_init(&page->cursor, 1024);
    (void)mp_call_query(call, "cursor", &page->cursor);
    return true;
}
