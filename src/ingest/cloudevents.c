/* SPDX-License-Identifier: MIT */
#include "cloudevents.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "connection.h"
#include "moonpost/clock.h"
#include "moonpost/json.h"

enum {
    ID,
    SOURCE,
    TYPE,
    SPECVERSION,
    SUBJECT,
    TIME,
    PARTITION_KEY,
    DATA,
    DATA_BASE64,
    MEMBERS
};
static const char *const NAMES[MEMBERS] = {"id",           "source",  "type",
                                           "specversion",  "subject", "time",
                                           "partitionkey", "data",    "data_base64"};
static const char *const FIELDS[MP__CE_ATTRIBUTES] = {
    "ce-id",      "ce-source", "ce-type",         "ce-specversion",
    "ce-subject", "ce-time",   "ce-partitionkey",
};
#define REQUIRED 4 /* the first of them */

MP_PRINTF(2, 3) static int fail(struct mp__item_fault *fault, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(fault->detail, sizeof(fault->detail), format, args);
    va_end(args);
    return MP_EINVAL;
}

struct mp_str mp__ce_field(const struct mp_call *call, unsigned index)
{
    return mp_call_header(call, FIELDS[index]);
}

/* What both modes have in common once the attributes are text. */
static int take_attributes(const struct mp_str *values, struct mp__item *item,
                           struct mp__item_fault *fault)
{
    for (int i = 0; i < REQUIRED; i++) {
        if (values[i].length == 0) {
            return fail(fault, "the CloudEvents attribute %s is missing", NAMES[i]);
        }
    }
    if (!mp_str_is(values[SPECVERSION], "1.0")) {
        return fail(fault, "the CloudEvents attribute specversion is not 1.0");
    }
    item->id = values[ID];
    item->source = values[SOURCE];
    item->type = values[TYPE];
    item->subject = values[SUBJECT];
    item->partition_key = values[PARTITION_KEY];
    item->occurred_ms = -1;
    if (values[TIME].length > 0 &&
        mp_time_parse(values[TIME], &item->occurred_ms) != MP_OK) {
        return fail(fault, "the CloudEvents attribute time is not an RFC 3339 time");
    }
    return MP_OK;
}

int mp__cloudevent_binary(const struct mp_call *call, struct mp_buf *text,
                          struct mp__item *item, struct mp__item_fault *fault)
{
    struct mp_str values[MP__CE_ATTRIBUTES];
    size_t room = 0;
    for (unsigned i = 0; i < MP__CE_ATTRIBUTES; i++) {
        values[i] = mp__ce_field(call, i);
        room += values[i].length;
    }
    mp_buf_reset(text);
    if (mp_buf_reserve(text, room) != MP_OK) {
        return MP_ENOMEM;
    }
    for (unsigned i = 0; i < MP__CE_ATTRIBUTES; i++) {
        size_t from = text->length;
        if (mp__percent_decode(values[i], text) != MP_OK) {
            return MP_ENOMEM;
        }
        values[i] = (struct mp_str){text->data + from, text->length - from};
    }
    return take_attributes(values, item, fault);
}

struct mp_str mp__text_of(struct mp_str raw, struct mp_buf *text)
{
    struct mp_str inner = {raw.data + 1, raw.length - 2};
    if (inner.length == 0 || !memchr(inner.data, '\\', inner.length)) {
        return inner;
    }
    size_t from = text->length;
    if (mp_json_unescape(raw, text) != MP_OK) {
        return (struct mp_str){NULL, 0};
    }
    return (struct mp_str){text->data + from, text->length - from};
}

static void find_members(struct mp_str object, struct mp_str members[MEMBERS])
{
    struct mp_json_iter iter;
    struct mp_str key, value;
    mp_json_iter_init(&iter, object);
    while (mp_json_iter_next(&iter, &key, &value)) {
        for (int i = 0; i < MEMBERS; i++) {
            if (mp_json_string_is(key, mp_str_of(NAMES[i]))) {
                members[i] = value;
            }
        }
    }
}

static int check_data(const struct mp_str *members, struct mp__item *item,
                      struct mp__item_fault *fault)
{
    if (members[DATA_BASE64].length > 0) {
        return fail(fault,
                    "data_base64 is not taken: the event must be a JSON object in data");
    }
    if (mp_json_kind(members[DATA]) != MP_JSON_OBJECT) {
        return fail(fault, members[DATA].length
                               ? "the CloudEvent's data is not a JSON object"
                               : "the CloudEvent has no data");
    }
    item->event = members[DATA];
    return MP_OK;
}

int mp__cloudevent_structured(struct mp_str object, struct mp_buf *text,
                              struct mp__item *item, struct mp__item_fault *fault)
{
    struct mp_str members[MEMBERS] = {{NULL, 0}};
    struct mp_str values[MP__CE_ATTRIBUTES] = {{NULL, 0}};
    find_members(object, members);
    size_t room = 0;
    for (int i = 0; i < MP__CE_ATTRIBUTES; i++) {
        room += members[i].length;
    }
    mp_buf_reset(text);
    if (mp_buf_reserve(text, room) != MP_OK) {
        return MP_ENOMEM;
    }
    for (int i = 0; i < MP__CE_ATTRIBUTES; i++) {
        enum mp_json_kind kind = mp_json_kind(members[i]);
        if (kind == MP_JSON_STRING) {
            values[i] = mp__text_of(members[i], text);
        } else if (kind != MP_JSON_NONE && kind != MP_JSON_NULL) {
            return fail(fault, "the CloudEvents attribute %s is not a string", NAMES[i]);
        }
    }
    int status = take_attributes(values, item, fault);
    return status == MP_OK ? check_data(members, item, fault) : status;
}
