/* SPDX-License-Identifier: MIT */
#include "partner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moonpost/log.h"
#include "worker.h"

static void count_verdicts(struct mp__partner_shared *shared, struct mp_metrics *metrics)
{
    for (int kind = MP_VERDICT_DELIVERED; kind <= MP_VERDICT_SPLIT; kind++) {
        struct mp_label labels[] = {
            {"partner", mp_str_of(shared->name)},
            {"verdict", mp_str_of(mp_verdict_name((enum mp_verdict_kind)kind))},
        };
        shared->attempts[kind] = mp_metrics_counter(
            metrics, "moonpost_attempts_total",
            "Attempts by what they meant for their delivery.", labels, 2);
    }
}

static struct mp_series *count_outcome(struct mp__partner_shared *shared,
                                       struct mp_metrics *metrics, const char *outcome)
{
    struct mp_label labels[] = {
        {"partner", mp_str_of(shared->name)},
        {"outcome", mp_str_of(outcome)},
    };
    return mp_metrics_counter(metrics, "moonpost_deliveries_total",
                              "Deliveries that ended, by how.", labels, 2);
}

static void make_series(struct mp__partner_shared *shared, struct mp_metrics *metrics)
{
    struct mp_label label = {"partner", mp_str_of(shared->name)};
    count_verdicts(shared, metrics);
    shared->delivered = count_outcome(shared, metrics, "delivered");
    shared->skipped = count_outcome(shared, metrics, "skipped");
    shared->dead = count_outcome(shared, metrics, "dead");
    shared->in_flight_gauge =
        mp_metrics_gauge(metrics, "moonpost_in_flight", "Attempts under way.", &label, 1);
    shared->breaker_open = mp_metrics_gauge(metrics, "moonpost_breaker_open",
                                            "Lanes whose breaker is open.", &label, 1);
    shared->script_errors =
        mp_metrics_counter(metrics, "moonpost_script_errors_total",
                           "Calls into the script that threw or overran.", &label, 1);
    shared->duration = mp_metrics_histogram(metrics, "moonpost_attempt_duration_seconds",
                                            "How long HTTP exchanges took.", &label, 1);
    shared->end_to_end =
        mp_metrics_histogram(metrics, "moonpost_delivery_end_to_end_seconds",
                             "From an event's acceptance to its delivery.", &label, 1);
}

struct mp__partner_shared *mp__partner_shared_new(struct mp_str name,
                                                  struct mp_metrics *metrics)
{
    struct mp__partner_shared *shared = calloc(1, sizeof(*shared));
    if (!shared || name.length >= sizeof(shared->name)) {
        free(shared);
        return NULL;
    }
    memcpy(shared->name, name.data, name.length);
    shared->node.key = (struct mp_str){shared->name, name.length};
    mp__buckets_init(&shared->buckets);
    if (metrics) {
        make_series(shared, metrics);
    }
    return shared;
}

void mp__partner_shared_free(struct mp__partner_shared *shared)
{
    if (shared) {
        mp__buckets_fini(&shared->buckets);
        free(shared);
    }
}

static struct mp__generation *generation_new(struct mp__worker *worker,
                                             struct mp_script *script)
{
    struct mp__generation *generation = calloc(1, sizeof(*generation));
    if (!generation) {
        return NULL;
    }
    generation->script = script;
    generation->uses = 1;
    if (mp__auth_attach(worker, generation) != MP_OK) {
        free(generation);
        return NULL;
    }
    return generation;
}

void mp__generation_release(struct mp__generation *generation)
{
    if (!generation || --generation->uses > 0) {
        return;
    }
    mp__generation_drop_state(generation);
    mp__auth_detach(generation);
    mp_script_unref(generation->script);
    free(generation);
}

int mp__generation_state(struct mp__generation *generation, struct mp_script_state **out,
                         struct mp_error *err)
{
    if (generation->script->has_functions && !generation->state) {
        int status = mp_script_state_new(generation->script, &generation->state, err);
        if (status != MP_OK) {
            return status == MP_EBUDGET ? MP_EBUDGET : MP_ESCRIPT;
        }
    }
    *out = generation->state;
    return MP_OK;
}

void mp__generation_drop_state(struct mp__generation *generation)
{
    if (generation->state) {
        mp_script_state_free(generation->state);
        generation->state = NULL;
    }
}

struct mp__partner *mp__partner_find(struct mp__worker *worker, struct mp_str name)
{
    struct mp__map_node *node = mp__map_find(&worker->partners, name, mp__hash(name));
    return (struct mp__partner *)(void *)node;
}

