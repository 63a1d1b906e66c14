/* SPDX-License-Identifier: MIT */
#include "transfer.h"

#include <string.h>

#define EXPECT_THRESHOLD ((size_t)1024 * 1024) /* above it curl would ask first */

/* A request onto a handle: only what differs from the last one is set again. */

static int no_memory(struct mp_error *err)
{
    return mp_error_set(err, MP_ENOMEM, "could not send the request: out of memory");
}

static bool base_is_set(const struct mp__transfer *transfer, struct mp_str url)
{
    struct mp_str base = mp_buf_str(&transfer->base_as_sent);
    if (base.length == 0 || url.length < base.length ||
        memcmp(url.data, base.data, base.length) != 0) {
        return false;
    }
    return url.length == base.length || strchr("/?#", url.data[base.length]) != NULL;
}

static int set_base(struct mp__transfer *transfer, struct mp_str url,
                    struct mp_error *err)
{
    size_t path_at = 0;
    mp_buf_reset(&transfer->base_as_sent);
    int status = mp_authority_of(url, transfer->base, &path_at, err);
    if (status != MP_OK) {
        return status;
    }
    CURLUcode code = curl_url_set(transfer->url, CURLUPART_URL, transfer->base, 0);
    if (code != CURLUE_OK) {
        return mp_error_set(err, code == CURLUE_OUT_OF_MEMORY ? MP_ENOMEM : MP_EINVAL,
                            "could not use the url: %s", curl_url_strerror(code));
    }
    /* Over TLS the server chooses; in clear text there is nobody to ask. */
    bool is_tls = strncmp(transfer->base, "https:", 6) == 0;
    curl_easy_setopt(transfer->easy, CURLOPT_HTTP_VERSION,
                     (long)(is_tls ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
    return mp_buf_append(&transfer->base_as_sent, url.data, path_at) == MP_OK
               ? MP_OK
               : no_memory(err);
}

/* The target goes out as it is: curl's own handling of a path or query would change the
 * case of percent-encoded bytes, and with it any signature over them. */
static int set_url(struct mp__transfer *transfer, struct mp_str url, struct mp_error *err)
{
    if (!base_is_set(transfer, url)) {
        int status = set_base(transfer, url, err);
        if (status != MP_OK) {
            return status;
        }
    }
    size_t path_at = transfer->base_as_sent.length;
    struct mp_str target = {url.data + path_at, url.length - path_at};
    const char *fragment =
        target.length > 0 ? memchr(target.data, '#', target.length) : NULL;
    if (fragment) {
        target.length = (size_t)(fragment - target.data);
    }
    for (size_t i = 0; i < target.length; i++) {
        if ((unsigned char)target.data[i] <= ' ' || target.data[i] == 0x7f) {
            return mp_error_set(err, MP_EINVAL,
                                "could not use the url: a space or control byte in it");
        }
    }
    mp_buf_reset(&transfer->target);
    if (mp__transfer_is_forwarded(transfer) &&
        mp_buf_append_text(&transfer->target, transfer->base) != MP_OK) {
        return no_memory(err);
    }
    bool has_path = target.length > 0 && target.data[0] == '/';
    if ((!has_path && mp_buf_append_char(&transfer->target, '/') != MP_OK) ||
        mp_buf_append_str(&transfer->target, target) != MP_OK) {
        return no_memory(err);
    }
    const char *text = mp_buf_cstr(&transfer->target);
    CURLcode code = text ? curl_easy_setopt(transfer->easy, CURLOPT_REQUEST_TARGET, text)
                         : CURLE_OUT_OF_MEMORY;
    return code == CURLE_OK ? MP_OK : no_memory(err);
}

static size_t fields_length(const struct mp_request *request)
{
    size_t length = 0;
    for (size_t i = 0; i < request->header_count; i++) {
        length += request->headers[i].name_length + request->headers[i].value_length + 4;
    }
    return length;
}

static void chain(struct mp__transfer *transfer, size_t *count, char *text)
{
    struct curl_slist *node = &transfer->nodes[*count];
    node->data = text;
    node->next = NULL;
    if (*count > 0) {
        transfer->nodes[*count - 1].next = node;
    }
    (*count)++;
}

/* curl looks for these among the fields, to leave out its own. */
static bool curl_must_see(struct mp_str name)
{
    return mp_str_equal_nocase(name, mp_str_of("Accept")) ||
           mp_str_equal_nocase(name, mp_str_of("Content-Type"));
}

/* The fields' bytes, one block and no allocation a field. curl writes an entry of its
 * list out as it is, but looks at each a dozen times: fields that it need not see share
 * an entry, the lines between them ended here. That no value has a line break is checked
 * when it is set. An empty value heads an entry as `Name;`, since `Name:` would leave the
 * field out. */
static size_t write_fields(struct mp__transfer *transfer,
                           const struct mp_request *request, bool *has_type)
{
    size_t count = 0;
    bool may_join = false;
    char *at = transfer->fields.data;
    for (size_t i = 0; i < request->header_count; i++) {
        struct mp_str name = mp_header_name(request, i);
        struct mp_str value = mp_header_value(request, i);
        bool alone = curl_must_see(name) || value.length == 0;
        if (may_join && !alone) {
            at[-1] = '\r'; /* the last entry goes on */
            *at++ = '\n';
        } else {
            chain(transfer, &count, at);
        }
        *has_type = *has_type || mp_str_equal_nocase(name, mp_str_of("Content-Type"));
        may_join = !alone;
        memcpy(at, name.data, name.length);
        at += name.length;
        *at++ = value.length > 0 ? ':' : ';';
        if (value.length > 0) {
            *at++ = ' ';
            memcpy(at, value.data, value.length);
            at += value.length;
        }
        *at++ = '\0';
    }
    return count;
}

static int set_fields(struct mp__transfer *transfer, const struct mp_request *request,
                      struct mp_error *err)
{
    static char no_type[] = "Content-Type:";
    static char no_expect[] = "Expect:";
    bool has_type = false;
    mp_buf_reset(&transfer->fields);
    if (mp_buf_reserve(&transfer->fields, fields_length(request)) != MP_OK) {
        return no_memory(err);
    }
    size_t count = write_fields(transfer, request, &has_type);
    if (transfer->is_post && !has_type) {
        chain(transfer, &count, no_type);
    }
    if (mp_request_body(request).length >= EXPECT_THRESHOLD) {
        chain(transfer, &count, no_expect);
    }
    curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER,
                     count > 0 ? transfer->nodes : NULL);
    return MP_OK;
}

static bool takes_body(const char *method)
{
    return strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 ||
           strcmp(method, "PATCH") == 0;
}

/* The kinds of request that curl knows; any other is one of them under another name. */
static void set_kind(struct mp__transfer *transfer, bool is_head, bool is_post)
{
    if (is_head == transfer->is_head && is_post == transfer->is_post) {
        return;
    }
    if (is_head) {
        curl_easy_setopt(transfer->easy, CURLOPT_NOBODY, 1L);
    } else if (is_post) {
        curl_easy_setopt(transfer->easy, CURLOPT_POST, 1L);
    } else {
        curl_easy_setopt(transfer->easy, CURLOPT_HTTPGET, 1L);
    }
    transfer->is_head = is_head;
    transfer->is_post = is_post;
}

static int set_method(struct mp__transfer *transfer, const struct mp_request *request,
                      struct mp_error *err)
{
    const char *method = request->method;
    bool is_head = strcmp(method, "HEAD") == 0;
    bool is_post = !is_head && (request->has_body || takes_body(method));
    set_kind(transfer, is_head, is_post);
    const char *own = is_head ? "HEAD" : is_post ? "POST" : "GET";
    const char *custom = strcmp(method, own) == 0 ? "" : method;
    if (strcmp(custom, transfer->method) != 0) {
        if (curl_easy_setopt(transfer->easy, CURLOPT_CUSTOMREQUEST,
                             *custom ? custom : NULL) != CURLE_OK) {
            return no_memory(err);
        }
        memcpy(transfer->method, custom, strlen(custom) + 1);
    }
    transfer->upload_bytes = 0;
    if (is_post) {
        struct mp_str body = mp_request_body(request);
        transfer->upload_bytes = (curl_off_t)body.length;
        curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDSIZE_LARGE,
                         (curl_off_t)body.length);
        curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDS,
                         body.length ? body.data : "");
    }
    return MP_OK;
}

