/* SPDX-License-Identifier: MIT */
#pragma once

#include "moonpost/metrics.h"
#include "moonpost/record.h"
#include "routes.h"

/* The room's counts. Series are found once and kept, so that a request looks none up. */

#define MP__CODES 500 /* 100 to 599 */

struct mp__accepted {
    char partner[MP_PARTNER_BYTES];
    struct mp_series *series;
};
struct mp__meter {
    struct mp_metrics *metrics;
    struct mp_series *connections;
    struct mp_series *(*requests)[MP__CODES]; /* by route and code */
    struct mp_histogram *durations[MP__ROUTES];
    struct mp__accepted *accepted; /* open addressing */
    size_t accepted_count, accepted_capacity;
};
struct mp__tally {
    struct mp_series *series;
    uint64_t count;
};

MP_MUST_CHECK int mp__meter_init(struct mp__meter *meter, struct mp_metrics *metrics);
void mp__meter_fini(struct mp__meter *meter);
void mp__meter_answer(struct mp__meter *meter, enum mp__route route, int status,
                      int64_t us);
/* The series of a known partner; NULL when memory is out. */
struct mp_series *mp__meter_accepted(struct mp__meter *meter, struct mp_str partner);
