/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "request_leaf.h"

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
    size_t start = 0;
    int status = MP_OK;
    for (size_t i = 0; i < text.length && status == MP_OK; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c > ' ' && c < 0x7f) {
            continue;
        }
        status = mp_buf_append(out, text.data + start, i - start);
        if (status == MP_OK) {
            status = mp_percent_encode((struct mp_str){text.data + i, 1}, out);
        }
        start = i + 1;
    }
    return status == MP_OK ? mp_buf_append(out, text.data + start, text.length - start)
                           : status;
}

static int call_function(struct mp__build *build, const struct mp_leaf *leaf)
{
    struct mp__got got;
    struct mp_str text;
    struct mp_str shown;
    int status = mp__leaf_read(build, leaf, MP__SEES_REQUEST, &got);
    if (status == MP_OK && mp__value_is_missing(&got.value)) {
        const struct mp_str *path = &build->script->path;
        status = mp_error_set(build->err, MP_ESCRIPT, "%.*s: url returned nil",
                              (int)path->length, path->data);
    }
    if (status == MP_OK) {
        status = mp__got_text(build, &got, &text, &shown);
    }
    if (status == MP_OK) {
        bool hides = shown.length > 0;
        struct mp__out out = {&build->request->url,
                              hides ? &build->request->url_shown : NULL};
        status = mp__out_append_hiding(out, text, shown);
    }
    return status;
}

static int expand(struct mp__build *build, const struct mp_template *template_)
{
    struct mp_request *request = build->request;
    bool hides = mp__template_hides(build, template_);
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

static int write_url(struct mp__build *build, const struct mp_leaf *leaf)
{
    switch (leaf->kind) {
    case MP_LEAF_TEXT:
    case MP_LEAF_RAW:
        return append_constant(&build->request->url, leaf->text);
    case MP_LEAF_TEMPLATE:
    case MP_LEAF_VALUE:
        return expand(build, leaf->template_);
    case MP_LEAF_FUNCTION:
        return call_function(build, leaf);
    case MP_LEAF_BY:
    case MP_LEAF_STRING:
    case MP_LEAF_ITEMS:
    case MP_LEAF_NONE:
        break;
    }
    return has_own_endpoint(build) ? expand_endpoint(build) : MP_OK;
}

int mp__build_url(struct mp__build *build)
{
    const struct mp_leaf *leaf = &build->script->url;
    int status = MP_OK;
    if (leaf->kind == MP_LEAF_BY) {
        const struct mp_node *node;
        status = mp__by_resolve_leaf(build, leaf, &node);
        leaf = status == MP_OK ? &node->leaf : leaf;
    }
    build->url_leaf = leaf;
    if (status == MP_OK) {
        status = write_url(build, leaf);
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
    } else if (build->url_leaf->kind == MP_LEAF_TEXT) {
        written = count_dot_segments(build->url_leaf->text, path_at);
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
    if (url.length == 0 && script->url.kind == MP_LEAF_BY) {
        struct mp_str key = script->url.by->key;
        return mp__build_dead(build, "no url for %.*s",
                              key.length > 0 ? (int)key.length : 10,
                              key.length > 0 ? key.data : "this event");
    }
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
