/* SPDX-License-Identifier: MIT */
#pragma once

#include <librdkafka/rdkafka.h>

#include "kafka_topics.h"
#include "kafka_tracker.h"

/* A partition, as a deliverer knows it. */

struct mp__kafka_item;
struct mp_series;

/* The retries of one partition that are not due: in the 5s tier many, of the others the
 * one that was read last; nothing behind it is due earlier. A heap. */
struct mp__kafka_due_entry {
    int64_t ready_ms; /* wall */
    struct mp__kafka_item *item;
};
struct mp__kafka_due {
    struct mp__kafka_due_entry *heap;
    size_t count, capacity;
};

/* A partition that is ours, or was: its tracker is kept, since it may come back. */
struct mp__kafka_partition {
    struct mp__kafka_partition *next; /* all that were ever assigned */
    enum mp__kafka_topic topic;
    int32_t number;
    uint32_t assignment; /* the group's number of the last one that it was of */
    uint32_t epoch;      /* counted up when its log is another, or is read anew */
    bool is_assigned;    /* ours: until it is given back, or lost */
    bool has_mark;       /* the tracker says where reading begins; else: the beginning */
    struct mp__tracker tracker;
    int64_t committed;  /* the last mark that the group has of us, or had; -1: none */
    int64_t committing; /* the one under way; -1: none */
    bool skips_map;     /* the next commit has none: the broker refused the last */
    size_t live;        /* items of this assignment, wherever they are */
    int64_t *carried;   /* offsets of those that a former assignment of ours left in hand,
                           not read again yet; rising */
    size_t carried_count;
    rd_kafka_queue_t *queue;
    struct mp__kafka_due due;
    rd_kafka_message_t *stuck; /* read, and not to be taken yet: no memory, no room */
    bool is_stuck_seen;        /* the tracker counts it already */
    int64_t poll_at_ms;        /* monotonic: not before; of a tier that was empty */
    int64_t reread_ms;         /* monotonic: when to go back for what was dropped; 0 */
    struct mp_series *lag;
};
