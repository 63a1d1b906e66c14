/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "embedded.h"
#include "moonpost/clock.h"

/* How a lane that has more on disk than in its owner's hands gets its next rows. */

#define READ_AGAIN_MS 1000

void mp__lane_fetch(struct mp__embedded *engine, struct mp__lane *lane, size_t want,
                    int64_t now_ms)
{
    struct mp__lanes *lanes = &engine->lanes;
    struct mp__fetch_op *op = calloc(1, sizeof(*op));
    if (!op) {
        lane->not_before_ms = now_ms + READ_AGAIN_MS;
        mp__wakes_put(&lanes->wakes, lane, lane->not_before_ms);
        return;
    }
    size_t left = mp__lanes_are_full(lanes)
                      ? 0
                      : MP__LANES_BYTES - lanes->out_bytes - lanes->reserved_bytes;
    op->op.kind = MP__OP_FETCH;
    op->lane = lane;
    memcpy(op->from.lane, lane->name.text.data, lane->name.text.length);
    op->from.now_ms = now_ms;
    op->from.want = want;
    op->from.budget_bytes = left < MP__FETCH_BYTES ? left : MP__FETCH_BYTES;
    op->from.sure = lane->out < MP__LANE_SURE ? MP__LANE_SURE - lane->out : 0;
    op->from.due_after_ms = lane->due_after_ms;
    op->from.retry_after = lane->retry_after;
    op->from.fresh_after = lane->fresh_after;
    op->from.fresh = lane->behind;
    op->fetch = op->from;
    lanes->reserved_bytes += op->from.budget_bytes;
    /* From here on the lane notes only what comes after; the answer is added to that. */
    lane->behind = false;
    lane->next_due_ms = lane->due_after_ms = INT64_MAX;
    lane->retry_after = UINT64_MAX;
    lane->fetch = op;
    mp__work_add(&engine->work, &op->op);
}

static void drop_lingering(struct mp__embedded *engine, struct mp__lane *lane)
{
    for (size_t i = 0; i < lane->lingering_count; i++) {
        mp__claims_remove(&engine->lanes.claims, lane->lingering[i]);
    }
    free(lane->lingering);
    lane->lingering = NULL;
    lane->lingering_count = lane->lingering_capacity = 0;
}

static void note_where(struct mp__lane *lane, const struct mp__fetch *at, bool fresh,
                       int64_t next_due_ms)
{
    if (fresh) {
        mp__lane_note_fresh(lane, at->fresh_after);
    }
    if (next_due_ms < lane->next_due_ms) {
        lane->next_due_ms = next_due_ms;
    }
    if (at->due_after_ms < lane->due_after_ms ||
        (at->due_after_ms == lane->due_after_ms && at->retry_after < lane->retry_after)) {
        lane->due_after_ms = at->due_after_ms;
        lane->retry_after = at->retry_after;
    }
}

void mp__lane_fetched(struct mp__embedded *engine, struct mp__fetch_op *op)
{
    struct mp__lane *lane = op->lane;
    struct mp__fetch *fetch = &op->fetch;
    bool held = mp__lane_is_held(lane);
    engine->lanes.reserved_bytes -= op->from.budget_bytes;
    lane->fetch = NULL;
    if (op->op.status != MP_OK || lane->fetch_void || engine->closing) {
        mp_record_list_free(&fetch->records);
        note_where(lane, &op->from, op->from.fresh, op->from.now_ms);
    } else {
        note_where(lane, fetch, fetch->more_fresh,
                   fetch->more_retries ? fetch->due_after_ms : fetch->next_due_ms);
    }
    if (op->op.status != MP_OK && !engine->closing) {
        mp_log_error("queue", "could not read the lane %s: %s", fetch->lane, op->op.why);
        lane->not_before_ms = mp_clock_wall_ms() + READ_AGAIN_MS;
    }
    struct mp_record *record;
    while ((record = mp_record_list_pop(&fetch->records))) {
        if (mp__claims_has(&engine->lanes.claims, MP__SEQ_NUMBER(record->seq))) {
            mp_record_free(record);
        } else if (held) {
            mp__lane_leave(engine, lane, record);
            mp_record_free(record);
        } else {
            mp__lane_give(engine, lane, record);
        }
    }
    lane->fetch_void = false;
    drop_lingering(engine, lane);
    mp__lane_mark(engine, lane);
}
