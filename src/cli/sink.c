/* SPDX-License-Identifier: MIT */
#include "sink.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACKLOG 511

/* "3" or "30%". */
static bool read_fail(struct mp__sink *sink, const char *text)
{
    char *end;
    if (!text) {
        return true;
    }
    unsigned long number = strtoul(text, &end, 10);
    if (end == text || text[0] == '-' || text[0] == '+' || number > 1000000000) {
        return false;
    }
    if (strcmp(end, "%") == 0) {
        sink->fail_percent = number;
        return number <= 100;
    }
    sink->fail_first = number;
    return *end == 0;
}

/* "127.0.0.1:9000", "[::1]:0", "localhost:9000". */
static bool read_address(const char *text, struct sockaddr_storage *out)
{
    char host[64], *end;
    const char *colon = strrchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : 0;
    if (!colon || length == 0 || length >= sizeof host) {
        return false;
    }
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (end == colon + 1 || *end || port > 65535) {
        return false;
    }
    memcpy(host, text, length);
    host[length] = 0;
    if (host[0] == '[' && host[length - 1] == ']') {
        host[length - 1] = 0;
        return uv_ip6_addr(host + 1, (int)port, (struct sockaddr_in6 *)out) == 0;
    }
    const char *address = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    return uv_ip4_addr(address, (int)port, (struct sockaddr_in *)out) == 0;
}

int mp__sink_status(struct mp__sink *sink)
{
    sink->requests++;
    sink->fail_credit += sink->fail_percent;
    bool fails = sink->requests <= sink->fail_first;
    if (sink->fail_credit >= 100) {
        sink->fail_credit -= 100;
        fails = true;
    }
    return fails ? 500 : (int)sink->settings->status;
}

void mp__sink_stop(struct mp__sink *sink)
{
    if (sink->is_closing) {
        return;
    }
    sink->is_closing = true;
    uv_close((uv_handle_t *)&sink->listener, NULL);
    uv_close((uv_handle_t *)&sink->on_term, NULL);
    uv_close((uv_handle_t *)&sink->on_int, NULL);
    mp__sink_close_all(sink);
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    mp__sink_stop(handle->data);
}

static void on_connection(uv_stream_t *listener, int status)
{
    if (status == 0) {
        mp__sink_accept(listener->data);
    }
}

static void print_ready(struct mp__sink *sink)
{
    struct sockaddr_storage address;
    int length = sizeof address;
    char host[64] = "";
    uv_tcp_getsockname(&sink->listener, (struct sockaddr *)&address, &length);
    uv_ip_name((struct sockaddr *)&address, host, sizeof host);
    bool is_v6 = address.ss_family == AF_INET6;
    unsigned port = ntohs(is_v6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                : ((struct sockaddr_in *)&address)->sin_port);
    fprintf(stderr,
            is_v6 ? "moonpost sink: listening on http://[%s]:%u\n"
                  : "moonpost sink: listening on http://%s:%u\n",
            host, port);
}

static int listen_on(struct mp__sink *sink, const struct sockaddr_storage *address)
{
    uv_tcp_init(&sink->loop, &sink->listener);
    uv_signal_init(&sink->loop, &sink->on_term);
    uv_signal_init(&sink->loop, &sink->on_int);
    sink->listener.data = sink->on_term.data = sink->on_int.data = sink;
    int status = uv_tcp_bind(&sink->listener, (const struct sockaddr *)address, 0);
    status = status ? status
                    : uv_listen((uv_stream_t *)&sink->listener, BACKLOG, on_connection);
    if (status) {
        mp__sink_stop(sink);
        return mp__complain(MP_EXIT_REACH, "could not listen on %s: %s",
                            sink->settings->listen, uv_strerror(status));
    }
    uv_signal_start(&sink->on_term, on_signal, SIGTERM);
    uv_signal_start(&sink->on_int, on_signal, SIGINT);
    print_ready(sink);
    return MP_EXIT_OK;
}

int mp_cli_sink(const struct mp_settings *settings)
{
    struct mp__sink sink = {.settings = settings};
    struct sockaddr_storage address = {0};
    if (!read_fail(&sink, settings->fail)) {
        return mp__complain(
            MP_EXIT_USAGE,
            "could not read --fail: it takes a count or a percentage (3, 30%%), "
            "not \"%s\"",
            settings->fail);
    }
    if (!read_address(settings->listen, &address)) {
        return mp__complain(
            MP_EXIT_USAGE,
            "could not read --listen: it takes HOST:PORT with an IP address, not "
            "\"%s\"",
            settings->listen);
    }
    signal(SIGPIPE, SIG_IGN);
    if (uv_loop_init(&sink.loop)) {
        return mp__complain(MP_EXIT_REACH, "could not start: out of memory");
    }
    int code = listen_on(&sink, &address);
    uv_run(&sink.loop, UV_RUN_DEFAULT);
    uv_loop_close(&sink.loop);
    return code;
}
