/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "moonpost/log.h"
#include "partners_private.h"

/* Pauses: of a partner, or of one authority of postback's; how they begin, are stored,
 * and end. */

/* The partner of a name that may be a lane: what stands before the space. */
static struct mp_str partner_of_lane(struct mp_str name)
{
    const char *space = memchr(name.data, ' ', name.length);
    return space == NULL ? name : (struct mp_str){name.data, (size_t)(space - name.data)};
}

void mp__partners_apply_lane(struct mp__partners *partners, const struct mp_pause *pause)
{
    if (partners->deliver != NULL) {
        mp_deliver_pause(partners->deliver, mp_str_of(pause->name));
    }
    if (partners->queue != NULL) {
        mp_queue_hold(partners->queue, mp_str_of(pause->name), INT64_MAX);
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

static void let_lane_go(struct mp__partners *partners, const char *name)
{
    if (partners->deliver != NULL) {
        mp_deliver_resume(partners->deliver, mp_str_of(name));
    }
    if (partners->queue != NULL) {
        mp_queue_release(partners->queue, mp_str_of(name));
    }
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
        let_lane_go(partners, lane->pause.name);
        free(lane);
    }
}

void mp__partners_stored_resume(struct mp__partners *partners, struct mp_str name)
{
    struct mp_str owner = partner_of_lane(name);
    struct partner *partner = mp__partners_find(partners, owner);
    if (partner == NULL) {
        return;
    }
    if (owner.length == name.length) {
        if (partner->is_paused) {
            partner->is_paused = false;
            mp_log_info("app", "%s is resumed", partner->name);
            mp__partners_apply(partners, partner);
        }
        return;
    }
    for (struct lane_pause **at = &partner->lanes; *at != NULL; at = &(*at)->next) {
        struct lane_pause *lane = *at;
        if (mp_str_is(name, lane->pause.name)) {
            *at = lane->next;
            let_lane_go(partners, lane->pause.name);
            free(lane);
            return;
        }
    }
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
    mp__partners_apply_lane(partners, pause);
}

void mp__partners_pause(struct mp__partners *partners, const struct mp_pause *pause,
                        bool stored)
{
    struct mp_str name = mp_str_of(pause->name);
    struct mp_str owner = partner_of_lane(name);
    struct partner *partner = mp__partners_find_or_add(partners, owner);
    if (partner == NULL) {
        return;
    }
    if (!stored) {
        mp_log_warn("app", "%s is paused: %s", pause->name, pause->reason);
        store(partners, pause);
    } else if (partner->script == NULL && partner->error == NULL && !partner->is_gone) {
        /* Known by its stored pause alone. */
        mp__partners_set_gone(partners, partner, true);
    }
    if (owner.length != name.length) {
        pause_lane(partners, partner, pause);
        return;
    }
    partner->is_paused = true;
    partner->pause = *pause;
    mp__partners_apply(partners, partner);
}
