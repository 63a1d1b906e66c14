/* SPDX-License-Identifier: MIT */
#pragma once

#include <librdkafka/rdkafka.h>

#include "kafka_conf.h"

/* What making and checking topics share. Every call blocks. */

struct mp__kafka_admin {
    rd_kafka_t *handle;
    rd_kafka_queue_t *answers, *errors;
    int64_t until_ms; /* monotonic: when the whole is given up */
    const struct mp_kafka_cluster *cluster;
    const struct mp_kafka_topic_plan *plan;
    struct mp__kafka_topics names;
    const rd_kafka_metadata_t *metadata;
    mp_kafka_finding each;
    void *arg;
    bool is_made[MP__KAFKA_TOPICS]; /* just now */
    size_t bad;                     /* findings that were */
};

/* Tells the caller's `each`. */
void mp__kafka_admin_tell(struct mp__kafka_admin *admin, enum mp__kafka_topic topic,
                          bool is_good, const char *format, ...) MP_PRINTF(4, 5);
/* The copies that each record is to have. */
int mp__kafka_admin_replication(const struct mp__kafka_admin *admin);
/* What a topic's setting is to be: its text in `out`, NULL when it has none. */
const char *mp__kafka_admin_wanted(const struct mp__kafka_admin *admin,
                                   enum mp__kafka_topic topic, size_t index,
                                   const char **name, char out[24]);
/* The next answer; NULL: none came in time. The caller destroys it. */
rd_kafka_event_t *mp__kafka_admin_answer(struct mp__kafka_admin *admin);
/* Milliseconds that are left, at least 1. */
int mp__kafka_admin_left_ms(const struct mp__kafka_admin *admin);
const rd_kafka_metadata_topic_t *mp__kafka_admin_find(const struct mp__kafka_admin *admin,
                                                      enum mp__kafka_topic topic);

/* Looks at all those that are in the metadata and tells what is wrong with them. */
MP_MUST_CHECK int mp__kafka_admin_check(struct mp__kafka_admin *admin,
                                        struct mp_error *err);
/* One topic's settings, as a broker told them. */
void mp__kafka_admin_judge(struct mp__kafka_admin *admin, enum mp__kafka_topic topic,
                           const rd_kafka_ConfigEntry_t **entries, size_t count);