static void set_timeout(struct mp__transfer *transfer, int64_t timeout_ms)
{
    if (timeout_ms == transfer->timeout_ms) {
        return;
    }
    int64_t most_ms = transfer->connect_max_ms;
    int64_t connect_ms = timeout_ms < most_ms ? timeout_ms : most_ms;
    curl_easy_setopt(transfer->easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(transfer->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
    transfer->timeout_ms = timeout_ms;
}

int mp__transfer_start(struct mp__transfer *transfer, unsigned multi,
                       const struct mp_request *request, int64_t timeout_ms,
                       struct mp_error *err)
{
    int status = set_url(transfer, mp_buf_str(&request->url), err);
    if (status == MP_OK) {
        status = mp__transfer_check_target(transfer, err);
    }
    if (status == MP_OK) {
        status = set_method(transfer, request, err);
    }
    if (status == MP_OK) {
        status = set_fields(transfer, request, err);
    }
    if (status != MP_OK) {
        return status;
    }
    set_timeout(transfer, timeout_ms);
    mp_buf_reset(&transfer->headers);
    mp_buf_reset(&transfer->body);
    transfer->header_bytes = 0;
    transfer->headers_ended = transfer->truncated = transfer->must_wait = false;
    transfer->is_established = false;
    transfer->was_blocked = transfer->was_opened = false;
    transfer->duration_us = 0;
    transfer->detail[0] = '\0';
    transfer->multi = multi;
    return mp__curl_loop_add(transfer->loop, multi, transfer->easy) == MP_OK
               ? MP_OK
               : no_memory(err);
}
