/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "moonpost/exchange.h"
#include "moonpost/record.h"

/* The attempt log: one JSON line an attempt, written by a thread of its own, so that a
 * slow reader holds up no loop. Nothing is dropped while its reader lives: past
 * `max_bytes` the workers begin no attempt until there is room. */

struct mp__attempt_log;

struct mp__attempt_log_config {
    int fd;
    size_t max_bytes;
    int64_t stop_ms; /* at stop: the longest wait for a reader that takes nothing */
    /* There is room again, after mp__attempt_log_is_full said no. On the writer's thread.
     */
    void (*on_room)(void *arg);
    /* All was written, or given up; the last thing the writer's thread does. */
    void (*on_stopped)(void *arg);
    void *arg;
};
MP_MUST_CHECK int mp__attempt_log_start(const struct mp__attempt_log_config *config,
                                        struct mp__attempt_log **out,
                                        struct mp_error *err);
/* Any thread. */
bool mp__attempt_log_is_full(struct mp__attempt_log *log);
/* Any thread. Moves whole lines; `lines` is empty after, with memory to fill again. */
void mp__attempt_log_give(struct mp__attempt_log *log, struct mp_buf *lines);
/* Writes out what was given, then on_stopped. Does not wait. */
void mp__attempt_log_stop(struct mp__attempt_log *log);
/* After on_stopped, or instead of a stop when nothing was started. NULL is allowed. */
void mp__attempt_log_free(struct mp__attempt_log *log);

/* What a line says. */
struct mp__attempt_line {
    const char *time; /* RFC 3339 */
    const struct mp_record *record;
    uint32_t attempt;
    const char *generation;
    const struct mp_request *request; /* NULL: there was none */
    const struct mp_response *response;
    int64_t duration_us;
    const struct mp_verdict *verdict;
    int64_t next_ms;     /* wall; -1: no next attempt */
    struct mp_str batch; /* its id; empty: it went by itself */
};
/* Appends the line. MP_ENOMEM, MP_ELIMIT: `out` is as before. */
MP_MUST_CHECK int mp__attempt_line_write(struct mp_buf *out,
                                         const struct mp__attempt_line *line);
