/* SPDX-License-Identifier: MIT */
#include "routes.h"

#include <string.h>

#include "server.h"

static bool begins_with(struct mp_str text, const char *beginning)
{
    size_t length = strlen(beginning);
    return text.length >= length && memcmp(text.data, beginning, length) == 0;
}

static enum mp__route find_route(struct mp_call *call)
{
    static const struct {
        const char *path;
        enum mp__route route;
    } EXACT[] = {
        {"/postback", MP__ROUTE_POSTBACK},   {"/i", MP__ROUTE_POSTBACK},
        {"/ingest.php", MP__ROUTE_POSTBACK}, {"/events", MP__ROUTE_EVENTS},
        {"/healthz", MP__ROUTE_HEALTHZ},     {"/readyz", MP__ROUTE_READYZ},
        {"/metrics", MP__ROUTE_METRICS},     {"/console", MP__ROUTE_CONSOLE},
    };
    struct mp_str path = mp__slice(call->base, call->head.path);
    if (begins_with(path, "/events/") && path.length > 8) {
        call->partner = (struct mp_str){path.data + 8, path.length - 8};
        return memchr(call->partner.data, '/', call->partner.length) ? MP__ROUTE_NONE
                                                                     : MP__ROUTE_PARTNER;
    }
    for (size_t i = 0; i < sizeof(EXACT) / sizeof(EXACT[0]); i++) {
        if (mp_str_is(path, EXACT[i].path)) {
            return EXACT[i].route;
        }
    }
    if (begins_with(path, "/api/")) {
        return MP__ROUTE_API;
    }
    return begins_with(path, "/console/") ? MP__ROUTE_CONSOLE : MP__ROUTE_NONE;
}

static void answer_not_found(struct mp_call *call)
{
    struct mp_str path = mp__slice(call->base, call->head.path);
    mp_call_problem(call, 404, "not-found", "there is nothing at %.*s",
                    path.length < 200 ? (int)path.length : 200, path.data);
}

/* NULL: any. */
static const char *methods_of(enum mp__route route)
{
    switch (route) {
    case MP__ROUTE_POSTBACK:
    case MP__ROUTE_PARTNER:
    case MP__ROUTE_EVENTS:
        return "POST";
    case MP__ROUTE_HEALTHZ:
    case MP__ROUTE_READYZ:
    case MP__ROUTE_METRICS:
        return "GET, HEAD";
    default:
        return NULL;
    }
}

static bool admit_method(struct mp_call *call)
{
    const char *allow = methods_of(call->route);
    enum mp__method method = call->head.method;
    if (!allow) {
        if (method != MP__OPTIONS) {
            return true;
        }
        allow = "GET, HEAD, POST";
    } else if (allow[0] == 'P' ? method == MP__POST
                               : method == MP__GET || method == MP__HEAD) {
        return true;
    }
    mp_call_not_allowed(call, allow);
    return false;
}

static bool admit_encoding(struct mp_call *call)
{
    struct mp_str coding = mp__known(&call->head, call->base, MP__CONTENT_ENCODING);
    uint32_t count = call->head.known_count[MP__CONTENT_ENCODING];
    if (count == 0 ||
        (count == 1 && mp_str_equal_nocase(coding, mp_str_of("identity")))) {
        return true;
    }
    struct mp__problem problem = {415, "unsupported-encoding",
                                  "Accept-Encoding: identity\r\n", NULL};
    mp__call_problem(call, &problem,
                     mp_str_of("bodies are read without a content coding only"));
    return false;
}

#define EVENT_TYPES                                                                      \
    "application/json, application/x-ndjson, application/cloudevents+json, "             \
    "application/cloudevents-batch+json"

static bool admit_content(struct mp_call *call)
{
    bool charset_ok;
    bool is_postback = call->route == MP__ROUTE_POSTBACK;
    call->content =
        mp__content_of(mp__known(&call->head, call->base, MP__CONTENT_TYPE), &charset_ok);
    bool is_good = is_postback ? call->content == MP__CONTENT_JSON
                               : call->content != MP__CONTENT_OTHER;
    if (is_good && charset_ok) {
        return true;
    }
    mp_call_problem(call, 415, "unsupported-media-type",
                    is_good       ? "JSON is UTF-8: no other charset is read"
                    : is_postback ? "this path takes application/json"
                                  : "this path takes " EVENT_TYPES);
    return false;
}

static void answer_unknown_partner(struct mp_call *call, struct mp_str name)
{
    mp_call_problem(call, 404, "unknown-partner", "there is no partner %.*s",
                    name.length < 100 ? (int)name.length : 100, name.data);
}

static bool admit_partner(struct mp_call *call)
{
    char room[MP_PARTNER_BYTES] = "";
    struct mp_buf name;
    mp_buf_init(&name, sizeof(room) - 1);
    struct mp_str coded = call->partner;
    if (mp__percent_decode(coded, &name) == MP_OK && name.length > 0) {
        memcpy(room, name.data, name.length);
    }
    call->partner = (struct mp_str){call->partner_name, name.length};
    memcpy(call->partner_name, room, sizeof(room));
    mp_buf_fini(&name);
    if (!mp_partner_name_is_valid(call->partner) ||
        !mp_directory_has(call->connection->server->config.directory, call->partner)) {
        answer_unknown_partner(call, coded);
        return false;
    }
    if (mp_str_is(call->partner, "postback")) {
        mp_call_problem(call, 422, "invalid-request",
                        "a delivery to postback needs its endpoint: POST /postback");
        return false;
    }
    return true;
}

