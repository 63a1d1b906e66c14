/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "moonpost/clock.h"
#include "partners_private.h"

static const char *state_of(const struct partner *partner)
{
    if (partner->is_paused || partner->is_gone) {
        return "paused";
    }
    return partner->script == NULL ? "broken" : "ok";
}

/* Postback pauses authority by authority: says how many, and names one. */
static const char *lanes_reason(struct partner *partner)
{
    size_t count = 0;
    for (struct lane_pause *l = partner->lanes; l != NULL; l = l->next) {
        count++;
    }
    if (count == 0) {
        return NULL;
    }
    const struct mp_pause *pause = &partner->lanes->pause;
    snprintf(partner->reason, sizeof partner->reason, "%zu paused: %.100s (%.120s)%s",
             count, pause->name, pause->reason, count > 1 ? ", …" : "");
    return partner->reason;
}

static void view_of(struct mp__partners *partners, struct partner *partner,
                    struct mp_partner_view *view)
{
    struct mp_str name = mp_str_of(partner->name);
    *view = (struct mp_partner_view){
        .name = partner->name,
        .state = state_of(partner),
        .reason = lanes_reason(partner),
        .generation = partner->script == NULL ? NULL : partner->script->generation,
        .error = partner->error,
        .waiting = mp_queue_waiting(partners->queue, name),
        .in_flight =
            partners->deliver == NULL ? 0 : mp_deliver_in_flight(partners->deliver, name),
    };
    if (partner->is_paused) {
        view->reason = partner->pause.reason;
        view->since_ms = partner->pause.since_ms;
    } else if (partner->is_gone) {
        snprintf(partner->reason, sizeof partner->reason, "scripts/%s.lua is gone",
                 partner->name);
        view->reason = partner->reason;
        view->since_ms = partner->gone_ms;
    } else if (partner->script == NULL) {
        view->reason = "no version of the script loads";
    }
}

void mp__partners_list(void *arg, struct mp_str after, size_t limit,
                       void (*each)(void *to, const struct mp_partner_view *view),
                       void *to)
{
    struct mp__partners *partners = arg;
    size_t i = mp__partners_place(partners, after);
    if (i < partners->count && mp_str_is(after, partners->items[i]->name)) {
        i++;
    }
    for (size_t n = 0; n < limit && i < partners->count; n++, i++) {
        struct mp_partner_view view;
        view_of(partners, partners->items[i], &view);
        each(to, &view);
    }
}

int mp__partners_operator_pause(void *arg, struct mp_str name)
{
    struct mp__partners *partners = arg;
    struct partner *partner = mp__partners_find(partners, name);
    if (partner == NULL) {
        return MP_ENOTFOUND;
    }
    struct mp_pause pause = {.kind = MP_PAUSE_OPERATOR,
                             .reason = "by the operator",
                             .since_ms = mp_clock_wall_ms()};
    snprintf(pause.name, sizeof pause.name, "%s", partner->name);
    mp__partners_pause(partners, &pause, false);
    return MP_OK;
}

int mp__partners_resume(void *arg, struct mp_str name)
{
    struct mp__partners *partners = arg;
    struct partner *partner = mp__partners_find(partners, name);
    if (partner == NULL) {
        return MP_ENOTFOUND;
    }
    mp__partners_end_pauses(partners, partner, false);
    mp__partners_apply(partners, partner);
    return MP_OK;
}
