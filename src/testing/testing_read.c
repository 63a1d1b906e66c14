/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "moonpost/clock.h"
#include "testing.h"

#define DELIVERIES_MAX 100000

static struct mp_str member(struct mp_str object, const char *name)
{
    struct mp_str raw = {0};
    if (mp_json_kind(object) == MP_JSON_OBJECT) {
        mp_json_member(object, mp_str_of(name), &raw);
    }
    return raw;
}

static int64_t number(struct mp_str object, const char *name, int64_t otherwise)
{
    struct mp_str raw = member(object, name);
    char digits[32];
    if (mp_json_kind(raw) != MP_JSON_NUMBER || raw.length >= sizeof(digits)) {
        return otherwise;
    }
    memcpy(digits, raw.data, raw.length);
    digits[raw.length] = '\0';
    return (int64_t)strtod(digits, NULL);
}

/* A string member, unescaped behind what is there; empty when it is none. The room for it
 * was reserved, so that no slice moves. */
static struct mp_str text(struct mp_str object, const char *name, struct mp_buf *out)
{
    struct mp_str raw = member(object, name);
    size_t from = out->length;
    if (mp_json_kind(raw) != MP_JSON_STRING || mp_json_unescape(raw, out) != MP_OK) {
        return (struct mp_str){0};
    }
    return (struct mp_str){out->data + from, out->length - from};
}

static int read_event(struct mp_str delivery, struct mp_buf *texts,
                      struct mp_record *draft, struct mp_error *err)
{
    draft->event = member(delivery, "event");
    if (mp_json_kind(draft->event) != MP_JSON_OBJECT) {
        return mp_error_set(err, MP_EINVAL, "an event is a JSON object");
    }
    struct mp_str type = text(delivery, "type", texts);
    draft->type = type.length > 0 ? type : text(draft->event, "type", texts);
    return MP_OK;
}

static int read_record(const struct mp_testing *testing, struct mp_str delivery,
                       int64_t now_ms, struct mp_record **out, struct mp_error *err)
{
    struct mp_buf texts;
    struct mp_str endpoint = member(delivery, "endpoint");
    struct mp_record draft = {.partner = mp_str_of(testing->script->name)};
    mp_buf_init(&texts, SIZE_MAX);
    /* Unescaped text is no longer than its token; an event's own type is read from within
     * it. */
    int status = mp_buf_reserve(&texts, 2 * delivery.length);
    status = status ? status : read_event(delivery, &texts, &draft, err);
    if (status == MP_OK) {
        draft.id = text(delivery, "id", &texts);
        draft.source = text(delivery, "source", &texts);
        draft.subject = text(delivery, "subject", &texts);
        draft.endpoint_method = text(endpoint, "method", &texts);
        draft.endpoint_url = text(endpoint, "url", &texts);
        draft.first_ms = number(delivery, "first_ms", now_ms);
        draft.occurred_ms = number(delivery, "occurred_ms", -1);
        draft.attempts = (uint32_t)number(delivery, "attempts", 0);
        draft.last_status = (uint16_t)number(delivery, "last_status", 0);
        draft.last_verdict =
            (uint8_t)mp_verdict_of_name(text(delivery, "last_verdict", &texts));
        status = mp_record_new(&draft, out);
    }
    mp_buf_fini(&texts);
    return status;
}

static size_t count_of(struct mp_str list)
{
    struct mp_json_iter iter;
    struct mp_str value;
    size_t count = 0;
    mp_json_iter_init(&iter, list);
    while (mp_json_iter_next(&iter, NULL, &value)) {
        count++;
    }
    return count;
}

static int check_count(const struct mp_script *script, size_t count, struct mp_error *err)
{
    if (count == 0) {
        return mp_error_set(err, MP_EINVAL, "there is no event");
    }
    if (count > 1 && script->batch.size == 0) {
        return mp_error_set(err, MP_EINVAL, "%s has no batch: give it one event",
                            script->path.data);
    }
    return count <= DELIVERIES_MAX
               ? MP_OK
               : mp_error_set(err, MP_EINVAL, "there are over %d events", DELIVERIES_MAX);
}

