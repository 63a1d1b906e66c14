/* SPDX-License-Identifier: MIT */
#pragma once

#include <uv.h>

#include "chunk.h"
#include "routes.h"

/* A connection and the one request on it that is read or answered. Requests that come
 * meanwhile wait, unread past one buffer. A request that arrives in one piece is read
 * where the kernel's bytes were put; only what has to wait is copied. */

enum mp__connection_state {
    MP__READING,   /* bytes are a request's */
    MP__CALLING,   /* a handler has the call */
    MP__WRITING,   /* the answer is not wholly written */
    MP__LINGERING, /* our side is closed; what still comes is read and dropped (RFC
                      9112 9.6) */
    MP__CLOSING    /* uv_close was called */
};
enum mp__phase { MP__IN_HEAD, MP__IN_BODY, MP__IN_CHUNKS, MP__WHOLE };

/* Each kind has one length, so each list is in order of deadline. */
enum mp__timeout {
    MP__WAIT_HEAD,
    MP__WAIT_BODY,
    MP__WAIT_IDLE,
    MP__WAIT_WRITE,
    MP__WAIT_LINGER,
    MP__TIMEOUTS,
    MP__WAIT_NONE = MP__TIMEOUTS
};

struct mp_call {
    struct mp__connection *connection;
    struct mp__head head;
    const char *base; /* the head's first byte */
    struct mp_str body;
    enum mp__route route;
    struct mp_str partner; /* of /events/{partner}: in partner_name */
    char partner_name[MP_PARTNER_BYTES];
    enum mp__content content;
    /* These outlive the request's bytes. */
    bool is_head, is_http10, must_close;
    int64_t begun_us;
    struct mp_append append;
    struct mp_buf answer; /* of the 202 */
    struct mp_buf tally;  /* struct mp__tally: what will be counted as accepted */
};

struct mp__connection {
    uv_tcp_t tcp;
    struct mp_ingest *server;
    struct mp__connection *prev, *next;    /* all of the server's */
    struct mp__connection *sooner, *later; /* of its timeout's list */
    uint64_t deadline_ms;                  /* loop time */
    enum mp__timeout wait;
    enum mp__connection_state state;
    enum mp__phase phase;
    bool is_refused;  /* over the limit: not counted */
    bool is_feeding;  /* inside mp__connection_feed */
    bool is_admitted; /* the routes let the request in */
    bool is_paused;   /* uv_read_stop was called */
    bool is_in;       /* `at` is inside `in` */
    bool is_owned;    /* `in` holds the call's bytes: they may not move */
    bool has_eof, is_broken, has_served, is_shut;
    const char *at; /* bytes at hand, from the request's first on; valid while feeding */
    size_t have;
    size_t consumed; /* of them, the request's, once it is whole */
    size_t drained;
    struct mp_buf in;   /* what had to wait */
    struct mp_buf body; /* a chunked body, decoded */
    struct mp__chunks chunks;
    uv_shutdown_t shutdown;
    struct mp_call call;
    struct mp__field fields[];
};

/* opening.c: takes what the listener has. */
void mp__connection_accept(struct mp_ingest *server);

/* connection.c: from bytes to a request. */
/* Answers without a handler, and ends the connection. */
void mp__connection_refuse(struct mp__connection *c, const struct mp__refusal *refusal);
void mp__connection_feed(struct mp__connection *c);
/* Makes the call's bytes stay where they are until it is answered. False: no memory. */
bool mp__connection_own(struct mp__connection *c);
/* Starts reading, or goes on with it. */
void mp__connection_read(struct mp__connection *c);
/* After an answer: the next request. */
void mp__connection_next(struct mp__connection *c);

/* ending.c: timeouts and ends. */
void mp__timeout_set(struct mp__connection *c, enum mp__timeout kind);
void mp__on_timer(uv_timer_t *timer);
/* Half-closes after what is being written, then waits for the other side a little. */
void mp__connection_linger(struct mp__connection *c);
void mp__connection_close(struct mp__connection *c);
/* On shutdown: closes it unless a call is under way. */
void mp__connection_retire(struct mp__connection *c);

/* respond.c. As mp_call_respond. */
struct mp__problem {
    int status;
    const char *slug;
    const char *headers; /* further field lines, or NULL */
    const char *members; /* further JSON members, ",\"line\":1", or NULL */
};
void mp__call_problem(struct mp_call *call, const struct mp__problem *problem,
                      struct mp_str detail);
void mp__call_refuse(struct mp_call *call, const struct mp__refusal *refusal);
/* call.c. Appends the decoded text; a stray percent sign stands for itself. */
MP_MUST_CHECK int mp__percent_decode(struct mp_str text, struct mp_buf *out);
void mp__send_continue(struct mp__connection *c);
const char *mp__reason_phrase(int status);
