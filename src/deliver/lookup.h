/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

#include "map.h"

/* Name lookups under way on one worker: at most one for a host, at most so many in all,
 * since each holds a thread of the resolver for as long as a name server is silent. */

struct mp__attempt;

struct mp__lookup {
    struct mp__map_node node;    /* by host */
    struct mp__attempt *waiting; /* for its end */
    char host[];
};

struct mp__lookups {
    struct mp__map by_host;
    unsigned count, max;
    struct mp__attempt *waiting; /* for a place, in whatever order */
};

/* Begins one of `attempt`'s. False: it has to wait. */
bool mp__lookup_begin(struct mp__lookups *lookups, struct mp__attempt *attempt,
                      struct mp_str host);
/* The attempt that had to wait waits: for its host's lookup, or for a place. False:
 * neither is taken any more. */
bool mp__lookup_wait(struct mp__lookups *lookups, struct mp__attempt *attempt,
                     struct mp_str host);
/* The attempt's lookup is over, if it had one. Returns those that may go on, chained by
 * wait_next. */
struct mp__attempt *mp__lookup_end(struct mp__lookups *lookups,
                                   struct mp__attempt *attempt);
/* Takes one that waits out of its list. */
void mp__lookup_forget(struct mp__attempt *attempt);
void mp__lookups_fini(struct mp__lookups *lookups);
