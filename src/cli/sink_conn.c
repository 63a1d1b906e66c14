/* SPDX-License-Identifier: MIT */
#include "sink.h"

#include <stdlib.h>
#include <string.h>

#define READ_BYTES (64u * 1024)

struct mp__sink_conn {
    uv_tcp_t tcp;
    uv_timer_t delay;
    struct mp__sink *sink;
    struct mp__sink_conn *next, *previous;
    llhttp_t parser;
    struct mp__sink_request request;
    struct mp_buf out; /* the answer that is being written */
    char in[READ_BYTES];
    size_t in_at, in_end; /* read and not yet parsed */
    int status;
    int handles; /* open ones; the last to close frees */
    bool is_answering, is_closing;
};

static void on_handle_closed(uv_handle_t *handle)
{
    struct mp__sink_conn *conn = handle->data;
    if (--conn->handles > 0) {
        return;
    }
    mp_buf_fini(&conn->request.head);
    mp_buf_fini(&conn->request.body);
    mp_buf_fini(&conn->out);
    free(conn);
}

static void conn_close(struct mp__sink_conn *conn)
{
    if (conn->is_closing) {
        return;
    }
    conn->is_closing = true;
    if (conn->next) {
        conn->next->previous = conn->previous;
    }
    if (conn->previous) {
        conn->previous->next = conn->next;
    } else {
        conn->sink->conns = conn->next;
    }
    uv_close((uv_handle_t *)&conn->tcp, on_handle_closed);
    uv_close((uv_handle_t *)&conn->delay, on_handle_closed);
}

void mp__sink_close_all(struct mp__sink *sink)
{
    while (sink->conns) {
        conn_close(sink->conns);
    }
}

static void append_head(struct mp__sink_request *request, const char *at, size_t length)
{
    if (mp_buf_append(&request->head, at, length)) {
        request->is_too_large = true;
    }
}

static int on_begin(llhttp_t *parser)
{
    struct mp__sink_request *request = &((struct mp__sink_conn *)parser->data)->request;
    mp_buf_reset(&request->head);
    mp_buf_reset(&request->body);
    request->body_bytes = 0;
    request->wants_continue = request->is_too_large = false;
    return 0;
}

static int on_head_bytes(llhttp_t *parser, const char *at, size_t length)
{
    struct mp__sink_request *request = &((struct mp__sink_conn *)parser->data)->request;
    append_head(request, at, length);
    return request->is_too_large ? HPE_USER : 0;
}

static int on_head_piece_end(llhttp_t *parser)
{
    return on_head_bytes(parser, "", 1);
}

static bool expects_continue(const struct mp__sink_request *request)
{
    const char *at = request->head.data, *end = at + request->head.length;
    at += strlen(at) + 1;
    while (at < end) {
        const char *value = at + strlen(at) + 1;
        if (mp_str_equal_nocase(mp_str_of(at), mp_str_of("expect")) &&
            mp_str_equal_nocase(mp_str_of(value), mp_str_of("100-continue"))) {
            return true;
        }
        at = value + strlen(value) + 1;
    }
    return false;
}

static int on_headers_complete(llhttp_t *parser)
{
    static char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct mp__sink_conn *conn = parser->data;
    uv_buf_t buf = uv_buf_init(line, sizeof line - 1);
    if (expects_continue(&conn->request)) {
        /* When the socket is full the client will send the body all the same. */
        (void)uv_try_write((uv_stream_t *)&conn->tcp, &buf, 1);
    }
    return 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t length)
{
    struct mp__sink_request *request = &((struct mp__sink_conn *)parser->data)->request;
    size_t room = MP__SINK_SHOWN_MAX - request->body.length;
    request->body_bytes += length;
    return mp_buf_append(&request->body, at, length < room ? length : room) ? HPE_USER
                                                                            : 0;
}

static int on_message_complete(llhttp_t *parser)
{
    struct mp__sink_request *request = &((struct mp__sink_conn *)parser->data)->request;
    request->method = llhttp_method_name((llhttp_method_t)llhttp_get_method(parser));
    request->is_head = llhttp_get_method(parser) == HTTP_HEAD;
    request->keep_alive = llhttp_should_keep_alive(parser) && !llhttp_get_upgrade(parser);
    return HPE_PAUSED;
}

static const llhttp_settings_t *callbacks(void)
{
    static llhttp_settings_t settings;
    if (!settings.on_url) {
        llhttp_settings_init(&settings);
        settings.on_message_begin = on_begin;
        settings.on_url = settings.on_header_field = settings.on_header_value =
            on_head_bytes;
        settings.on_url_complete = settings.on_header_field_complete = on_head_piece_end;
        settings.on_header_value_complete = on_head_piece_end;
        settings.on_headers_complete = on_headers_complete;
        settings.on_body = on_body;
        settings.on_message_complete = on_message_complete;
    }
    return &settings;
}

static void read_on(struct mp__sink_conn *conn);

static void on_written(uv_write_t *write, int status)
{
    struct mp__sink_conn *conn = write->data;
    free(write);
    conn->is_answering = false;
    if (conn->is_closing) {
        return;
    }
    if (status || !conn->request.keep_alive) {
        conn_close(conn);
        return;
    }
    llhttp_resume(&conn->parser);
    read_on(conn);
}

