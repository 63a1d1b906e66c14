/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "moonpost/exchange.h"

/* All fields together; the memory they lie in may hold as much again of replaced ones. */
#define FIELDS_MAX_BYTES ((size_t)64 * 1024)
#define BODY_KEPT_BYTES  ((size_t)64 * 1024)

void mp_request_init(struct mp_request *request)
{
    memset(request, 0, sizeof(*request));
    mp_buf_init(&request->url, MP_REQUEST_URL_MAX);
    mp_buf_init(&request->url_shown, MP_REQUEST_URL_MAX);
    mp_buf_init(&request->text, 2 * FIELDS_MAX_BYTES);
    mp_buf_init(&request->body, MP_REQUEST_BODY_MAX);
    mp_buf_init(&request->body_shown, MP_REQUEST_BODY_MAX);
}

void mp_request_fini(struct mp_request *request)
{
    mp_buf_fini(&request->url);
    mp_buf_fini(&request->url_shown);
    mp_buf_fini(&request->text);
    mp_buf_fini(&request->body);
    mp_buf_fini(&request->body_shown);
}

/* One large body must not stay with every request that is kept for the next attempt. */
static void empty_body(struct mp_buf *body)
{
    if (body->capacity > BODY_KEPT_BYTES) {
        mp_buf_fini(body);
    } else {
        mp_buf_reset(body);
    }
}

void mp_request_reset(struct mp_request *request)
{
    request->method[0] = '\0';
    mp_buf_reset(&request->url);
    mp_buf_reset(&request->url_shown);
    mp_buf_reset(&request->text);
    empty_body(&request->body);
    empty_body(&request->body_shown);
    request->header_count = 0;
    request->body_borrowed = (struct mp_str){0};
    request->has_body = false;
}

static struct mp_str slice(const struct mp_request *request, uint32_t at, uint32_t length)
{
    struct mp_str text = {length ? request->text.data + at : "", length};
    return text;
}

struct mp_str mp_header_name(const struct mp_request *request, size_t index)
{
    const struct mp_header *header = &request->headers[index];
    return slice(request, header->name_at, header->name_length);
}

struct mp_str mp_header_value(const struct mp_request *request, size_t index)
{
    const struct mp_header *header = &request->headers[index];
    return slice(request, header->value_at, header->value_length);
}

struct mp_str mp_header_shown(const struct mp_request *request, size_t index)
{
    const struct mp_header *header = &request->headers[index];
    return header->shown_length > 0
               ? slice(request, header->shown_at, header->shown_length)
               : mp_header_value(request, index);
}

int mp_request_find_header(const struct mp_request *request, struct mp_str name)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (mp_str_equal_nocase(mp_header_name(request, i), name)) {
            return (int)i;
        }
    }
    return -1;
}

/* RFC 9110 section 5.6.2. */
static bool is_token(struct mp_str name)
{
    for (size_t i = 0; i < name.length; i++) {
        char c = name.data[i];
        bool plain =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain && (c == '\0' || !strchr("!#$%&'*+-.^_`|~", c))) {
            return false;
        }
    }
    return name.length > 0;
}

