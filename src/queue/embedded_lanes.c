/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "embedded.h"
#include "moonpost/clock.h"

void mp__lanes_fini(struct mp__embedded *engine)
{
    struct mp__lanes *lanes = &engine->lanes;
    for (size_t i = 0; i < lanes->lanes.bucket_count; i++) {
        for (struct mp__name *at = lanes->lanes.buckets[i]; at; at = at->next) {
            free(((struct mp__lane *)(void *)at)->lingering);
        }
    }
    mp__names_fini(&lanes->lanes);
    mp__names_fini(&lanes->partners);
    free(lanes->claims.slots);
    free(lanes->wakes.heap);
}

static struct mp__partner *partner_of(struct mp__embedded *engine, struct mp_str name)
{
    struct mp__partner *partner = mp__names_find(&engine->lanes.partners, name);
    return partner ? partner
                   : mp__names_add(&engine->lanes.partners, name, sizeof(*partner));
}

static void forget_partner(struct mp__embedded *engine, struct mp__partner *partner,
                           int64_t now_ms)
{
    if (!partner->lanes && partner->waiting == 0 && partner->depth == 0 &&
        partner->hold_until_ms <= now_ms) {
        mp__names_remove(&engine->lanes.partners, &partner->name);
    }
}

struct mp__lane *mp__lane_of(struct mp__embedded *engine, struct mp_str name,
                             struct mp_str partner_name)
{
    struct mp__lanes *lanes = &engine->lanes;
    struct mp__lane *lane = mp__names_find(&lanes->lanes, name);
    if (lane) {
        return lane;
    }
    struct mp__partner *partner = partner_of(engine, partner_name);
    if (!partner || mp__wakes_reserve(&lanes->wakes, lanes->lanes.count + 1) != MP_OK) {
        return NULL;
    }
    lane = mp__names_add(&lanes->lanes, name, sizeof(*lane));
    if (!lane) {
        return NULL;
    }
    lane->partner = partner;
    lane->next_of_partner = partner->lanes;
    partner->lanes = lane;
    lane->next_due_ms = INT64_MAX;
    return lane;
}

static void forget_lane(struct mp__embedded *engine, struct mp__lane *lane,
                        int64_t now_ms)
{
    struct mp__partner *partner = lane->partner;
    struct mp__lane **at = &partner->lanes;
    while (*at != lane) {
        at = &(*at)->next_of_partner;
    }
    *at = lane->next_of_partner;
    free(lane->lingering);
    mp__names_remove(&engine->lanes.lanes, &lane->name);
    forget_partner(engine, partner, now_ms);
}

void mp__lane_mark(struct mp__embedded *engine, struct mp__lane *lane)
{
    if (!lane->dirty) {
        lane->dirty = true;
        lane->next_dirty = engine->lanes.dirty;
        engine->lanes.dirty = lane;
    }
}

void mp__lane_count(struct mp__embedded *engine, struct mp__lane *lane, int64_t by)
{
    lane->partner->waiting += (uint64_t)by;
    engine->lanes.waiting += (uint64_t)by;
}

void mp__lane_note_fresh(struct mp__lane *lane, uint64_t after)
{
    if (!lane->behind || after < lane->fresh_after) {
        lane->fresh_after = after;
    }
    lane->behind = true;
}

void mp__lane_note_retry(struct mp__lane *lane, int64_t due_ms, uint64_t number)
{
    if (due_ms < lane->next_due_ms) {
        lane->next_due_ms = due_ms;
    }
    if (due_ms < lane->due_after_ms ||
        (due_ms == lane->due_after_ms && number <= lane->retry_after)) {
        lane->due_after_ms = due_ms;
        lane->retry_after = number - 1;
    }
}

static int64_t held_until(const struct mp__lane *lane)
{
    int64_t until = lane->hold_until_ms;
    until = lane->partner->hold_until_ms > until ? lane->partner->hold_until_ms : until;
    return lane->not_before_ms > until ? lane->not_before_ms : until;
}

bool mp__lane_is_held(const struct mp__lane *lane)
{
    int64_t until = held_until(lane);
    return until > 0 && until > mp_clock_wall_ms();
}