int mp__subjects_read(const struct mp_testing *testing, struct mp_str call,
                      struct mp__subjects *out, struct mp_error *err)
{
    struct mp_str list = member(call, "deliveries"), delivery;
    struct mp_json_iter iter;
    if (mp_json_kind(list) != MP_JSON_ARRAY) {
        return mp_error_set(err, MP_EINVAL, "there are no deliveries");
    }
    size_t count = count_of(list);
    int status = check_count(testing->script, count, err);
    if (status != MP_OK) {
        return status;
    }
    out->items = calloc(count, sizeof(*out->items));
    if (!out->items) {
        return MP_ENOMEM;
    }
    out->now_ms = number(call, "now_ms", mp_clock_wall_ms());
    mp_json_iter_init(&iter, list);
    while (status == MP_OK && mp_json_iter_next(&iter, NULL, &delivery)) {
        struct mp__subject *subject = &out->items[out->count++];
        mp_buf_init(&subject->item.wire, MP_REQUEST_BODY_MAX);
        mp_buf_init(&subject->item.shown, MP_REQUEST_BODY_MAX);
        subject->verdict.delay_ms = -1;
        status = read_record(testing, delivery, out->now_ms, &subject->record, err);
    }
    return status;
}

void mp__subjects_fini(struct mp__subjects *subjects)
{
    for (size_t i = 0; i < subjects->count; i++) {
        mp_record_free(subjects->items[i].record);
        mp_buf_fini(&subjects->items[i].item.wire);
        mp_buf_fini(&subjects->items[i].item.shown);
    }
    free(subjects->items);
}

/* The static name that the delivery room gives it. */
static int read_error(struct mp_str response, const char **out, struct mp_error *err)
{
    static const char *const names[] = {
        "network_error",      "timeout",          "dns_error",
        "connection_refused", "connection_reset", "tls_error",
        "blocked_address",    "proxy_error",      "network_unreachable",
    };
    struct mp_str raw = member(response, "error");
    *out = names[0];
    if (mp_json_kind(raw) != MP_JSON_STRING) {
        return MP_OK;
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (mp_json_string_is(raw, mp_str_of(names[i]))) {
            *out = names[i];
            return MP_OK;
        }
    }
    return mp_error_set(err, MP_EINVAL,
                        "there is no error %.*s: timeout, dns_error, connection_refused, "
                        "connection_reset, network_unreachable, tls_error, "
                        "blocked_address, proxy_error, network_error",
                        (int)raw.length, raw.data);
}

static int write_fields(struct mp_str fields, struct mp_buf *out)
{
    struct mp_json_iter iter;
    struct mp_str key, value;
    int status = MP_OK;
    if (mp_json_kind(fields) != MP_JSON_OBJECT) {
        return MP_OK;
    }
    mp_json_iter_init(&iter, fields);
    while (status == MP_OK && mp_json_iter_next(&iter, &key, &value)) {
        bool is_text = mp_json_kind(value) == MP_JSON_STRING;
        status = mp_json_unescape(key, out);
        status = status ? status : mp_buf_append_text(out, ": ");
        status = status    ? status
                 : is_text ? mp_json_unescape(value, out)
                           : mp_buf_append_str(out, value);
        status = status ? status : mp_buf_append_text(out, "\r\n");
    }
    return status;
}

int mp__response_read(struct mp_str object, struct mp_str body, struct mp_buf *fields,
                      struct mp_response *response, struct mp_error *err)
{
    if (mp_json_kind(object) != MP_JSON_OBJECT) {
        return mp_error_set(err, MP_EINVAL, "there is no response");
    }
    int status = write_fields(member(object, "headers"), fields);
    *response = (struct mp_response){
        .status = (int)number(object, "status", 0),
        .duration_ms = number(object, "duration_ms", 0),
        .headers = mp_buf_str(fields),
        .body = body,
    };
    if (body.length > MP_RESPONSE_BODY_MAX) {
        response->body.length = MP_RESPONSE_BODY_MAX;
        response->truncated = true;
    }
    if (status == MP_OK && response->status == 0) {
        status = read_error(object, &response->error, err);
    }
    return status;
}
