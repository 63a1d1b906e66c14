/* SPDX-License-Identifier: MIT */
#include "connection.h"

#include <string.h>

#include "moonpost/clock.h"
#include "server.h"

/* Memory an idle connection may keep. */
#define KEPT_BYTES ((size_t)16 * 1024)

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct mp__connection *c = handle->data;
    *buf = uv_buf_init(c->server->read_buffer, MP__READ_BYTES);
}

void mp__connection_refuse(struct mp__connection *c, const struct mp__refusal *refusal)
{
    c->state = MP__CALLING;
    c->call.must_close = true;
    mp__call_refuse(&c->call, refusal);
}

static void refuse_memory(struct mp__connection *c)
{
    struct mp__refusal refusal;
    (void)mp__refuse(&refusal, 503, "out-of-memory",
                     "there is no memory for the request");
    mp__connection_refuse(c, &refusal);
}

static void reset_request(struct mp__connection *c)
{
    mp__head_reset(&c->call.head);
    c->chunks = (struct mp__chunks){0};
    c->phase = MP__IN_HEAD;
    c->is_admitted = false;
    mp_buf_reset(&c->body);
    if (c->body.capacity > KEPT_BYTES) {
        mp_buf_fini(&c->body);
    }
}

/* Past a whole request, to the bytes of the next. */
static void advance(struct mp__connection *c)
{
    if (c->consumed > 0) {
        c->at += c->consumed;
        c->have -= c->consumed;
        c->consumed = 0;
        reset_request(c);
    }
}

/* Looks whether the body is there. False: more is needed, or it was refused. */
static bool read_body(struct mp__connection *c)
{
    struct mp__head *head = &c->call.head;
    size_t more = c->have - head->bytes;
    if (c->phase == MP__IN_BODY) {
        if (more < head->content_length) {
            return false;
        }
        c->consumed = head->bytes + (size_t)head->content_length;
        c->phase = MP__WHOLE;
        return true;
    }
    size_t used = 0;
    struct mp__refusal refusal;
    int status =
        mp__chunks_read(&c->chunks, c->at + head->bytes, more, &used, &c->body, &refusal);
    if (status == MP_OK) {
        c->consumed = head->bytes + used;
        c->phase = MP__WHOLE;
        return true;
    }
    c->have = head->bytes; /* the coded bytes are used up; the head is still wanted */
    if (status == MP_EINVAL) {
        mp__connection_refuse(c, &refusal);
    }
    return false;
}

/* Nothing of the request before this one may colour an answer to it. */
static void begin_call(struct mp_call *call)
{
    call->route = MP__ROUTE_NONE;
    call->is_head = call->is_http10 = false;
    call->begun_us = 0;
}

/* A whole head: what it means, and whether its body is wanted. */
static bool begin_request(struct mp__connection *c)
{
    struct mp_call *call = &c->call;
    struct mp__refusal refusal;
    call->begun_us = mp_clock_mono_us();
    call->base = c->at;
    int status =
        mp__head_understand(&call->head, c->at, &c->server->config.limits, &refusal);
    call->is_head = call->head.method == MP__HEAD;
    call->is_http10 = call->head.minor == 0;
    if (status != MP_OK) {
        mp__connection_refuse(c, &refusal);
        return false;
    }
    call->must_close = !call->head.keep_alive || c->server->is_closing;
    c->phase = call->head.is_chunked ? MP__IN_CHUNKS : MP__IN_BODY;
    bool is_whole = read_body(c);
    if (c->state != MP__READING) {
        return false;
    }
    c->state = MP__CALLING;
    c->is_admitted = mp__route_admit(call);
    if (!c->is_admitted) {
        return true; /* answered: perhaps there is a next one */
    }
    c->state = MP__READING;
    if (!is_whole && call->head.wants_continue) {
        mp__send_continue(c);
    }
    return is_whole;
}

static void dispatch(struct mp__connection *c)
{
    struct mp_call *call = &c->call;
    call->base = c->at;
    call->body = call->head.is_chunked
                     ? mp_buf_str(&c->body)
                     : (struct mp_str){c->at + call->head.bytes,
                                       (size_t)call->head.content_length};
    mp__timeout_set(c, MP__WAIT_NONE);
    c->state = MP__CALLING;
    mp__route_dispatch(call);
}

/* One step of reading. False: more bytes are needed. */
static bool step(struct mp__connection *c)
{
    if (c->phase == MP__IN_HEAD) {
        struct mp__refusal refusal;
        begin_call(&c->call);
        int status = mp__head_read(&c->call.head, c->at, c->have,
                                   &c->server->config.limits, &refusal);
        if (status == MP_EAGAIN) {
            return false;
        }
        if (status != MP_OK) {
            mp__connection_refuse(c, &refusal);
            return false;
        }
        if (!begin_request(c)) {
            return false;
        }
    } else if (!read_body(c)) {
        return false;
    }
    if (c->state == MP__READING && c->phase == MP__WHOLE) {
        dispatch(c);
    }
    return true;
}

