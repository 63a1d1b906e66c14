/* SPDX-License-Identifier: MIT */
#pragma once

#include <uv.h>

#include "embedded_lanes.h"
#include "embedded_store.h"
#include "embedded_work.h"
#include "moonpost/engine.h"
#include "moonpost/log.h"
#include "moonpost/metrics.h"

/* The embedded engine. The main loop gathers what one turn brought in `work` and hands it
 * to the storage thread; results come back in the order in which they were carried out.
 */

/* --- the storage thread */
struct mp__storage {
    uv_thread_t thread;
    uv_mutex_t mutex;
    uv_cond_t cond;
    struct mp__store *store;
    uv_async_t *wake_main; /* NULL: nobody listens */
    struct mp_histogram *commit_seconds;
    struct mp_series *records_total;
    /* Under the mutex. */
    struct mp__work inbox;
    struct mp__op *done_head, *done_tail;
    bool sleeping, stop, ended, ready_changed;
    size_t
        lazy_seen; /* while sleeping: 0: until there is work; else what waits, plus 1 */
    const char *ready_why;
};
MP_MUST_CHECK int mp__storage_start(struct mp__storage *storage);
void mp__storage_push(struct mp__storage *storage, struct mp__work *work, bool stop);
/* What is done by now; `ended`: the thread has closed the store and ends. */
struct mp__op *mp__storage_results(struct mp__storage *storage, bool *ended,
                                   bool *ready_changed, const char **ready_why);
void mp__storage_join(struct mp__storage *storage);

/* --- the engine, on the main loop */
struct mp__embedded {
    struct mp_queue queue; /* first: the interface casts */
    uv_loop_t *loop;
    uv_async_t wake;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_timer_t timer;
    int handles_open;
    int lock;
    char *path; /* of the file */
    struct mp__storage storage;
    struct mp__work work;
    struct mp__lanes lanes;
    struct mp_record_list take;
    struct mp_pause *pauses; /* told with the first turn */
    size_t pause_count;
    uint64_t next_number;
    size_t appending_count, appending_bytes;
    int64_t timer_ms; /* the wall time it is set for; INT64_MAX: not set */
    bool begun, closing, ended;
    size_t reads; /* on pool threads */
    void (*on_closed)(void *arg);
    void *closed_arg;
};

/* In embedded_turn.c: what a turn of the loop ends with, and what the storage thread
 * sends. */
void mp__turn(struct mp__embedded *engine);
void mp__turn_on_prepare(uv_prepare_t *prepare);
void mp__turn_on_check(uv_check_t *check);
void mp__turn_on_timer(uv_timer_t *timer);
void mp__turn_on_wake(uv_async_t *async);
void mp__turn_close_when_idle(struct mp__embedded *engine);

/* In embedded_dead.c. */
extern const struct mp_queue_ops mp__embedded_ops;
int mp__dead_list(struct mp_queue *, struct mp_str, size_t, struct mp_str,
                  mp_dead_page_cb, void *);
int mp__dead_show(struct mp_queue *, struct mp_str, mp_dead_page_cb, void *);
int mp__dead_replay(struct mp_queue *, const struct mp_dead_filter *, bool,
                    mp_dead_count_cb, void *);
int mp__dead_purge(struct mp_queue *, const struct mp_dead_filter *, bool,
                   mp_dead_count_cb, void *);
void mp__dead_done(struct mp__embedded *engine, struct mp__dead_op *op);

/* In embedded_lock.c: makes the folder and takes it for this process. */
MP_MUST_CHECK int mp__folder_lock(const char *folder, int *out, struct mp_error *err);
void mp__folder_unlock(int fd);
