/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "embedded_names.h"
#include "moonpost/queue.h"

/* Who waits where. In memory is only what the owner has in its hands; all else lies on
 * disk, and a lane knows from where to read on. */

struct mp__embedded;
struct mp__fetch_op;

#define MP__LANE_RECORDS 256
#define MP__LANE_SURE                                                                    \
    32 /* what each lane may hold though all lanes together are full                     \
        */
#define MP__LANES_BYTES ((size_t)64 * 1024 * 1024)
#define MP__FETCH_BYTES ((size_t)256 * 1024)

struct mp__partner {
    struct mp__name name;
    struct mp__lane *lanes;
    uint64_t waiting;
    int64_t hold_until_ms;
    size_t depth; /* of each of its lanes, when more than MP__LANE_RECORDS; else 0 */
};

struct mp__lane {
    struct mp__name name;
    struct mp__partner *partner;
    struct mp__lane *next_of_partner;
    struct mp__lane *next_dirty;
    bool dirty;
    size_t out, out_bytes; /* in the owner's hands */
    size_t appending;      /* on their way to the disk */
    /* Behind: fresh rows beyond fresh_after may lie on disk and be nobody's. Retries up
     * to (due_after_ms, retry_after) are taken or gone; next_due_ms is that of the next.
     */
    bool behind;
    uint64_t fresh_after;
    int64_t due_after_ms, next_due_ms;
    uint64_t retry_after;
    struct mp__fetch_op *fetch; /* under way */
    /* Resolved since the fetch was sent: its rows may still show them. */
    uint64_t *lingering;
    size_t lingering_count, lingering_capacity;
    bool fetch_void; /* it cannot be trusted: ask again */
    int64_t hold_until_ms, not_before_ms;
    int64_t wake_ms;
    size_t wake_at; /* its place in the heap, counted from 1; 0: none */
};

/* --- embedded_wake.c: lanes by when they are to be looked at */
struct mp__wakes {
    struct mp__lane **heap;
    size_t count, capacity;
};
MP_MUST_CHECK int mp__wakes_reserve(struct mp__wakes *wakes, size_t lanes);
void mp__wakes_put(struct mp__wakes *wakes, struct mp__lane *lane, int64_t at_ms);
void mp__wakes_remove(struct mp__wakes *wakes, struct mp__lane *lane);

struct mp__lanes {
    struct mp__names lanes, partners;
    struct mp__claims claims;
    struct mp__wakes wakes;
    struct mp__lane *dirty;
    size_t out_bytes, reserved_bytes;
    uint64_t waiting;
};

/* --- embedded_lanes.c */
void mp__lanes_fini(struct mp__embedded *engine);
/* Finds or makes; NULL: out of memory. */
struct mp__lane *mp__lane_of(struct mp__embedded *engine, struct mp_str lane,
                             struct mp_str partner);
void mp__lane_mark(struct mp__embedded *engine,
                   struct mp__lane *lane); /* to be reviewed */
void mp__lanes_review(struct mp__embedded *engine);
void mp__lane_count(struct mp__embedded *engine, struct mp__lane *lane, int64_t by);
/* A record that was stored just now: the owner's, or left on disk. Takes it. */
void mp__lane_stored(struct mp__embedded *engine, struct mp_record *record);
void mp__lane_resolved(struct mp__embedded *engine, struct mp_record *record);
bool mp__lane_is_held(const struct mp__lane *lane);
bool mp__lanes_are_full(const struct mp__lanes *lanes);
void mp__lanes_set_depth(struct mp__embedded *engine, struct mp_str partner,
                         size_t records);
/* How many more it may have. */
size_t mp__lane_room(const struct mp__embedded *engine, const struct mp__lane *lane);
/* Gives it to the owner. Takes the record. */
void mp__lane_give(struct mp__embedded *engine, struct mp__lane *lane,
                   struct mp_record *record);
/* It lies on disk and is nobody's: whoever reads the lane next finds it. */
void mp__lane_leave(struct mp__embedded *engine, struct mp__lane *lane,
                    const struct mp_record *record);

/* --- embedded_lane_fetch.c */
void mp__lane_fetch(struct mp__embedded *engine, struct mp__lane *lane, size_t want,
                    int64_t now_ms);
void mp__lane_fetched(struct mp__embedded *engine, struct mp__fetch_op *op);
void mp__lane_note_fresh(struct mp__lane *lane, uint64_t after);
void mp__lane_note_retry(struct mp__lane *lane, int64_t due_ms, uint64_t number);
void mp__lanes_hold(struct mp__embedded *engine, struct mp_str name, int64_t until_ms);
