/* SPDX-License-Identifier: MIT */
#include "partners.h"
#include "partners_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moonpost/clock.h"
#include "moonpost/log.h"
#include "moonpost/metrics.h"

#define GONE_KEPT_MS (60 * 1000)

static void partner_free(struct partner *partner)
{
    for (struct lane_pause *lane = partner->lanes, *next; lane != NULL; lane = next) {
        next = lane->next;
        free(lane);
    }
    if (partner->script != NULL) {
        mp_script_unref(partner->script);
    }
    free(partner->error);
    free(partner);
}

int mp__partners_new(struct mp_directory *directory, struct mp_metrics *metrics,
                     struct mp__partners **out)
{
    struct mp__partners *partners = calloc(1, sizeof *partners);
    if (partners == NULL) {
        return MP_ENOMEM;
    }
    partners->directory = directory;
    partners->metrics = metrics;
    *out = partners;
    return MP_OK;
}

void mp__partners_free(struct mp__partners *partners)
{
    if (partners == NULL) {
        return;
    }
    for (size_t i = 0; i < partners->count; i++) {
        partner_free(partners->items[i]);
    }
    free(partners->items);
    free(partners);
}

static int compare(struct mp_str a, struct mp_str b)
{
    size_t shorter = a.length < b.length ? a.length : b.length;
    int order = shorter == 0 ? 0 : memcmp(a.data, b.data, shorter);
    if (order != 0 || a.length == b.length) {
        return order;
    }
    return a.length < b.length ? -1 : 1;
}

