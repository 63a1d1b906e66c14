/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "moonpost/log.h"
#include "worker.h"

struct mp__order *mp__order_new(enum mp__order_kind kind, struct mp_str name)
{
    struct mp__order *order = calloc(1, sizeof(*order));
    if (!order) {
        mp_log_error("deliver", "could not tell a worker: out of memory");
        return NULL;
    }
    order->kind = kind;
    size_t length = name.length < sizeof(order->name) ? name.length : 0;
    if (length > 0) {
        memcpy(order->name, name.data, length);
    }
    return order;
}

void mp__worker_order(struct mp__worker *worker, struct mp__order *order)
{
    pthread_mutex_lock(&worker->lock);
    if (worker->orders_tail) {
        worker->orders_tail->next = order;
    } else {
        worker->orders = order;
    }
    worker->orders_tail = order;
    pthread_mutex_unlock(&worker->lock);
    mp__wake_send(&worker->wake);
}

static struct mp__lane *lane_of(struct mp__worker *worker, const struct mp_record *record)
{
    struct mp__partner *partner = mp__partner_find(worker, record->partner);
    return partner ? mp__lane_find_or_add(worker, partner, record->lane) : NULL;
}

static void take(struct mp__worker *worker, struct mp_record_list *records)
{
    struct mp__lane *lane = NULL; /* records of one lane come together */
    struct mp_record *record;
    while ((record = mp_record_list_pop(records))) {
        if (!lane || !mp_str_equal(lane->node.key, record->lane)) {
            lane = lane_of(worker, record);
        }
        if (lane) {
            mp__lane_take(worker, lane, record);
        } else {
            mp__worker_park(worker, record);
        }
    }
}

static void set_script(struct mp__worker *worker, struct mp__order *order)
{
    struct mp__partner *partner = mp__partner_find_or_add(worker, order->shared);
    if (partner) {
        mp__partner_set_script(worker, partner, order->script);
    } else if (order->script) {
        mp_script_unref(order->script);
    }
}

static void adopt(struct mp__worker *worker, const struct mp__order *order)
{
    struct mp__partner *partner = mp__partner_find(worker, order->shared->node.key);
    struct mp__lane *lane =
        partner ? mp__lane_find_or_add(worker, partner, mp_str_of(order->name)) : NULL;
    if (lane) {
        mp__lane_set_health(lane, &order->health);
        mp__health_probe_void(&lane->health); /* its probe, if any, ends elsewhere */
    }
}

static void overran(struct mp__worker *worker, const struct mp__order *order)
{
    struct mp__partner *partner = mp__partner_find(worker, order->shared->node.key);
    struct mp__lane *lane =
        partner ? mp__lane_find_or_add(worker, partner, mp_str_of(order->name)) : NULL;
    if (lane) {
        mp__lane_overran(worker, lane, order->why);
    }
}

static void each_lane_of(struct mp__worker *worker, struct mp_str name,
                         void (*each)(struct mp__worker *worker, struct mp__lane *lane))
{
    struct mp__partner *partner = mp__partner_find(worker, name);
    struct mp__lane *lane = partner ? partner->lanes : mp__lane_find(worker, name);
    while (lane) {
        struct mp__lane *next = partner ? lane->next : NULL;
        each(worker, lane);
        lane = next;
    }
}

static void pause_lane(struct mp__worker *worker, struct mp__lane *lane)
{
    lane->is_paused = true;
    mp__lane_park_waiting(worker, lane);
}

static void park_lane(void *arg, struct mp__map_node *node)
{
    mp__lane_park_waiting(arg, (struct mp__lane *)(void *)node);
}

static void recall(struct mp__worker *worker)
{
    mp__map_each(&worker->lanes, park_lane, worker);
}

static void close_groups(void *arg, struct mp__map_node *node)
{
    struct mp__worker *worker = arg;
    struct mp__lane *lane = (struct mp__lane *)(void *)node;
    struct mp_record *record;
    while ((record = mp_record_list_pop(&lane->waiting))) {
        mp__worker_park(worker, record);
    }
    mp__groups_close(&lane->groups, INT64_MAX);
    mp__lane_touch(worker, lane);
}

/* What waits only to be more goes now. */
static void end_waits(struct mp__worker *worker)
{
    struct mp__lane *lane;
    mp__map_each(&worker->lanes, close_groups, worker);
    while (worker->in_flight < worker->room->tuning.in_flight_max &&
           ((lane = mp__lane_next_ready(worker)) ||
            (lane = mp__lane_next_unknown(worker)))) {
        bool has_begun = mp__lane_step(worker, lane);
        if (!has_begun) {
            return;
        }
        mp__lane_touch(worker, lane);
    }
}

static void drain(struct mp__worker *worker)
{
    if (!worker->is_draining) {
        end_waits(worker);
    }
    worker->is_draining = true;
    recall(worker);
    mp__auth_drain(worker);
}

static void abort_all(struct mp__worker *worker)
{
    worker->again = NULL;
    while (worker->attempts) {
        mp__attempt_abort(worker->attempts);
    }
    worker->again = NULL; /* those that were let go on have ended too */
    mp__auth_abort(worker);
}

static void stop(struct mp__worker *worker)
{
    drain(worker);
    abort_all(worker);
    mp__attempt_free_spares(worker, 0);
    mp__auth_close(worker);
    mp__curl_loop_close(&worker->curl);
    mp__wake_close(&worker->wake, NULL);
    uv_close((uv_handle_t *)&worker->prepare, NULL);
    uv_close((uv_handle_t *)&worker->more, NULL);
    uv_close((uv_handle_t *)&worker->sweep, NULL);
    uv_close((uv_handle_t *)&worker->hand_over, NULL);
    uv_close((uv_handle_t *)&worker->alarm, NULL);
}

void mp__worker_obey(struct mp__worker *worker, struct mp__order *order)
{
    struct mp__partner *partner =
        order->shared ? mp__partner_find(worker, order->shared->node.key) : NULL;
    switch (order->kind) {
    case MP__ORDER_TAKE:
        take(worker, &order->records);
        break;
    case MP__ORDER_SCRIPT:
        set_script(worker, order);
        break;
    case MP__ORDER_LEAVE:
        if (partner) {
            mp__partner_leave(worker, partner);
        }
        break;
    case MP__ORDER_ADOPT:
        adopt(worker, order);
        break;
    case MP__ORDER_OVERRAN:
        overran(worker, order);
        break;
    case MP__ORDER_KICK:
        each_lane_of(worker, order->shared->node.key, mp__lane_touch);
        break;
    case MP__ORDER_PAUSE:
        each_lane_of(worker, mp_str_of(order->name), pause_lane);
        break;
    case MP__ORDER_RESUME:
        each_lane_of(worker, mp_str_of(order->name), mp__lane_resume);
        break;
    case MP__ORDER_RECALL:
        recall(worker);
        break;
    case MP__ORDER_DRAIN:
        drain(worker);
        break;
    case MP__ORDER_ABORT:
        abort_all(worker);
        break;
    case MP__ORDER_STOP:
        stop(worker);
        break;
    }
}
