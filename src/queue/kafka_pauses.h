/* SPDX-License-Identifier: MIT */
#pragma once

#include <librdkafka/rdkafka.h>

#include "embedded_names.h"
#include "kafka_producer.h"
#include "moonpost/queue.h"

/* Pauses on every process: the compacted topic `postbacks.partners`, key the pause's
 * name, value {"kind","reason","since"} or a tombstone. Each process reads it wholly at
 * its start and follows it; the topic's order decides. What the owner set or cleared
 * itself it is not told again; of what others stored before that, nothing. Zeroed is not
 * started. */

struct mp__kafka;

struct mp__kafka_pauses {
    rd_kafka_t *handle; /* a follower */
    rd_kafka_topic_t *topic;
    rd_kafka_queue_t *queue, *events; /* records; the handle's logs and errors */
    int32_t partition_count;
    int32_t at_end; /* partitions read to where they ended */
    bool *has_ended;
    bool is_loaded; /* every one: what the owner knows is complete */
    bool is_stopped;
    bool is_at_end; /* nothing was read since an end was */
    int64_t looked_ms;
    size_t sending; /* ours, not acked */
    struct mp__names names;
    uint64_t writer,
        writes; /* header mp_writer: which process wrote it, and its how many-th */
};

/* Starts to read; the topics are there. On failure nothing has changed. */
MP_MUST_CHECK int mp__kafka_pauses_start(struct mp__kafka *engine, int32_t partitions,
                                         struct mp_error *err);
/* Tells the owner. False: there is more. */
bool mp__kafka_pauses_poll(struct mp__kafka *engine);
/* Repeated until they are stored; also before the start. Of several of one name the last
 * is. MP_EINVAL: no name. MP_ENOMEM. */
MP_MUST_CHECK int mp__kafka_pauses_set(struct mp__kafka *engine,
                                       const struct mp_pause *pause);
MP_MUST_CHECK int mp__kafka_pauses_clear(struct mp__kafka *engine, struct mp_str name);
/* Does not block: nothing is polled after it. `destroy` does and is for a pool thread,
 * when all sends have ended. */
void mp__kafka_pauses_stop(struct mp__kafka *engine);
void mp__kafka_pauses_destroy(struct mp__kafka_pauses *pauses);

/* The value of a pause's record, and back. MP_EINVAL: `err` says what is malformed. The
 * name is the caller's to set. */
MP_MUST_CHECK int mp__kafka_pause_write(const struct mp_pause *pause, struct mp_buf *out);
MP_MUST_CHECK int mp__kafka_pause_read(struct mp_str value, unsigned json_depth,
                                       struct mp_pause *out, struct mp_error *err);
