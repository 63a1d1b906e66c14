/* SPDX-License-Identifier: MIT */
#pragma once

#include <pthread.h>
#include <uv.h>

#include "alarms.h"
#include "aside.h"
#include "attempt.h"
#include "attempt_log.h"
#include "auth.h"
#include "curl_loop.h"
#include "gather.h"
#include "messages.h"
#include "moonpost/clock.h"

/* One worker: a thread, its loop, and everything that lives on it. */

/* The same for every worker, unchanged while they run. */
struct mp__room {
    struct mp__deliver_tuning tuning;
    const struct mp_egress *egress;
    const char *version;
    struct mp__attempt_log *log;
    struct mp__token_store *tokens;
    const struct mp_proxy *proxies;
    size_t proxy_count;
    struct mp_metrics *metrics;
    struct mp__inbox inbox;
};

#define MP__SPARE_ATTEMPTS 128

struct mp__worker {
    struct mp__room *room;
    unsigned number;
    bool is_slow;
    struct mp__aside aside; /* the slow worker's; no other has it started */
    uv_thread_t thread;
    uv_loop_t loop;
    struct mp__wake wake;
    uv_prepare_t prepare;
    uv_idle_t more; /* runs while a turn left work behind */
    uv_timer_t sweep;
    uv_timer_t hand_over;
    int64_t held_us; /* since when results wait to be handed over; 0: none do */
    struct mp__curl_loop curl;
    pthread_mutex_t lock;
    struct mp__order *orders, *orders_tail; /* under lock */
    /* The thread's own. */
    struct mp__map partners, lanes;
    struct mp__ring ready;
    struct mp__ring cold;    /* ready, but for a scout's place */
    struct mp__ring unknown; /* ready, but nobody knows how long their scripts take */
    struct mp__alarms alarms;
    uv_timer_t alarm; /* of the earliest */
    struct mp__lookups lookups;
    struct mp__auth auth;
    unsigned scouts;              /* attempts sent ahead, whose lookup is not over */
    struct mp__attempt *attempts; /* under way */
    unsigned in_flight;
    struct mp__attempt *spare;
    unsigned spare_count;
    struct mp__attempt
        *again; /* waited for a lookup and may go on; chained by wait_next */
    struct mp_buf lines;
    struct mp_buf hidden[2]; /* of shown.c */
    struct mp_record_list outcomes;
    struct mp__news *news, *news_tail;
    int64_t wall_ms, mono_ms, mono_us; /* as this turn began */
    char time[MP_TIME_BYTES];
    int64_t time_ms; /* what `time` says */
    bool is_draining, told_drained, is_stopping;
};

/* Main loop. `worker` is zeroed memory with room, number and is_slow set. */
MP_MUST_CHECK int mp__worker_start(struct mp__worker *worker, struct mp_error *err);
/* Hands an order over; the worker frees it. Any thread. */
void mp__worker_order(struct mp__worker *worker, struct mp__order *order);
/* NULL: out of memory, and said so. */
struct mp__order *mp__order_new(enum mp__order_kind kind, struct mp_str name);
/* After MP__NEWS_STOPPED. */
void mp__worker_join(struct mp__worker *worker);

/* The worker's thread. */
void mp__worker_give_back(struct mp__worker *worker, struct mp_record *record);
void mp__worker_park(struct mp__worker *worker, struct mp_record *record);
/* NULL: out of memory, and said so. The caller fills it; it goes with the turn. */
struct mp__news *mp__worker_news(struct mp__worker *worker, enum mp__news_kind kind);
void mp__worker_obey(struct mp__worker *worker, struct mp__order *order);
