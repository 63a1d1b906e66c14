/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moonpost/record.h"

/* The durable queue: what was appended is there until it is settled, whatever dies. One
 * interface, several engines; every call and every callback is on the main loop's thread,
 * none blocks.
 *
 * Life of a record: append -> (durable) -> on_take -> resolve: settle, retry, bury or
 * park. What was taken and never resolved is taken again after a restart: at least once,
 * never less. */

struct mp_queue;

/* A request's worth of records: stored all or none. The caller owns the struct until
 * done. */
struct mp_append {
    struct mp_record_list
        records;          /* moved to the queue when mp_queue_append returns MP_OK */
    bool has_key;         /* an Idempotency-Key came with it */
    uint8_t key[32];      /* SHA-256 of the key and where it was sent */
    uint8_t body[32];     /* SHA-256 of the request's content */
    struct mp_str answer; /* remembered under the key */
    struct mp_buf
        answer_before; /* with MP_EDUPLICATE: what was remembered; caller's to fini */
    /* MP_OK: durable. MP_EDUPLICATE, MP_ECONFLICT: nothing stored. MP_EFULL, MP_EIO,
     * MP_ECLOSED: nothing stored, `why` says it. */
    void (*done)(struct mp_append *append, int status, const char *why);
    void *arg;
};

/* A partner, or one authority of postback's, that is to be left alone for a while. */
enum mp_pause_kind {
    MP_PAUSE_OPERATOR, /* `partner pause` */
    MP_PAUSE_AUTH,     /* twenty 401 or 403 in a row */
    MP_PAUSE_GONE,     /* a 410 */
    MP_PAUSE_SCRIPT,   /* overruns, or twenty deliveries in a row that threw */
    MP_PAUSE_VERDICT,  /* a script's verdict said so */
    MP_PAUSE_FILE      /* the script's file is gone */
};
struct mp_pause {
    char name[MP_LANE_BYTES]; /* a partner, or a lane */
    enum mp_pause_kind kind;
    char reason[256];
    int64_t since_ms;
};

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

/* What the queue tells its owner. Set before start. */
struct mp_queue_owner {
    void *arg;
    /* Records that may be tried now, of one loop turn; the owner takes the whole list. A
     * lane gets at most 256 (and all lanes 64 MiB) before it resolves some. */
    void (*on_take)(void *arg, struct mp_record_list *records);
    /* At start: every pause that was stored. */
    void (*on_pause)(void *arg, const struct mp_pause *pause);
    /* The engine can, or can no longer, take and store. `why` is NULL when it can. */
    void (*on_ready)(void *arg, const char *why);
};

typedef void (*mp_dead_page_cb)(void *arg, int status, const char *why,
                                struct mp_dead_page *page);
typedef void (*mp_dead_count_cb)(void *arg, int status, const char *why,
                                 struct mp_dead_count *count);

/* An engine is this table; its own struct begins with a struct mp_queue. */
struct mp_queue_ops {
    int (*append)(struct mp_queue *, struct mp_append *);
    void (*resolve)(struct mp_queue *, struct mp_record_list *);
    void (*hold)(struct mp_queue *, struct mp_str name, int64_t until_ms);
    void (*release)(struct mp_queue *, struct mp_str name);
    int (*set_pause)(struct mp_queue *, const struct mp_pause *);
    int (*clear_pause)(struct mp_queue *, struct mp_str name);
    uint64_t (*waiting)(struct mp_queue *, struct mp_str partner);
    int (*dead_list)(struct mp_queue *, struct mp_str partner, size_t limit,
                     struct mp_str cursor, mp_dead_page_cb, void *);
    int (*dead_show)(struct mp_queue *, struct mp_str id, mp_dead_page_cb, void *);
    int (*dead_replay)(struct mp_queue *, const struct mp_dead_filter *, bool dry_run,
                       mp_dead_count_cb, void *);
    int (*dead_purge)(struct mp_queue *, const struct mp_dead_filter *, bool dry_run,
                      mp_dead_count_cb, void *);
    void (*close)(struct mp_queue *, void (*on_closed)(void *), void *);
};
struct mp_queue {
    const struct mp_queue_ops *ops;
    struct mp_queue_owner owner;
};

/* MP_EAGAIN: too much is on its way to the disk already (answer 503), nothing was moved.
 */
MP_MUST_CHECK int mp_queue_append(struct mp_queue *queue, struct mp_append *append);

/* Takes the list back; each record's outcome says what to do with it. Cannot fail: the
 * engine repeats what the disk refused until it has it. */
void mp_queue_resolve(struct mp_queue *queue, struct mp_record_list *records);

/* Gives nothing more of a lane (or of a partner: all its lanes, also ones to come) until
 * `until_ms` (wall; INT64_MAX: until released). Not stored. Last call wins. */
void mp_queue_hold(struct mp_queue *queue, struct mp_str name, int64_t until_ms);
void mp_queue_release(struct mp_queue *queue, struct mp_str name);

/* Stores a pause so that it outlives a restart; it does not hold: the owner does. */
MP_MUST_CHECK int mp_queue_set_pause(struct mp_queue *queue,
                                     const struct mp_pause *pause);
MP_MUST_CHECK int mp_queue_clear_pause(struct mp_queue *queue, struct mp_str name);

/* Deliveries of a partner not yet settled or dead, in flight included; an empty name: of
 * all. */
uint64_t mp_queue_waiting(struct mp_queue *queue, struct mp_str partner);

/* Reads run beside the writes. The page is freed after the callback returns: take a
 * record out by setting its pointer to NULL. An unknown id gives MP_ENOTFOUND; a bad
 * cursor MP_EINVAL. */
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

/* Stores everything that was resolved, then closes. Records still out are taken again at
 * the next start: resolve after close just frees. */
void mp_queue_close(struct mp_queue *queue, void (*on_closed)(void *arg), void *arg);

#ifndef MP_CDEF
#include <uv.h>
struct mp_metrics;

/* The embedded engine: SQLite in `folder` (made when missing, locked: MP_EBUSY names the
 * process that holds it). Opening also recovers; on_take begins with the loop's next
 * turn. */
struct mp_queue_embedded_config {
    const char *folder;
    int64_t idempotency_window_ms;
    struct mp_metrics *metrics;
    struct mp_queue_owner owner;
};
MP_MUST_CHECK int mp_queue_open_embedded(uv_loop_t *loop,
                                         const struct mp_queue_embedded_config *config,
                                         struct mp_queue **out, struct mp_error *err);
#endif
