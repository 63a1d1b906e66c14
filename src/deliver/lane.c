/* SPDX-License-Identifier: MIT */
#include "lane.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moonpost/log.h"
#include "worker.h"

/* What is in flight is judged here, however slowly: a verdict hook that nobody knows yet
 * gets few at first, and one more for each it has judged. */
#define UNJUDGED_MAX 4

/* Sent ahead by lanes that made no connection for a while. Many more than there are
 * places for lookups: who needs none is told from who does only when it is under way. */
#define SCOUTS_MAX 256

/* Rings. */

static void ring_push(struct mp__ring *ring, struct mp__lane *lane)
{
    lane->ring = ring;
    lane->ring_next = NULL;
    lane->ring_prev = ring->tail;
    if (ring->tail) {
        ring->tail->ring_next = lane;
    } else {
        ring->head = lane;
    }
    ring->tail = lane;
}

static void ring_remove(struct mp__lane *lane)
{
    struct mp__ring *ring = lane->ring;
    if (!ring) {
        return;
    }
    *(lane->ring_prev ? &lane->ring_prev->ring_next : &ring->head) = lane->ring_next;
    *(lane->ring_next ? &lane->ring_next->ring_prev : &ring->tail) = lane->ring_prev;
    lane->ring = NULL;
}

/* Lanes. */

static void open_or_closed(struct mp__lane *lane, enum mp__breaker before)
{
    bool was_open = before != MP__BREAKER_CLOSED;
    bool is_open = lane->health.breaker != MP__BREAKER_CLOSED;
    if (was_open != is_open) {
        mp_series_add(lane->partner->shared->breaker_open, is_open ? 1 : (uint64_t)-1);
    }
}

void mp__lane_set_health(struct mp__lane *lane, const struct mp__health *health)
{
    enum mp__breaker before = lane->health.breaker;
    lane->health = *health;
    open_or_closed(lane, before);
}

struct mp__lane *mp__lane_find(struct mp__worker *worker, struct mp_str name)
{
    struct mp__map_node *node = mp__map_find(&worker->lanes, name, mp__hash(name));
    return (struct mp__lane *)(void *)node;
}

static unsigned share_of(const struct mp__partner *partner)
{
    if (partner->shared->is_spread) {
        return 8; /* many authorities, few of them busy */
    }
    int64_t most = partner->current ? partner->current->script->concurrency : 1;
    return most < MP__MULTI_SHARE ? (unsigned)most : MP__MULTI_SHARE;
}

struct mp__lane *mp__lane_find_or_add(struct mp__worker *worker,
                                      struct mp__partner *partner, struct mp_str name)
{
    struct mp__lane *lane = mp__lane_find(worker, name);
    if (lane) {
        return lane;
    }
    lane = calloc(1, sizeof(*lane) + name.length + 1);
    if (!lane) {
        return NULL;
    }
    memcpy(lane->name, name.data, name.length);
    lane->node.key = (struct mp_str){lane->name, name.length};
    if (mp__alarms_reserve(&worker->alarms, worker->lanes.count + 1) != MP_OK ||
        mp__map_add(&worker->lanes, &lane->node) != MP_OK) {
        free(lane);
        return NULL;
    }
    lane->partner = partner;
    lane->weight = share_of(partner);
    lane->multi = mp__curl_loop_reserve(&worker->curl, lane->weight);
    lane->used_ms = worker->mono_ms;
    lane->next = partner->lanes;
    if (lane->next) {
        lane->next->prev = lane;
    }
    partner->lanes = lane;
    return lane;
}

void mp__lane_free(struct mp__worker *worker, struct mp__lane *lane)
{
    mp__lane_set_health(lane, &(struct mp__health){0});
    ring_remove(lane);
    mp__alarm_set(&worker->alarms, lane, INT64_MAX);
    mp__lane_rate_close(worker, lane);
    mp__gather_undo(lane);
    mp__groups_fini(&lane->groups);
    mp__map_remove(&worker->lanes, &lane->node);
    mp__curl_loop_release(&worker->curl, lane->multi, lane->weight);
    *(lane->prev ? &lane->prev->next : &lane->partner->lanes) = lane->next;
    if (lane->next) {
        lane->next->prev = lane->prev;
    }
    mp_record_list_free(&lane->waiting);
    free(lane);
}

void mp__lane_sweep(struct mp__worker *worker, struct mp__lane *lane)
{
    int64_t idle_ms = worker->room->tuning.lane_idle_ms;
    bool is_idle = lane->in_flight == 0 && lane->waiting.count == 0 &&
                   mp__groups_are_empty(&lane->groups) &&
                   worker->mono_ms - lane->used_ms >= idle_ms;
    bool remembers = lane->health.breaker != MP__BREAKER_CLOSED &&
                     worker->wall_ms < lane->health.until_ms + idle_ms;
    if (is_idle && !remembers && mp__lane_rate_is_full(worker, lane)) {
        mp__lane_free(worker, lane);
    }
}

