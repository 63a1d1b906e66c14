/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "request.h"

/* Records of /postback bring their own templates, few in kind and many in number. */
#define ENDPOINTS     256
#define ENDPOINT_SEED 14695981039346656037u

struct endpoint {
    struct mp_template *template_;
    enum mp_template_kind kind;
    size_t length;
    char *url;
};
/* One cache a thread, freed with it: templates are handed out without a count. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t cache_key;

static void on_thread_end(void *arg)
{
    struct endpoint *endpoints = arg;
    for (size_t i = 0; i < ENDPOINTS; i++) {
        mp_template_free(endpoints[i].template_);
        free(endpoints[i].url);
    }
    free(endpoints);
}

static void make_key(void)
{
    if (pthread_key_create(&cache_key, on_thread_end) != 0) {
        abort(); /* out of keys at start: nothing to run on */
    }
}

static struct endpoint *thread_endpoints(void)
{
    pthread_once(&once, make_key);
    struct endpoint *endpoints = pthread_getspecific(cache_key);
    if (!endpoints) {
        endpoints = calloc(ENDPOINTS, sizeof(*endpoints));
        if (endpoints && pthread_setspecific(cache_key, endpoints) != 0) {
            free(endpoints);
            endpoints = NULL;
        }
    }
    return endpoints;
}

static size_t slot_of(struct mp_str url)
{
    uint64_t hash = ENDPOINT_SEED; /* FNV-1a: a collision costs a compile, nothing else */
    for (size_t i = 0; i < url.length; i++) {
        hash = (hash ^ (unsigned char)url.data[i]) * 1099511628211u;
    }
    return (size_t)((hash ^ (hash >> 32)) % ENDPOINTS);
}

static int compile(struct mp_str url, enum mp_template_kind kind,
                   struct mp_template **out, struct mp_error *err)
{
    char authority[MP_LANE_BYTES];
    struct mp_template_part part = {.text = url};
    int status = mp_authority_of(url, authority, NULL, err);
    return status == MP_OK ? mp_template_compile(&part, 1, kind, out, err) : status;
}

int mp__endpoint_template(struct mp_str url, enum mp_template_kind kind,
                          const struct mp_template **out, struct mp_error *err)
{
    struct endpoint *endpoints = thread_endpoints();
    if (!endpoints) {
        return MP_ENOMEM;
    }
    struct endpoint *kept = &endpoints[slot_of(url)];
    if (kept->template_ && kept->kind == kind &&
        mp_str_equal(url, (struct mp_str){kept->url, kept->length})) {
        *out = kept->template_;
        return MP_OK;
    }
    struct mp_template *compiled;
    int status = compile(url, kind, &compiled, err);
    if (status != MP_OK) {
        return status;
    }
    char *copy = malloc(url.length + 1);
    if (!copy) {
        mp_template_free(compiled);
        return MP_ENOMEM;
    }
    memcpy(copy, url.data, url.length);
    mp_template_free(kept->template_);
    free(kept->url);
    *kept = (struct endpoint){compiled, kind, url.length, copy};
    *out = compiled;
    return MP_OK;
}

static bool has_own_endpoint(const struct mp__build *build)
{
    return build->script->hosts_free && build->script->url.kind == MP_LEAF_NONE;
}

static void set_method(struct mp_request *request, struct mp_str method)
{
    memcpy(request->method, method.data, method.length);
    request->method[method.length] = '\0';
}

int mp__build_method(struct mp__build *build)
{
    const struct mp_script *script = build->script;
    struct mp_str method = mp_str_of(script->method);
    if (method.length == 0 && script->hosts_free) {
        method = build->context->record->endpoint_method;
    }
    if (method.length >= sizeof(build->request->method)) {
        return mp__build_dead(build, "method of more than %zu bytes",
                              sizeof(build->request->method) - 1);
    }
    if (method.length == 0) {
        method = mp_str_of(script->body_kind == MP_BODY_DEFAULT ? "GET" : "POST");
    }
    set_method(build->request, method);
    return mp__check_method(build);
}

