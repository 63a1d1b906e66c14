/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moonpost/queue.h"

/* The HTTP server (RFC 9112, strict) on the main loop, and the routes by which events
 * come in. A 202 leaves only after the queue has every record of the request durably. */

struct mp_ingest;
struct mp_call; /* one request and its response; the server's until it is answered */

struct mp_ingest_limits {
    int64_t header_timeout_ms, body_timeout_ms, idle_timeout_ms;
    int64_t header_bytes, header_count, body_bytes;
    int64_t connections;
    int64_t json_depth;
};

#ifndef MP_CDEF
#include <uv.h>
struct mp_metrics;

/* Handlers answer with mp_call_respond, now or later, exactly once. */
typedef void (*mp_call_handler)(void *arg, struct mp_call *call);

struct mp_ingest_config {
    const char *listen; /* "127.0.0.1:4000", "[::1]:0" */
    struct mp_ingest_limits limits;
    const char *rate; /* requests with events: "500/s", bursts of a second; NULL: any */
    /* Bearer tokens: one a line in a file, several valid at once, compared in constant
     * time. */
    const char *ingest_token_file; /* NULL: none wanted */
    const char *api_token_file;
    bool no_auth;
    bool takes_events; /* false: only health, metrics, the API */
    struct mp_queue *queue;
    const struct mp_directory *directory;
    struct mp_metrics *metrics;
    const char *(*not_ready)(void *arg); /* NULL: ready; else why not */
    mp_call_handler api; /* every path under /api/ that the caller may use */
    void *arg;
};
/* Off loopback without ingest tokens: MP_EDENIED unless no_auth. MP_EINVAL: `listen`, or
 * a token file; MP_EBUSY: the port is taken. The loop must turn once more after a
 * failure. `config` is copied but for its texts, which are not needed after. */
MP_MUST_CHECK int mp_ingest_start(uv_loop_t *loop, const struct mp_ingest_config *config,
                                  struct mp_ingest **out, struct mp_error *err);
/* Where it listens, with the real port: "127.0.0.1:4000". */
const char *mp_ingest_address(const struct mp_ingest *ingest);
/* Stops accepting and reading; answers what is under way, closes idle connections, then
 * ends. */
void mp_ingest_close(struct mp_ingest *ingest, void (*on_closed)(void *arg), void *arg);
#endif

struct mp_str mp_call_method(const struct mp_call *call); /* of HEAD: "GET" */
struct mp_str mp_call_path(const struct mp_call *call);   /* without the query */
struct mp_str mp_call_body(const struct mp_call *call);
/* In any case; the empty slice when absent. */
struct mp_str mp_call_header(const struct mp_call *call, const char *name);
/* A query parameter, percent-decoded. False: absent. */
bool mp_call_query(const struct mp_call *call, const char *name, struct mp_buf *out);

/* Answers. `type` is the media type, `headers` further field lines each ended by CRLF or
 * NULL. The body is copied. The call must not be used after. */
void mp_call_respond(struct mp_call *call, int status, const char *type,
                     const char *headers, struct mp_str body);
/* RFC 9457: {"type","title","status","detail"}. `slug` is stable: "unknown-partner". */
void mp_call_problem(struct mp_call *call, int status, const char *slug,
                     const char *format, ...) MP_PRINTF(4, 5);
/* 405 with Allow. */
void mp_call_not_allowed(struct mp_call *call, const char *allow);