static int write_answer(struct mp__sink_conn *conn, int status)
{
    const char *body = conn->sink->settings->body ? conn->sink->settings->body : "";
    bool has_body = status != 204 && status != 304;
    mp_buf_reset(&conn->out);
    /* The reason phrase may be empty (RFC 9112 section 4), and any status may be asked
     * for. */
    int failed = mp_buf_printf(&conn->out, "HTTP/1.1 %d \r\nConnection: %s\r\n", status,
                               conn->request.keep_alive ? "keep-alive" : "close");
    if (has_body) {
        failed =
            failed || mp_buf_printf(&conn->out, "Content-Length: %zu\r\n", strlen(body));
    }
    failed = failed || mp_buf_append_text(&conn->out, "\r\n");
    if (has_body && !conn->request.is_head) {
        failed = failed || mp_buf_append_text(&conn->out, body);
    }
    return failed;
}

static void answer(struct mp__sink_conn *conn, int status)
{
    uv_write_t *write = malloc(sizeof *write);
    if (!write || write_answer(conn, status)) {
        free(write);
        conn_close(conn);
        return;
    }
    uv_buf_t buf = uv_buf_init(conn->out.data, (unsigned)conn->out.length);
    write->data = conn;
    conn->is_answering = true;
    if (uv_write(write, (uv_stream_t *)&conn->tcp, &buf, 1, on_written)) {
        free(write);
        conn_close(conn);
    }
}

static void on_delayed(uv_timer_t *timer)
{
    struct mp__sink_conn *conn = timer->data;
    answer(conn, conn->status);
}

static void on_request(struct mp__sink_conn *conn)
{
    struct mp__sink *sink = conn->sink;
    conn->status = mp__sink_status(sink);
    conn->is_answering = true;
    mp__sink_print(sink, &conn->request, conn->status);
    if (conn->is_closing) {
        return;
    }
    uv_timer_start(&conn->delay, on_delayed, (uint64_t)sink->settings->delay_ms, 0);
}

/* What is no HTTP is told so, and the connection ends: no telling where a next request
 * begins. */
static void on_garbage(struct mp__sink_conn *conn)
{
    const char *reason = llhttp_get_error_reason(&conn->parser);
    conn->request.keep_alive = conn->request.is_head = false;
    mp__complain(0, "sink: not HTTP: %s",
                 conn->request.is_too_large ? "the head is over 64 KiB"
                 : reason                   ? reason
                                            : "the bytes make no sense");
    answer(conn, conn->request.is_too_large ? 431 : 400);
}

/* Parses what was read up to the end of one request. */
static void parse(struct mp__sink_conn *conn)
{
    const char *from = conn->in + conn->in_at;
    llhttp_errno_t code = llhttp_execute(&conn->parser, from, conn->in_end - conn->in_at);
    if (code == HPE_OK) {
        conn->in_at = conn->in_end = 0;
    } else if (code == HPE_PAUSED) {
        conn->in_at = (size_t)(llhttp_get_error_pos(&conn->parser) - conn->in);
        on_request(conn);
    } else {
        on_garbage(conn);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct mp__sink_conn *conn = handle->data;
    *buf = uv_buf_init(conn->in, READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buf)
{
    (void)buf;
    struct mp__sink_conn *conn = stream->data;
    if (length < 0) {
        conn_close(conn);
    } else if (length > 0) {
        conn->in_at = 0;
        conn->in_end = (size_t)length;
        uv_read_stop(stream);
        read_on(conn);
    }
}

static void read_on(struct mp__sink_conn *conn)
{
    while (!conn->is_closing && !conn->is_answering && conn->in_at < conn->in_end) {
        parse(conn);
    }
    if (!conn->is_closing && !conn->is_answering &&
        uv_read_start((uv_stream_t *)&conn->tcp, on_alloc, on_read)) {
        conn_close(conn);
    }
}

void mp__sink_accept(struct mp__sink *sink)
{
    struct mp__sink_conn *conn = calloc(1, sizeof *conn);
    if (!conn) {
        return;
    }
    uv_tcp_init(&sink->loop, &conn->tcp);
    uv_timer_init(&sink->loop, &conn->delay);
    conn->tcp.data = conn->delay.data = conn;
    conn->sink = sink;
    conn->handles = 2;
    conn->next = sink->conns;
    if (sink->conns) {
        sink->conns->previous = conn;
    }
    sink->conns = conn;
    mp_buf_init(&conn->request.head, MP__SINK_HEAD_MAX);
    mp_buf_init(&conn->request.body, MP__SINK_SHOWN_MAX);
    mp_buf_init(&conn->out, MP_CLI_BYTES_MAX);
    llhttp_init(&conn->parser, HTTP_REQUEST, callbacks());
    conn->parser.data = conn;
    if (uv_accept((uv_stream_t *)&sink->listener, (uv_stream_t *)&conn->tcp)) {
        conn_close(conn);
        return;
    }
    uv_tcp_nodelay(&conn->tcp, 1);
    read_on(conn);
}
