/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "server.h"

static uint64_t length_of(const struct mp_ingest *server, enum mp__timeout kind)
{
    const struct mp_ingest_limits *limits = &server->config.limits;
    switch (kind) {
    case MP__WAIT_HEAD:
        return (uint64_t)limits->header_timeout_ms;
    case MP__WAIT_BODY:
    case MP__WAIT_WRITE:
        return (uint64_t)limits->body_timeout_ms;
    case MP__WAIT_IDLE:
        return (uint64_t)limits->idle_timeout_ms;
    default:
        return MP__LINGER_MS;
    }
}

static void unlink_wait(struct mp__connection *c)
{
    if (c->wait == MP__WAIT_NONE) {
        return;
    }
    struct mp_ingest *server = c->server;
    if (c->sooner) {
        c->sooner->later = c->later;
    } else {
        server->waits[c->wait].soonest = c->later;
    }
    if (c->later) {
        c->later->sooner = c->sooner;
    } else {
        server->waits[c->wait].latest = c->sooner;
    }
    c->sooner = c->later = NULL;
    c->wait = MP__WAIT_NONE;
}

/* One timer for all: at the nearest deadline. A deadline that goes away leaves it be; it
 * then fires once for nothing. */
static void arm(struct mp_ingest *server, uint64_t deadline_ms)
{
    uint64_t now = uv_now(server->loop);
    uint64_t in = deadline_ms > now ? deadline_ms - now : 0;
    if (!uv_is_active((uv_handle_t *)&server->timer) ||
        uv_timer_get_due_in(&server->timer) > in) {
        uv_timer_start(&server->timer, mp__on_timer, in, 0);
    }
}

void mp__timeout_set(struct mp__connection *c, enum mp__timeout kind)
{
    /* A head or body that trickles has one deadline, not one a byte. */
    if (c->wait == kind && (kind == MP__WAIT_HEAD || kind == MP__WAIT_BODY)) {
        return;
    }
    unlink_wait(c);
    if (kind == MP__WAIT_NONE) {
        return;
    }
    struct mp_ingest *server = c->server;
    c->wait = kind;
    c->deadline_ms = uv_now(server->loop) + length_of(server, kind);
    c->sooner = server->waits[kind].latest;
    if (c->sooner) {
        c->sooner->later = c;
    } else {
        server->waits[kind].soonest = c;
    }
    server->waits[kind].latest = c;
    arm(server, c->deadline_ms);
}

static void answer_timeout(struct mp__connection *c, const char *detail)
{
    struct mp__refusal refusal;
    (void)mp__refuse(&refusal, 408, "request-timeout", "%s", detail);
    mp__connection_refuse(c, &refusal);
}

static void expire(struct mp__connection *c)
{
    enum mp__timeout kind = c->wait;
    unlink_wait(c);
    if (kind == MP__WAIT_HEAD && c->in.length > 0) {
        answer_timeout(c, "the header section took too long (--header-timeout)");
    } else if (kind == MP__WAIT_BODY) {
        answer_timeout(c, "the body took too long (--body-timeout)");
    } else {
        mp__connection_close(c);
    }
}

void mp__on_timer(uv_timer_t *timer)
{
    struct mp_ingest *server = timer->data;
    uint64_t now = uv_now(server->loop);
    uint64_t nearest = UINT64_MAX;
    for (int kind = 0; kind < MP__TIMEOUTS; kind++) {
        while (server->waits[kind].soonest &&
               server->waits[kind].soonest->deadline_ms <= now) {
            expire(server->waits[kind].soonest);
        }
    }
    for (int kind = 0; kind < MP__TIMEOUTS; kind++) {
        struct mp__connection *c = server->waits[kind].soonest;
        if (c && c->deadline_ms < nearest) {
            nearest = c->deadline_ms;
        }
    }
    if (nearest != UINT64_MAX && !uv_is_closing((uv_handle_t *)timer)) {
        arm(server, nearest);
    }
}

static void free_connection(struct mp__connection *c)
{
    mp_buf_fini(&c->in);
    mp_buf_fini(&c->body);
    mp_buf_fini(&c->call.answer);
    mp_buf_fini(&c->call.tally);
    free(c);
}

static void on_closed(uv_handle_t *handle)
{
    struct mp__connection *c = handle->data;
    mp__server_forget(c);
    free_connection(c);
}

void mp__connection_close(struct mp__connection *c)
{
    if (c->state == MP__CLOSING) {
        return;
    }
    unlink_wait(c);
    c->state = MP__CLOSING;
    uv_close((uv_handle_t *)&c->tcp, on_closed);
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
    struct mp__connection *c = request->data;
    c->is_shut = true;
    /* The other side is gone, or has ended before us: nothing is left to wait for. */
    if (status != 0 || c->has_eof) {
        mp__connection_close(c);
    } else {
        mp__timeout_set(c, MP__WAIT_LINGER);
    }
}

void mp__connection_linger(struct mp__connection *c)
{
    c->state = MP__LINGERING;
    if (c->is_broken) {
        mp__connection_close(c);
        return;
    }
    c->shutdown.data = c;
    if (uv_shutdown(&c->shutdown, (uv_stream_t *)&c->tcp, on_shutdown) != 0) {
        mp__connection_close(c);
        return;
    }
    mp__timeout_set(c, MP__WAIT_WRITE);
    if (c->is_paused && !c->has_eof) {
        mp__connection_read(c);
    }
}

void mp__connection_retire(struct mp__connection *c)
{
    if (c->state == MP__CALLING || c->state == MP__WRITING) {
        c->call.must_close = true;
        return;
    }
    if (c->state != MP__READING) {
        return;
    }
    if (c->phase == MP__IN_HEAD) {
        mp__connection_close(c);
        return;
    }
    struct mp__refusal refusal;
    (void)mp__refuse(&refusal, 503, "shutting-down", "the server is shutting down");
    mp__connection_refuse(c, &refusal);
}
