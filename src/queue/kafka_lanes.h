/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "embedded_names.h"
#include "kafka_links.h"
#include "moonpost/record.h"

/* Who waits where, on Kafka: records that may be tried now wait in their lane until the
 * owner has room for them, or are spilled to a retry tier when their lane would hold up
 * the partitions they came from. Knows nothing of Kafka's library or of real time. How:
 * kafka_lane.h. */

#define MP__KAFKA_LANE_RECORDS 256
#define MP__KAFKA_LANE_SURE    32 /* what each may have out though all together are full */
#define MP__KAFKA_OUT_BYTES    ((size_t)64 * 1024 * 1024)
#define MP__KAFKA_HOLD_MS      500 /* what a lane may hold a window up */
#define MP__KAFKA_AHEAD        512 /* waiting records that are never too many to read on */
#define MP__KAFKA_SPILL_MIN_MS (5 * 1000)
#define MP__KAFKA_SPILL_MAX_MS (10 * 60 * 1000)

struct mp__kafka_partition;
struct mp__kafka_lane;
struct mp__kafka_tally;

/* One record read from a partition, from then until its offset is done. */
struct mp__kafka_item {
    struct mp__kafka_item *next, *previous;           /* of the lane's waiting ones */
    struct mp__kafka_item *live_next, *live_previous; /* of all, the engine's */
    struct mp_record
        *record; /* NULL while in the owner's hands; its queue_lane is this */
    struct mp__kafka_lane *lane; /* NULL: in none yet */
    bool waits;                  /* in its lane; else in the owner's hands, or in none */
    struct mp__kafka_partition *partition;
    struct mp__kafka_tally *tally; /* its partner's count of what is here; NULL: none */
    uint32_t assignment;           /* the partition's, when it was read */
    uint32_t epoch;                /* the log's, as the partition counts them */
    int64_t offset;
    size_t size_bytes;
    int64_t came_ms;    /* monotonic: put into its lane */
    int64_t unknown_ms; /* wall: first found without a script; 0: not */
};

enum mp__kafka_spill { MP__KAFKA_PAUSED, MP__KAFKA_BREAKER, MP__KAFKA_SLOW }; /* why */

/* Both may call put, finished, parked and forget. */
struct mp__kafka_lanes_owner {
    void *arg;
    /* It is the owner's now: take item->record out. */
    void (*give)(void *arg, struct mp__kafka_item *item);
    /* It is in no lane any more: store it as due then (wall). */
    void (*spill)(void *arg, struct mp__kafka_item *item, enum mp__kafka_spill why,
                  int64_t due_ms);
};

/* Stays where it is between init and fini. */
struct mp__kafka_lanes {
    struct mp__kafka_lanes_owner owner;
    /* The owner's to set: the most records that may be out of all lanes before each has
     * MP__KAFKA_LANE_SURE, so that hanging ones do not fill the windows; 0: any. */
    size_t most_out;
    struct mp__names lanes, partners; /* names.h; structs of kafka_lanes.c */
    size_t waiting, waiting_bytes;    /* in lanes, not given */
    size_t out, out_bytes;            /* given, not back */
    /* Private. */
    size_t waiting_slow; /* of waiting, those in lanes known to be slow */
    struct mp__kafka_links busy, idle;
    struct mp__kafka_links ready;   /* have something to give */
    struct mp__kafka_links starved; /* have too, when the others have less out */
    uint32_t finished[10]; /* by tenth of a second, all lanes that are not slow */
    uint64_t finished_sum;
    int64_t tenth;               /* the last one counted */
    int64_t now_ms, now_wall_ms; /* of the last call that told */
};

void mp__kafka_lanes_init(struct mp__kafka_lanes *lanes,
                          const struct mp__kafka_lanes_owner *owner);
void mp__kafka_lanes_fini(struct mp__kafka_lanes *lanes);
/* The time that all below go by; the owner tells it at the start of each loop turn. */
void mp__kafka_lanes_at(struct mp__kafka_lanes *lanes, int64_t mono_ms, int64_t wall_ms);

/* A record that may be tried now, behind its lane's others; a lane that is held spills it
 * at once, a slow one too when it has its fill. Nothing is given before `flush`. Out of
 * memory: it is spilled. */
void mp__kafka_lanes_put(struct mp__kafka_lanes *lanes, struct mp__kafka_item *item);
/* Back from the owner, resolved: the lane's rate counts it. The item stays the caller's.
 * In no lane: nothing. */
void mp__kafka_lanes_finished(struct mp__kafka_lanes *lanes, struct mp__kafka_item *item);
/* Back from the owner untried, its record with it: before its lane's others. */
void mp__kafka_lanes_parked(struct mp__kafka_lanes *lanes, struct mp__kafka_item *item);
/* Back (or out of its lane), and forgotten: neither finished nor to be tried. The item
 * stays the caller's. In no lane: nothing. */
void mp__kafka_lanes_forget(struct mp__kafka_lanes *lanes, struct mp__kafka_item *item);
/* Takes every waiting one out of its lane for which `each` says true; `each` then owns
 * it. It calls nothing here. */
void mp__kafka_lanes_sweep(struct mp__kafka_lanes *lanes,
                           bool (*each)(void *arg, struct mp__kafka_item *item),
                           void *arg);

/* As mp_queue_hold, _release, _set_depth. INT64_MAX: a pause, another time a breaker. */
void mp__kafka_lanes_hold(struct mp__kafka_lanes *lanes, struct mp_str name,
                          int64_t until_ms);
void mp__kafka_lanes_release(struct mp__kafka_lanes *lanes, struct mp_str name);
void mp__kafka_lanes_set_depth(struct mp__kafka_lanes *lanes, struct mp_str partner,
                               size_t records);

/* Gives what there is room for: each lane its depth, all 64 MiB, then still 32 each. */
void mp__kafka_lanes_flush(struct mp__kafka_lanes *lanes);
/* Every 100 ms: measures, spills, forgets lanes that are idle. */
void mp__kafka_lanes_tick(struct mp__kafka_lanes *lanes);
/* Whether reading on is well: what waits in lanes that are not slow would be gone within
 * half of MP__KAFKA_HOLD_MS at their rate, or is less than MP__KAFKA_AHEAD. So one
 * healthy partner's backlog is read at its own pace, and never spilled. What waits in
 * slow ones is bounded by what they keep, and stops nobody. */
bool mp__kafka_lanes_want_more(const struct mp__kafka_lanes *lanes);
/* Waiting and out of a partner; an empty name: of all. */
uint64_t mp__kafka_lanes_count(const struct mp__kafka_lanes *lanes, struct mp_str name);
