/* SPDX-License-Identifier: MIT */
#pragma once

#include "partners.h"

/* Shared by partners.c, which changes a partner's state, partners_pause.c, which begins
 * and ends its pauses, and partners_view.c, which tells it. */

/* A pause of one authority of postback's. */
struct lane_pause {
    struct lane_pause *next;
    struct mp_pause pause;
};

struct partner {
    char name[MP_PARTNER_BYTES];
    struct mp_script *script; /* NULL: no usable generation */
    char *error;              /* what is wrong with the file as it is; NULL: nothing */
    bool is_gone;
    int64_t gone_ms, gone_mono_ms;
    bool is_paused;
    struct mp_pause pause;
    struct lane_pause *lanes;
    char reason[320]; /* of a partner that is not paused whole: for the list */
    struct mp_series *state, *reload_failures;
};

struct mp__partners {
    struct partner **items; /* by name */
    size_t count, capacity;
    size_t gone;
    bool is_shared;         /* the queue's pauses are other processes' as well */
    struct mp_str accepted; /* as mp__partners_accept was given them */
    struct mp_directory *directory;
    struct mp_metrics *metrics;
    struct mp_queue *queue;
    struct mp_deliver *deliver;
};

/* The place of the first name that is not before `name`. */
size_t mp__partners_place(const struct mp__partners *partners, struct mp_str name);
/* NULL: unknown. */
struct partner *mp__partners_find(const struct mp__partners *partners,
                                  struct mp_str name);
/* Tells the rooms what the partner's state means. */
void mp__partners_apply(struct mp__partners *partners, struct partner *partner);
/* Ends the pauses that a new generation ends; all of them without `only_by_generation`.
 */
void mp__partners_end_pauses(struct mp__partners *partners, struct partner *partner,
                             bool only_by_generation);
/* NULL: out of memory. */
struct partner *mp__partners_find_or_add(struct mp__partners *partners,
                                         struct mp_str name);
void mp__partners_set_gone(struct mp__partners *partners, struct partner *partner,
                           bool is_gone);
/* Tells the rooms that one authority is paused. */
void mp__partners_apply_lane(struct mp__partners *partners, const struct mp_pause *pause);