size_t mp__partners_place(const struct mp__partners *partners, struct mp_str name)
{
    size_t low = 0, high = partners->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(mp_str_of(partners->items[middle]->name), name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct partner *mp__partners_find(const struct mp__partners *partners, struct mp_str name)
{
    size_t place = mp__partners_place(partners, name);
    if (place < partners->count && mp_str_is(name, partners->items[place]->name)) {
        return partners->items[place];
    }
    return NULL;
}

/* The partner of a name that may be a lane: what stands before the space. */
static struct mp_str partner_of_lane(struct mp_str name)
{
    const char *space = memchr(name.data, ' ', name.length);
    return space == NULL ? name : (struct mp_str){name.data, (size_t)(space - name.data)};
}

static void count_in_metrics(struct mp__partners *partners, struct partner *partner)
{
    struct mp_label label = {"partner", mp_str_of(partner->name)};
    partner->state =
        mp_metrics_gauge(partners->metrics, "moonpost_partner_state",
                         "0 ok, 1 paused, 2 broken (no usable generation).", &label, 1);
    partner->reload_failures = mp_metrics_counter(
        partners->metrics, "moonpost_script_reload_failures_total",
        "Times a changed script did not load; the older generation went on serving.",
        &label, 1);
}

static struct partner *find_or_add(struct mp__partners *partners, struct mp_str name)
{
    size_t place = mp__partners_place(partners, name);
    if (place < partners->count && mp_str_is(name, partners->items[place]->name)) {
        return partners->items[place];
    }
    if (partners->count == partners->capacity) {
        size_t capacity = partners->capacity == 0 ? 64 : partners->capacity * 2;
        struct partner **items = realloc(partners->items, capacity * sizeof *items);
        if (items == NULL) {
            return NULL;
        }
        partners->items = items;
        partners->capacity = capacity;
    }
    struct partner *partner = calloc(1, sizeof *partner);
    if (partner == NULL) {
        return NULL;
    }
    snprintf(partner->name, sizeof partner->name, "%.*s", (int)name.length, name.data);
    memmove(&partners->items[place + 1], &partners->items[place],
            (partners->count - place) * sizeof partners->items[0]);
    partners->items[place] = partner;
    partners->count++;
    count_in_metrics(partners, partner);
    return partner;
}

/* Tells the rooms what the state means. The queue first when holding, last when letting
 * go, so that nothing travels only to be parked. */
void mp__partners_apply(struct mp__partners *partners, struct partner *partner)
{
    struct mp_str name = mp_str_of(partner->name);
    bool stopped = partner->is_paused || partner->is_gone;
    mp_series_set(partner->state, stopped ? 1 : partner->script == NULL ? 2 : 0);
    if (partners->deliver == NULL) {
        return;
    }
    if (partners->queue != NULL && (stopped || partner->script == NULL)) {
        mp_queue_hold(partners->queue, name, INT64_MAX);
    }
    if (stopped) {
        mp_deliver_pause(partners->deliver, name);
        return;
    }
    mp_deliver_resume(partners->deliver, name);
    if (partners->queue != NULL && partner->script != NULL) {
        mp_queue_release(partners->queue, name);
    }
}

static void apply_lane(struct mp__partners *partners, const struct mp_pause *pause)
{
    if (partners->deliver != NULL) {
        mp_deliver_pause(partners->deliver, mp_str_of(pause->name));
    }
    if (partners->queue != NULL) {
        mp_queue_hold(partners->queue, mp_str_of(pause->name), INT64_MAX);
    }
}

void mp__partners_attach(struct mp__partners *partners, struct mp_queue *queue,
                         struct mp_deliver *deliver)
{
    partners->queue = queue;
    partners->deliver = deliver;
    for (size_t i = 0; deliver != NULL && i < partners->count; i++) {
        mp__partners_apply(partners, partners->items[i]);
        for (struct lane_pause *l = partners->items[i]->lanes; l != NULL; l = l->next) {
            apply_lane(partners, &l->pause);
        }
    }
}

static void forget_stored(struct mp__partners *partners, const char *name)
{
    if (partners->queue != NULL &&
        mp_queue_clear_pause(partners->queue, mp_str_of(name)) != MP_OK) {
        mp_log_warn("app",
                    "could not forget the pause of %s: it will be back after a restart",
                    name);
    }
}

static bool ends_with_generation(enum mp_pause_kind kind)
{
    return kind == MP_PAUSE_AUTH || kind == MP_PAUSE_SCRIPT;
}

void mp__partners_end_pauses(struct mp__partners *partners, struct partner *partner,
                             bool only_by_generation)
{
    if (partner->is_paused &&
        (!only_by_generation || ends_with_generation(partner->pause.kind))) {
        partner->is_paused = false;
        forget_stored(partners, partner->name);
        mp_log_info("app", "%s is resumed", partner->name);
    }
    for (struct lane_pause **at = &partner->lanes; *at != NULL;) {
        struct lane_pause *lane = *at;
        if (only_by_generation && !ends_with_generation(lane->pause.kind)) {
            at = &lane->next;
            continue;
        }
        *at = lane->next;
        forget_stored(partners, lane->pause.name);
        if (partners->deliver != NULL) {
            mp_deliver_resume(partners->deliver, mp_str_of(lane->pause.name));
        }
        if (partners->queue != NULL) {
            mp_queue_release(partners->queue, mp_str_of(lane->pause.name));
        }
        free(lane);
    }
}

static void set_gone(struct mp__partners *partners, struct partner *partner, bool is_gone)
{
    if (partner->is_gone == is_gone) {
        return;
    }
    partner->is_gone = is_gone;
    partner->gone_ms = mp_clock_wall_ms();
    partner->gone_mono_ms = mp_clock_mono_ms();
    partners->gone = is_gone ? partners->gone + 1 : partners->gone - 1;
}

static void take_script(struct mp__partners *partners, struct partner *partner,
                        struct mp_script *script)
{
    bool is_new = partner->script == NULL ||
                  strcmp(partner->script->generation, script->generation) != 0;
    if (partner->script != NULL) {
        mp_script_unref(partner->script);
    }
    partner->script = script;
    if (!is_new) {
        return;
    }
    mp_log_info("app", "%s: generation %s is live", partner->name, script->generation);
    mp__partners_end_pauses(partners, partner, true);
    if (partners->deliver != NULL) {
        mp_deliver_set_script(partners->deliver, mp_str_of(partner->name), script);
    }
}

static void list_in_directory(struct mp__partners *partners, struct partner *partner)
{
    const struct mp_script *script = partner->script;
    int status = mp_directory_set(partners->directory, mp_str_of(partner->name),
                                  script == NULL ? NULL : script->subscribes,
                                  script == NULL ? 0 : script->subscribe_count);
    if (status != MP_OK) {
        mp_log_error("app", "could not list %s: %s", partner->name,
                     mp_status_text(status));
    }
}

void mp__partners_change(struct mp__partners *partners,
                         const struct mp_scripts_change *change)
{
    struct partner *partner = find_or_add(partners, mp_str_of(change->name));
    if (partner == NULL) {
        mp_log_error("app", "could not take %s: out of memory", change->name);
        if (change->script != NULL) {
            mp_script_unref(change->script);
        }
        return;
    }
    free(partner->error);
    partner->error = change->error == NULL ? NULL : strdup(change->error);
    if (change->error != NULL) {
        mp_series_add(partner->reload_failures, 1);
        mp_log_warn("app", "%s%s", change->error,
                    change->script == NULL ? "" : " (the older generation serves on)");
    }
    set_gone(partners, partner, change->is_gone);
    if (change->is_gone) {
        mp_log_warn("app", "%s is paused: its script is gone", partner->name);
    }
    if (change->script != NULL) {
        take_script(partners, partner, change->script);
    }
    if (change->secrets_changed) {
        mp__partners_end_pauses(partners, partner, true);
    }
    list_in_directory(partners, partner);
    mp__partners_apply(partners, partner);
}

static void store(struct mp__partners *partners, const struct mp_pause *pause)
{
    if (partners->queue != NULL && mp_queue_set_pause(partners->queue, pause) != MP_OK) {
        mp_log_warn("app", "could not store the pause of %s: it will end with a restart",
                    pause->name);
    }
}

static struct lane_pause *find_lane(struct partner *partner, const char *name)
{
    struct lane_pause *lane = partner->lanes;
    while (lane != NULL && strcmp(lane->pause.name, name) != 0) {
        lane = lane->next;
    }
    return lane;
}

static void pause_lane(struct mp__partners *partners, struct partner *partner,
                       const struct mp_pause *pause)
{
    struct lane_pause *lane = find_lane(partner, pause->name);
    if (lane == NULL) {
        lane = calloc(1, sizeof *lane);
        if (lane == NULL) {
            return;
        }
        lane->next = partner->lanes;
        partner->lanes = lane;
    }
    lane->pause = *pause;
    apply_lane(partners, pause);
}

void mp__partners_pause(struct mp__partners *partners, const struct mp_pause *pause,
                        bool stored)
{
    struct mp_str name = mp_str_of(pause->name);
    struct mp_str owner = partner_of_lane(name);
    struct partner *partner = find_or_add(partners, owner);
    if (partner == NULL) {
        return;
    }
    if (!stored) {
        mp_log_warn("app", "%s is paused: %s", pause->name, pause->reason);
        store(partners, pause);
    } else if (partner->script == NULL && partner->error == NULL && !partner->is_gone) {
        /* Known by its stored pause alone. */
        set_gone(partners, partner, true);
    }
    if (owner.length != name.length) {
        pause_lane(partners, partner, pause);
        return;
    }
    partner->is_paused = true;
    partner->pause = *pause;
    mp__partners_apply(partners, partner);
}

void mp__partners_orphan(struct mp__partners *partners, struct mp_str name)
{
    if (mp__partners_find(partners, name) != NULL) {
        return;
    }
    struct partner *partner = find_or_add(partners, name);
    if (partner == NULL) {
        return;
    }
    mp_log_warn("app", "%s has deliveries waiting and no script: it is paused",
                partner->name);
    set_gone(partners, partner, true);
    list_in_directory(partners, partner);
    mp__partners_apply(partners, partner);
}

void mp__partners_tick(struct mp__partners *partners)
{
    if (partners->gone == 0 || partners->queue == NULL) {
        return;
    }
    int64_t now_ms = mp_clock_mono_ms();
    for (size_t i = partners->count; i-- > 0;) {
        struct partner *partner = partners->items[i];
        struct mp_str name = mp_str_of(partner->name);
        if (!partner->is_gone || now_ms - partner->gone_mono_ms < GONE_KEPT_MS ||
            mp_queue_waiting(partners->queue, name) > 0) {
            continue;
        }
        mp_log_info("app", "%s is forgotten: its script is gone and nothing waits",
                    partner->name);
        mp__partners_end_pauses(partners, partner, false);
        set_gone(partners, partner, false);
        mp_directory_remove(partners->directory, name);
        mp_deliver_set_script(partners->deliver, name, NULL);
        mp_deliver_resume(partners->deliver, name);
        mp_queue_release(partners->queue, name);
        mp_series_set(partner->state, 0);
        partner_free(partner);
        partners->count--;
        memmove(&partners->items[i], &partners->items[i + 1],
                (partners->count - i) * sizeof partners->items[0]);
    }
}
