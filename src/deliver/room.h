/* SPDX-License-Identifier: MIT */
#pragma once

#include "worker.h"

/* The main loop's side of the room. */

struct mp_deliver {
    uv_loop_t *loop;
    struct mp_deliver_config config;
    struct mp__room room;
    struct mp__worker *workers; /* worker_count of them, the last for slow scripts */
    unsigned worker_count;
    struct mp_record_list *gathered; /* for each worker, while a take is under way */
    struct mp__map partners;         /* struct mp__partner_shared */
    struct mp__map pauses;           /* names: partners and lanes */
    uint64_t out;                    /* records taken and not given back yet */
    atomic_bool log_has_room;        /* again, and the workers are to be told */
    uv_async_t log_stopped;
    uv_timer_t deadline;
    bool is_draining, told_drained, is_closing;
    unsigned drained, stopped, handles_open;
    void (*on_drained)(void *arg);
    void *drained_arg;
    void (*on_closed)(void *arg);
    void *closed_arg;
};

/* route.c: who serves what. */
struct mp__partner_shared *mp__route_find(struct mp_deliver *deliver,
                                          struct mp_str partner);
struct mp__worker *mp__route_worker(struct mp_deliver *deliver,
                                    const struct mp__partner_shared *shared,
                                    struct mp_str lane);
void mp__route_set_script(struct mp_deliver *deliver, struct mp_str partner,
                          struct mp_script *script);
/* To the slow worker or back, with what the lane remembers. */
void mp__route_move(struct mp_deliver *deliver, const struct mp__news *news,
                    bool to_slow);
/* A call that overran where the partner no longer is: counted where it is. */
void mp__route_overran(struct mp_deliver *deliver, const struct mp__news *news);
/* To each worker that serves the partner: `name` and `shared` of it. */
void mp__route_order(struct mp_deliver *deliver, struct mp__partner_shared *shared,
                     enum mp__order_kind kind, struct mp_str name);
bool mp__route_is_paused(struct mp_deliver *deliver, const struct mp_record *record);
void mp__route_set_paused(struct mp_deliver *deliver, struct mp_str name, bool is_paused);
void mp__route_fini(struct mp_deliver *deliver);

/* news.c: what the workers tell; runs on the main loop. */
void mp__news_arrived(void *deliver);
void mp__news_park(struct mp_deliver *deliver, struct mp_record_list *records);
/* The last step: the log is written, every worker has ended. */
void mp__room_close_handles(struct mp_deliver *deliver);
