/* SPDX-License-Identifier: MIT */
#include "server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "moonpost/clock.h"

#define BACKLOG 1024

/* "127.0.0.1:4000", "[::1]:0", "localhost:4000". */
static int parse_listen(const char *listen, struct sockaddr_storage *out,
                        bool *is_loopback, struct mp_error *err)
{
    const char *colon = strrchr(listen, ':');
    char host[64];
    char *end = NULL;
    long port = colon ? strtol(colon + 1, &end, 10) : -1;
    size_t length = colon ? (size_t)(colon - listen) : 0;
    if (!colon || colon[1] < '0' || colon[1] > '9' || *end || port > 65535 ||
        length == 0 || length >= sizeof(host)) {
        return mp_error_set(
            err, MP_EINVAL,
            "could not listen on %s: it is not HOST:PORT, such as 127.0.0.1:4000",
            listen);
    }
    bool is_literal = listen[0] == '[' && listen[length - 1] == ']';
    snprintf(host, sizeof(host), "%.*s", (int)(is_literal ? length - 2 : length),
             is_literal ? listen + 1 : listen);
    const char *name = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    int status = is_literal ? uv_ip6_addr(host, (int)port, (struct sockaddr_in6 *)out)
                            : uv_ip4_addr(name, (int)port, (struct sockaddr_in *)out);
    if (status != 0) {
        return mp_error_set(
            err, MP_EINVAL,
            "could not listen on %s: %s is no IPv4 address, IPv6 address in "
            "brackets, or localhost",
            listen, host);
    }
    *is_loopback = mp__host_is_loopback((struct mp_str){listen, length});
    return MP_OK;
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct mp_ingest *server = listener->data;
    if (status == 0 && !server->is_closing) {
        mp__connection_accept(server);
    }
}

static int status_of_uv(int code)
{
    switch (code) {
    case UV_ENOMEM:
        return MP_ENOMEM;
    case UV_EADDRINUSE:
        return MP_EBUSY;
    case UV_EACCES:
        return MP_EDENIED;
    default:
        return MP_EIO;
    }
}

static void read_address(struct mp_ingest *server)
{
    struct sockaddr_storage name = {0};
    int length = sizeof(name);
    char host[64] = "?";
    if (uv_tcp_getsockname(&server->listener, (struct sockaddr *)&name, &length) != 0) {
        return;
    }
    if (name.ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&name;
        uv_ip6_name(six, host, sizeof(host));
        snprintf(server->address, sizeof(server->address), "[%s]:%u", host,
                 (unsigned)ntohs(six->sin6_port));
    } else {
        const struct sockaddr_in *four = (const struct sockaddr_in *)&name;
        uv_ip4_name(four, host, sizeof(host));
        snprintf(server->address, sizeof(server->address), "%s:%u", host,
                 (unsigned)ntohs(four->sin_port));
    }
}

static int listen_on(struct mp_ingest *server, const char *listen,
                     const struct sockaddr_storage *address, struct mp_error *err)
{
    unsigned flags = address->ss_family == AF_INET6 ? UV_TCP_IPV6ONLY : 0;
    int code = uv_tcp_bind(&server->listener, (const struct sockaddr *)address, flags);
    if (code == 0) {
        code = uv_listen((uv_stream_t *)&server->listener, BACKLOG, on_connection);
    }
    if (code != 0) {
        return mp_error_set(err, status_of_uv(code), "could not listen on %s: %s", listen,
                            uv_strerror(code));
    }
    read_address(server);
    return MP_OK;
}

static int open_tokens(struct mp_ingest *server, const struct mp_ingest_config *config,
                       struct mp_error *err)
{
    int status = MP_OK;
    if (config->ingest_token_file) {
        status = mp__tokens_open(config->ingest_token_file, &server->ingest_tokens, err);
    }
    if (status == MP_OK && config->api_token_file) {
        status = mp__tokens_open(config->api_token_file, &server->api_tokens, err);
    }
    if (status == MP_OK && !server->is_loopback && !server->ingest_tokens &&
        !config->no_auth) {
        return mp_error_set(
            err, MP_EDENIED,
            "could not listen on %s: anyone who reaches it could send events; "
            "give --ingest-token-file FILE, or --no-auth to allow that",
            config->listen);
    }
    return status;
}

