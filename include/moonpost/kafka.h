/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moonpost/options.h"
#include "moonpost/queue.h"

/* Apache Kafka as the queue, through librdkafka: which cluster, which topics, how they
 * are made, and how the engine on them is opened. */

/* A cluster and how to speak to it. Texts are the caller's and live as long as what was
 * opened with them. */
struct mp_kafka_cluster {
    const char *bootstrap;     /* "host:9092,host:9092" */
    const char *topic_prefix;  /* before each topic's name, as it is; may be empty */
    const char *settings_file; /* librdkafka settings, name=value a line; NULL */
    struct mp_option_texts settings; /* "name=value"; they win over the file's */
};
/* Reads the file and tries every setting. MP_EINVAL names the one that is unknown, that
 * its value does not suit, or that would break a promise, and says which. A value is not
 * repeated in the text: it may be a secret. */
MP_MUST_CHECK int mp_kafka_cluster_check(const struct mp_kafka_cluster *cluster,
                                         struct mp_error *err);

struct mp_kafka_topic_plan {
    int64_t partitions;   /* of each topic but `partners`, which has one */
    int64_t replication;  /* 0: three, or as many as there are brokers */
    int64_t retention_ms; /* of postbacks and the retry tiers; -1: for ever */
};
/* One finding about a topic, for a person: "postbacks.dead", "made with 6 partitions". */
typedef void (*mp_kafka_finding)(void *arg, const char *topic, bool is_good,
                                 const char *text);
/* Makes the topics that are missing, leaves the others as they are and says what is wrong
 * with them. Blocks, 30 s at most. MP_OK: all are there and well. MP_EINVAL: `each` was
 * told what is wrong. MP_EIO: the cluster could not be reached, or refused. */
MP_MUST_CHECK int mp_kafka_topics_create(const struct mp_kafka_cluster *cluster,
                                         const struct mp_kafka_topic_plan *plan,
                                         mp_kafka_finding each, void *arg,
                                         struct mp_error *err);
/* The same, changing nothing. */
MP_MUST_CHECK int mp_kafka_topics_check(const struct mp_kafka_cluster *cluster,
                                        const struct mp_kafka_topic_plan *plan,
                                        mp_kafka_finding each, void *arg,
                                        struct mp_error *err);

/* The version of librdkafka in use: "2.0.2". */
const char *mp_kafka_version(void);

#ifndef MP_CDEF
#include <uv.h>

struct mp_metrics;

struct mp_queue_kafka_config {
    struct mp_kafka_cluster cluster;
    bool delivers;        /* false: only appends, pauses and dead letters */
    int64_t append_ms;    /* how long an append may wait for its acks */
    int64_t window;       /* the most unfinished records of a partition; 8,192 */
    int64_t memory_bytes; /* the most that records in memory may take */
    int64_t unknown_ms;   /* how long a record of an unknown partner is kept */
    unsigned json_depth;
    struct mp_metrics *metrics; /* NULL: none */
    struct mp_queue_owner owner;
};
/* Opens without waiting for the cluster: owner.on_ready says when it can be used, and why
 * not until then; appends answer MP_EAGAIN meanwhile. MP_EINVAL: a setting. */
MP_MUST_CHECK int mp_queue_open_kafka(uv_loop_t *loop,
                                      const struct mp_queue_kafka_config *config,
                                      struct mp_queue **out, struct mp_error *err);
#endif
