/* SPDX-License-Identifier: MIT */
#pragma once

#include <librdkafka/rdkafka.h>
#include <uv.h>

#include "kafka_conf.h"
#include "kafka_dead_index.h"
#include "moonpost/record.h"

/* Reads `postbacks.dead` on a thread of its own, where blocking is no harm: what is asked
 * of it is run one after another. The thread begins with the first ask; its handle and
 * index are given back when nobody asked for ten minutes. */

struct mp__dead_reader;

/* Embedded in what is asked: the reader's between `ask` and `done`. */
struct mp__dead_ask {
    struct mp__dead_ask *next;
    /* On the reader's thread. */
    int (*run)(struct mp__dead_reader *reader, struct mp__dead_ask *ask,
               struct mp_error *err);
    /* On the main loop. */
    void (*done)(struct mp__dead_ask *ask);
    int status;
    struct mp_error err;
};
struct mp__dead_asks {
    struct mp__dead_ask *head, *tail;
};

struct mp__dead_reader {
    const struct mp_kafka_cluster *cluster;
    const char *topic_name;
    unsigned json_depth;
    uv_loop_t *loop;
    bool is_started;
    uv_thread_t thread;
    uv_async_t answered;
    uv_mutex_t lock;
    uv_cond_t changed;
    struct mp__dead_asks inbox, outbox; /* these three under the lock */
    bool is_stopping, has_ended;
    void (*on_stopped)(void *arg);
    void *stopped_arg;
    /* The thread's own. */
    rd_kafka_t *handle;
    rd_kafka_topic_t *topic;
    rd_kafka_queue_t *events; /* the handle's logs and errors */
    struct mp__dead_index index;
    int64_t *positions; /* of each partition: the next offset */
    int32_t partition_count;
    bool is_stale;    /* the topic is not the one that was read: read it anew */
    int64_t until_ms; /* monotonic: when what is run gives up, unless there is progress */
    int64_t used_ms;  /* monotonic */
};

void mp__dead_reader_init(struct mp__dead_reader *reader, uv_loop_t *loop,
                          const struct mp_kafka_cluster *cluster, const char *topic_name,
                          unsigned json_depth);
/* Takes the ask. MP_ENOMEM: the thread could not be started. */
MP_MUST_CHECK int mp__dead_reader_ask(struct mp__dead_reader *reader,
                                      struct mp__dead_ask *ask);
/* What was asked is still run, but a cluster that does not answer is not waited for any
 * more (MP_ECLOSED). Then on_stopped, from the loop; nothing may be asked after this. */
void mp__dead_reader_stop(struct mp__dead_reader *reader, void (*on_stopped)(void *arg),
                          void *arg);

/* --- on the reader's thread, in an ask's run */

/* Reads to where the topic ends now. MP_EIO, MP_ECLOSED, MP_ENOMEM. */
MP_MUST_CHECK int mp__dead_catch_up(struct mp__dead_reader *reader, struct mp_error *err);

struct mp__dead_place {
    struct mp__dead_entry entry;
    size_t at; /* the caller's */
};
/* Told of each place once: its record, or NULL when it is not there any more. Not MP_OK:
 * the reading ends with that, the others are not told of. */
typedef int (*mp__dead_each)(void *arg, size_t at, const rd_kafka_message_t *message,
                             struct mp_error *err);
/* Reads the records at these places, which are put in order. */
MP_MUST_CHECK int mp__dead_fetch(struct mp__dead_reader *reader,
                                 struct mp__dead_place *places, size_t count,
                                 mp__dead_each each, void *arg, struct mp_error *err);
/* Slices into the message. False: it has no key. */
bool mp__dead_key_of(const rd_kafka_message_t *message, struct mp__dead_key *key);

/* --- between the reader's files */

/* Opens the handle if there is none. */
MP_MUST_CHECK int mp__dead_handle(struct mp__dead_reader *reader, struct mp_error *err);
/* Tells librdkafka's logs and errors to our log. */
void mp__dead_events(struct mp__dead_reader *reader);
/* There was progress. */
void mp__dead_went_on(struct mp__dead_reader *reader);
/* How long the next call may block; 0: what is run has waited long enough. */
int mp__dead_patience_ms(struct mp__dead_reader *reader);
/* MP_EIO, or MP_ECLOSED: "could not read the dead letters: …". */
int mp__dead_fail(struct mp__dead_reader *reader, rd_kafka_resp_err_t code,
                  struct mp_error *err);
/* Whether waiting may help. */
bool mp__dead_is_passing(rd_kafka_resp_err_t code);