struct mp__partner *mp__partner_find_or_add(struct mp__worker *worker,
                                            struct mp__partner_shared *shared)
{
    struct mp__partner *partner = mp__partner_find(worker, shared->node.key);
    if (partner) {
        return partner;
    }
    partner = calloc(1, sizeof(*partner));
    if (!partner) {
        return NULL;
    }
    partner->node.key = shared->node.key;
    partner->shared = shared;
    if (mp__map_add(&worker->partners, &partner->node) != MP_OK) {
        free(partner);
        return NULL;
    }
    return partner;
}

void mp__partner_set_script(struct mp__worker *worker, struct mp__partner *partner,
                            struct mp_script *script)
{
    struct mp__generation *generation = script ? generation_new(worker, script) : NULL;
    if (script && !generation) {
        mp_script_unref(script);
        mp_log_error("deliver", "could not take the new generation of %s: out of memory",
                     partner->shared->name);
        return; /* the old one goes on */
    }
    bool was_away = !partner->current;
    mp__generation_release(partner->current);
    partner->current = generation;
    partner->is_leaving = partner->told_move = false;
    partner->is_known = !script || !script->has_functions;
    partner->slow_calls = partner->judged = 0;
    partner->slow_last_ms = worker->mono_ms;
    for (struct mp__lane *lane = partner->lanes; lane; lane = lane->next) {
        lane->has_overrun = false;
        /* Its pause may have ended meanwhile; one that has not keeps records from here.
         */
        lane->is_paused = lane->is_paused && !was_away;
        mp__lane_renew(worker, lane);
    }
}

void mp__partner_leave(struct mp__worker *worker, struct mp__partner *partner)
{
    mp__generation_release(partner->current);
    partner->current = NULL;
    struct mp__lane *next;
    for (struct mp__lane *lane = partner->lanes; lane; lane = next) {
        next = lane->next;
        mp__lane_park_waiting(worker, lane);
        mp__lane_set_health(lane, &(struct mp__health){0}); /* it is told elsewhere now */
        if (lane->in_flight == 0) {
            mp__lane_free(worker, lane);
        }
    }
    partner->is_leaving = partner->in_flight > 0;
}

/* True: this slow call was one too many. */
static bool has_been_slow(struct mp__worker *worker, struct mp__partner *partner)
{
    const struct mp__deliver_tuning *tuning = &worker->room->tuning;
    partner->slow_at_ms[partner->slow_calls++ % MP__SLOW_CALLS_MAX] = worker->mono_ms;
    if (partner->slow_calls < tuning->slow_calls) {
        return false;
    }
    unsigned first = (partner->slow_calls - tuning->slow_calls) % MP__SLOW_CALLS_MAX;
    return worker->mono_ms - partner->slow_at_ms[first] <= tuning->slow_within_ms;
}

void mp__partner_called(struct mp__worker *worker, struct mp__lane *lane, int64_t us,
                        bool has_overrun)
{
    struct mp__partner *partner = lane->partner;
    bool is_slow = has_overrun || us > worker->room->tuning.slow_call_us;
    enum mp__news_kind kind = MP__NEWS_SLOW;
    partner->is_known = partner->is_known || !is_slow;
    if (worker->is_slow) {
        kind = MP__NEWS_CLEAN;
        partner->slow_last_ms = is_slow ? worker->mono_ms : partner->slow_last_ms;
        is_slow =
            worker->mono_ms - partner->slow_last_ms >= worker->room->tuning.clean_ms;
    } else if (is_slow) {
        bool at_once = has_overrun || us > worker->room->tuning.slow_once_us;
        is_slow = has_been_slow(worker, partner) || at_once;
    }
    struct mp__news *news;
    if (!is_slow || partner->told_move || !partner->current ||
        !(news = mp__worker_news(worker, kind))) {
        return;
    }
    partner->told_move = true;
    news->shared = partner->shared;
    news->health = lane->health;
    memcpy(news->pause.name, lane->name, lane->node.key.length + 1);
}

void mp__partner_overran(struct mp__worker *worker, struct mp__lane *lane,
                         const struct mp__generation *generation, const char *why)
{
    const struct mp__partner *partner = lane->partner;
    if (generation == partner->current && !partner->told_move) {
        mp__lane_overran(worker, lane, why);
        return;
    }
    struct mp__news *news = mp__worker_news(worker, MP__NEWS_OVERRAN);
    if (news) {
        news->shared = partner->shared;
        news->script = mp_script_ref(generation->script);
        memcpy(news->pause.name, lane->name, lane->node.key.length + 1);
        snprintf(news->pause.reason, sizeof(news->pause.reason), "%s", why);
    }
}

void mp__partner_free(struct mp__partner *partner)
{
    mp__generation_release(partner->current);
    free(partner);
}