static bool admit_postback(struct mp_call *call)
{
    if (mp_directory_has(call->connection->server->config.directory,
                         mp_str_of("postback"))) {
        return true;
    }
    mp_call_problem(call, 404, "unknown-partner",
                    "there is no partner postback: scripts/postback.lua is missing");
    return false;
}

static bool admit_api(struct mp_call *call)
{
    if (!mp__access_api(call)) {
        return false;
    }
    if (call->route == MP__ROUTE_CONSOLE || !call->connection->server->config.api) {
        answer_not_found(call);
        return false;
    }
    if (call->head.method != MP__POST) {
        return true;
    }
    /* A browser asks leave before it sends this type to another site; it sends others at
     * once. */
    struct mp_str type = mp__known(&call->head, call->base, MP__CONTENT_TYPE);
    const char *semicolon = type.length ? memchr(type.data, ';', type.length) : NULL;
    type.length = semicolon ? (size_t)(semicolon - type.data) : type.length;
    while (type.length && (type.data[type.length - 1] == ' ')) {
        type.length--;
    }
    if (mp_str_equal_nocase(type, mp_str_of("application/json"))) {
        return true;
    }
    mp_call_problem(call, 415, "unsupported-media-type",
                    "a POST here takes application/json");
    return false;
}

static bool admit_producer(struct mp_call *call)
{
    if (!call->connection->server->config.takes_events) {
        mp_call_problem(call, 404, "not-found",
                        "this process takes no events (--role deliver)");
        return false;
    }
    return mp__access_ingest(call) && mp__rate_admit(call);
}

bool mp__route_admit(struct mp_call *call)
{
    if (call->head.is_asterisk) {
        mp_call_respond(call, 204, NULL, "Allow: GET, HEAD, POST\r\n",
                        (struct mp_str){NULL, 0});
        return false;
    }
    call->route = find_route(call);
    if (call->route == MP__ROUTE_NONE) {
        answer_not_found(call);
        return false;
    }
    if (!admit_method(call)) {
        return false;
    }
    switch (call->route) {
    case MP__ROUTE_POSTBACK:
        return admit_producer(call) && admit_encoding(call) && admit_content(call) &&
               admit_postback(call);
    case MP__ROUTE_PARTNER:
        return admit_producer(call) && admit_encoding(call) && admit_content(call) &&
               admit_partner(call);
    case MP__ROUTE_EVENTS:
        return admit_producer(call) && admit_encoding(call) && admit_content(call);
    case MP__ROUTE_API:
    case MP__ROUTE_CONSOLE:
        return admit_api(call) && admit_encoding(call);
    default:
        return true;
    }
}

static void answer_ready(struct mp_call *call)
{
    const struct mp_ingest_config *config = &call->connection->server->config;
    const char *why = config->not_ready ? config->not_ready(config->arg) : NULL;
    if (why) {
        struct mp__problem problem = {503, "not-ready", "Retry-After: 1\r\n", NULL};
        mp__call_problem(call, &problem, mp_str_of(why));
        return;
    }
    mp_call_respond(call, 200, "application/json", NULL,
                    mp_str_of("{\"status\":\"ready\"}"));
}

static void answer_metrics(struct mp_call *call)
{
    struct mp_buf text;
    mp_buf_init(&text, (size_t)256 * 1024 * 1024);
    if (mp_metrics_write(call->connection->server->config.metrics, &text) == MP_OK) {
        mp_call_respond(call, 200, "text/plain; version=0.0.4; charset=utf-8", NULL,
                        mp_buf_str(&text));
    } else {
        mp_call_problem(call, 503, "out-of-memory", "there is no memory for the metrics");
    }
    mp_buf_fini(&text);
}

static void call_api(struct mp_call *call)
{
    const struct mp_ingest_config *config = &call->connection->server->config;
    if (!mp__connection_own(call->connection)) {
        mp_call_problem(call, 503, "out-of-memory", "there is no memory for the request");
        return;
    }
    config->api(config->arg, call);
}

void mp__route_dispatch(struct mp_call *call)
{
    switch (call->route) {
    case MP__ROUTE_POSTBACK:
        mp__postback(call);
        break;
    case MP__ROUTE_PARTNER:
        mp__partner_events(call);
        break;
    case MP__ROUTE_EVENTS:
        mp__fan_out(call);
        break;
    case MP__ROUTE_READYZ:
        answer_ready(call);
        break;
    case MP__ROUTE_METRICS:
        answer_metrics(call);
        break;
    case MP__ROUTE_API:
        call_api(call);
        break;
    default:
        mp_call_respond(call, 200, "application/json", NULL,
                        mp_str_of("{\"status\":\"ok\"}"));
    }
}
