/* SPDX-License-Identifier: MIT */
#include "kafka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "moonpost/clock.h"
#include "moonpost/log.h"

#define TICK_MS    100
#define UNACKED_MS 500 /* a leader may have died: who leads now is asked for */
/* What one turn does of each before others have theirs. */
#define TURN_REPORTS 4096
#define TURN_RECORDS 1024
/* Sends under way that must not be lost; past it, reading waits for them. */
#define KEPT_MAX 20000

static struct mp__kafka *engine_of(struct mp_queue *queue)
{
    return (struct mp__kafka *)(void *)queue;
}

/* What heads a tier for hours does not count: it would keep all others from being read as
 * long. There is one for each partition. */
bool mp__kafka_may_read(const struct mp__kafka *engine)
{
    size_t bytes = engine->live_bytes - engine->group.head_bytes;
    return !engine->is_resting && !engine->is_closing && engine->kept < KEPT_MAX &&
           bytes < (size_t)engine->config.memory_bytes &&
           mp__kafka_lanes_want_more(&engine->lanes);
}

/* --- a turn */

static void tell_time(struct mp__kafka *engine)
{
    mp__kafka_lanes_at(&engine->lanes, mp_clock_mono_ms(), mp_clock_wall_ms());
}

static void on_due(uv_timer_t *timer);

static void set_due(struct mp__kafka *engine, int64_t at_ms)
{
    int64_t wait_ms = at_ms - mp_clock_wall_ms();
    if (at_ms == INT64_MAX || wait_ms > TICK_MS) {
        uv_timer_stop(&engine->due); /* the tick comes first, and the clock may be set */
        return;
    }
    uv_update_time(engine->loop);
    uv_timer_start(&engine->due, on_due, wait_ms > 0 ? (uint64_t)wait_ms : 0, 0);
}

static void hand_over(struct mp__kafka *engine)
{
    mp__kafka_lanes_flush(&engine->lanes);
    if (engine->give.count > 0) {
        struct mp_record_list records = engine->give;
        engine->give = (struct mp_record_list){0};
        engine->base.owner.on_take(engine->base.owner.arg, &records);
    }
}

static void on_more(uv_idle_t *idle);

void mp__kafka_stir(struct mp__kafka *engine)
{
    if (!engine->is_shut) {
        uv_idle_start(&engine->more, on_more);
    }
}

static void turn(struct mp__kafka *engine)
{
    uv_idle_stop(&engine->more);
    tell_time(engine);
    mp__kafka_append_end(engine);
    bool is_drained = mp__kafka_producer_poll(&engine->producer, TURN_REPORTS);
    if (engine->pauses.handle) {
        is_drained = mp__kafka_pauses_poll(engine) && is_drained;
        if (engine->pauses.is_loaded && !engine->has_pauses) {
            engine->has_pauses = true;
            mp__kafka_watch_hurry(engine);
        }
    }
    if (engine->config.delivers) {
        is_drained = mp__kafka_group_poll(engine) && is_drained;
        set_due(engine, mp__kafka_group_due(engine));
        is_drained = mp__kafka_group_read(engine, TURN_RECORDS) && is_drained;
        hand_over(engine);
    }
    if (!is_drained) {
        mp__kafka_stir(engine);
    }
}

static void on_more(uv_idle_t *idle)
{
    turn(idle->data);
}

static void on_due(uv_timer_t *timer)
{
    turn(timer->data);
}

