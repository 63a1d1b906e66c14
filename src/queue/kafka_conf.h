/* SPDX-License-Identifier: MIT */
#pragma once

#include <librdkafka/rdkafka.h>

#include "kafka_topics.h"
#include "moonpost/kafka.h"

/* librdkafka's settings: ours, then the user's, and those that nobody may change because
 * a promise rests on them. And its error codes, translated. */

/* The most of a request with one record: one of MP__KAFKA_RECORD_BYTES, and room for the
 * headers that retries and a burial add. The topics take as much. */
#define MP__KAFKA_BATCH_BYTES (MP__KAFKA_RECORD_BYTES + 128 * 1024)

enum mp__kafka_role {
    MP__KAFKA_PRODUCER,
    MP__KAFKA_CONSUMER, /* a group's member */
    /* Reads partitions by hand, commits nothing; is told where each ends (PARTITION_EOF
     * messages). */
    MP__KAFKA_FOLLOWER,
    MP__KAFKA_ADMIN
};

/* Events, not callbacks: everything arrives in queues. Logs too (log.queue). NULL: `err`
 * says which setting. The group is `<prefix>moonpost` unless group.id is set; a follower
 * has the same. */
rd_kafka_conf_t *mp__kafka_conf_new(const struct mp_kafka_cluster *cluster,
                                    enum mp__kafka_role role, struct mp_error *err);
/* Takes the conf also when it fails. The handle's logs and errors go to its main queue; a
 * consumer's main queue is forwarded to its consumer queue. */
MP_MUST_CHECK int mp__kafka_handle_new(rd_kafka_conf_t *conf, enum mp__kafka_role role,
                                       rd_kafka_t **out, struct mp_error *err);
/* For specs: producers are idempotent also where librdkafka is not sound. */
void mp__kafka_force_idempotence(bool is_forced);

/* MP_EAGAIN: try again, MP_EIO, MP_EDENIED (authorization), MP_EINVAL … */
int mp__kafka_status(rd_kafka_resp_err_t code);
/* A sentence's end for a person, without librdkafka's prefixes: "no broker can be
 * reached". Good until this thread's next call. */
const char *mp__kafka_text(rd_kafka_resp_err_t code);
/* A LOG or ERROR event, told to our log; `all_down` (may be NULL) becomes true when the
 * event says that no broker can be reached. Does not destroy the event. Any thread. */
void mp__kafka_event_log(rd_kafka_event_t *event, bool *all_down);
/* A warning that is told at most once in 10 s, however often it is said. Any thread. */
void mp__kafka_warn(const char *format, ...) MP_PRINTF(1, 2);
