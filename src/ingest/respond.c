/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moonpost/clock.h"
#include "moonpost/json.h"
#include "server.h"

const char *mp__reason_phrase(int status)
{
    switch (status) {
#define X(code, name)                                                                    \
    case code:                                                                           \
        return name;
        X(200, "OK")
        X(202, "Accepted")
        X(204, "No Content")
        X(400, "Bad Request")
        X(401, "Unauthorized")
        X(403, "Forbidden")
        X(404, "Not Found")
        X(405, "Method Not Allowed")
        X(408, "Request Timeout")
        X(409, "Conflict")
        X(413, "Content Too Large")
        X(414, "URI Too Long")
        X(415, "Unsupported Media Type")
        X(417, "Expectation Failed")
        X(422, "Unprocessable Content")
        X(429, "Too Many Requests")
        X(431, "Request Header Fields Too Large")
        X(500, "Internal Server Error")
        X(501, "Not Implemented")
        X(503, "Service Unavailable")
        X(505, "HTTP Version Not Supported")
#undef X
    default:
        return "Other";
    }
}

struct late_write {
    uv_write_t request;
    struct mp__connection *connection; /* NULL: nobody waits for it */
    char bytes[];
};

static void on_written(uv_write_t *request, int status)
{
    struct late_write *write = (struct late_write *)request;
    struct mp__connection *c = write->connection;
    free(write);
    if (!c || c->state != MP__WRITING) {
        return;
    }
    if (status != 0) {
        mp__connection_close(c);
    } else {
        c->state = MP__READING;
        mp__connection_next(c);
    }
}

/* What the socket did not take at once. */
static int write_late(struct mp__connection *c, const uv_buf_t *bufs, unsigned count,
                      size_t skip, size_t length, bool waits)
{
    struct late_write *write = malloc(sizeof(*write) + length);
    if (!write) {
        return MP_ENOMEM;
    }
    size_t at = 0;
    for (unsigned i = 0; i < count; i++) {
        size_t from = skip < bufs[i].len ? skip : bufs[i].len;
        skip -= from;
        memcpy(write->bytes + at, bufs[i].base + from, bufs[i].len - from);
        at += bufs[i].len - from;
    }
    write->connection = waits ? c : NULL;
    uv_buf_t rest = uv_buf_init(write->bytes, (unsigned)length);
    if (uv_write(&write->request, (uv_stream_t *)&c->tcp, &rest, 1, on_written) != 0) {
        free(write);
        return MP_EIO;
    }
    return MP_OK;
}

/* Sets `*left` to what is not written yet. */
static int write_some(struct mp__connection *c, const uv_buf_t *bufs, unsigned count,
                      bool waits, size_t *left)
{
    size_t length = 0;
    for (unsigned i = 0; i < count; i++) {
        length += bufs[i].len;
    }
    int written = uv_try_write((uv_stream_t *)&c->tcp, bufs, count);
    if (written < 0 && written != UV_EAGAIN) {
        return MP_EIO;
    }
    size_t done = written > 0 ? (size_t)written : 0;
    *left = length - done;
    return *left == 0 ? MP_OK : write_late(c, bufs, count, done, *left, waits);
}

void mp__send_continue(struct mp__connection *c)
{
    static char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    uv_buf_t buf = uv_buf_init(text, sizeof(text) - 1);
    size_t left;
    (void)write_some(c, &buf, 1, false,
                     &left); /* a broken connection shows when it is read */
}

/* After an answer: the next request, or the end. */
static void go_on(struct mp__connection *c, int status, size_t left)
{
    bool must_close = c->call.must_close || c->is_broken || c->server->is_closing;
    if (status != MP_OK) {
        c->is_broken = true;
        must_close = true;
    }
    if (must_close) {
        mp__connection_linger(c);
    } else if (left > 0) {
        c->state = MP__WRITING;
        mp__timeout_set(c, MP__WAIT_WRITE);
    } else {
        c->state = MP__READING;
        mp__connection_next(c);
    }
}

static size_t put(char *out, size_t at, struct mp_str text)
{
    memcpy(out + at, text.data, text.length);
    return at + text.length;
}

static size_t put_text(char *out, size_t at, const char *text)
{
    return put(out, at, (struct mp_str){text, strlen(text)});
}

