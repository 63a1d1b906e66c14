/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

#include "moonpost/queue.h"

/* The border to SQLite: rows in, rows out, statuses of ours. Used by one thread at a
 * time: the main loop while opening, the storage thread from then on. Every call may
 * block on the disk.
 *
 * A row's name in memory is `seq`: its number, doubled, plus 1 when it lies in `retry`.
 */

struct sqlite3;
struct sqlite3_stmt;
struct mp__store;

#define MP__SEQ(number, in_retry) ((uint64_t)(number)*2 + ((in_retry) ? 1 : 0))
#define MP__SEQ_STEP              2 /* to the next row of the same table */
#define MP__SEQ_NUMBER(seq)       ((seq) / 2)
#define MP__SEQ_IN_RETRY(seq)     (((seq)&1) != 0)

#define MP__STORE_FILE "moonpost.db"

/* `folder` exists and is ours alone. `err` says in a sentence why not. */
MP_MUST_CHECK int mp__store_open(const char *folder, int64_t window_ms,
                                 struct mp__store **out, struct mp_error *err);
/* Moves the log into the file, as far as that works, and closes. */
void mp__store_close(struct mp__store *store);
/* Static text: why the last call failed. */
const char *mp__store_why(const struct mp__store *store);

/* What is waiting, at start. `next_due_ms`: INT64_MAX without retries. */
struct mp__recovered {
    void *arg;
    int (*on_lane)(void *arg, struct mp_str lane, struct mp_str partner, uint64_t fresh,
                   uint64_t retries, int64_t next_due_ms);
    int (*on_pause)(void *arg, const struct mp_pause *pause);
    uint64_t last_number;
};
MP_MUST_CHECK int mp__store_recover(struct mp__store *store, struct mp__recovered *out);

MP_MUST_CHECK int mp__store_begin(struct mp__store *store);
MP_MUST_CHECK int mp__store_commit(struct mp__store *store);
void mp__store_rollback(struct mp__store *store);
/* After begin: SQLite rolled back by itself, as it does when a read fails badly enough.
 */
bool mp__store_has_lost(const struct mp__store *store);

MP_MUST_CHECK int mp__store_insert(struct mp__store *store,
                                   const struct mp_record *record);
/* Every row from `first` to `last`, both in the same table and all settled. */
MP_MUST_CHECK int mp__store_settle(struct mp__store *store, uint64_t first,
                                   uint64_t last);
/* By record->outcome. */
MP_MUST_CHECK int mp__store_change(struct mp__store *store,
                                   const struct mp_record *record);
/* MP_OK: new, and remembered now. MP_EDUPLICATE, MP_ECONFLICT: `answer_before` is filled.
 */
MP_MUST_CHECK int mp__store_key(struct mp__store *store, struct mp_append *append,
                                int64_t now_ms);
MP_MUST_CHECK int mp__store_expire_keys(struct mp__store *store, int64_t now_ms);
/* Writes a page, to see whether that works. */
MP_MUST_CHECK int mp__store_probe(struct mp__store *store);
MP_MUST_CHECK int mp__store_set_pause(struct mp__store *store,
                                      const struct mp_pause *pause);
MP_MUST_CHECK int mp__store_clear_pause(struct mp__store *store, const char *name);

/* A lane's next rows: due retries first, then fresh ones. */
struct mp__fetch {
    char lane[MP_LANE_BYTES];
    int64_t now_ms;
    size_t want;         /* rows at most */
    size_t budget_bytes; /* of them; past it up to `sure` rows come all the same */
    size_t sure;
    /* Where to begin: behind this retry, behind this fresh row. Where it ended, after. */
    int64_t due_after_ms;
    uint64_t retry_after, fresh_after;
    bool fresh; /* fresh rows too */
    struct mp_record_list records;
    bool more_retries, more_fresh;
    int64_t next_due_ms; /* the earliest retry not due yet; INT64_MAX: none */
};
MP_MUST_CHECK int mp__store_fetch(struct mp__store *store, struct mp__fetch *fetch);

#define MP__FETCH_SURE_BYTES ((size_t)1024 * 1024)
#define MP__DEAD_PORTION     500

/* Replays or purges up to MP__DEAD_PORTION dead letters. `last_dead` bounds what matched
 * when it began; -1: now. `moved` gets a record without its event for each replayed one.
 */
struct mp__dead_portion {
    bool purge;
    const struct mp_str *ids; /* id_count of them, or NULL: by partner and range */
    size_t id_count;
    bool *known; /* for each id */
    struct mp_str partner;
    int64_t since_ms, until_ms, last_dead;
    uint64_t first_number; /* the replayed ones' */
    size_t count;
    struct mp_record_list moved;
};
MP_MUST_CHECK int mp__store_dead(struct mp__store *store,
                                 struct mp__dead_portion *portion);

/* Reads with a connection of their own, on any thread. */
struct mp__dead_query {
    const char *path;
    struct mp_str id; /* one, with its event; or a page: */
    struct mp_str partner;
    size_t limit;
    int64_t before_ms, before_number;
    const struct mp_dead_filter *count; /* or how many match */
    bool *known;
};
MP_MUST_CHECK int mp__dead_read_page(const struct mp__dead_query *query,
                                     struct mp_dead_page *page, const char **why);
MP_MUST_CHECK int mp__dead_read_count(const struct mp__dead_query *query,
                                      uint64_t *matched, const char **why);
