/* SPDX-License-Identifier: MIT */
#pragma once

#include <uv.h>

#include "kafka_dead.h"
#include "kafka_group.h"
#include "kafka_lanes.h"
#include "kafka_pauses.h"
#include "kafka_producer.h"
#include "moonpost/engine.h"
#include "moonpost/kafka.h"
#include "moonpost/metrics.h"

/* The Kafka engine: what its files share. All of it is on the main loop; librdkafka's own
 * threads only write to one eventfd. What a turn cannot drain goes on with the next. */

struct mp__kafka_append;

struct mp__kafka {
    struct mp_queue base;
    struct mp_queue_kafka_config config;
    struct mp__kafka_topics topics;
    uv_loop_t *loop;
    int wake_fd; /* every queue of librdkafka's writes to it */
    uv_poll_t wake;
    uv_timer_t tick; /* 100 ms: commits, rates, due times */
    uv_timer_t due;  /* the next retry that becomes due */
    uv_idle_t more;  /* runs while something is not drained */
    struct mp__kafka_producer producer;
    struct mp__kafka_group group;
    struct mp__kafka_lanes lanes;
    struct mp__kafka_pauses pauses;
    struct mp__kafka_dead *dead;
    struct mp__kafka_watch *watch;
    struct mp_record_list give;   /* of this turn, for the owner */
    struct mp__names tallies;     /* of partners: struct mp__kafka_tally */
    struct mp__kafka_item *items; /* all that are not done, wherever they are */
    size_t live, live_bytes;
    bool is_reachable;   /* the cluster answered the last time */
    const char *trouble; /* what the owner was told; NULL: ready */
    char trouble_text[256];
    bool has_pauses; /* the owner knows them all: deliveries may begin */
    size_t kept;     /* sends that must not be lost, under way */
    size_t appending, appending_bytes;
    struct mp__kafka_append *ended;   /* to be answered in the next turn */
    bool is_resting, is_closing;      /* nothing is read, or given; nor appended */
    bool is_shut;                     /* no turn any more */
    int step;                         /* of kafka_close.c */
    int closing;                      /* parts that have not closed yet */
    int64_t close_ms, store_until_ms; /* monotonic */
    uv_work_t destroying;
    void (*on_closed)(void *arg);
    void *closed_arg;
    /* NULL without metrics. */
    struct mp_series *spilled[3], *rebalances, *commits, *commit_errors, *produce_errors,
        *malformed, *in_flight, *partitions;
    uint64_t told_errors;
};

/* --- kafka_store.c: each takes the item, record and all, done once it is stored. */
void mp__kafka_store_retry(struct mp__kafka *engine, struct mp__kafka_item *item,
                           int64_t due_ms);
/* With record->outcome.reason. */
void mp__kafka_store_dead(struct mp__kafka *engine, struct mp__kafka_item *item);
/* A record that cannot be read: copied; `item` has no record. */
void mp__kafka_store_malformed(struct mp__kafka *engine, struct mp__kafka_item *item,
                               const rd_kafka_message_t *message, const char *why);

/* --- kafka_append.c */
int mp__kafka_append(struct mp_queue *queue, struct mp_append *append);
/* Answers those that ended before they had begun. */
void mp__kafka_append_end(struct mp__kafka *engine);

/* --- kafka_item.c */
struct mp__kafka_tally {
    struct mp__name name;
    uint64_t count;
};
/* Takes the record (NULL: one that is malformed) also when it fails; NULL: out of memory.
 * Counts it. */
struct mp__kafka_item *mp__kafka_item_new(struct mp__kafka *engine,
                                          struct mp__kafka_partition *partition,
                                          int64_t offset, struct mp_record *record);
/* Frees it, and a record still in it. */
void mp__kafka_item_free(struct mp__kafka *engine, struct mp__kafka_item *item);

/* --- kafka.c */
/* Something became possible: the next turn looks. */
void mp__kafka_stir(struct mp__kafka *engine);
/* A record that may be tried now, or a retry whose tier is over: to its lane, or to the
 * next tier when mp_due is not yet there. Takes the item. */
void mp__kafka_ready(struct mp__kafka *engine, struct mp__kafka_item *item,
                     int64_t now_ms);
/* Memory, kept sends and lanes have room. */
bool mp__kafka_may_read(const struct mp__kafka *engine);

/* --- kafka_close.c */
void mp__kafka_rest(struct mp_queue *queue);
void mp__kafka_close(struct mp_queue *queue, void (*on_closed)(void *arg), void *arg);
/* Called by the group when it has closed. */
void mp__kafka_group_has_closed(struct mp__kafka *engine);
/* At each tick: takes the next step when it is time. */
void mp__kafka_close_on(struct mp__kafka *engine);
/* Frees what is left. */
void mp__kafka_discard(struct mp__kafka *engine);

/* --- kafka_metrics.c */
void mp__kafka_metrics_open(struct mp__kafka *engine);
void mp__kafka_measure(struct mp__kafka *engine);

/* --- kafka_watch.c: asks the cluster every 2 s, on a pool thread, whether it is there
 * and has the topics; subscribes and follows once it has. */
MP_MUST_CHECK int mp__kafka_watch_start(struct mp__kafka *engine);
/* NULL: well. Told to the owner when it changes. */
void mp__kafka_trouble(struct mp__kafka *engine, const char *why);
/* Something happened that may change the answer: asks soon. */
void mp__kafka_watch_hurry(struct mp__kafka *engine);
void mp__kafka_watch_close(struct mp__kafka *engine, void (*on_closed)(void *arg),
                           void *arg);
