/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "moonpost/deliver.h"

/* The numbers of the delivery room that the script's contract fixes, in one place, so
 * that a spec can shorten them. */

#define MP__OVERRUNS_MAX   8
#define MP__SLOW_CALLS_MAX 8
#define MP__THROWN_MAX     32

struct mp__deliver_tuning {
    unsigned breaker_retries; /* retry verdicts in a row that open it */
    int64_t breaker_open_ms;  /* the first time; then doubled */
    int64_t breaker_open_max_ms;
    unsigned auth_streak;   /* 401 or 403 in a row */
    unsigned thrown_streak; /* different deliveries in a row; <= MP__THROWN_MAX */
    unsigned overruns;      /* of the budget; <= MP__OVERRUNS_MAX */
    int64_t overruns_within_ms;
    unsigned slow_calls; /* that move a partner away; <= MP__SLOW_CALLS_MAX */
    int64_t slow_call_us;
    int64_t slow_once_us; /* one such call is enough */
    int64_t slow_within_ms;
    int64_t clean_ms; /* without a slow call: back to where it was */
    int64_t lane_idle_ms;
    size_t lane_bodies_bytes; /* that a lane holds in flight before it begins no more */
    unsigned in_flight_max;   /* attempts of one worker */
    unsigned lookups_max;     /* name lookups of one worker */
    int64_t connect_max_ms;   /* of an exchange's time */
    int64_t lookup_fresh_ms;  /* a name counts as looked up so long */
    int64_t token_wait_ms;    /* after a token endpoint failed; then doubled */
    int64_t token_wait_max_ms;
    int64_t token_refused_ms; /* one that came for a refused one is believed so long */
    size_t log_bytes_max;
    int64_t log_stop_ms; /* at close: how long its reader may make no progress */
};

struct mp__deliver_tuning mp__deliver_tuning_default(void);

#ifndef MP_CDEF
/* mp_deliver_start with other numbers. */
MP_MUST_CHECK int mp__deliver_start_tuned(uv_loop_t *loop,
                                          const struct mp_deliver_config *config,
                                          const struct mp__deliver_tuning *tuning,
                                          struct mp_deliver **out, struct mp_error *err);
#endif