bool mp__lanes_are_full(const struct mp__lanes *lanes)
{
    return lanes->out_bytes + lanes->reserved_bytes >= MP__LANES_BYTES;
}

size_t mp__lane_room(const struct mp__embedded *engine, const struct mp__lane *lane)
{
    size_t depth = lane->partner->depth;
    size_t most = depth ? depth : MP__LANE_RECORDS;
    if (mp__lanes_are_full(&engine->lanes)) {
        most =
            lane->out > 0 && lane->out_bytes >= MP__FETCH_SURE_BYTES ? 0 : MP__LANE_SURE;
    }
    size_t have = lane->out + (lane->fetch ? lane->fetch->from.want : 0);
    return have < most ? most - have : 0;
}

void mp__lane_leave(struct mp__embedded *engine, struct mp__lane *lane,
                    const struct mp_record *record)
{
    uint64_t number = MP__SEQ_NUMBER(record->seq);
    if (MP__SEQ_IN_RETRY(record->seq)) {
        mp__lane_note_retry(lane, record->due_ms, number);
    } else {
        mp__lane_note_fresh(lane, number - 1);
    }
    mp__lane_mark(engine, lane);
}

void mp__lane_give(struct mp__embedded *engine, struct mp__lane *lane,
                   struct mp_record *record)
{
    if (mp__claims_add(&engine->lanes.claims, MP__SEQ_NUMBER(record->seq)) != MP_OK) {
        mp__lane_leave(engine, lane, record);
        mp_record_free(record);
        return;
    }
    record->queue_lane = lane;
    lane->out++;
    lane->out_bytes += record->size_bytes;
    engine->lanes.out_bytes += record->size_bytes;
    mp_record_list_push(&engine->take, record);
}

void mp__lane_stored(struct mp__embedded *engine, struct mp_record *record)
{
    struct mp__lane *lane = record->queue_lane;
    bool fetching_fresh = lane->fetch && lane->fetch->from.fresh;
    if (!lane->behind && !fetching_fresh && mp__lane_room(engine, lane) > 0 &&
        !mp__lane_is_held(lane)) {
        mp__lane_give(engine, lane, record);
        return;
    }
    /* Results come in the order of the work: a fetch of fresh rows that is still under
     * way runs after this row was stored, and tells of it. */
    if (!fetching_fresh) {
        mp__lane_leave(engine, lane, record);
    }
    mp_record_free(record);
}

/* Rows of a fetch under way may still show it: its claim stays until they have come. */
static void unclaim(struct mp__embedded *engine, struct mp__lane *lane, uint64_t number)
{
    if (!lane->fetch) {
        mp__claims_remove(&engine->lanes.claims, number);
        return;
    }
    if (lane->lingering_count == lane->lingering_capacity) {
        size_t capacity = lane->lingering_capacity ? lane->lingering_capacity * 2 : 64;
        uint64_t *grown = realloc(lane->lingering, capacity * sizeof(uint64_t));
        if (!grown) {
            lane->fetch_void = true;
            mp__claims_remove(&engine->lanes.claims, number);
            return;
        }
        lane->lingering = grown;
        lane->lingering_capacity = capacity;
    }
    lane->lingering[lane->lingering_count++] = number;
}

void mp__lane_resolved(struct mp__embedded *engine, struct mp_record *record)
{
    struct mp__lane *lane = record->queue_lane;
    uint64_t number = MP__SEQ_NUMBER(record->seq);
    lane->out--;
    lane->out_bytes -= record->size_bytes;
    engine->lanes.out_bytes -= record->size_bytes;
    unclaim(engine, lane, number);
    if (lane->out == 0 || lane->behind || lane->next_due_ms != INT64_MAX) {
        mp__lane_mark(engine, lane);
    }
    switch (record->outcome.kind) {
    case MP_OUTCOME_SETTLE:
        mp__lane_count(engine, lane, -1);
        mp__work_settle(&engine->work, record);
        break;
    case MP_OUTCOME_BURY:
        mp__lane_count(engine, lane, -1);
        mp_record_list_push(&engine->work.changed, record);
        break;
    case MP_OUTCOME_RETRY:
        if (record->outcome.due_ms < 0) {
            record->outcome.due_ms = 0; /* a lane's cursor begins there */
        }
        mp__lane_note_retry(lane, record->outcome.due_ms, number);
        mp__lane_mark(engine, lane);
        mp_record_list_push(&engine->work.changed, record);
        break;
    case MP_OUTCOME_NONE:
    case MP_OUTCOME_PARK:
        mp__lane_leave(engine, lane, record);
        mp_record_free(record);
        break;
    }
}

