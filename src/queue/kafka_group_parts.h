/* SPDX-License-Identifier: MIT */
#pragma once

#include "kafka_group.h"

/* What the files of the group share. */

/* --- kafka_assign.c */
/* NULL: never ours. */
struct mp__kafka_partition *mp__kafka_partition_find(const struct mp__kafka_group *group,
                                                     enum mp__kafka_topic topic,
                                                     int32_t number);
/* An assignment came: reads what was committed of each, then begins to read them. The
 * list is copied. */
void mp__kafka_assign(struct mp__kafka *engine,
                      const rd_kafka_topic_partition_list_t *list);
/* Tries again what could not be read. */
void mp__kafka_assign_tick(struct mp__kafka *engine);
/* The partitions are not ours any more; their trackers are kept. Nothing of theirs waits
 * here by now. */
void mp__kafka_unassign(struct mp__kafka *engine);

/* --- kafka_carry.c: what was in hand when the partition went, and still is when it comes
 * back, goes on under the new assignment; read again, it is not given a second time. */
void mp__kafka_carry(struct mp__kafka *engine);
/* Whether this offset, now read again, is such a one; it is an item like any other then.
 */
bool mp__kafka_carry_met(struct mp__kafka_partition *partition, int64_t offset);
void mp__kafka_carry_end(struct mp__kafka_partition *partition);

/* --- kafka_leave.c */
/* A revocation came, or we are to close. Lost: somebody else may have them already. */
void mp__kafka_give_back(struct mp__kafka *engine, bool is_lost);
/* Goes on when what it waits for is there, or its time is over. */
void mp__kafka_leave_on(struct mp__kafka *engine);

/* --- kafka_commit.c */
/* False: nothing changed, or not now. */
bool mp__kafka_commit(struct mp__kafka *engine);
void mp__kafka_commit_ended(struct mp__kafka *engine, rd_kafka_event_t *event);
void mp__kafka_measure_lag(struct mp__kafka *engine);

/* --- kafka_due.c */
MP_MUST_CHECK int mp__kafka_due_put(struct mp__kafka_due *due, int64_t ready_ms,
                                    struct mp__kafka_item *item);
/* The first one when it is ready by then; NULL: none is. */
struct mp__kafka_item *mp__kafka_due_take(struct mp__kafka_due *due, int64_t now_ms);
void mp__kafka_due_fini(struct mp__kafka_due *due);

/* --- kafka_read.c */
/* Drops what waits in lanes and heaps. */
void mp__kafka_sweep(struct mp__kafka *engine);
/* A record of it went past us: nothing more is read before that one. */
void mp__kafka_reread(struct mp__kafka_partition *partition);
