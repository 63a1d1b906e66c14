/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "moonpost/log.h"
#include "room.h"

struct paused_name {
    struct mp__map_node node;
    char name[];
};

struct mp__partner_shared *mp__route_find(struct mp_deliver *deliver,
                                          struct mp_str partner)
{
    return (struct mp__partner_shared *)(void *)mp__map_find(&deliver->partners, partner,
                                                             mp__hash(partner));
}

static struct mp__worker *slow_worker(struct mp_deliver *deliver)
{
    return &deliver->workers[deliver->worker_count - 1];
}

struct mp__worker *mp__route_worker(struct mp_deliver *deliver,
                                    const struct mp__partner_shared *shared,
                                    struct mp_str lane)
{
    if (shared->is_slow) {
        return slow_worker(deliver);
    }
    uint64_t hash = shared->is_spread ? mp__hash(lane) : shared->node.hash;
    return &deliver->workers[hash % (deliver->worker_count - 1)];
}

static void order(struct mp__worker *worker, struct mp__partner_shared *shared,
                  enum mp__order_kind kind, struct mp_str name)
{
    struct mp__order *order = mp__order_new(kind, name);
    if (order) {
        order->shared = shared;
        if (kind == MP__ORDER_SCRIPT && shared->script) {
            order->script = mp_script_ref(shared->script);
        }
        mp__worker_order(worker, order);
    }
}

void mp__route_order(struct mp_deliver *deliver, struct mp__partner_shared *shared,
                     enum mp__order_kind kind, struct mp_str name)
{
    if (!shared->is_spread || shared->is_slow) {
        order(mp__route_worker(deliver, shared, name), shared, kind, name);
        return;
    }
    for (unsigned i = 0; i < deliver->worker_count - 1; i++) {
        order(&deliver->workers[i], shared, kind, name);
    }
}

static struct mp__partner_shared *find_or_add(struct mp_deliver *deliver,
                                              struct mp_str partner,
                                              const struct mp_script *script)
{
    struct mp__partner_shared *shared = mp__route_find(deliver, partner);
    if (shared || !script) {
        return shared;
    }
    shared = mp__partner_shared_new(partner, deliver->config.metrics);
    if (!shared || mp__map_add(&deliver->partners, &shared->node) != MP_OK) {
        mp__partner_shared_free(shared);
        mp_log_error("deliver", "could not take a script: out of memory");
        return NULL;
    }
    shared->is_spread = script->hosts_free;
    return shared;
}

void mp__route_set_script(struct mp_deliver *deliver, struct mp_str partner,
                          struct mp_script *script)
{
    struct mp__partner_shared *shared = find_or_add(deliver, partner, script);
    if (!shared) {
        return;
    }
    struct mp_script *before = shared->script;
    shared->script = script ? mp_script_ref(script) : NULL;
    if (shared->is_slow) { /* a new generation gets a new chance */
        mp__route_order(deliver, shared, MP__ORDER_LEAVE, partner);
        shared->is_slow = false;
    }
    mp__route_order(deliver, shared, MP__ORDER_SCRIPT, shared->node.key);
    if (before) {
        mp_script_unref(before);
    }
}

void mp__route_move(struct mp_deliver *deliver, const struct mp__news *news, bool to_slow)
{
    struct mp__partner_shared *shared = news->shared;
    if (shared->is_slow == to_slow || !shared->script) {
        return;
    }
    mp_log_info("deliver",
                to_slow ? "%s: its script is slow; moved to the slow worker"
                        : "%s: its script is quick again; moved back",
                shared->name);
    mp__route_order(deliver, shared, MP__ORDER_LEAVE, shared->node.key);
    shared->is_slow = to_slow;
    mp__route_order(deliver, shared, MP__ORDER_SCRIPT, shared->node.key);
    struct mp_str lane = mp_str_of(news->pause.name);
    struct mp__order *adopt = mp__order_new(MP__ORDER_ADOPT, lane);
    if (adopt) {
        adopt->shared = shared;
        adopt->health = news->health;
        mp__worker_order(mp__route_worker(deliver, shared, lane), adopt);
    }
}

void mp__route_overran(struct mp_deliver *deliver, const struct mp__news *news)
{
    struct mp__partner_shared *shared = news->shared;
    if (shared->script != news->script) {
        return; /* another generation is to be judged by itself */
    }
    struct mp_str lane = mp_str_of(news->pause.name);
    struct mp__order *order = mp__order_new(MP__ORDER_OVERRAN, lane);
    if (order) {
        order->shared = shared;
        memcpy(order->why, news->pause.reason, sizeof(order->why));
        mp__worker_order(mp__route_worker(deliver, shared, lane), order);
    }
}

static struct mp__map_node *find_pause(struct mp_deliver *deliver, struct mp_str name)
{
    return mp__map_find(&deliver->pauses, name, mp__hash(name));
}

bool mp__route_is_paused(struct mp_deliver *deliver, const struct mp_record *record)
{
    return deliver->pauses.count > 0 &&
           (find_pause(deliver, record->partner) || find_pause(deliver, record->lane));
}

void mp__route_set_paused(struct mp_deliver *deliver, struct mp_str name, bool is_paused)
{
    struct mp__map_node *node = find_pause(deliver, name);
    if (node && !is_paused) {
        mp__map_remove(&deliver->pauses, node);
        free(node);
    } else if (!node && is_paused) {
        struct paused_name *pause = calloc(1, sizeof(*pause) + name.length + 1);
        if (pause) {
            memcpy(pause->name, name.data, name.length);
            pause->node.key = (struct mp_str){pause->name, name.length};
        }
        if (!pause || mp__map_add(&deliver->pauses, &pause->node) != MP_OK) {
            free(pause);
            mp_log_error("deliver", "could not remember a pause: out of memory");
        }
    }
}

static void free_shared(void *arg, struct mp__map_node *node)
{
    (void)arg;
    struct mp__partner_shared *shared = (struct mp__partner_shared *)(void *)node;
    if (shared->script) {
        mp_script_unref(shared->script);
    }
    mp__partner_shared_free(shared);
}

static void free_pause(void *arg, struct mp__map_node *node)
{
    (void)arg;
    free(node);
}

void mp__route_fini(struct mp_deliver *deliver)
{
    mp__map_each(&deliver->partners, free_shared, NULL);
    mp__map_fini(&deliver->partners);
    mp__map_each(&deliver->pauses, free_pause, NULL);
    mp__map_fini(&deliver->pauses);
}