/* Waiting records. */

/* Once for a run of records. */
static void tell_hold(struct mp__worker *worker, const struct mp__lane *lane)
{
    struct mp__news *news = worker->news_tail;
    if (!news || news->kind != MP__NEWS_HOLD ||
        !mp_str_is(lane->node.key, news->pause.name)) {
        news = mp__worker_news(worker, MP__NEWS_HOLD);
    }
    if (news) {
        memcpy(news->pause.name, lane->name, lane->node.key.length + 1);
        news->until_ms = lane->health.until_ms;
    }
}

void mp__lane_take(struct mp__worker *worker, struct mp__lane *lane,
                   struct mp_record *record)
{
    const struct mp__health *health = &lane->health;
    lane->used_ms = worker->mono_ms;
    if (!lane->partner->current || lane->is_paused || worker->is_draining) {
        mp__worker_park(worker, record);
        return;
    }
    if (health->breaker == MP__BREAKER_OPEN && worker->wall_ms < health->until_ms) {
        tell_hold(worker, lane); /* a resume or a reload has ended the one told before */
        mp__worker_park(worker, record);
        return;
    }
    mp_record_list_push(&lane->waiting, record);
    mp__lane_touch(worker, lane);
}

void mp__lane_park_waiting(struct mp__worker *worker, struct mp__lane *lane)
{
    struct mp_record *record;
    mp__gather_undo(lane);
    while ((record = mp_record_list_pop(&lane->waiting))) {
        mp__worker_park(worker, record);
    }
    ring_remove(lane);
    mp__alarm_set(&worker->alarms, lane, INT64_MAX);
}

/* A partner that came from another worker may still have attempts in flight there: they
 * count. */
static bool has_place(const struct mp__worker *worker, const struct mp__lane *lane)
{
    const struct mp__partner *partner = lane->partner;
    const struct mp_script *script = partner->current->script;
    int64_t most = script->concurrency;
    bool is_judged = !worker->is_slow && (script->hooks & MP_HOOK_VERDICT);
    if (lane->in_flight > 0 &&
        lane->bodies_bytes >= worker->room->tuning.lane_bodies_bytes) {
        return false;
    }
    if (lane->in_flight >= most ||
        (is_judged && lane->in_flight >= partner->judged + UNJUDGED_MAX)) {
        return false;
    }
    return partner->shared->is_spread ||
           atomic_load_explicit(&partner->shared->in_flight, memory_order_relaxed) < most;
}

bool mp__lane_admits(struct mp__worker *worker, struct mp__lane *lane, bool *is_probe)
{
    bool has_work =
        mp__lane_batches(lane) ? lane->groups.ready_count > 0 : lane->waiting.count > 0;
    *is_probe = false;
    return has_work && lane->partner->current && !lane->partner->told_move &&
           !lane->is_paused && !worker->is_draining && has_place(worker, lane) &&
           mp__health_admits(&lane->health, worker->wall_ms, is_probe) &&
           (lane->warm_until_ms > worker->mono_ms || !lane->has_scout) &&
           mp__auth_admits(worker, lane);
}

static struct mp__ring *ring_of(struct mp__worker *worker, const struct mp__lane *lane)
{
    if (!lane->partner->is_known && !worker->is_slow) {
        return &worker->unknown;
    }
    return lane->warm_until_ms > worker->mono_ms ? &worker->ready : &worker->cold;
}

void mp__lane_touch(struct mp__worker *worker, struct mp__lane *lane)
{
    bool is_probe;
    if (lane->ring) {
        return;
    }
    mp__gather_relieve(lane);
    int64_t alarm_us = mp__gather_due_us(worker, lane);
    if (mp__lane_admits(worker, lane, &is_probe)) {
        int64_t rate_us = mp__lane_rate_due_us(worker, lane);
        if (rate_us <= worker->mono_us) {
            ring_push(ring_of(worker, lane), lane);
        } else if (rate_us < alarm_us) {
            alarm_us = rate_us;
        }
    }
    if (!lane->ring && mp__gather_admits(worker, lane)) {
        bool is_known = lane->partner->is_known || worker->is_slow;
        ring_push(is_known ? &worker->ready : &worker->unknown, lane);
    }
    mp__alarm_set(&worker->alarms, lane, alarm_us);
}

