/* SPDX-License-Identifier: MIT */
#pragma once

#include "kafka_producer.h"

/* The producer's handles at librdkafka: the one in use, and those that were given up. */

struct mp__kafka_given_up {
    struct mp__kafka_given_up *next;
    rd_kafka_t *handle;
    rd_kafka_queue_t *queue;
    int64_t at_ms; /* monotonic */
};

/* Sets handle, queue and topics; they are unchanged when it fails. */
MP_MUST_CHECK int mp__kafka_producer_connect(struct mp__kafka_producer *producer,
                                             struct mp_error *err);
/* A new handle, and the old one is given up: its sends end as failed. When no new one can
 * be made, the old one stays and it is tried again. */
void mp__kafka_producer_renew(struct mp__kafka_producer *producer);
/* Has those that were given up let go of their sends; destroys one that nobody can hold
 * any more. */
void mp__kafka_given_up_tend(struct mp__kafka_producer *producer);
/* Blocks. */
void mp__kafka_given_up_destroy(struct mp__kafka_given_up *given_up);
