/* SPDX-License-Identifier: MIT */
#pragma once

#include "kafka_lanes.h"

/* A lane as kafka_lanes.c and kafka_lanes_rate.c see it.
 *
 * A lane works while it has any record, and is full while something waits in it or all
 * that may be are out. Full for MP__KAFKA_HOLD_MS, it is judged by its rate: what it
 * finished over the last second ÷ the time it was full. It keeps as many waiting as it
 * finishes in MP__KAFKA_HOLD_MS, and spills what is over: due one after the other at its
 * rate. Nothing finished in the last second: its rate over the last 30 s of work, but
 * then it keeps MP__KAFKA_LANE_SURE at most; that is 0 too: it hangs, keeps none, and has
 * MP__KAFKA_LANE_SURE out at most.
 *
 * One that had too many is slow, and spills at once what comes on top, until it is calm
 * again. Not so one that finishes MP__KAFKA_AHEAD in MP__KAFKA_HOLD_MS: it is fast enough
 * for all to be read at its pace. */

#define MP__KAFKA_TENTHS  10
#define MP__KAFKA_LONG    7    /* slots of the longer average: 30 s, and the one begun */
#define MP__KAFKA_LONG_MS 5000 /* of work, each */
#define MP__KAFKA_CALM_MS 1000 /* without a spill, before a slow lane is no longer so */
#define MP__KAFKA_IDLE_MS 10000
#define MP__KAFKA_TURN    16 /* records given before the next lane has its turn */

/* How fast a lane finishes. */
struct mp__kafka_rate {
    bool works, is_full; /* since counted_ms */
    int64_t tenth, counted_ms;
    /* While it is full: only then does it show what it can. */
    uint32_t finished[MP__KAFKA_TENTHS];
    uint8_t full_ms[MP__KAFKA_TENTHS];
    uint32_t finished_sum, full_sum;
    /* While it works: at least so much it can. */
    uint32_t long_finished[MP__KAFKA_LONG], long_ms[MP__KAFKA_LONG];
    uint8_t long_at;
};

struct mp__kafka_partner {
    struct mp__name name; /* first: found by it */
    struct mp__kafka_lane *lanes;
    int64_t hold_until_ms; /* wall */
    uint64_t count;        /* waiting and out */
    size_t depth;          /* of its lanes; 0: the usual */
};

struct mp__kafka_lane {
    struct mp__name name; /* first: found by it */
    struct mp__kafka_partner *partner;
    struct mp__kafka_lane *next_of_partner, *previous_of_partner;
    struct mp__kafka_link work; /* in busy, or idle */
    struct mp__kafka_link ring; /* in ready, starved, or none */
    struct mp__kafka_item *head, *tail;
    size_t waiting, out;
    int64_t hold_until_ms; /* wall */
    int64_t idle_ms;       /* put among the idle */
    int64_t full_ms;       /* full since */
    int64_t finish_ms;     /* the last finish while full */
    int64_t spill_ms;      /* the last one for being slow */
    int64_t due_us;        /* monotonic: of the last one spilled at a rate */
    double per_ms;         /* the rate that holds */
    size_t keep;           /* waiting that may stay when it is slow */
    bool is_slow;
    bool hangs; /* slow, and nothing was finished for long */
    struct mp__kafka_rate rate;
};

/* In kafka_lanes.c. Finds or makes; NULL: out of memory. */
struct mp__kafka_partner *mp__kafka_partner_of(struct mp__kafka_lanes *lanes,
                                               struct mp_str name);
void mp__kafka_partner_forget(struct mp__kafka_lanes *lanes,
                              struct mp__kafka_partner *partner);
size_t mp__kafka_lane_most(const struct mp__kafka_lanes *lanes,
                           const struct mp__kafka_lane *lane);
/* Takes a waiting one out of its lane and spills it. */
void mp__kafka_lane_spill(struct mp__kafka_lanes *lanes, struct mp__kafka_item *item,
                          enum mp__kafka_spill why, int64_t due_ms);
/* After waiting, out or hangs changed. */
void mp__kafka_lane_changed(struct mp__kafka_lanes *lanes, struct mp__kafka_lane *lane);
void mp__kafka_lane_set_slow(struct mp__kafka_lanes *lanes, struct mp__kafka_lane *lane,
                             bool is_slow);
/* Frees a lane in which nothing is; also its partner when it was the last. */
void mp__kafka_lane_free(struct mp__kafka_lanes *lanes, struct mp__kafka_lane *lane);
/* The later of its own hold and its partner's; 0: none that still lasts. */
int64_t mp__kafka_lane_held_until(const struct mp__kafka_lanes *lanes,
                                  const struct mp__kafka_lane *lane);

/* In kafka_lanes_depth.c. The most it may have out by itself. */
size_t mp__kafka_lane_own_most(const struct mp__kafka_lanes *lanes,
                               const struct mp__kafka_lane *lane);
/* What a lane is taken to finish before it has shown what it can; 0: nothing. */
double mp__kafka_lane_assumed_per_ms(const struct mp__kafka_lane *lane);

/* In kafka_lanes_rate.c. */
void mp__kafka_rate_roll(struct mp__kafka_rate *rate, int64_t now_ms);
void mp__kafka_rate_finished(struct mp__kafka_rate *rate, int64_t now_ms);
/* A slow lane's waiting ones over its allowance, newest first. */
void mp__kafka_lane_trim(struct mp__kafka_lanes *lanes, struct mp__kafka_lane *lane);

/* In kafka_links.c. */
struct mp__kafka_lane *mp__kafka_lane_of_work(struct mp__kafka_link *link);
struct mp__kafka_lane *mp__kafka_lane_of_ring(struct mp__kafka_link *link);
