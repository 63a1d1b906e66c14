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
                     bool is_shared, struct mp__partners **out)
{
    struct mp__partners *partners = calloc(1, sizeof *partners);
    if (partners == NULL) {
        return MP_ENOMEM;
    }
    partners->directory = directory;
    partners->metrics = metrics;
    partners->is_shared = is_shared;
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

struct partner *mp__partners_find_or_add(struct mp__partners *partners,
                                         struct mp_str name)
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

/* A batch needs more records in hand than the usual lane; the next one gathers while it
 * is under way. */
static void give_depth(struct mp__partners *partners, const struct partner *partner)
{
    if (partners->queue != NULL && partner->script != NULL) {
        int64_t size = partner->script->batch.size;
        mp_queue_set_depth(partners->queue, mp_str_of(partner->name),
                           size > 0 ? 2 * (size_t)size : 0);
    }
}

void mp__partners_attach(struct mp__partners *partners, struct mp_queue *queue,
                         struct mp_deliver *deliver)
{
    partners->queue = queue;
    partners->deliver = deliver;
    for (size_t i = 0; i < partners->count; i++) {
        give_depth(partners, partners->items[i]);
    }
    for (size_t i = 0; deliver != NULL && i < partners->count; i++) {
        mp__partners_apply(partners, partners->items[i]);
        for (struct lane_pause *l = partners->items[i]->lanes; l != NULL; l = l->next) {
            mp__partners_apply_lane(partners, &l->pause);
        }
    }
}

void mp__partners_set_gone(struct mp__partners *partners, struct partner *partner,
                           bool is_gone)
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
                        struct mp_script *script, bool secrets_changed)
{
    bool is_new = partner->script == NULL ||
                  strcmp(partner->script->generation, script->generation) != 0;
    if (partner->script != NULL) {
        mp_script_unref(partner->script);
    }
    partner->script = script;
    if (!is_new && !secrets_changed) {
        return;
    }
    mp_log_info("app", "%s: generation %s is live%s", partner->name, script->generation,
                is_new ? "" : " with a changed secret");
    mp__partners_end_pauses(partners, partner, true);
    give_depth(partners, partner);
    if (partners->deliver != NULL) {
        mp_deliver_set_script(partners->deliver, mp_str_of(partner->name), script);
    }
}

/* The next of the comma-separated names; false at the end. */
static bool next_name(struct mp_str *names, struct mp_str *name)
{
    while (names->length > 0 && (names->data[0] == ',' || names->data[0] == ' ')) {
        *names = (struct mp_str){names->data + 1, names->length - 1};
    }
    size_t length = 0;
    while (length < names->length && names->data[length] != ',' &&
           names->data[length] != ' ') {
        length++;
    }
    *name = (struct mp_str){names->data, length};
    *names = (struct mp_str){names->data + length, names->length - length};
    return length > 0;
}

static bool is_accepted(const struct mp__partners *partners, struct mp_str name)
{
    struct mp_str names = partners->accepted, at;
    while (next_name(&names, &at)) {
        if (mp_str_equal(at, name)) {
            return true;
        }
    }
    return false;
}

int mp__partners_accept(struct mp__partners *partners, struct mp_str names,
                        struct mp_error *err)
{
    struct mp_str name;
    partners->accepted = names;
    while (next_name(&names, &name)) {
        if (!mp_partner_name_is_valid(name)) {
            return mp_error_set(err, MP_EINVAL,
                                "--partners: \"%.*s\" is no partner's name",
                                (int)name.length, name.data);
        }
        int status = mp_directory_set(partners->directory, name, NULL, 0);
        if (status != MP_OK) {
            return mp_error_set(err, status, "could not list the partners: %s",
                                mp_status_text(status));
        }
    }
    return MP_OK;
}

bool mp__partners_knows(const struct mp__partners *partners, struct mp_str name)
{
    const struct partner *partner = mp__partners_find(partners, name);
    return partner != NULL && !partner->is_gone;
}

/* Events are taken for it no longer, unless its script is said to be elsewhere. */
static void unlist(struct mp__partners *partners, struct mp_str name)
{
    if (!is_accepted(partners, name)) {
        mp_directory_remove(partners->directory, name);
    } else if (mp_directory_set(partners->directory, name, NULL, 0) != MP_OK) {
        mp_log_error("app", "could not list %.*s: out of memory", (int)name.length,
                     name.data);
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
    struct partner *partner = mp__partners_find_or_add(partners, mp_str_of(change->name));
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
    mp__partners_set_gone(partners, partner, change->is_gone);
    if (change->is_gone) {
        mp_log_warn("app", "%s is paused: its script is gone", partner->name);
    }
    if (change->script != NULL) {
        take_script(partners, partner, change->script, change->secrets_changed);
    }
    list_in_directory(partners, partner);
    mp__partners_apply(partners, partner);
}

void mp__partners_orphan(struct mp__partners *partners, struct mp_str name)
{
    if (mp__partners_find(partners, name) != NULL) {
        return;
    }
    struct partner *partner = mp__partners_find_or_add(partners, name);
    if (partner == NULL) {
        return;
    }
    mp_log_warn("app", "%s has deliveries waiting and no script: it is paused",
                partner->name);
    mp__partners_set_gone(partners, partner, true);
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
        /* What another process paused stays paused, script or not. */
        if (partners->is_shared && (partner->is_paused || partner->lanes != NULL)) {
            continue;
        }
        mp_log_info("app", "%s is forgotten: its script is gone and nothing waits",
                    partner->name);
        mp__partners_end_pauses(partners, partner, false);
        mp__partners_set_gone(partners, partner, false);
        unlist(partners, name);
        if (partners->deliver != NULL) {
            mp_deliver_set_script(partners->deliver, name, NULL);
            mp_deliver_resume(partners->deliver, name);
        }
        mp_queue_release(partners->queue, name);
        mp_series_set(partner->state, 0);
        partner_free(partner);
        partners->count--;
        memmove(&partners->items[i], &partners->items[i + 1],
                (partners->count - i) * sizeof partners->items[0]);
    }
}
