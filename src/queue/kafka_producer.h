/* SPDX-License-Identifier: MIT */
#pragma once

#include <librdkafka/rdkafka.h>

#include "kafka_conf.h"
#include "kafka_topics.h"
#include "moonpost/buf.h"

/* Sends records. Each send is told its end exactly once, from mp__kafka_producer_poll:
 * acks=all of the in-sync replicas. A send that must not be lost is repeated until it is
 * acked; the others fail after the append's time. Main loop only, blocks never. */

struct mp__kafka_send {
    struct mp__kafka_send *next; /* the producer's */
    enum mp__kafka_topic topic;
    bool is_kept;         /* repeated until it is acked */
    struct mp_str value;  /* the sender's until the end; data NULL: a tombstone */
    int64_t timestamp_ms; /* of the record; 0: now */
    void *arg;
    /* Fills key (reset, the producer's memory) and headers anew before each try: what was
     * due later may be due sooner by now; may change `topic`. Not MP_OK: the send ends
     * with that. */
    int (*prepare)(struct mp__kafka_send *send, struct mp_buf *key,
                   rd_kafka_headers_t **headers);
    /* MP_OK: stored. MP_EAGAIN: certainly not stored. MP_EIO: perhaps. MP_ELIMIT: too
     * large for the topic, also of a kept one. `why` only when it is not MP_OK. The send
     * is the sender's again. */
    void (*on_end)(struct mp__kafka_send *send, int status, const char *why);
    int ended;                /* the producer's: what a kept one is to be told */
    rd_kafka_resp_err_t code; /* the producer's: why */
};

struct mp__kafka_producer {
    rd_kafka_t *handle; /* open to close; another one after a fatal error */
    rd_kafka_topic_t *topics[MP__KAFKA_TOPICS];
    rd_kafka_queue_t *queue;
    rd_kafka_event_t *event; /* reports that were not told yet */
    struct mp_buf key;
    struct mp__kafka_send *again, *again_tail; /* kept ones to be repeated, in order */
    struct mp__kafka_send *ended;              /* kept ones that cannot be sent */
    int64_t again_ms, backoff_ms; /* monotonic, when they are; how long after a failure */
    size_t count, bytes;          /* sends not ended */
    bool all_down;                /* librdkafka said so since the last ack */
    bool is_abandoned;
    int64_t acked_ms;   /* monotonic: the last ack */
    int64_t waiting_ms; /* monotonic: since when something waits without one; 0: none */
    uint64_t errors;    /* tries that failed, ever */
    int wake_fd;
    /* What a new handle needs when librdkafka gives this one up (a fatal error, only with
     * idempotence). */
    const struct mp_kafka_cluster *cluster;
    const struct mp__kafka_topics *names;
    int64_t append_ms, renew_ms;
    struct mp__kafka_given_up *given_up; /* until their last reports have come, and a
                                            while: others may hold the handle */
};

/* `wake_fd`: an eventfd that is written to when there is something to poll. After a
 * failure, and on a zeroed struct, destroy is well. */
MP_MUST_CHECK int mp__kafka_producer_open(struct mp__kafka_producer *producer,
                                          const struct mp_kafka_cluster *cluster,
                                          const struct mp__kafka_topics *names,
                                          int64_t append_ms, int wake_fd,
                                          struct mp_error *err);
/* Takes the send. An error returned (MP_EAGAIN: librdkafka is full, or the producer
 * abandoned; MP_ENOMEM; MP_ELIMIT; prepare's): it is the sender's still. A kept one
 * returns none until the producer is abandoned. */
MP_MUST_CHECK int mp__kafka_producer_send(struct mp__kafka_producer *producer,
                                          struct mp__kafka_send *send);
/* Ends what has ended, at most `most`; repeats what is to be repeated. False: there is
 * more. To be called every 100 ms or so also when nothing woke. */
bool mp__kafka_producer_poll(struct mp__kafka_producer *producer, size_t most);
/* Drops what is not stored: each send ends with MP_EAGAIN or MP_EIO, the kept ones too,
 * before this returns. Nothing is sent after it. */
void mp__kafka_producer_abandon(struct mp__kafka_producer *producer);
/* Blocks (a broker may be slow to let go): not on the main loop while it matters. After
 * abandon, or when count is 0. */
void mp__kafka_producer_destroy(struct mp__kafka_producer *producer);