static void wait_for_more(struct mp__connection *c)
{
    if (c->phase != MP__IN_HEAD) {
        mp__timeout_set(c, MP__WAIT_BODY);
    } else if (c->have > 0 || !c->has_served) {
        mp__timeout_set(c, MP__WAIT_HEAD);
    } else {
        mp__timeout_set(c, MP__WAIT_IDLE);
    }
}

static void shrink(struct mp_buf *buf)
{
    if (buf->length == 0 && buf->capacity > KEPT_BYTES) {
        mp_buf_fini(buf);
    }
}

/* What was not used must be kept: the bytes it is in are another's after this callback.
 */
static void keep_rest(struct mp__connection *c)
{
    if (c->is_owned) {
        return;
    }
    if (c->state != MP__READING) {
        advance(c); /* a handler that answers later needs no more of the request */
    }
    if (c->is_in) {
        if (c->have > 0) {
            memmove(c->in.data, c->at, c->have);
        }
        c->in.length = c->have;
        shrink(&c->in);
    } else if (c->have > 0 && mp_buf_append(&c->in, c->at, c->have) != MP_OK &&
               c->state == MP__READING) {
        refuse_memory(c);
    }
    c->is_in = false;
}

/* The other side will send no more. */
static void end_in_request(struct mp__connection *c)
{
    if (c->in.length == 0) {
        mp__connection_close(c);
        return;
    }
    struct mp__refusal refusal;
    (void)mp__refuse(&refusal, 400, "incomplete-request",
                     "the request ended before its end");
    mp__connection_refuse(c, &refusal);
}

void mp__connection_feed(struct mp__connection *c)
{
    c->is_feeding = true;
    while (c->state == MP__READING && c->have > 0 && step(c)) {
        continue;
    }
    if (c->state < MP__LINGERING) {
        keep_rest(c);
    }
    c->is_feeding = false;
    if (c->state != MP__READING) {
        return;
    }
    wait_for_more(c);
    if (c->has_eof) {
        end_in_request(c);
    } else if (c->is_paused) {
        mp__connection_read(c);
    }
}

bool mp__connection_own(struct mp__connection *c)
{
    if (c->is_in) {
        memmove(c->in.data, c->at, c->have);
        c->in.length = c->have;
    } else if (mp_buf_append(&c->in, c->at, c->have) != MP_OK) {
        return false;
    }
    c->at = c->in.data;
    c->is_in = true;
    c->is_owned = true;
    c->call.base = c->at;
    if (!c->call.head.is_chunked) {
        c->call.body.data = c->at + c->call.head.bytes;
    }
    uv_read_stop((uv_stream_t *)&c->tcp); /* what came would move the buffer */
    c->is_paused = true;
    return true;
}

static void pause_reading(struct mp__connection *c)
{
    uv_read_stop((uv_stream_t *)&c->tcp);
    c->is_paused = true;
}

static void on_end(struct mp__connection *c, bool is_error)
{
    pause_reading(c);
    c->has_eof = true;
    c->is_broken = is_error;
    switch (c->state) {
    case MP__READING:
        if (is_error) {
            mp__connection_close(c);
        } else {
            end_in_request(c);
        }
        break;
    case MP__CALLING:
        break; /* the answer is still owed: half a connection can take it */
    default:
        if (is_error || c->is_shut) {
            mp__connection_close(c);
        }
    }
}

/* Bytes for a connection that is busy with a request before them: one buffer of them
 * waits. */
static void stash(struct mp__connection *c, const char *data, size_t length)
{
    pause_reading(c);
    if (mp_buf_append(&c->in, data, length) != MP_OK) {
        c->has_eof = true; /* what cannot be kept was never read */
        c->call.must_close = true;
    }
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
    struct mp__connection *c = stream->data;
    if (count == 0) {
        return;
    }
    if (count < 0) {
        on_end(c, count != UV_EOF);
        return;
    }
    if (c->state == MP__LINGERING) {
        c->drained += (size_t)count;
        if (c->drained > MP__LINGER_BYTES) {
            mp__connection_close(c);
        }
        return;
    }
    if (c->state != MP__READING) {
        stash(c, buf->base, (size_t)count);
        return;
    }
    c->is_in = c->in.length > 0;
    if (c->is_in && mp_buf_append(&c->in, buf->base, (size_t)count) != MP_OK) {
        refuse_memory(c);
        return;
    }
    c->at = c->is_in ? c->in.data : buf->base;
    c->have = c->is_in ? c->in.length : (size_t)count;
    mp__connection_feed(c);
}

void mp__connection_read(struct mp__connection *c)
{
    c->is_paused = false;
    if (uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) != 0) {
        mp__connection_close(c);
    }
}

void mp__connection_next(struct mp__connection *c)
{
    c->has_served = true;
    mp__timeout_set(c, MP__WAIT_NONE);
    c->is_owned = false;
    if (c->is_feeding) {
        advance(c); /* the loop in feed goes on with it */
        return;
    }
    c->at = c->in.data;
    c->have = c->in.length;
    c->is_in = true;
    advance(c);
    mp__connection_feed(c);
}