static void on_wake(uv_poll_t *poll, int status, int events)
{
    struct mp__kafka *engine = poll->data;
    uint64_t count;
    (void)status;
    (void)events;
    /* Before the look: what comes later wakes again. */
    if (read(engine->wake_fd, &count, sizeof(count)) == (ssize_t)sizeof(count)) {
        turn(engine);
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct mp__kafka *engine = timer->data;
    turn(engine);
    if (engine->config.delivers) {
        mp__kafka_lanes_tick(&engine->lanes);
        mp__kafka_group_tick(engine);
        hand_over(engine);
    }
    const struct mp__kafka_producer *producer = &engine->producer;
    bool is_slow = producer->waiting_ms > 0 &&
                   mp_clock_mono_ms() - producer->waiting_ms > UNACKED_MS;
    if (is_slow || (producer->all_down && engine->is_reachable)) {
        mp__kafka_watch_hurry(engine);
    }
    mp__kafka_measure(engine);
    mp__kafka_close_on(engine);
}

/* --- records between lanes, owner and topics */

static void on_give(void *arg, struct mp__kafka_item *item)
{
    struct mp__kafka *engine = arg;
    struct mp_record *record = item->record;
    item->record = NULL;
    record->queue_lane = item;
    mp_record_list_push(&engine->give, record);
}

static bool is_known(const struct mp__kafka *engine, const struct mp__kafka_item *item)
{
    const struct mp_queue_owner *owner = &engine->base.owner;
    return !owner->knows || owner->knows(owner->arg, item->record->partner);
}

/* A partner that nobody here has a script for may be one whose script comes yet; after a
 * day it is a name that was never right. */
static bool is_given_up(struct mp__kafka *engine, struct mp__kafka_item *item)
{
    int64_t now_ms = mp_clock_wall_ms();
    if (is_known(engine, item)) {
        item->unknown_ms = 0;
        return false;
    }
    item->unknown_ms = item->unknown_ms ? item->unknown_ms : now_ms;
    return now_ms - item->unknown_ms >= engine->config.unknown_ms;
}

static void on_spill(void *arg, struct mp__kafka_item *item, enum mp__kafka_spill why,
                     int64_t due_ms)
{
    struct mp__kafka *engine = arg;
    struct mp_record *record = item->record;
    if (why == MP__KAFKA_PAUSED && is_given_up(engine, item)) {
        char reason[MP_PARTNER_BYTES + 64];
        snprintf(reason, sizeof(reason), "there is no script for the partner %.*s",
                 (int)record->partner.length, record->partner.data);
        record->outcome.reason = strdup(reason);
        record->last_ms = mp_clock_wall_ms();
        mp__kafka_store_dead(engine, item);
        return;
    }
    mp_series_add(engine->spilled[why], 1);
    mp__kafka_store_retry(engine, item, due_ms);
}

void mp__kafka_ready(struct mp__kafka *engine, struct mp__kafka_item *item,
                     int64_t now_ms)
{
    int64_t due_ms = item->record->due_ms;
    if (due_ms > now_ms) {
        mp__kafka_store_retry(engine, item, due_ms);
    } else if (!is_known(engine, item)) {
        on_spill(engine, item, MP__KAFKA_PAUSED, now_ms + MP__KAFKA_SPILL_MAX_MS);
    } else {
        mp__kafka_lanes_put(&engine->lanes, item);
    }
}

/* Untried. One whose script went meanwhile would only come back again and again. */
static void take_back(struct mp__kafka *engine, struct mp__kafka_item *item)
{
    if (!mp__kafka_item_may_wait(engine, item)) {
        mp__kafka_lanes_forget(&engine->lanes, item);
        mp__kafka_item_drop(engine, item);
    } else if (is_known(engine, item)) {
        mp__kafka_lanes_parked(&engine->lanes, item);
    } else {
        mp__kafka_lanes_forget(&engine->lanes, item);
        mp__kafka_ready(engine, item, mp_clock_wall_ms());
    }
}

static void resolve_one(struct mp__kafka *engine, struct mp_record *record)
{
    struct mp__kafka_item *item = record->queue_lane;
    bool is_parked = record->outcome.kind == MP_OUTCOME_PARK ||
                     record->outcome.kind == MP_OUTCOME_NONE;
    bool is_ours = mp__kafka_item_is_ours(item);
    item->record = record;
    if (is_parked) {
        take_back(engine, item);
        return;
    }
    mp__kafka_lanes_finished(&engine->lanes, item);
    if (record->outcome.kind == MP_OUTCOME_SETTLE) {
        mp__kafka_item_done(engine, item);
    } else if (!is_ours) { /* whose it is now tries it by himself */
        mp__kafka_item_drop(engine, item);
    } else if (record->outcome.kind == MP_OUTCOME_RETRY) {
        mp__kafka_store_retry(engine, item, record->outcome.due_ms);
    } else {
        mp__kafka_store_dead(engine, item);
    }
}

static void resolve(struct mp_queue *queue, struct mp_record_list *records)
{
    struct mp__kafka *engine = engine_of(queue);
    tell_time(engine);
    for (struct mp_record *record; (record = mp_record_list_pop(records)) != NULL;) {
        if (engine->is_shut) {
            mp_record_free(record);
        } else {
            resolve_one(engine, record);
        }
    }
    mp__kafka_stir(engine);
}

/* --- the interface */

static void hold(struct mp_queue *queue, struct mp_str name, int64_t until_ms)
{
    tell_time(engine_of(queue));
    mp__kafka_lanes_hold(&engine_of(queue)->lanes, name, until_ms);
    mp__kafka_stir(engine_of(queue));
}

static void release(struct mp_queue *queue, struct mp_str name)
{
    tell_time(engine_of(queue));
    mp__kafka_lanes_release(&engine_of(queue)->lanes, name);
    mp__kafka_stir(engine_of(queue));
}

static int set_pause(struct mp_queue *queue, const struct mp_pause *pause)
{
    return engine_of(queue)->is_closing ? MP_ECLOSED
                                        : mp__kafka_pauses_set(engine_of(queue), pause);
}

static int clear_pause(struct mp_queue *queue, struct mp_str name)
{
    return engine_of(queue)->is_closing ? MP_ECLOSED
                                        : mp__kafka_pauses_clear(engine_of(queue), name);
}

static uint64_t waiting(struct mp_queue *queue, struct mp_str partner)
{
    const struct mp__kafka *engine = engine_of(queue);
    if (partner.length == 0) {
        return engine->live;
    }
    const struct mp__kafka_tally *tally = mp__names_find(&engine->tallies, partner);
    return tally ? tally->count : 0;
}

static int dead_list(struct mp_queue *queue, struct mp_str partner, size_t limit,
                     struct mp_str cursor, mp_dead_page_cb done, void *arg)
{
    return mp__kafka_dead_list(engine_of(queue)->dead, partner, limit, cursor, done, arg);
}

static int dead_show(struct mp_queue *queue, struct mp_str id, mp_dead_page_cb done,
                     void *arg)
{
    return mp__kafka_dead_show(engine_of(queue)->dead, id, done, arg);
}

static int dead_replay(struct mp_queue *queue, const struct mp_dead_filter *filter,
                       bool dry_run, mp_dead_count_cb done, void *arg)
{
    return mp__kafka_dead_change(engine_of(queue)->dead, false, filter, dry_run, done,
                                 arg);
}

static int dead_purge(struct mp_queue *queue, const struct mp_dead_filter *filter,
                      bool dry_run, mp_dead_count_cb done, void *arg)
{
    return mp__kafka_dead_change(engine_of(queue)->dead, true, filter, dry_run, done,
                                 arg);
}

static void set_depth(struct mp_queue *queue, struct mp_str partner, size_t records)
{
    mp__kafka_lanes_set_depth(&engine_of(queue)->lanes, partner, records);
}

static const struct mp_queue_ops ops = {
    .append = mp__kafka_append,
    .resolve = resolve,
    .hold = hold,
    .release = release,
    .set_pause = set_pause,
    .clear_pause = clear_pause,
    .set_depth = set_depth,
    .waiting = waiting,
    .dead_list = dead_list,
    .dead_show = dead_show,
    .dead_replay = dead_replay,
    .dead_purge = dead_purge,
    .rest = mp__kafka_rest,
    .close = mp__kafka_close,
};

/* --- opening */

static void open_handles(struct mp__kafka *engine)
{
    uv_poll_init(engine->loop, &engine->wake, engine->wake_fd);
    uv_timer_init(engine->loop, &engine->tick);
    uv_timer_init(engine->loop, &engine->due);
    uv_idle_init(engine->loop, &engine->more);
    engine->wake.data = engine->tick.data = engine->due.data = engine->more.data = engine;
    uv_poll_start(&engine->wake, UV_READABLE, on_wake);
    uv_timer_start(&engine->tick, on_tick, TICK_MS, TICK_MS);
}

static int open_parts(struct mp__kafka *engine, struct mp_error *err)
{
    const struct mp_queue_kafka_config *config = &engine->config;
    int status =
        mp__kafka_topics_init(&engine->topics, config->cluster.topic_prefix, err);
    engine->wake_fd = status == MP_OK ? eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) : -1;
    if (status == MP_OK && engine->wake_fd < 0) {
        status = mp_error_set(err, MP_EIO, "could not make an event descriptor");
    }
    if (status == MP_OK) {
        status =
            mp__kafka_producer_open(&engine->producer, &config->cluster, &engine->topics,
                                    config->append_ms, engine->wake_fd, err);
    }
    if (status == MP_OK) {
        status = mp__kafka_dead_new(engine, &engine->dead, err);
    }
    if (status == MP_OK && config->delivers) {
        status = mp__kafka_group_open(engine, err);
    }
    return status == MP_OK ? mp__kafka_watch_start(engine) : status;
}

int mp_queue_open_kafka(uv_loop_t *loop, const struct mp_queue_kafka_config *config,
                        struct mp_queue **out, struct mp_error *err)
{
    struct mp__kafka *engine = calloc(1, sizeof(*engine));
    if (!engine) {
        return mp_error_set(err, MP_ENOMEM, "could not open the queue: out of memory");
    }
    engine->base.ops = &ops;
    engine->base.owner = config->owner;
    engine->config = *config;
    engine->loop = loop;
    struct mp__kafka_lanes_owner lanes_owner = {engine, on_give, on_spill};
    mp__kafka_lanes_init(&engine->lanes, &lanes_owner);
    mp__kafka_metrics_open(engine);
    int status = open_parts(engine, err);
    if (status != MP_OK) {
        mp__kafka_discard(engine);
        return status;
    }
    open_handles(engine);
    *out = &engine->base;
    return MP_OK;
}
