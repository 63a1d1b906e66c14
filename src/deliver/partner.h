/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdatomic.h>

#include "bucket.h"
#include "link.h"
#include "map.h"
#include "moonpost/metrics.h"
#include "tuning.h"

struct mp__worker;
struct mp__lane;
struct mp__token;

/* A partner as every thread knows it: made by the main loop, lives as long as the room.
 */
struct mp__partner_shared {
    struct mp__map_node node; /* of the main loop's map, by name */
    char name[MP_PARTNER_BYTES];
    _Atomic int64_t in_flight;                        /* on all workers */
    struct mp_series *attempts[MP_VERDICT_SPLIT + 1]; /* by verdict */
    struct mp_series *delivered, *skipped, *dead;
    struct mp_series *in_flight_gauge, *breaker_open, *script_errors;
    struct mp_histogram *duration, *end_to_end;
    struct mp__buckets buckets; /* of its lanes */
    /* The main loop's own. */
    struct mp_script *script; /* NULL: none */
    bool is_slow;             /* on the slow worker */
    bool is_spread;           /* a lane for each authority, on any worker */
};

/* NULL: out of memory. `metrics` may be NULL. */
struct mp__partner_shared *mp__partner_shared_new(struct mp_str name,
                                                  struct mp_metrics *metrics);
void mp__partner_shared_free(struct mp__partner_shared *shared); /* NULL is allowed */

/* One generation on one worker: the script, and its Lua state once it is needed. Attempts
 * hold it, so that each ends on the generation that began it. */
struct mp__generation {
    struct mp_script *script;
    struct mp_script_state *state;
    struct mp__token *token; /* NULL: no oauth2 */
    struct mp__link link;
    unsigned uses;
    unsigned overruns; /* of its calls, ever */
};
void mp__generation_release(struct mp__generation *generation);
/* The state, made when missing; NULL when the script has no functions. MP_ESCRIPT;
 * MP_EBUDGET: it overran as it ran again. */
MP_MUST_CHECK int mp__generation_state(struct mp__generation *generation,
                                       struct mp_script_state **out,
                                       struct mp_error *err);
/* After MP_EBUDGET: the next use makes another. */
void mp__generation_drop_state(struct mp__generation *generation);

/* A partner on one worker. */
struct mp__partner {
    struct mp__map_node node; /* of the worker's map, by name */
    struct mp__partner_shared *shared;
    struct mp__generation *current; /* NULL: none, what comes is parked */
    struct mp__lane *lanes;
    unsigned in_flight;
    bool is_leaving; /* for another worker: tell when the last attempt here has ended */
    bool told_move;  /* and begins nothing here meanwhile */
    bool is_known;   /* a call of its script was quick here, or it has none */
    unsigned judged; /* attempts that its verdict hook has judged here */
    unsigned slow_calls;
    int64_t slow_at_ms[MP__SLOW_CALLS_MAX];
    int64_t slow_last_ms;
    int64_t complained_ms; /* of a script's error, on stderr */
};

struct mp__partner *mp__partner_find(struct mp__worker *worker, struct mp_str name);
/* NULL: out of memory. */
struct mp__partner *mp__partner_find_or_add(struct mp__worker *worker,
                                            struct mp__partner_shared *shared);
/* `script` is a reference that is taken over, or NULL. Parks what waits when there is
 * none. */
void mp__partner_set_script(struct mp__worker *worker, struct mp__partner *partner,
                            struct mp_script *script);
/* Another worker has it from now on: parks what waits, forgets the lanes once they are
 * empty. */
void mp__partner_leave(struct mp__worker *worker, struct mp__partner *partner);
/* One call into Lua for `lane` took so long: too many slow ones, and the main loop is
 * told to move the partner; a clean time on the slow worker, and it is told to move it
 * back. */
void mp__partner_called(struct mp__worker *worker, struct mp__lane *lane, int64_t us,
                        bool has_overrun);
/* A generation of it overran its budget for `lane`: counted here, or where the partner
 * went or goes meanwhile. */
void mp__partner_overran(struct mp__worker *worker, struct mp__lane *lane,
                         const struct mp__generation *generation, const char *why);
void mp__partner_free(struct mp__partner *partner);
