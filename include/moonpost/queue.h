/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moonpost/dead.h"
#include "moonpost/record.h"

/* The durable queue: what was appended is there until it is settled, whatever dies. One
 * interface, several engines; every call and every callback is on the main loop's thread,
 * none blocks.
 *
 * Life of a record: append -> (durable) -> on_take -> resolve: settle, retry, bury or
 * park. What was taken and never resolved is taken again after a restart: at least once,
 * never less. */

struct mp_queue;

/* A request's worth of records: stored all or none, where the engine can promise that.
 * The caller owns the struct until done. */
struct mp_append {
    struct mp_record_list
        records;          /* moved to the queue when mp_queue_append returns MP_OK */
    bool has_key;         /* an Idempotency-Key came with it */
    uint8_t key[32];      /* SHA-256 of the key and where it was sent */
    uint8_t body[32];     /* SHA-256 of the request's content */
    struct mp_str answer; /* remembered under the key */
    struct mp_buf
        answer_before; /* with MP_EDUPLICATE: what was remembered; caller's to fini */
    /* An engine that cannot promise all or none says with MP_EIO which of them, by their
     * place in records, it has stored; NULL: none. The engine's, until done returns. */
    const bool *stored;
    size_t stored_count; /* how many are true */
    /* MP_OK: durable. MP_EDUPLICATE, MP_ECONFLICT: nothing stored. MP_EFULL, MP_EIO,
     * MP_ECLOSED: nothing stored but `stored`, `why` says it. */
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

/* What the queue tells its owner. Set before start. */
struct mp_queue_owner {
    void *arg;
    /* Records that may be tried now, of one loop turn; the owner takes the whole list. A
     * lane gets at most 256, or its depth (and all lanes 64 MiB), before it resolves
     * some. */
    void (*on_take)(void *arg, struct mp_record_list *records);
    /* At start every pause that was stored, before the first on_take; later, one that
     * another process stored, or cleared. */
    void (*on_pause)(void *arg, const struct mp_pause *pause);
    void (*on_resume)(void *arg, struct mp_str name);
    /* What was taken may soon be another process's: park all that has not begun. */
    void (*on_recall)(void *arg);
    /* Whether there is a script for this partner. NULL: there is one for each. */
    bool (*knows)(void *arg, struct mp_str partner);
    /* The engine can, or can no longer, take and store. `why` is NULL when it can. */
    void (*on_ready)(void *arg, const char *why);
};

/* MP_EAGAIN: too much is on its way to the disk already (answer 503). MP_EIO: it is away
 * for now, as on_ready said. MP_ELIMIT: a record that it can never hold. MP_EINVAL: one
 * without an id or a partner, or with too long a lane. Nothing was moved then. */
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

/* How many records a partner's lane may have in the owner's hands at a time: more than
 * the usual 256 where a batch needs them. 0: the usual. */
void mp_queue_set_depth(struct mp_queue *queue, struct mp_str partner, size_t records);

/* Deliveries of a partner not yet settled or dead, in flight included; an empty name: of
 * all. Of Kafka's, those that this process has read. */
uint64_t mp_queue_waiting(struct mp_queue *queue, struct mp_str partner);

/* Before a close: gives nothing more, while what the owner has ends and is resolved as
 * ever; what it parks is left to the next start, or to another process. */
void mp_queue_rest(struct mp_queue *queue);

/* Stores everything that was resolved, then closes. Records still out are taken again at
 * the next start: resolve after close just frees. */
void mp_queue_close(struct mp_queue *queue, void (*on_closed)(void *arg), void *arg);