static bool is_token_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

int mp__check_method(struct mp__build *build)
{
    const char *method = build->request->method;
    if (memchr(method, '\0', sizeof(build->request->method)) == NULL ||
        method[0] == '\0') {
        return mp__build_dead(build, "method is empty or too long");
    }
    for (const char *at = method; *at; at++) {
        if (*at == '\r' || *at == '\n') {
            return mp__build_dead(build, "method has a line break");
        }
        if (!is_token_byte(*at)) {
            return mp__build_dead(build, "method is no token (RFC 9110 section 5.6.2)");
        }
    }
    return MP_OK;
}

/* A constant url is written as RFC 6570 writes literals: what no url may hold is encoded.
 */
static int append_constant(struct mp_buf *out, struct mp_str text)
{
    int status = MP_OK;
    for (size_t i = 0; i < text.length && status == MP_OK; i++) {
        unsigned char c = (unsigned char)text.data[i];
        struct mp_str one = {text.data + i, 1};
        bool plain = c > ' ' && c < 0x7f;
        status = plain ? mp_buf_append_str(out, one) : mp_percent_encode(one, out);
    }
    return status;
}

static int call_function(struct mp__build *build)
{
    struct mp_leaf_result result;
    mp_buf_init(&result.bytes, MP_REQUEST_URL_MAX);
    result.kind = MP_RESULT_NONE;
    int status =
        mp_script_call_leaf(build->state, build->script->url.function, build->context,
                            build->request, false, &result, build->err);
    if (status == MP_OK && result.kind == MP_RESULT_NONE) {
        const struct mp_str *path = &build->script->path;
        status = mp_error_set(build->err, MP_ESCRIPT, "%.*s: url returned nil",
                              (int)path->length, path->data);
    }
    if (status == MP_OK) {
        struct mp__out out = {&build->request->url, result.shown.length > 0
                                                        ? &build->request->url_shown
                                                        : NULL};
        status = mp__out_append_hiding(out, mp_buf_str(&result.bytes), result.shown);
    }
    mp_buf_fini(&result.bytes);
    return status;
}

static int expand(struct mp__build *build, const struct mp_template *template_)
{
    struct mp_request *request = build->request;
    bool hides = build->script->has_secrets && mp_template_has_secret(template_);
    struct mp__out out = {&request->url, hides ? &request->url_shown : NULL};
    build->url_template = template_;
    return mp__out_expand(out, template_, build, MP_ESCAPE_NONE);
}

static int expand_endpoint(struct mp__build *build)
{
    struct mp_str url = build->context->record->endpoint_url;
    const struct mp_template *template_;
    struct mp_error why;
    if (url.length == 0) {
        return mp__build_dead(build, "no endpoint");
    }
    int status = mp__endpoint_template(
        url, build->script->missing_drop ? MP_TEMPLATE_URL_DROP : MP_TEMPLATE_URL,
        &template_, &why);
    if (status == MP_EINVAL || status == MP_ELIMIT) {
        return mp__build_dead(build, "endpoint: %s", why.text);
    }
    return status == MP_OK ? expand(build, template_) : status;
}

int mp__build_url(struct mp__build *build)
{
    const struct mp_leaf *leaf = &build->script->url;
    int status = MP_OK;
    switch (leaf->kind) {
    case MP_LEAF_BY:
    case MP_LEAF_STRING:
    case MP_LEAF_ITEMS:
    case MP_LEAF_NONE:
        status = has_own_endpoint(build) ? expand_endpoint(build) : MP_OK;
        break;
    case MP_LEAF_TEXT:
    case MP_LEAF_RAW:
        status = append_constant(&build->request->url, leaf->text);
        break;
    case MP_LEAF_TEMPLATE:
    case MP_LEAF_VALUE:
        status = expand(build, leaf->template_);
        break;
    case MP_LEAF_FUNCTION:
        status = call_function(build);
        break;
    }
    return mp__build_limit(build, status, "url", "64 KiB");
}

