/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moonpost/dead.h"

/* Where each dead letter is in its topic: 64 bytes one, and 8 to 16 to find it by. Names
 * are kept as parts of SHA-256, which nobody can make collide to hide a dead letter.
 * Knows nothing of Kafka's library. One thread. */

#define MP__DEAD_CURSOR_DIGITS 36

struct mp__dead_entry {
    uint64_t delivery[2]; /* of partner and id; with replays it is the record's key */
    uint64_t id, partner;
    int64_t last_ms, stored_ms; /* stored_ms: the record's timestamp */
    int64_t offset;
    int32_t partition;
    uint32_t replays;
};
struct mp__dead_index {
    struct mp__dead_entry *entries; /* in no order */
    size_t count, capacity;
    uint32_t *slots; /* a place in entries and 1; 0: free */
    size_t slot_count;
};
/* What a record of the topic is of. A malformed one's partner is "-". */
struct mp__dead_key {
    struct mp_str partner, id;
    uint32_t replays;
};

bool mp__dead_entry_is_of(const struct mp__dead_entry *entry,
                          const struct mp__dead_key *key);

void mp__dead_index_fini(struct mp__dead_index *index);
/* In place of what was there of this key. MP_ENOMEM. */
MP_MUST_CHECK int mp__dead_index_put(struct mp__dead_index *index,
                                     const struct mp__dead_key *key, int32_t partition,
                                     int64_t offset, int64_t stored_ms, int64_t last_ms);
void mp__dead_index_remove(struct mp__dead_index *index, const struct mp__dead_key *key);
/* What lies before `low` of this partition is deleted. */
void mp__dead_index_drop_below(struct mp__dead_index *index, int32_t partition,
                               int64_t low);
/* The entry that is this one's key now; NULL: gone. */
const struct mp__dead_entry *mp__dead_index_find(const struct mp__dead_index *index,
                                                 const struct mp__dead_entry *entry);
/* The last of a delivery's deaths counts: that with the highest replays. */
bool mp__dead_index_is_last(const struct mp__dead_index *index,
                            const struct mp__dead_entry *entry);

/* Where a page begins: "<last_ms>.<stored_ms and hash>". */
struct mp__dead_cursor {
    int64_t last_ms, stored_ms;
    uint64_t hash;
};
/* Digits, a point, digits; empty: the newest. */
bool mp__dead_cursor_read(struct mp_str text, struct mp__dead_cursor *cursor);
void mp__dead_cursor_write(const struct mp__dead_entry *entry, char out[64]);

/* The `limit` newest behind the cursor, newest last_ms first, of one partner (empty: of
 * all). `out` has room for limit; how many they are. */
size_t mp__dead_index_page(const struct mp__dead_index *index, struct mp_str partner,
                           const struct mp__dead_cursor *cursor, size_t limit,
                           struct mp__dead_entry *out, bool *has_more);
/* The newest of this id, whose partner it is; NULL: none. */
const struct mp__dead_entry *mp__dead_index_of_id(const struct mp__dead_index *index,
                                                  struct mp_str id);

/* What a replay or a purge is of. */
struct mp__dead_target {
    struct mp__dead_entry entry;
    uint32_t id_at; /* its place in filter.ids; UINT32_MAX: of a range */
    bool is_older;  /* not the last of its delivery: only to be removed */
};
struct mp__dead_targets {
    struct mp__dead_target *items; /* by partition and offset */
    size_t count;
    size_t matched; /* deliveries */
};
/* `known` has a place for each id: whether it is there. An id that is named twice is
 * known at its first. */
enum mp__dead_known { MP__DEAD_UNKNOWN, MP__DEAD_KNOWN, MP__DEAD_TWICE };
/* Those that the filter matches; without the malformed unless they are to be purged. The
 * targets are the caller's to free. MP_ENOMEM. */
MP_MUST_CHECK int mp__dead_index_select(const struct mp__dead_index *index,
                                        const struct mp_dead_filter *filter,
                                        bool is_purge, struct mp__dead_targets *out,
                                        uint8_t *known);
