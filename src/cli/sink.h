/* SPDX-License-Identifier: MIT */
#pragma once

#include <llhttp.h>
#include <uv.h>

#include "tools.h"

/* The sink: a small HTTP/1.1 server that tells what it gets and answers as it was told.
 * One loop, one thread. Requests of a connection are answered one after another: reading
 * stops while one is being answered. */

#define MP__SINK_HEAD_MAX  (64u * 1024) /* target and fields of a request */
#define MP__SINK_SHOWN_MAX 1024u        /* of a body */

struct mp__sink {
    const struct mp_settings *settings;
    uv_loop_t loop;
    uv_tcp_t listener;
    uv_signal_t on_term, on_int;
    struct mp__sink_conn *conns;
    uint64_t requests;
    uint64_t fail_first;   /* answer 500 to so many */
    uint64_t fail_percent; /* of all, evenly spread */
    uint64_t fail_credit;
    bool is_closing;
};

/* A request as it is read. */
struct mp__sink_request {
    struct mp_buf
        head; /* the target, then each field's name and value, each ended by a NUL */
    struct mp_buf body; /* the first MP__SINK_SHOWN_MAX bytes */
    uint64_t body_bytes;
    const char *method;
    bool keep_alive, is_head, wants_continue, is_too_large;
};

/* Accepts the connection that is waiting. */
void mp__sink_accept(struct mp__sink *sink);
/* Closes every connection. */
void mp__sink_close_all(struct mp__sink *sink);
/* Counts the request and says what it is answered. */
int mp__sink_status(struct mp__sink *sink);
/* Stops the loop when the reader of stdout is gone. */
void mp__sink_print(struct mp__sink *sink, const struct mp__sink_request *request,
                    int status);
void mp__sink_stop(struct mp__sink *sink);
