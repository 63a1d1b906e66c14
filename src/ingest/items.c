/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "server.h"

static void answer_memory(struct mp_call *call)
{
    struct mp__problem problem = {503, "out-of-memory", "Retry-After: 1\r\n", NULL};
    mp__call_problem(call, &problem, mp_str_of("there is no memory for the request"));
}

/* `line` is where the text begins in the body. */
static void answer_malformed(struct mp_call *call, const struct mp_json_fault *fault,
                             unsigned line)
{
    char members[64], detail[256];
    unsigned at = line + fault->line - 1;
    snprintf(members, sizeof(members), ",\"line\":%u,\"column\":%u", at, fault->column);
    snprintf(detail, sizeof(detail), "line %u, column %u: %s", at, fault->column,
             fault->reason);
    struct mp__problem problem = {400, "malformed-json", NULL, members};
    mp__call_problem(call, &problem, mp_str_of(detail));
}

static void answer_item(struct mp_call *call, const struct mp__item *item,
                        const char *what)
{
    char members[64], detail[400];
    int length = snprintf(members, sizeof(members), ",\"index\":%llu",
                          (unsigned long long)item->index);
    if (item->line > 0) {
        snprintf(members + length, sizeof(members) - (size_t)length, ",\"line\":%u",
                 item->line);
        snprintf(detail, sizeof(detail), "item %llu, line %u: %s",
                 (unsigned long long)item->index, item->line, what);
    } else {
        snprintf(detail, sizeof(detail), "item %llu: %s", (unsigned long long)item->index,
                 what);
    }
    struct mp__problem problem = {422, "invalid-item", NULL, members};
    mp__call_problem(call, &problem, mp_str_of(detail));
}

static int check(struct mp_call *call, struct mp_str text, unsigned line,
                 struct mp_str *value)
{
    struct mp_json_fault fault;
    char too_deep[64];
    unsigned depth = (unsigned)call->connection->server->config.limits.json_depth;
    int status = mp_json_check(text, depth, value, &fault);
    if (status == MP_OK) {
        return MP_OK;
    }
    if (status == MP_ELIMIT) {
        snprintf(too_deep, sizeof(too_deep), "nested deeper than %u (--json-depth)",
                 depth);
        fault.reason = too_deep;
    }
    answer_malformed(call, &fault, line);
    return MP_EINVAL;
}

int mp__body_check(struct mp_call *call, struct mp_str *value)
{
    return check(call, call->body, 1, value);
}

/* The event is its own: its type is its string member `type`. */
static int take_plain(struct mp_call *call, struct mp__item *item, struct mp_str value,
                      mp__each_item each)
{
    if (mp_json_kind(value) != MP_JSON_OBJECT) {
        answer_item(call, item, "an event must be a JSON object");
        return MP_EINVAL;
    }
    struct mp_buf *text = &call->connection->server->intake.text;
    struct mp_str type;
    item->event = value;
    item->type = (struct mp_str){NULL, 0};
    if (mp_json_member(value, mp_str_of("type"), &type) &&
        mp_json_kind(type) == MP_JSON_STRING) {
        mp_buf_reset(text);
        if (mp_buf_reserve(text, type.length) != MP_OK) {
            answer_memory(call);
            return MP_ENOMEM;
        }
        item->type = mp__text_of(type, text);
    }
    return each(call, item);
}

static int take_structured(struct mp_call *call, struct mp__item *item,
                           struct mp_str value, mp__each_item each)
{
    struct mp__item_fault fault;
    if (mp_json_kind(value) != MP_JSON_OBJECT) {
        answer_item(call, item, "a CloudEvent must be a JSON object");
        return MP_EINVAL;
    }
    int status = mp__cloudevent_structured(value, &call->connection->server->intake.text,
                                           item, &fault);
    if (status == MP_ENOMEM) {
        answer_memory(call);
    } else if (status != MP_OK) {
        answer_item(call, item, fault.detail);
    }
    return status == MP_OK ? each(call, item) : status;
}

