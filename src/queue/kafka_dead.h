/* SPDX-License-Identifier: MIT */
#pragma once

#include "kafka_producer.h"
#include "kafka_record.h"
#include "moonpost/dead.h"

/* Dead letters on Kafka: the compacted topic `postbacks.dead`, key partner/id/replays. A
 * thread of its own reads it when somebody asks, from where it stopped the last time to
 * the end, and keeps a small index: 64 bytes or so a dead letter, given back after ten
 * idle minutes. Burying is the engine's: this reads, replays and purges. */

struct mp__kafka;
struct mp__kafka_dead;

/* Until the first call it is one block of memory and nothing more: free() is enough. */
MP_MUST_CHECK int mp__kafka_dead_new(struct mp__kafka *engine,
                                     struct mp__kafka_dead **out, struct mp_error *err);
/* As mp_queue_dead_list and the others say. What this process buried and had acked is
 * seen. The cluster away: MP_EIO in the callback, within 10 s. */
MP_MUST_CHECK int mp__kafka_dead_list(struct mp__kafka_dead *dead, struct mp_str partner,
                                      size_t limit, struct mp_str cursor,
                                      mp_dead_page_cb done, void *arg);
MP_MUST_CHECK int mp__kafka_dead_show(struct mp__kafka_dead *dead, struct mp_str id,
                                      mp_dead_page_cb done, void *arg);
/* Replay: produce to postbacks, its report, then the tombstone; at most 256 at a time
 * under way, of one call after another. Malformed ones cannot be replayed: by id they are
 * unknown, of a range they do not match; purge takes them. */
MP_MUST_CHECK int mp__kafka_dead_change(struct mp__kafka_dead *dead, bool is_purge,
                                        const struct mp_dead_filter *filter, bool dry_run,
                                        mp_dead_count_cb done, void *arg);
/* Calls that are under way end before on_closed, which runs from the loop: reads as ever
 * (MP_ECLOSED when the cluster does not answer at once), replays and purges with what
 * they did. The engine abandons the producer before this, and runs no call once it
 * closes. Frees it. */
void mp__kafka_dead_close(struct mp__kafka_dead *dead, void (*on_closed)(void *arg),
                          void *arg);
