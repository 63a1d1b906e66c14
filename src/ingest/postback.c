/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "server.h"

/* POST /postback: {"endpoint":{"method","url"},"data":[{…},…]}. Without a method it is
 * GET. */

struct postback {
    struct mp_str endpoint, data; /* raw */
    struct mp_str method, url;    /* text */
    struct mp_str lane;
    char lane_room[MP_LANE_BYTES];
};

static int refuse(struct mp_call *call, const char *slug, const char *what)
{
    mp_call_problem(call, 422, slug, "%s", what);
    return MP_EINVAL;
}

static void find_two(struct mp_str object, const char *first, struct mp_str *a,
                     const char *second, struct mp_str *b)
{
    struct mp_json_iter iter;
    struct mp_str key, value;
    mp_json_iter_init(&iter, object);
    while (mp_json_iter_next(&iter, &key, &value)) {
        if (mp_json_string_is(key, mp_str_of(first))) {
            *a = value;
        } else if (mp_json_string_is(key, mp_str_of(second))) {
            *b = value;
        }
    }
}

static int read_method(struct mp_call *call, struct mp_str raw, struct mp_str *method)
{
    static const char *const METHODS[] = {"GET", "HEAD",  "POST",
                                          "PUT", "PATCH", "DELETE"};
    enum mp_json_kind kind = mp_json_kind(raw);
    if (kind == MP_JSON_NONE) {
        *method = mp_str_of("GET");
        return MP_OK;
    }
    for (size_t i = 0; kind == MP_JSON_STRING && i < sizeof(METHODS) / sizeof(METHODS[0]);
         i++) {
        struct mp_str text = {raw.data + 1, raw.length - 2};
        if (mp_str_equal_nocase(text, mp_str_of(METHODS[i]))) {
            *method = mp_str_of(METHODS[i]);
            return MP_OK;
        }
    }
    return refuse(call, "invalid-endpoint",
                  "endpoint.method is none of GET, HEAD, POST, PUT, PATCH, DELETE");
}

static int read_url(struct mp_call *call, struct mp_str raw, struct postback *postback)
{
    struct mp__intake *intake = &call->connection->server->intake;
    struct mp_error err = {0};
    const char *lane = NULL;
    if (mp_json_kind(raw) != MP_JSON_STRING) {
        return refuse(call, "invalid-endpoint",
                      raw.length ? "endpoint.url is not a string"
                                 : "endpoint.url is missing");
    }
    mp_buf_reset(&intake->text);
    /* Room for all that can be unescaped here, so that no slice of it moves. */
    if (mp_buf_reserve(&intake->text, call->body.length) != MP_OK) {
        mp_call_problem(call, 503, "out-of-memory", "there is no memory for the request");
        return MP_ENOMEM;
    }
    postback->url = mp__text_of(raw, &intake->text);
    if (mp__url_lane(intake, postback->url, &lane, postback->lane_room, &err) != MP_OK) {
        mp_call_problem(call, 422, "invalid-endpoint", "endpoint.url: %s", err.text);
        return MP_EINVAL;
    }
    postback->lane = mp_str_of(lane);
    return MP_OK;
}

static int read_envelope(struct mp_call *call, struct postback *postback)
{
    struct mp_str value, method = {NULL, 0}, url = {NULL, 0};
    int status = mp__body_check(call, &value);
    if (status != MP_OK) {
        return status;
    }
    if (mp_json_kind(value) != MP_JSON_OBJECT) {
        return refuse(call, "invalid-request", "the body must be a JSON object");
    }
    find_two(value, "endpoint", &postback->endpoint, "data", &postback->data);
    if (mp_json_kind(postback->endpoint) != MP_JSON_OBJECT) {
        return refuse(call, "invalid-endpoint",
                      postback->endpoint.length ? "endpoint is not a JSON object"
                                                : "endpoint is missing");
    }
    enum mp_json_kind kind = mp_json_kind(postback->data);
    if (kind != MP_JSON_NONE && kind != MP_JSON_ARRAY) {
        return refuse(call, "invalid-request", "data is not an array of JSON objects");
    }
    find_two(postback->endpoint, "method", &method, "url", &url);
    status = read_method(call, method, &postback->method);
    return status == MP_OK ? read_url(call, url, postback) : status;
}

static int add_one(struct mp_call *call, const struct postback *postback,
                   struct mp_str event, uint64_t index)
{
    if (mp_json_kind(event) != MP_JSON_OBJECT) {
        char members[48], detail[96];
        snprintf(members, sizeof(members), ",\"index\":%llu", (unsigned long long)index);
        snprintf(detail, sizeof(detail), "data, item %llu: it is not a JSON object",
                 (unsigned long long)index);
        struct mp__problem problem = {422, "invalid-item", NULL, members};
        mp__call_problem(call, &problem, mp_str_of(detail));
        return MP_EINVAL;
    }
    struct mp_buf *text = &call->connection->server->intake.text;
    struct mp_str raw;
    struct mp_record draft = {
        .partner = mp_str_of("postback"),
        .lane = postback->lane,
        .event = event,
        .endpoint_method = postback->method,
        .endpoint_url = postback->url,
        .occurred_ms = -1,
    };
    size_t kept = text->length; /* the url may be in it */
    if (mp_json_member(event, mp_str_of("type"), &raw) &&
        mp_json_kind(raw) == MP_JSON_STRING) {
        draft.type = mp__text_of(raw, text);
    }
    int status = mp__intake_add(call, &draft, index, false);
    text->length = kept;
    return status;
}

static int add_all(struct mp_call *call, const struct postback *postback)
{
    struct mp_json_iter iter;
    struct mp_str event;
    uint64_t index = 0;
    int status = MP_OK;
    if (postback->data.length > 0) {
        mp_json_iter_init(&iter, postback->data);
        while (status == MP_OK && mp_json_iter_next(&iter, NULL, &event)) {
            status = add_one(call, postback, event, index++);
        }
    }
    return status == MP_OK && index == 0 ? add_one(call, postback, mp_str_of("{}"), 0)
                                         : status;
}

void mp__postback(struct mp_call *call)
{
    struct postback postback = {0};
    if (mp__intake_begin(call) != MP_OK) {
        return;
    }
    if (read_envelope(call, &postback) != MP_OK || add_all(call, &postback) != MP_OK) {
        mp__intake_abandon(call);
        return;
    }
    mp__intake_commit(call, "/postback", false);
}