typedef int (*take_fn)(struct mp_call *, struct mp__item *, struct mp_str, mp__each_item);

static int each_of_array(struct mp_call *call, struct mp_str array, take_fn take,
                         mp__each_item each)
{
    struct mp_json_iter iter;
    struct mp_str value;
    struct mp__item item = {.occurred_ms = -1};
    int status = MP_OK;
    mp_json_iter_init(&iter, array);
    while (status == MP_OK && mp_json_iter_next(&iter, NULL, &value)) {
        status = take(call, &item, value, each);
        item.index++;
    }
    return status;
}

static bool is_blank(struct mp_str line)
{
    for (size_t i = 0; i < line.length; i++) {
        if (!strchr(" \t\r", line.data[i])) {
            return false;
        }
    }
    return true;
}

static int each_of_lines(struct mp_call *call, mp__each_item each)
{
    struct mp__item item = {.occurred_ms = -1};
    struct mp_str body = call->body;
    int status = MP_OK;
    for (size_t from = 0; from < body.length && status == MP_OK;) {
        const char *lf = memchr(body.data + from, '\n', body.length - from);
        size_t end = lf ? (size_t)(lf - body.data) : body.length;
        struct mp_str line = {body.data + from, end - from};
        struct mp_str value;
        from = end + 1;
        item.line++;
        if (is_blank(line)) {
            continue;
        }
        status = check(call, line, item.line, &value);
        if (status == MP_OK) {
            status = take_plain(call, &item, value, each);
            item.index++;
        }
    }
    return status;
}

static int binary(struct mp_call *call, mp__each_item each)
{
    struct mp__item item = {.occurred_ms = -1};
    struct mp__item_fault fault;
    struct mp_str value;
    if (call->content == MP__CONTENT_NDJSON) {
        answer_item(call, &item,
                    "a CloudEvent in binary mode is one JSON object, not lines");
        return MP_EINVAL;
    }
    int status = mp__body_check(call, &value);
    if (status != MP_OK) {
        return status;
    }
    if (mp_json_kind(value) != MP_JSON_OBJECT) {
        answer_item(call, &item, "a CloudEvent's data must be one JSON object");
        return MP_EINVAL;
    }
    status = mp__cloudevent_binary(call, &call->connection->server->intake.text, &item,
                                   &fault);
    if (status == MP_ENOMEM) {
        answer_memory(call);
    } else if (status != MP_OK) {
        answer_item(call, &item, fault.detail);
    }
    item.event = value;
    return status == MP_OK ? each(call, &item) : status;
}

static int wrong_shape(struct mp_call *call, const char *what)
{
    mp_call_problem(call, 422, "invalid-request", "%s", what);
    return MP_EINVAL;
}

int mp__items_each(struct mp_call *call, mp__each_item each)
{
    struct mp__item item = {.occurred_ms = -1};
    struct mp_str value;
    /* A structured envelope's own attributes count, not fields beside it. */
    if (call->head.has_ce && call->content <= MP__CONTENT_NDJSON) {
        return binary(call, each);
    }
    if (call->content == MP__CONTENT_NDJSON) {
        return each_of_lines(call, each);
    }
    int status = mp__body_check(call, &value);
    if (status != MP_OK) {
        return status;
    }
    bool is_array = mp_json_kind(value) == MP_JSON_ARRAY;
    switch (call->content) {
    case MP__CONTENT_STRUCTURED:
        return take_structured(call, &item, value, each);
    case MP__CONTENT_BATCH:
        return is_array
                   ? each_of_array(call, value, take_structured, each)
                   : wrong_shape(call, "a batch of CloudEvents must be a JSON array");
    default:
        return is_array ? each_of_array(call, value, take_plain, each)
                        : take_plain(call, &item, value, each);
    }
}