static void server_free(struct mp_ingest *server)
{
    mp__tokens_free(server->ingest_tokens);
    mp__tokens_free(server->api_tokens);
    mp__meter_fini(&server->meter);
    mp__intake_fini(&server->intake);
    free(server->read_buffer);
    free(server);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct mp_ingest *server = handle->data;
    if (--server->handles > 0) {
        return;
    }
    void (*on_closed)(void *) = server->on_closed;
    void *arg = server->on_closed_arg;
    server_free(server);
    if (on_closed) {
        on_closed(arg);
    }
}

static void close_handles(struct mp_ingest *server)
{
    if (!uv_is_closing((uv_handle_t *)&server->listener)) {
        uv_close((uv_handle_t *)&server->listener, on_handle_closed);
    }
    if (!server->connections && !uv_is_closing((uv_handle_t *)&server->timer)) {
        uv_close((uv_handle_t *)&server->timer, on_handle_closed);
    }
}

static int server_new(const struct mp_ingest_config *config, struct mp_ingest **out)
{
    struct mp_ingest *server = calloc(1, sizeof(*server));
    if (!server) {
        return MP_ENOMEM;
    }
    server->config = *config;
    server->date_second = -1;
    mp__intake_init(&server->intake);
    server->read_buffer = malloc(MP__READ_BYTES);
    server->intake.urls = calloc(MP__URLS, sizeof(*server->intake.urls));
    int status = mp__meter_init(&server->meter, config->metrics);
    if (!server->read_buffer || !server->intake.urls || status != MP_OK) {
        server_free(server);
        return MP_ENOMEM;
    }
    *out = server;
    return MP_OK;
}

int mp_ingest_start(uv_loop_t *loop, const struct mp_ingest_config *config,
                    struct mp_ingest **out, struct mp_error *err)
{
    struct sockaddr_storage address = {0};
    struct mp_ingest *server = NULL;
    if (server_new(config, &server) != MP_OK) {
        return mp_error_set(err, MP_ENOMEM, "could not start the server: out of memory");
    }
    server->loop = loop;
    int status = parse_listen(config->listen, &address, &server->is_loopback, err);
    if (status == MP_OK) {
        status = open_tokens(server, config, err);
    }
    if (status == MP_OK) {
        status = mp__rate_init(server, config->rate, err);
    }
    if (status != MP_OK) {
        server_free(server);
        return status;
    }
    uv_timer_init(loop, &server->timer);
    uv_tcp_init(loop, &server->listener);
    server->timer.data = server->listener.data = server;
    server->handles = 2;
    status = listen_on(server, config->listen, &address, err);
    if (status != MP_OK) {
        server->is_closing = true;
        close_handles(server); /* frees it in the loop's next turn */
        return status;
    }
    *out = server;
    return MP_OK;
}

const char *mp_ingest_address(const struct mp_ingest *ingest)
{
    return ingest->address;
}

void mp_ingest_close(struct mp_ingest *ingest, void (*on_closed)(void *arg), void *arg)
{
    ingest->is_closing = true;
    ingest->on_closed = on_closed;
    ingest->on_closed_arg = arg;
    struct mp__connection *c = ingest->connections;
    while (c) {
        struct mp__connection *next = c->next;
        mp__connection_retire(c);
        c = next;
    }
    close_handles(ingest);
}

void mp__server_forget(struct mp__connection *c)
{
    struct mp_ingest *server = c->server;
    if (c->prev) {
        c->prev->next = c->next;
    } else {
        server->connections = c->next;
    }
    if (c->next) {
        c->next->prev = c->prev;
    }
    if (c->is_refused) {
        server->refused_count--;
    } else {
        server->connection_count--;
        mp_series_set(server->meter.connections, (int64_t)server->connection_count);
    }
    if (server->is_closing) {
        close_handles(server);
    }
}

struct mp_str mp__server_date(struct mp_ingest *server)
{
    int64_t second = mp_clock_wall_ms() / 1000;
    if (second != server->date_second) {
        static const char *const DAYS[] = {"Sun", "Mon", "Tue", "Wed",
                                           "Thu", "Fri", "Sat"};
        static const char *const MONTHS[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                             "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
        time_t seconds = (time_t)second;
        struct tm tm;
        gmtime_r(&seconds, &tm);
        int length =
            snprintf(server->date, sizeof(server->date),
                     "Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n", DAYS[tm.tm_wday],
                     tm.tm_mday, MONTHS[tm.tm_mon], (tm.tm_year + 1900) % 10000,
                     tm.tm_hour, tm.tm_min, tm.tm_sec);
        server->date_second = second;
        server->date_length = (size_t)length;
    }
    return (struct mp_str){server->date, server->date_length};
}
