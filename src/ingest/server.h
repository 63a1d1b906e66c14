/* SPDX-License-Identifier: MIT */
#pragma once

#include <uv.h>

#include "connection.h"
#include "intake.h"
#include "meter.h"
#include "tokens.h"

/* The server, as its own files see it. Everything is on the main loop. */

#define MP__READ_BYTES   ((size_t)64 * 1024)
#define MP__LINGER_MS    2000
#define MP__LINGER_BYTES ((size_t)16 * 1024 * 1024)
/* Connections over the limit that are told so; past these they are just closed. */
#define MP__REFUSED_MAX 256

struct mp_ingest {
    uv_loop_t *loop;
    struct mp_ingest_config config;                /* its texts are not kept */
    struct mp__tokens *ingest_tokens, *api_tokens; /* NULL: none */
    bool is_loopback;
    bool is_closing;
    char address[80];

    uv_tcp_t listener;
    uv_timer_t timer;
    unsigned handles; /* of listener and timer, not yet closed */
    void (*on_closed)(void *arg);
    void *on_closed_arg;

    struct mp__connection *connections;
    size_t connection_count, refused_count;
    struct {
        struct mp__connection *soonest, *latest;
    } waits[MP__TIMEOUTS];

    double rate, rate_tokens; /* a second; rate 0: any */
    int64_t rate_at_us;       /* 0: not begun */

    int64_t date_second;
    char date[40]; /* "Date: …\r\n" */
    size_t date_length;

    struct mp__meter meter;
    struct mp__intake intake;
    char *read_buffer; /* MP__READ_BYTES; used within one callback */
};

/* server.c: one connection less; ends the closing with the last. */
void mp__server_forget(struct mp__connection *c);
/* rate.c: MP_EINVAL when it is no rate. NULL: any. */
int mp__rate_init(struct mp_ingest *server, const char *rate, struct mp_error *err);
/* "Date: …\r\n" of this second. */
struct mp_str mp__server_date(struct mp_ingest *server);
