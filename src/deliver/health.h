/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "moonpost/exchange.h"
#include "tuning.h"

/* What a lane remembers of how its attempts went: the breaker and the streaks. No clock,
 * no lane, no side effect: the lane acts on what it is told here. A zeroed struct is
 * healthy. */

enum mp__breaker { MP__BREAKER_CLOSED, MP__BREAKER_OPEN, MP__BREAKER_PROBING };

struct mp__health {
    enum mp__breaker breaker;
    unsigned retries;  /* in a row */
    unsigned level;    /* times opened since it was closed */
    int64_t until_ms;  /* wall; of OPEN */
    unsigned auth;     /* 401 or 403 in a row */
    unsigned overruns; /* ever; the last MP__OVERRUNS_MAX times are kept */
    int64_t overrun_at_ms[MP__OVERRUNS_MAX];
    unsigned thrown; /* different deliveries in a row that threw */
    uint64_t thrown_ids[MP__THROWN_MAX];
};

enum mp__health_change {
    MP__HEALTH_SAME,
    MP__HEALTH_OPENED,    /* until_ms says until when */
    MP__HEALTH_AUTH_PAUSE /* refused too often */
};

/* May an attempt begin? An open breaker lets one through once its time is over:
 * *is_probe. */
bool mp__health_admits(const struct mp__health *health, int64_t now_ms, bool *is_probe);
void mp__health_probe_begun(struct mp__health *health);
/* The probe ended without an exchange: it proved nothing, the next one is a probe too. */
void mp__health_probe_void(struct mp__health *health);

/* After an exchange. `is_default`: the status's own verdict, no script said it. */
enum mp__health_change mp__health_exchange(struct mp__health *health,
                                           const struct mp__deliver_tuning *tuning,
                                           enum mp_verdict_kind kind, int status,
                                           bool is_default, bool was_probe,
                                           int64_t now_ms);
/* True: too many different deliveries in a row threw. */
bool mp__health_threw(struct mp__health *health, const struct mp__deliver_tuning *tuning,
                      uint64_t id_hash);
void mp__health_not_thrown(struct mp__health *health);
/* True: too many overruns within the time. */
bool mp__health_overran(struct mp__health *health,
                        const struct mp__deliver_tuning *tuning, int64_t now_ms);
/* A new generation, or a resume: the script's counts and the streaks begin again. */
void mp__health_forgive(struct mp__health *health);
