/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moonpost/record.h"

/* Dead letters: deliveries that ended without success, kept with their reason until
 * replayed or purged. What the queue's reads and changes of them take and give. */

struct mp_dead_letter {
    struct mp_record
        *record; /* owned by it; attempts, last_status, first_ms, last_ms are set */
    const char *reason; /* points into what owns the list */
};

/* Which dead letters. ids, or partner and a range of last_ms (until not included); -1:
 * open. */
struct mp_dead_filter {
    const struct mp_str *ids;
    size_t id_count;
    struct mp_str partner; /* empty: all */
    int64_t since_ms, until_ms;
};

struct mp_dead_page {
    struct mp_dead_letter *items; /* newest last_at first */
    size_t count;
    char next[64]; /* cursor; empty at the end */
};
struct mp_dead_count {
    uint64_t matched, done;
    struct mp_str *unknown; /* ids that are not among the dead letters */
    size_t unknown_count;
};

typedef void (*mp_dead_page_cb)(void *arg, int status, const char *why,
                                struct mp_dead_page *page);
typedef void (*mp_dead_count_cb)(void *arg, int status, const char *why,
                                 struct mp_dead_count *count);

struct mp_queue;

/* Reads run beside the writes. The page is freed after the callback returns: take a
 * record out by setting its pointer to NULL. A list's records come without their events;
 * its limit is 100 when 0, and 1000 at most. An unknown id gives MP_ENOTFOUND in the
 * callback; a bad cursor returns MP_EINVAL. */
MP_MUST_CHECK int mp_queue_dead_list(struct mp_queue *queue, struct mp_str partner,
                                     size_t limit, struct mp_str cursor,
                                     mp_dead_page_cb done, void *arg);
MP_MUST_CHECK int mp_queue_dead_show(struct mp_queue *queue, struct mp_str id,
                                     mp_dead_page_cb done, void *arg);
/* A replayed delivery keeps its id, its attempts start again, its replays count up. The
 * filter is copied. `done` comes once all that matched when it began are through. */
MP_MUST_CHECK int mp_queue_dead_replay(struct mp_queue *queue,
                                       const struct mp_dead_filter *filter, bool dry_run,
                                       mp_dead_count_cb done, void *arg);
MP_MUST_CHECK int mp_queue_dead_purge(struct mp_queue *queue,
                                      const struct mp_dead_filter *filter, bool dry_run,
                                      mp_dead_count_cb done, void *arg);
