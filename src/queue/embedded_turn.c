/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "embedded.h"
#include "moonpost/clock.h"

/* The wall clock may be set while a timer waits: looked at again that often. */
#define CLOCK_CHECK_MS 1000

static void begin(struct mp__embedded *engine)
{
    const struct mp_queue_owner *owner = &engine->queue.owner;
    engine->begun = true;
    if (owner->on_ready) {
        owner->on_ready(owner->arg, NULL);
    }
    for (size_t i = 0; i < engine->pause_count && owner->on_pause; i++) {
        owner->on_pause(owner->arg, &engine->pauses[i]);
    }
    free(engine->pauses);
    engine->pauses = NULL;
    engine->pause_count = 0;
}

static void set_timer(struct mp__embedded *engine)
{
    const struct mp__wakes *wakes = &engine->lanes.wakes;
    int64_t wake_ms = wakes->count > 0 ? wakes->heap[0]->wake_ms : INT64_MAX;
    if (wake_ms == engine->timer_ms) {
        return;
    }
    engine->timer_ms = wake_ms;
    if (wake_ms == INT64_MAX) {
        uv_timer_stop(&engine->timer);
        return;
    }
    int64_t wait_ms = wake_ms - mp_clock_wall_ms();
    wait_ms = wait_ms < CLOCK_CHECK_MS ? wait_ms : CLOCK_CHECK_MS;
    uv_update_time(engine->loop);
    uv_timer_start(&engine->timer, mp__turn_on_timer, wait_ms > 0 ? (uint64_t)wait_ms : 0,
                   0);
}

void mp__turn_on_timer(uv_timer_t *timer)
{
    struct mp__embedded *engine = timer->data;
    struct mp__wakes *wakes = &engine->lanes.wakes;
    int64_t now_ms = mp_clock_wall_ms();
    engine->timer_ms = INT64_MAX;
    while (wakes->count > 0 && wakes->heap[0]->wake_ms <= now_ms) {
        struct mp__lane *lane = wakes->heap[0];
        mp__wakes_remove(wakes, lane);
        mp__lane_mark(engine, lane);
    }
}

static void give_out(struct mp__embedded *engine)
{
    struct mp_record_list records = engine->take;
    engine->take = (struct mp_record_list){0};
    engine->queue.owner.on_take(engine->queue.owner.arg, &records);
}

void mp__turn(struct mp__embedded *engine)
{
    if (!engine->begun && !engine->closing) {
        begin(engine);
    }
    /* What the owner does with what it is given belongs to this turn as well. */
    while (!engine->closing) {
        mp__lanes_review(engine);
        struct mp__work *work = &engine->work;
        if (work->head || work->settled_count > 0 || work->changed.count > 0) {
            mp__storage_push(&engine->storage, work, false);
        }
        if (engine->take.count == 0) {
            break;
        }
        give_out(engine);
    }
    if (!engine->closing) {
        set_timer(engine);
    }
}

void mp__turn_on_prepare(uv_prepare_t *prepare)
{
    mp__turn(prepare->data);
}

void mp__turn_on_check(uv_check_t *check)
{
    mp__turn(check->data);
}

static void appended(struct mp__embedded *engine, struct mp__append_op *op)
{
    struct mp_append *append = op->append;
    engine->appending_count -= op->records.count;
    engine->appending_bytes -= op->records.bytes;
    struct mp_record *record;
    while ((record = mp_record_list_pop(&op->records))) {
        struct mp__lane *lane = record->queue_lane;
        lane->appending--;
        if (op->op.status == MP_OK && !engine->closing) {
            mp__lane_count(engine, lane, 1);
            mp__lane_stored(engine, record);
        } else {
            mp_record_free(record);
            mp__lane_mark(engine, lane);
        }
    }
    append->done(append, op->op.status, op->op.why);
}

static void finish(struct mp__embedded *engine, struct mp__op *op)
{
    switch (op->kind) {
    case MP__OP_APPEND:
        appended(engine, (struct mp__append_op *)(void *)op);
        break;
    case MP__OP_FETCH:
        mp__lane_fetched(engine, (struct mp__fetch_op *)(void *)op);
        break;
    case MP__OP_PAUSE:
        break;
    case MP__OP_DEAD:
        mp__dead_done(engine, (struct mp__dead_op *)(void *)op);
        break;
    }
    free(op);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct mp__embedded *engine = handle->data;
    if (--engine->handles_open > 0) {
        return;
    }
    void (*on_closed)(void *) = engine->on_closed;
    void *arg = engine->closed_arg;
    mp__lanes_fini(engine);
    mp_record_list_free(&engine->take);
    free(engine->work.settled);
    free(engine->pauses);
    free(engine->path);
    mp__folder_unlock(engine->lock);
    free(engine);
    if (on_closed) {
        on_closed(arg);
    }
}

void mp__turn_close_when_idle(struct mp__embedded *engine)
{
    if (!engine->ended || engine->reads > 0 ||
        uv_is_closing((uv_handle_t *)&engine->wake)) {
        return;
    }
    mp__storage_join(&engine->storage);
    uv_close((uv_handle_t *)&engine->wake, on_handle_closed);
    uv_close((uv_handle_t *)&engine->prepare, on_handle_closed);
    uv_close((uv_handle_t *)&engine->check, on_handle_closed);
    uv_close((uv_handle_t *)&engine->timer, on_handle_closed);
}

void mp__turn_on_wake(uv_async_t *async)
{
    struct mp__embedded *engine = async->data;
    bool ready_changed;
    const char *why;
    struct mp__op *op =
        mp__storage_results(&engine->storage, &engine->ended, &ready_changed, &why);
    while (op) {
        struct mp__op *next = op->next;
        finish(engine, op);
        op = next;
    }
    const struct mp_queue_owner *owner = &engine->queue.owner;
    if (ready_changed && owner->on_ready && !engine->closing) {
        owner->on_ready(owner->arg, why);
    }
    mp__turn_close_when_idle(engine);
}
