/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "server.h"

static struct mp__connection *connection_new(struct mp_ingest *server)
{
    size_t fields = (size_t)server->config.limits.header_count * sizeof(struct mp__field);
    struct mp__connection *c = calloc(1, sizeof(*c) + fields);
    if (!c) {
        return NULL;
    }
    const struct mp_ingest_limits *limits = &server->config.limits;
    c->server = server;
    c->wait = MP__WAIT_NONE;
    c->call.connection = c;
    c->call.head.fields = c->fields;
    mp_buf_init(&c->in,
                (size_t)(limits->header_bytes + limits->body_bytes) + 4 * MP__READ_BYTES);
    mp_buf_init(&c->body, (size_t)limits->body_bytes);
    mp_buf_init(&c->call.answer, SIZE_MAX);
    mp_buf_init(&c->call.tally, SIZE_MAX);
    return c;
}

static void link_connection(struct mp__connection *c)
{
    struct mp_ingest *server = c->server;
    c->next = server->connections;
    if (c->next) {
        c->next->prev = c;
    }
    server->connections = c;
    c->is_refused = server->connection_count >= (size_t)server->config.limits.connections;
    if (c->is_refused) {
        server->refused_count++;
    } else {
        server->connection_count++;
        mp_series_set(server->meter.connections, (int64_t)server->connection_count);
    }
}

void mp__connection_accept(struct mp_ingest *server)
{
    struct mp__connection *c = connection_new(server);
    if (!c || uv_tcp_init(server->loop, &c->tcp) != 0) {
        free(c);
        return;
    }
    c->tcp.data = c;
    link_connection(c);
    if (uv_accept((uv_stream_t *)&server->listener, (uv_stream_t *)&c->tcp) != 0 ||
        server->refused_count > MP__REFUSED_MAX) {
        mp__connection_close(c);
        return;
    }
    uv_tcp_nodelay(&c->tcp, 1);
    mp__connection_read(c);
    if (c->state == MP__READING && c->is_refused) {
        struct mp__refusal refusal;
        (void)mp__refuse(&refusal, 503, "too-many-connections",
                         "more than %lld connections are open (--connections)",
                         (long long)server->config.limits.connections);
        mp__connection_refuse(c, &refusal);
    } else if (c->state == MP__READING) {
        mp__timeout_set(c, MP__WAIT_HEAD);
    }
}