/* RFC 9110 section 5.5. */
static bool is_field_value(struct mp_str value)
{
    for (size_t i = 0; i < value.length; i++) {
        unsigned char c = (unsigned char)value.data[i];
        if ((c < ' ' && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return true;
}

static bool is_ours(struct mp_str name)
{
    static const char *const ours[] = {"Host",    "Content-Length", "Transfer-Encoding",
                                       "Expect",  "Connection",     "TE",
                                       "Trailer", "Upgrade"};
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        if (mp_str_equal_nocase(name, mp_str_of(ours[i]))) {
            return true;
        }
    }
    return false;
}

/* The byte in a text that would end the line, or the text; NULL: none. */
static const char *breaks(struct mp_str text)
{
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        if (c == '\r' || c == '\n' || c == '\0') {
            return c ? "line break" : "NUL";
        }
    }
    return NULL;
}

static int refuse_name(struct mp_str name, struct mp_error *err)
{
    /* The name itself is not shown: it may be anything, also a line of its own. */
    const char *what = breaks(name);
    return what ? mp_error_set(err, MP_EINVAL, "a header's name has a %s", what)
                : mp_error_set(err, MP_EINVAL,
                               "could not set a header: its name is no token: write "
                               "letters, digits and -");
}

static int check_field(struct mp_str name, struct mp_str value, struct mp_str shown,
                       struct mp_error *err)
{
    if (!is_token(name)) {
        return refuse_name(name, err);
    }
    int shown_bytes = name.length < 64 ? (int)name.length : 64;
    const char *what = breaks(value);
    if (what) {
        return mp_error_set(err, MP_EINVAL, "header %.*s has a %s", shown_bytes,
                            name.data, what);
    }
    if (!is_field_value(value) || !is_field_value(shown)) {
        return mp_error_set(err, MP_EINVAL,
                            "could not set the header %.*s: its value has a byte that no "
                            "field value has",
                            shown_bytes, name.data);
    }
    if (is_ours(name)) {
        return mp_error_set(err, MP_EDENIED,
                            "could not set the header %.*s: Moonpost sets it itself",
                            shown_bytes, name.data);
    }
    return MP_OK;
}

static size_t live_bytes(const struct mp_request *request)
{
    size_t bytes = 0;
    for (size_t i = 0; i < request->header_count; i++) {
        const struct mp_header *header = &request->headers[i];
        bytes +=
            (size_t)header->name_length + header->value_length + header->shown_length;
    }
    return bytes;
}

static int keep(struct mp_buf *text, struct mp_str part, uint32_t *at, uint32_t *length)
{
    *at = (uint32_t)text->length;
    *length = (uint32_t)part.length;
    return mp_buf_append_str(text, part);
}

static int keep_field(struct mp_buf *text, struct mp_str name, struct mp_str value,
                      struct mp_str shown, struct mp_header *out)
{
    int status = keep(text, name, &out->name_at, &out->name_length);
    if (status == MP_OK) {
        status = keep(text, value, &out->value_at, &out->value_length);
    }
    if (status == MP_OK) {
        status = keep(text, shown, &out->shown_at, &out->shown_length);
    }
    return status;
}

/* Leaves what was replaced behind. */
static int compact(struct mp_request *request)
{
    struct mp_buf text;
    mp_buf_init(&text, request->text.max_bytes);
    struct mp_header headers[MP_REQUEST_HEADERS_MAX];
    int status = MP_OK;
    for (size_t i = 0; status == MP_OK && i < request->header_count; i++) {
        const struct mp_header *old = &request->headers[i];
        status =
            keep_field(&text, mp_header_name(request, i), mp_header_value(request, i),
                       slice(request, old->shown_at, old->shown_length), &headers[i]);
    }
    if (status != MP_OK) {
        mp_buf_fini(&text);
        return status;
    }
    memcpy(request->headers, headers, request->header_count * sizeof(headers[0]));
    mp_buf_fini(&request->text);
    request->text = text;
    return MP_OK;
}

static int refuse_limit(struct mp_error *err, struct mp_str name, const char *why)
{
    int shown_bytes = name.length < 64 ? (int)name.length : 64;
    return mp_error_set(err, MP_ELIMIT, "could not set the header %.*s: %s", shown_bytes,
                        name.data, why);
}

int mp_request_set_header(struct mp_request *request, struct mp_str name,
                          struct mp_str value, struct mp_str shown, struct mp_error *err)
{
    value = mp_str_trim(value);
    shown = mp_str_trim(shown);
    int status = check_field(name, value, shown, err);
    if (status != MP_OK) {
        return status;
    }
    size_t bytes = name.length + value.length + shown.length;
    if (bytes > FIELDS_MAX_BYTES || live_bytes(request) + bytes > FIELDS_MAX_BYTES) {
        return refuse_limit(err, name, "the headers have more than 64 KiB");
    }
    int place = mp_request_find_header(request, name);
    if (place < 0 && request->header_count == MP_REQUEST_HEADERS_MAX) {
        return refuse_limit(err, name, "there are 100 already");
    }
    if (request->text.length + bytes > request->text.max_bytes) {
        status = compact(request);
    }
    struct mp_header header;
    if (status == MP_OK) {
        status = keep_field(&request->text, name, value, shown, &header);
    }
    if (status != MP_OK) {
        return mp_error_set(err, status, "could not set a header: %s",
                            mp_status_text(status));
    }
    if (place < 0) {
        request->headers[request->header_count++] = header;
        return MP_OK;
    }
    request->headers[place] = header;
    return MP_OK;
}

void mp_request_remove_header(struct mp_request *request, struct mp_str name)
{
    size_t kept = 0;
    for (size_t i = 0; i < request->header_count; i++) {
        if (!mp_str_equal_nocase(mp_header_name(request, i), name)) {
            request->headers[kept++] = request->headers[i];
        }
    }
    request->header_count = kept;
}
