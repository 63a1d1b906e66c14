/* SPDX-License-Identifier: MIT */
#pragma once

#include <librdkafka/rdkafka.h>

#include "moonpost/kafka.h"

/* librdkafka's settings: ours, then the user's, and those that nobody may change because
 * a promise rests on them. And its error codes, translated. */

enum mp__kafka_role {
    MP__KAFKA_PRODUCER,
    MP__KAFKA_CONSUMER, /* a group's member */
    MP__KAFKA_FOLLOWER, /* reads partitions by hand, commits nothing */
    MP__KAFKA_ADMIN
};

/* Events, not callbacks: everything arrives in queues. Logs too (log.queue). NULL: `err`
 * says which setting. The group is `<prefix>moonpost` unless group.id is set. */
rd_kafka_conf_t *mp__kafka_conf_new(const struct mp_kafka_cluster *cluster,
                                    enum mp__kafka_role role, struct mp_error *err);
/* Takes the conf also when it fails. The handle's logs go to `logs` (NULL: its main
 * queue). */
MP_MUST_CHECK int mp__kafka_handle_new(rd_kafka_conf_t *conf, enum mp__kafka_role role,
                                       rd_kafka_t **out, struct mp_error *err);

/* MP_EAGAIN: try again, MP_EIO, MP_EDENIED (authorization), MP_EINVAL … */
int mp__kafka_status(rd_kafka_resp_err_t code);
/* A sentence's end for a person, without librdkafka's prefixes: "all brokers are down". */
const char *mp__kafka_text(rd_kafka_resp_err_t code);
/* A LOG or ERROR event, told to our log; `all_down` (may be NULL) becomes true when the
 * event says that no broker can be reached. Does not destroy the event. */
void mp__kafka_event_log(rd_kafka_event_t *event, bool *all_down);