static bool is_dot_segment(struct mp_str segment)
{
    unsigned dots = 0;
    for (size_t i = 0; i < segment.length; dots++) {
        if (segment.data[i] == '.') {
            i++;
        } else if (segment.length - i >= 3 && segment.data[i] == '%' &&
                   segment.data[i + 1] == '2' && (segment.data[i + 2] | 0x20) == 'e') {
            i += 3;
        } else {
            return false;
        }
    }
    return dots == 1 || dots == 2;
}

static size_t count_dot_segments(struct mp_str url, size_t path_at)
{
    size_t count = 0;
    size_t start = path_at;
    for (size_t i = path_at; i <= url.length; i++) {
        char c = i < url.length ? url.data[i] : '?';
        if (c == '/' || c == '?' || c == '#') {
            count += is_dot_segment((struct mp_str){url.data + start, i - start});
            start = i + 1;
        }
        if (c == '?' || c == '#') {
            break;
        }
    }
    return count;
}

static struct mp_value lookup_nothing_special(void *arg, struct mp_str name)
{
    (void)arg;
    (void)name;
    struct mp_value value = {.text = mp_str_of("x"), .is_text = true};
    return value;
}

/* The path goes as the script wrote it, dots too; only a value must not add any. So the
 * same template is expanded with harmless values, and no more dot segments may be there
 * than then. */
static int check_path(struct mp__build *build, size_t path_at)
{
    struct mp_str url = mp_buf_str(&build->request->url);
    size_t count = count_dot_segments(url, path_at);
    if (count == 0) {
        return MP_OK;
    }
    size_t written = 0;
    if (build->url_template) {
        struct mp_buf plain;
        mp_buf_init(&plain, MP_REQUEST_URL_MAX);
        if (mp_template_expand(build->url_template, lookup_nothing_special, NULL,
                               MP_ESCAPE_NONE, &plain) == MP_OK) {
            written = count_dot_segments(mp_buf_str(&plain), path_at);
        }
        mp_buf_fini(&plain);
    } else if (build->script->url.kind == MP_LEAF_TEXT) {
        written = count_dot_segments(build->script->url.text, path_at);
    }
    return count > written ? mp__build_dead(build, "path would climb") : MP_OK;
}

static int check_bytes(struct mp__build *build)
{
    struct mp_str url = mp_buf_str(&build->request->url);
    for (size_t i = 0; i < url.length; i++) {
        unsigned char c = (unsigned char)url.data[i];
        if (c == '\r' || c == '\n' || c == '\0') {
            return mp__build_dead(build, "url has a %s", c ? "line break" : "NUL");
        }
        if (c <= ' ' || c >= 0x7f) {
            return mp__build_dead(build, "url has a byte that must be percent-encoded");
        }
    }
    return MP_OK;
}

int mp__check_url(struct mp__build *build)
{
    const struct mp_script *script = build->script;
    struct mp_str url = mp_buf_str(&build->request->url);
    char authority[MP_LANE_BYTES];
    struct mp_error why;
    size_t path_at;
    if (url.length == 0) {
        return mp_error_set(build->err, MP_ESCRIPT,
                            "%.*s: there is no url: set request.url",
                            (int)script->path.length, script->path.data);
    }
    int status = check_bytes(build);
    if (status != MP_OK) {
        return status;
    }
    if (mp_authority_of(url, authority, &path_at, &why) != MP_OK) {
        return mp__build_dead(build, "%s", why.text);
    }
    bool declared = script->hosts_free;
    for (size_t i = 0; i < script->host_count && !declared; i++) {
        declared = mp_str_is(script->hosts[i], authority);
    }
    return declared ? check_path(build, path_at)
                    : mp__build_dead(build, "host not declared");
}
