/* SPDX-License-Identifier: MIT */
#include "api.h"

#include <stdlib.h>
#include <string.h>

#define SEGMENTS_MAX  3
#define SEGMENT_BYTES 160 /* the longest id is 128 */

struct route {
    const char *segments[SEGMENTS_MAX]; /* after /api/; "*" is the name */
    bool is_post;
    void (*handle)(struct mp_api *api, struct mp_call *call, struct mp_str name);
};

/* The first whose path matches decides; its method is asked after. */
static const struct route routes[] = {
    {{"partners"}, false, mp__api_partners_list},
    {{"partners", "*"}, false, mp__api_partners_show},
    {{"partners", "*", "pause"}, true, mp__api_partners_pause},
    {{"partners", "*", "resume"}, true, mp__api_partners_resume},
    {{"dead"}, false, mp__api_dead_list},
    {{"dead", "replay"}, true, mp__api_dead_replay},
    {{"dead", "purge"}, true, mp__api_dead_purge},
    {{"dead", "*"}, false, mp__api_dead_show},
    {{"try"}, true, mp__api_try},
};

struct path {
    char text[SEGMENTS_MAX][SEGMENT_BYTES];
    struct mp_str segments[SEGMENTS_MAX];
    size_t count;
};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* False when it does not fit or an escape is malformed: no such path then. */
static bool decode_segment(struct mp_str raw, char out[SEGMENT_BYTES],
                           struct mp_str *segment)
{
    size_t length = 0;
    for (size_t i = 0; i < raw.length; i++) {
        char c = raw.data[i];
        if (c == '%') {
            int high = i + 2 < raw.length ? hex_digit(raw.data[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(raw.data[i + 2]) : -1;
            if (low < 0) {
                return false;
            }
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (length == SEGMENT_BYTES) {
            return false;
        }
        out[length++] = c;
    }
    *segment = (struct mp_str){out, length};
    return true;
}

static bool split_path(struct mp_str path, struct path *out)
{
    static const char prefix[] = "/api/";
    size_t at = sizeof prefix - 1;
    if (path.length < at || memcmp(path.data, prefix, at) != 0) {
        return false;
    }
    out->count = 0;
    while (at <= path.length) {
        const char *from = path.data + at;
        const char *slash = memchr(from, '/', path.length - at);
        size_t length = slash ? (size_t)(slash - from) : path.length - at;
        struct mp_str raw = {from, length};
        if (out->count == SEGMENTS_MAX ||
            !decode_segment(raw, out->text[out->count], &out->segments[out->count])) {
            return false;
        }
        out->count++;
        at += length + 1;
    }
    return true;
}

static bool matches(const struct route *route, const struct path *path,
                    struct mp_str *name)
{
    for (size_t i = 0; i < SEGMENTS_MAX; i++) {
        const char *wanted = route->segments[i];
        if (!wanted || i >= path->count) {
            return !wanted && i >= path->count;
        }
        if (strcmp(wanted, "*") == 0) {
            *name = path->segments[i];
        } else if (!mp_str_is(path->segments[i], wanted)) {
            return false;
        }
    }
    return true;
}

static void run_route(struct mp_api *api, struct mp_call *call, const struct route *route,
                      struct mp_str name)
{
    struct mp_str method = mp_call_method(call);
    bool is_get = mp_str_is(method, "GET") || mp_str_is(method, "HEAD");
    if (route->is_post ? !mp_str_is(method, "POST") : !is_get) {
        mp_call_not_allowed(call, route->is_post ? "POST" : "GET, HEAD");
    } else {
        route->handle(api, call, name);
    }
}

void mp_api_handle(void *arg, struct mp_call *call)
{
    struct path path;
    bool is_whole = split_path(mp_call_path(call), &path);
    for (size_t i = 0; is_whole && i < sizeof routes / sizeof routes[0]; i++) {
        struct mp_str name = {NULL, 0};
        if (matches(&routes[i], &path, &name)) {
            run_route(arg, call, &routes[i], name);
            return;
        }
    }
    mp_call_problem(call, 404, "not-found", "the API has no such path");
}

int mp_api_new(const struct mp_api_owner *owner, struct mp_api **out)
{
    struct mp_api *api = malloc(sizeof *api);
    if (!api) {
        return MP_ENOMEM;
    }
    api->owner = *owner;
    *out = api;
    return MP_OK;
}

void mp_api_free(struct mp_api *api)
{
    free(api);
}
