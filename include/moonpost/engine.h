/* SPDX-License-Identifier: MIT */
#pragma once

#include "moonpost/queue.h"

/* The queue's engines: what each one fills in, and how one is opened. */

/* An engine is this table; its own struct begins with a struct mp_queue. */
struct mp_queue_ops {
    int (*append)(struct mp_queue *, struct mp_append *);
    void (*resolve)(struct mp_queue *, struct mp_record_list *);
    void (*hold)(struct mp_queue *, struct mp_str name, int64_t until_ms);
    void (*release)(struct mp_queue *, struct mp_str name);
    int (*set_pause)(struct mp_queue *, const struct mp_pause *);
    int (*clear_pause)(struct mp_queue *, struct mp_str name);
    void (*set_depth)(struct mp_queue *, struct mp_str partner, size_t records);
    uint64_t (*waiting)(struct mp_queue *, struct mp_str partner);
    int (*dead_list)(struct mp_queue *, struct mp_str partner, size_t limit,
                     struct mp_str cursor, mp_dead_page_cb, void *);
    int (*dead_show)(struct mp_queue *, struct mp_str id, mp_dead_page_cb, void *);
    int (*dead_replay)(struct mp_queue *, const struct mp_dead_filter *, bool dry_run,
                       mp_dead_count_cb, void *);
    int (*dead_purge)(struct mp_queue *, const struct mp_dead_filter *, bool dry_run,
                      mp_dead_count_cb, void *);
    void (*rest)(struct mp_queue *); /* NULL: its owner may as well drop what it gets */
    void (*close)(struct mp_queue *, void (*on_closed)(void *), void *);
};
struct mp_queue {
    const struct mp_queue_ops *ops;
    struct mp_queue_owner owner;
};

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