static size_t put_number(char *out, size_t at, size_t number)
{
    char digits[24];
    size_t from = sizeof(digits);
    do {
        digits[--from] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return put(out, at, (struct mp_str){digits + from, sizeof(digits) - from});
}

#define HEAD_BYTES     512
#define TYPE_BYTES_MAX 128

static size_t write_head(struct mp_call *call, int status, const char *type,
                         size_t length, char out[HEAD_BYTES])
{
    size_t at = put_text(out, 0, "HTTP/1.1 ");
    at = put_number(out, at, (size_t)status);
    out[at++] = ' ';
    at = put_text(out, at, mp__reason_phrase(status));
    at = put_text(out, at, "\r\n");
    at = put(out, at, mp__server_date(call->connection->server));
    if (type && strlen(type) <= TYPE_BYTES_MAX) {
        at = put_text(out, at, "Content-Type: ");
        at = put_text(out, at, type);
        at = put_text(out, at, "\r\n");
    }
    if (status != 204) {
        at = put_text(out, at, "Content-Length: ");
        at = put_number(out, at, length);
        at = put_text(out, at, "\r\n");
    }
    if (call->must_close) {
        at = put_text(out, at, "Connection: close\r\n");
    } else if (call->is_http10) {
        at = put_text(out, at, "Connection: keep-alive\r\n");
    }
    return at;
}

void mp_call_respond(struct mp_call *call, int status, const char *type,
                     const char *headers, struct mp_str body)
{
    struct mp__connection *c = call->connection;
    /* A body that was not read stands between this request and the next. */
    if (c->phase != MP__WHOLE && c->phase != MP__IN_HEAD) {
        call->must_close = true;
    }
    call->must_close = call->must_close || c->server->is_closing;
    int64_t us = call->begun_us ? mp_clock_mono_us() - call->begun_us : 0;
    mp__meter_answer(&c->server->meter, call->route, status, us);
    if (c->is_broken) {
        mp__connection_linger(c);
        return;
    }
    char head[HEAD_BYTES];
    size_t length = write_head(call, status, type, body.length, head);
    uv_buf_t bufs[4];
    unsigned count = 1;
    if (headers && *headers) {
        bufs[count++] =
            uv_buf_init((char *)(uintptr_t)headers, (unsigned)strlen(headers));
        bufs[count++] = uv_buf_init((char *)(uintptr_t) "\r\n", 2);
    } else {
        length = put_text(head, length, "\r\n");
    }
    bufs[0] = uv_buf_init(head, (unsigned)length);
    if (body.length > 0 && !call->is_head) {
        bufs[count++] = uv_buf_init((char *)(uintptr_t)body.data, (unsigned)body.length);
    }
    size_t left = 0;
    int wrote = write_some(c, bufs, count, !call->must_close, &left);
    go_on(c, wrote, left);
}

/* "unknown-partner" as "Unknown partner". */
static int write_title(struct mp_buf *out, const char *slug)
{
    int status = MP_OK;
    for (const char *at = slug; *at && status == MP_OK; at++) {
        char c = *at == '-' ? ' ' : *at;
        if (at == slug && c >= 'a' && c <= 'z') {
            c = (char)(c - 'a' + 'A');
        }
        status = mp_buf_append_char(out, c);
    }
    return status;
}

static int write_problem(struct mp_buf *out, const struct mp__problem *problem,
                         struct mp_str detail)
{
    int status = mp_buf_printf(out, "{\"type\":\"urn:moonpost:problem:%s\",\"title\":\"",
                               problem->slug);
    if (status == MP_OK) {
        status = write_title(out, problem->slug);
    }
    if (status == MP_OK) {
        status = mp_buf_printf(out, "\",\"status\":%d,\"detail\":", problem->status);
    }
    if (status == MP_OK) {
        status = mp_json_write_string(out, detail);
    }
    if (status == MP_OK) {
        status = mp_buf_printf(out, "%s}", problem->members ? problem->members : "");
    }
    return status;
}

void mp__call_problem(struct mp_call *call, const struct mp__problem *problem,
                      struct mp_str detail)
{
    struct mp_buf body;
    mp_buf_init(&body,
                (size_t)64 * 1024 + (problem->members ? strlen(problem->members) : 0));
    if (write_problem(&body, problem, detail) != MP_OK) {
        mp_buf_reset(&body); /* the status line still tells */
    }
    mp_call_respond(call, problem->status, "application/problem+json", problem->headers,
                    mp_buf_str(&body));
    mp_buf_fini(&body);
}

void mp__call_refuse(struct mp_call *call, const struct mp__refusal *refusal)
{
    struct mp__problem problem = {refusal->status, refusal->slug, NULL, NULL};
    if (refusal->status == 503) {
        problem.headers = "Retry-After: 1\r\n";
    }
    mp__call_problem(call, &problem, mp_str_of(refusal->detail));
}

void mp_call_problem(struct mp_call *call, int status, const char *slug,
                     const char *format, ...)
{
    char detail[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    struct mp__problem problem = {status, slug, NULL, NULL};
    mp__call_problem(call, &problem, mp_str_of(detail));
}

void mp_call_not_allowed(struct mp_call *call, const char *allow)
{
    char headers[128], detail[160];
    snprintf(headers, sizeof(headers), "Allow: %s\r\n", allow);
    snprintf(detail, sizeof(detail), "this path takes %s", allow);
    struct mp__problem problem = {405, "method-not-allowed", headers, NULL};
    mp__call_problem(call, &problem, mp_str_of(detail));
}