bool mp__lane_step(struct mp__worker *worker, struct mp__lane *lane)
{
    bool is_probe;
    bool may_begin = mp__lane_admits(worker, lane, &is_probe);
    if (may_begin && mp__lane_batches(lane)) {
        mp__gather_expire(worker, lane);
        may_begin = lane->groups.ready_count > 0;
    }
    if (may_begin && mp__lane_rate_take(lane)) {
        bool has_begun = mp__attempt_begin(worker, lane, is_probe);
        if (!has_begun) {
            mp__lane_rate_give_back(lane);
        }
        return has_begun;
    }
    if (mp__gather_admits(worker, lane)) {
        mp__gather(worker, lane);
    }
    return true;
}

void mp__lane_renew(struct mp__worker *worker, struct mp__lane *lane)
{
    mp__health_forgive(&lane->health);
    mp__lane_rate_renew(worker, lane);
    if (lane->partner->current) {
        mp__gather_undo(lane);
        mp__lane_touch(worker, lane);
    } else {
        mp__lane_park_waiting(worker, lane);
    }
}

struct mp__lane *mp__lane_next_ready(struct mp__worker *worker)
{
    struct mp__lane *lane = NULL;
    if (worker->scouts < SCOUTS_MAX) {
        lane = worker->cold.head;
    }
    lane = lane ? lane : worker->ready.head;
    if (lane) {
        ring_remove(lane);
    }
    return lane;
}

struct mp__lane *mp__lane_next_unknown(struct mp__worker *worker)
{
    struct mp__lane *lane = worker->scouts < SCOUTS_MAX ? worker->unknown.head : NULL;
    if (lane) {
        ring_remove(lane);
    }
    return lane;
}

/* How it goes. */

void mp__lane_exchanged(struct mp__worker *worker, struct mp__lane *lane,
                        const struct mp_verdict *verdict, int status, bool is_default,
                        bool was_probe)
{
    enum mp__breaker before = lane->health.breaker;
    enum mp__health_change change =
        mp__health_exchange(&lane->health, &worker->room->tuning, verdict->kind, status,
                            is_default, was_probe, worker->wall_ms);
    open_or_closed(lane, before);
    if (before != MP__BREAKER_CLOSED && lane->health.breaker == MP__BREAKER_CLOSED) {
        mp_log_info("deliver", "%s: the breaker is closed", lane->name);
    }
    if (change == MP__HEALTH_OPENED) {
        mp_log_warn("deliver", "%s: the breaker is open for %lld s: %s", lane->name,
                    (long long)((lane->health.until_ms - worker->wall_ms) / 1000),
                    verdict->why);
        mp__lane_park_waiting(worker, lane);
        tell_hold(worker, lane);
    } else if (change == MP__HEALTH_AUTH_PAUSE) {
        char reason[64];
        snprintf(reason, sizeof(reason), "auth: %u answers of 401 or 403 in a row",
                 worker->room->tuning.auth_streak);
        mp__lane_pause(worker, lane, MP_PAUSE_AUTH, reason);
    }
}

void mp__lane_overran(struct mp__worker *worker, struct mp__lane *lane, const char *why)
{
    const struct mp__deliver_tuning *tuning = &worker->room->tuning;
    char reason[256];
    if (mp__health_overran(&lane->health, tuning, worker->mono_ms)) {
        snprintf(reason, sizeof(reason), "overran its budget %u times: %s",
                 tuning->overruns, why);
        mp__lane_pause(worker, lane, MP_PAUSE_SCRIPT, reason);
        lane->has_overrun = true;
    }
}

void mp__lane_threw(struct mp__worker *worker, struct mp__lane *lane, struct mp_str id,
                    const char *why)
{
    const struct mp__deliver_tuning *tuning = &worker->room->tuning;
    char reason[256];
    if (mp__health_threw(&lane->health, tuning, mp__hash(id))) {
        snprintf(reason, sizeof(reason), "%u deliveries in a row threw: %s",
                 tuning->thrown_streak, why);
        mp__lane_pause(worker, lane, MP_PAUSE_SCRIPT, reason);
    }
}

void mp__lane_pause(struct mp__worker *worker, struct mp__lane *lane,
                    enum mp_pause_kind kind, const char *reason)
{
    struct mp__news *news;
    if (lane->is_paused || !(news = mp__worker_news(worker, MP__NEWS_PAUSE))) {
        return;
    }
    lane->is_paused = true;
    mp__lane_park_waiting(worker, lane);
    memcpy(news->pause.name, lane->name, lane->node.key.length + 1);
    news->pause.kind = kind;
    news->pause.since_ms = worker->wall_ms;
    snprintf(news->pause.reason, sizeof(news->pause.reason), "%s", reason);
}

void mp__lane_resume(struct mp__worker *worker, struct mp__lane *lane)
{
    lane->is_paused = lane->has_overrun = false;
    mp__health_forgive(&lane->health);
    mp__auth_resumed(worker, lane);
    mp__lane_touch(worker, lane);
}