/* A lane that is behind reads when half of the usual is gone, so that reads are large: a
 * deep one too, or a batch would wait for what lies on disk. */
static size_t enough_room(const struct mp__embedded *engine, const struct mp__lane *lane)
{
    size_t most = mp__lanes_are_full(&engine->lanes) ? MP__LANE_SURE : MP__LANE_RECORDS;
    return lane->behind ? most / 2 : 1;
}

static void review(struct mp__embedded *engine, struct mp__lane *lane, int64_t now_ms)
{
    mp__wakes_remove(&engine->lanes.wakes, lane);
    if (lane->fetch || engine->closing) {
        return;
    }
    int64_t need_ms = lane->behind ? 0 : lane->next_due_ms;
    int64_t held_ms = held_until(lane);
    if (need_ms == INT64_MAX && lane->out == 0 && lane->appending == 0 &&
        lane->hold_until_ms <= now_ms) {
        forget_lane(engine, lane, now_ms);
        return;
    }
    if (need_ms == INT64_MAX) {
        need_ms = lane->out == 0 && lane->appending == 0 ? 0 : INT64_MAX;
    }
    int64_t wake_ms = held_ms > need_ms ? held_ms : need_ms;
    if (wake_ms > now_ms) {
        if (wake_ms != INT64_MAX) {
            mp__wakes_put(&engine->lanes.wakes, lane, wake_ms);
        }
        return;
    }
    size_t room = mp__lane_room(engine, lane);
    if (room >= enough_room(engine, lane)) {
        mp__lane_fetch(engine, lane, room, now_ms);
    }
}

void mp__lanes_review(struct mp__embedded *engine)
{
    struct mp__lane *lane = engine->lanes.dirty;
    if (!lane) {
        return;
    }
    engine->lanes.dirty = NULL;
    int64_t now_ms = mp_clock_wall_ms();
    while (lane) {
        struct mp__lane *next = lane->next_dirty;
        lane->dirty = false;
        review(engine, lane, now_ms);
        lane = next;
    }
}

void mp__lanes_set_depth(struct mp__embedded *engine, struct mp_str name, size_t records)
{
    size_t depth = records > MP__LANE_RECORDS ? records : 0;
    struct mp__partner *partner =
        depth ? partner_of(engine, name) : mp__names_find(&engine->lanes.partners, name);
    if (!partner) {
        return; /* out of memory, or the usual depth already */
    }
    partner->depth = depth;
    for (struct mp__lane *lane = partner->lanes; lane; lane = lane->next_of_partner) {
        mp__lane_mark(engine, lane);
    }
    forget_partner(engine, partner, mp_clock_wall_ms());
}

void mp__lanes_hold(struct mp__embedded *engine, struct mp_str name, int64_t until_ms)
{
    /* A lane's name begins with its partner's, and has a space when it is not the same.
     */
    const char *space = name.length > 0 ? memchr(name.data, ' ', name.length) : NULL;
    if (space) {
        struct mp_str partner = {name.data, (size_t)(space - name.data)};
        struct mp__lane *lane = until_ms > 0 ? mp__lane_of(engine, name, partner)
                                             : mp__names_find(&engine->lanes.lanes, name);
        if (lane) {
            lane->hold_until_ms = until_ms;
            mp__lane_mark(engine, lane);
        }
        return;
    }
    struct mp__partner *partner = until_ms > 0
                                      ? partner_of(engine, name)
                                      : mp__names_find(&engine->lanes.partners, name);
    if (!partner) {
        return;
    }
    partner->hold_until_ms = until_ms;
    for (struct mp__lane *lane = partner->lanes; lane; lane = lane->next_of_partner) {
        mp__lane_mark(engine, lane);
    }
    forget_partner(engine, partner, mp_clock_wall_ms());
}
