/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "moonpost/status.h"

/* Lanes by the moment at which they are to be looked at again: for a token, or because a
 * batch has waited long enough. A heap; one timer a worker serves the earliest. */

struct mp__lane;

struct mp__alarms {
    struct mp__lane **heap;
    size_t count, capacity;
};

/* Room for so many lanes, so that mp__alarm_set cannot fail. */
MP_MUST_CHECK int mp__alarms_reserve(struct mp__alarms *alarms, size_t lanes);
void mp__alarms_fini(struct mp__alarms *alarms);
/* Monotonic; INT64_MAX: none. A lane has one at most. */
void mp__alarm_set(struct mp__alarms *alarms, struct mp__lane *lane, int64_t at_us);
/* The earliest's; INT64_MAX: there is none. */
int64_t mp__alarms_next_us(const struct mp__alarms *alarms);
/* Takes out one that is due; NULL: none is. */
struct mp__lane *mp__alarms_ring(struct mp__alarms *alarms, int64_t now_us);
