/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "head.h"
#include "routes.h"

/* Cuts what is before the next semicolon off `rest`. Quoted ones do not count. */
static struct mp_str cut(struct mp_str *rest)
{
    bool quoted = false;
    size_t end = 0;
    for (; end < rest->length && (quoted || rest->data[end] != ';'); end++) {
        if (quoted && rest->data[end] == '\\') {
            end++;
        } else if (rest->data[end] == '"') {
            quoted = !quoted;
        }
    }
    end = end < rest->length ? end : rest->length;
    struct mp_str piece = {rest->data, end};
    size_t skip = end < rest->length ? end + 1 : end;
    *rest = (struct mp_str){rest->data + skip, rest->length - skip};
    return mp_str_trim(piece);
}

static bool is(struct mp_str text, const char *wanted)
{
    return mp_str_equal_nocase(text, mp_str_of(wanted));
}

/* A parameter: true unless it is a charset that is not UTF-8. */
static bool charset_is_good(struct mp_str parameter)
{
    const char *equals =
        parameter.length ? memchr(parameter.data, '=', parameter.length) : NULL;
    if (!equals || !is((struct mp_str){parameter.data, (size_t)(equals - parameter.data)},
                       "charset")) {
        return true;
    }
    struct mp_str value = {equals + 1,
                           parameter.length - (size_t)(equals + 1 - parameter.data)};
    if (value.length >= 2 && value.data[0] == '"' &&
        value.data[value.length - 1] == '"') {
        value = (struct mp_str){value.data + 1, value.length - 2};
    }
    return is(value, "utf-8") || is(value, "utf8");
}

static bool ends_in(struct mp_str text, const char *end)
{
    size_t length = strlen(end);
    return text.length > length &&
           is((struct mp_str){text.data + text.length - length, length}, end);
}

static bool begins_with(struct mp_str text, const char *beginning)
{
    size_t length = strlen(beginning);
    return text.length >= length && is((struct mp_str){text.data, length}, beginning);
}

enum mp__content mp__content_of(struct mp_str media_type, bool *charset_ok)
{
    struct mp_str type = cut(&media_type);
    *charset_ok = true;
    while (media_type.length > 0) {
        *charset_ok = charset_is_good(cut(&media_type)) && *charset_ok;
    }
    if (is(type, "application/cloudevents+json")) {
        return MP__CONTENT_STRUCTURED;
    }
    if (is(type, "application/cloudevents-batch+json")) {
        return MP__CONTENT_BATCH;
    }
    if (begins_with(type, "application/cloudevents")) {
        return MP__CONTENT_OTHER; /* another format of theirs, or a batch of one */
    }
    if (is(type, "application/x-ndjson") || is(type, "application/ndjson")) {
        return MP__CONTENT_NDJSON;
    }
    /* curl -d and sendBeacon name these, whatever is in the body. */
    bool is_json = type.length == 0 || is(type, "application/json") ||
                   is(type, "text/json") || is(type, "text/plain") ||
                   is(type, "application/x-www-form-urlencoded") ||
                   (begins_with(type, "application/") && ends_in(type, "+json"));
    return is_json ? MP__CONTENT_JSON : MP__CONTENT_OTHER;
}
