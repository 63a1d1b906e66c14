/* SPDX-License-Identifier: MIT */
#pragma once

#include "batch.h"
#include "bucket.h"
#include "health.h"
#include "map.h"
#include "moonpost/queue.h"

struct mp__worker;
struct mp__partner;
struct mp__attempt;

/* Lanes that wait for their turn, each in one ring at most. */
struct mp__ring {
    struct mp__lane *head, *tail;
};

/* A lane on its worker: what waits, what is in flight, how it went so far. */
struct mp__lane {
    struct mp__map_node node; /* of the worker's map, by name */
    struct mp__partner *partner;
    struct mp__lane *next, *prev; /* the partner's */
    struct mp__ring *ring;        /* the one it is in, or NULL */
    struct mp__lane *ring_next, *ring_prev;
    struct mp_record_list waiting;
    struct mp__groups groups;  /* what was gathered of them into batches */
    size_t flying;             /* records in batches under way */
    struct mp__bucket *bucket; /* NULL: no rate, or not asked for yet */
    int64_t alarm_us;          /* monotonic */
    size_t alarm_at;           /* its place among the alarms; 0: none */
    unsigned in_flight;
    size_t bodies_bytes;    /* of those in flight */
    unsigned multi, weight; /* its share of curl's multis */
    bool is_paused;
    bool has_overrun; /* too often: what is in flight asks the script nothing more */
    bool wants_token; /* it is looked at when there is one */
    /* A lane that made no connection for a while sends one attempt ahead, so that a name
     * server is asked once and not by all at once. */
    bool has_scout;
    int64_t warm_until_ms;
    int64_t used_ms; /* monotonic */
    struct mp__health health;
    char name[];
};

/* NULL: out of memory. */
struct mp__lane *mp__lane_find_or_add(struct mp__worker *worker,
                                      struct mp__partner *partner, struct mp_str name);
struct mp__lane *mp__lane_find(struct mp__worker *worker, struct mp_str name);
void mp__lane_free(struct mp__worker *worker, struct mp__lane *lane);
/* What it remembers from now on; the metric goes along. */
void mp__lane_set_health(struct mp__lane *lane, const struct mp__health *health);
/* Frees it when nobody used it for long and nothing hangs on it. */
void mp__lane_sweep(struct mp__worker *worker, struct mp__lane *lane);

/* Takes a record in, or parks it at once when the lane cannot have it. */
void mp__lane_take(struct mp__worker *worker, struct mp__lane *lane,
                   struct mp_record *record);
/* Something changed: puts it in a ring when an attempt may begin. */
void mp__lane_touch(struct mp__worker *worker, struct mp__lane *lane);
/* May an attempt begin? `is_probe`: as the breaker's probe. */
bool mp__lane_admits(struct mp__worker *worker, struct mp__lane *lane, bool *is_probe);
/* Its turn: begins an attempt, or gathers for one. False: out of memory. */
bool mp__lane_step(struct mp__worker *worker, struct mp__lane *lane);
/* The next lane whose turn it is, taken out of its ring; NULL: none. */
struct mp__lane *mp__lane_next_ready(struct mp__worker *worker);
/* The same of those whose scripts made no quick call here yet: each may take its whole
 * budget, so that one a turn goes, behind the others. */
struct mp__lane *mp__lane_next_unknown(struct mp__worker *worker);
void mp__lane_park_waiting(struct mp__worker *worker, struct mp__lane *lane);
/* The partner has another generation. */
void mp__lane_renew(struct mp__worker *worker, struct mp__lane *lane);

/* In lane_rate.c. The moment at which its rate lets an attempt begin; it may be past. */
int64_t mp__lane_rate_due_us(struct mp__worker *worker, struct mp__lane *lane);
/* Spends a token of it. False: there is none. */
bool mp__lane_rate_take(struct mp__lane *lane);
void mp__lane_rate_give_back(struct mp__lane *lane);
void mp__lane_rate_renew(struct mp__worker *worker, struct mp__lane *lane);
bool mp__lane_rate_is_full(const struct mp__worker *worker, const struct mp__lane *lane);
void mp__lane_rate_close(struct mp__worker *worker, struct mp__lane *lane);

/* An exchange ended: breaker and streaks. */
void mp__lane_exchanged(struct mp__worker *worker, struct mp__lane *lane,
                        const struct mp_verdict *verdict, int status, bool is_default,
                        bool was_probe);
/* A script's function threw for the delivery `id`. */
void mp__lane_threw(struct mp__worker *worker, struct mp__lane *lane, struct mp_str id,
                    const char *why);
/* It overran its budget: too often, and the lane pauses. */
void mp__lane_overran(struct mp__worker *worker, struct mp__lane *lane, const char *why);
/* Stops it and tells the main loop. Once: a paused lane is told of no more. */
void mp__lane_pause(struct mp__worker *worker, struct mp__lane *lane,
                    enum mp_pause_kind kind, const char *reason);
void mp__lane_resume(struct mp__worker *worker, struct mp__lane *lane);
