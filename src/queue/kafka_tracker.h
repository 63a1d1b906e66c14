/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moonpost/buf.h"

/* What of one partition is done: everything below `mark`, and a map of what is done
 * beyond it. Offsets are seen in rising order and done in any. Knows nothing of Kafka's
 * library, so that it can be tried with millions of random steps. */

/* A commit's metadata holds 4,096 bytes on a broker; what the map may take of them. */
#define MP__TRACKER_MAP_BYTES 3800
/* The most offsets between mark and the last one seen. */
#define MP__TRACKER_SPAN (1 << 20)

struct mp__tracker {
    int64_t mark; /* all below are done, and it is not */
    int64_t next; /* all from here on have not been seen; mark or higher */
    int64_t read; /* one beyond the last one seen: lower than mark, and so than next, when
                     the mark went on over what the map knew */
    int64_t top;  /* none from here on is done; mark or higher */
    size_t open;  /* seen and not done */
    uint64_t *bits;   /* a ring: of offset o, bit o % bit_count; 1: done. 0 outside of
                         mark to top */
    size_t bit_count; /* a power of two; grows, to MP__TRACKER_SPAN */
    bool changed;     /* mark or map, since the owner last set it false */
};

void mp__tracker_init(struct mp__tracker *tracker, int64_t mark);
void mp__tracker_fini(struct mp__tracker *tracker);

/* An offset was read; those between the last one and it do not exist (compaction, control
 * records) and are done. MP_OK: it is to be worked on. MP_EDUPLICATE: it is done already,
 * by the map. MP_EINVAL: not above the last one seen, or below where reading began, so
 * not of the log this tracker knows. MP_ELIMIT: MP__TRACKER_SPAN or more beyond the mark,
 * and something before it is not done. MP_ENOMEM. Unchanged when it is neither of the
 * first two. */
MP_MUST_CHECK int mp__tracker_see(struct mp__tracker *tracker, int64_t offset);
/* Whether `see` would take what lies behind the last one seen. */
bool mp__tracker_has_room(const struct mp__tracker *tracker);
bool mp__tracker_is_done(const struct mp__tracker *tracker, int64_t offset);
/* Below the mark or done already: nothing. Also of offsets that were not seen yet (what a
 * former reader had in hand), up to MP__TRACKER_SPAN beyond the mark; such a one is
 * forgotten when there is no memory for it. */
void mp__tracker_done(struct mp__tracker *tracker, int64_t offset);

/* Appends the map of what is done beyond the mark as printable ASCII, at most
 * `max_bytes`: when it is longer its tail is left out, which costs duplicates after a
 * crash and nothing else. Nothing beyond the mark: nothing. MP_ENOMEM, or MP_ELIMIT of
 * `out`.
 *
 * "r" and the lengths of runs, not done and done in turn, each less one in digits of base
 * 64 (RFC 4648) of which 32 says that another follows, the lowest five bits first. Or "b"
 * and a digit for each six offsets, the first in the lowest bit, 1 for done. The shorter
 * of both; when both are cut, the one that keeps more. */
MP_MUST_CHECK int mp__tracker_write(const struct mp__tracker *tracker, size_t max_bytes,
                                    struct mp_buf *out);
/* A tracker as it was written: nothing of it has been seen. It may be zeroed, or in use
 * before, and is in use after. MP_EINVAL: not such a map, or MP_ENOMEM: the tracker is as
 * after init(mark). */
MP_MUST_CHECK int mp__tracker_read(struct mp__tracker *tracker, int64_t mark,
                                   struct mp_str map);
/* What `other` knows to be done is done here too, if there is memory for it. Best before
 * anything was seen here. */
void mp__tracker_join(struct mp__tracker *tracker, const struct mp__tracker *other);
/* Forgets what was seen, keeps what is done: reading begins again at the mark. */
void mp__tracker_rewind(struct mp__tracker *tracker);

/* Between the tracker's two files. */
/* The end of the run of equals at `from`; top at the latest. `from` is in mark to top. */
int64_t mp__tracker_run_end(const struct mp__tracker *tracker, int64_t from);
/* The state of `from` and the 63 after it, the first in the lowest bit. */
uint64_t mp__tracker_word(const struct mp__tracker *tracker, int64_t from);
/* All of from (mark or higher) to `to`, at most the span beyond the mark, are done. */
MP_MUST_CHECK int mp__tracker_fill(struct mp__tracker *tracker, int64_t from, int64_t to);
/* As after init(mark), keeping the memory. */
void mp__tracker_reset(struct mp__tracker *tracker, int64_t mark);
