/* SPDX-License-Identifier: MIT */
#include "kafka_dead_reader.h"

#include <stdlib.h>

#include "moonpost/clock.h"
#include "moonpost/log.h"

#define GIVE_UP_MS (9 * 1000) /* the last call that blocks may come on top */
#define SLICE_MS   500
#define IDLE_MS    (10 * 60 * 1000)
#define LOOK_NS    (UINT64_C(1000) * 1000 * 1000)

/* --- patience */

static bool is_stopping(struct mp__dead_reader *reader)
{
    uv_mutex_lock(&reader->lock);
    bool is = reader->is_stopping;
    uv_mutex_unlock(&reader->lock);
    return is;
}

void mp__dead_went_on(struct mp__dead_reader *reader)
{
    reader->until_ms = mp_clock_mono_ms() + GIVE_UP_MS;
}

int mp__dead_patience_ms(struct mp__dead_reader *reader)
{
    int64_t left_ms = reader->until_ms - mp_clock_mono_ms();
    /* In the middle of a close there is one slice for each thing, no second try. */
    if (is_stopping(reader)) {
        left_ms = reader->until_ms - mp_clock_mono_ms() - GIVE_UP_MS + SLICE_MS;
    }
    return left_ms <= 0 ? 0 : left_ms < SLICE_MS ? (int)left_ms : SLICE_MS;
}

bool mp__dead_is_passing(rd_kafka_resp_err_t code)
{
    int status = mp__kafka_status(code);
    return status == MP_EAGAIN && code != RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC &&
           code != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART &&
           code != RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
}

int mp__dead_fail(struct mp__dead_reader *reader, rd_kafka_resp_err_t code,
                  struct mp_error *err)
{
    if (mp__dead_is_passing(code) && is_stopping(reader)) {
        return mp_error_set(err, MP_ECLOSED, "could not read the dead letters: %s",
                            mp_status_text(MP_ECLOSED));
    }
    return mp_error_set(err, MP_EIO, "could not read the dead letters: %s",
                        mp__kafka_text(code));
}

/* --- the handle */

void mp__dead_events(struct mp__dead_reader *reader)
{
    rd_kafka_event_t *event;
    while (reader->events && (event = rd_kafka_queue_poll(reader->events, 0))) {
        mp__kafka_event_log(event, NULL);
        rd_kafka_event_destroy(event);
    }
}

static void give_back(struct mp__dead_reader *reader)
{
    mp__dead_index_fini(&reader->index);
    free(reader->positions);
    reader->positions = NULL;
    reader->partition_count = 0;
    if (reader->topic) {
        rd_kafka_topic_destroy(reader->topic);
        reader->topic = NULL;
    }
    if (reader->handle) {
        mp__dead_events(reader);
        rd_kafka_queue_destroy(reader->events);
        rd_kafka_destroy_flags(reader->handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
        reader->handle = NULL;
        reader->events = NULL;
    }
}

int mp__dead_handle(struct mp__dead_reader *reader, struct mp_error *err)
{
    if (reader->handle) {
        return MP_OK;
    }
    rd_kafka_conf_t *conf = mp__kafka_conf_new(reader->cluster, MP__KAFKA_FOLLOWER, err);
    if (!conf) {
        return MP_EIO;
    }
    /* A fetch that waits for news would hold up the next one; and a partition whose
     * backlog is over queued.min.messages is let rest for a second. */
    rd_kafka_conf_set(conf, "fetch.wait.max.ms", "10", NULL, 0);
    rd_kafka_conf_set(conf, "queued.min.messages", "100000", NULL, 0);
    if (mp__kafka_handle_new(conf, MP__KAFKA_FOLLOWER, &reader->handle, err) != MP_OK) {
        return MP_EIO;
    }
    reader->events = rd_kafka_queue_get_main(reader->handle);
    reader->topic = rd_kafka_topic_new(reader->handle, reader->topic_name, NULL);
    if (!reader->topic) {
        give_back(reader);
        return mp_error_set(err, MP_EIO, "could not read the dead letters: %s",
                            mp__kafka_text(rd_kafka_last_error()));
    }
    return MP_OK;
}

/* --- the thread */

static void push(struct mp__dead_asks *asks, struct mp__dead_ask *ask)
{
    ask->next = NULL;
    if (asks->tail) {
        asks->tail->next = ask;
    } else {
        asks->head = ask;
    }
    asks->tail = ask;
}

static struct mp__dead_ask *pop(struct mp__dead_asks *asks)
{
    struct mp__dead_ask *ask = asks->head;
    if (ask) {
        asks->head = ask->next;
        asks->tail = asks->head ? asks->tail : NULL;
    }
    return ask;
}

static void while_idle(struct mp__dead_reader *reader)
{
    mp__dead_events(reader);
    if (reader->handle && mp_clock_mono_ms() - reader->used_ms >= IDLE_MS) {
        give_back(reader);
    }
}

/* NULL: it is over. */
static struct mp__dead_ask *next_ask(struct mp__dead_reader *reader)
{
    uv_mutex_lock(&reader->lock);
    while (!reader->inbox.head && !reader->is_stopping) {
        if (!reader->handle) {
            uv_cond_wait(&reader->changed, &reader->lock);
        } else if (uv_cond_timedwait(&reader->changed, &reader->lock, LOOK_NS) != 0) {
            uv_mutex_unlock(&reader->lock);
            while_idle(reader);
            uv_mutex_lock(&reader->lock);
        }
    }
    struct mp__dead_ask *ask = pop(&reader->inbox);
    uv_mutex_unlock(&reader->lock);
    return ask;
}

static void answer(struct mp__dead_reader *reader, struct mp__dead_ask *ask)
{
    uv_mutex_lock(&reader->lock);
    if (ask) {
        push(&reader->outbox, ask);
    } else {
        reader->has_ended = true;
    }
    uv_mutex_unlock(&reader->lock);
    uv_async_send(&reader->answered);
}

static void run(void *arg)
{
    struct mp__dead_reader *reader = arg;
    struct mp__dead_ask *ask;
    while ((ask = next_ask(reader))) {
        mp__dead_went_on(reader);
        ask->status = mp__dead_handle(reader, &ask->err);
        if (ask->status == MP_OK) {
            ask->status = ask->run(reader, ask, &ask->err);
        }
        reader->used_ms = mp_clock_mono_ms();
        answer(reader, ask);
    }
    give_back(reader);
    answer(reader, NULL);
}

/* --- the main loop's side */

static void on_async_closed(uv_handle_t *handle)
{
    struct mp__dead_reader *reader = handle->data;
    reader->on_stopped(reader->stopped_arg);
}

static void on_answered(uv_async_t *async)
{
    struct mp__dead_reader *reader = async->data;
    uv_mutex_lock(&reader->lock);
    struct mp__dead_asks answers = reader->outbox;
    bool has_ended = reader->has_ended;
    reader->outbox = (struct mp__dead_asks){0};
    uv_mutex_unlock(&reader->lock);
    struct mp__dead_ask *ask;
    while ((ask = pop(&answers))) {
        ask->done(ask);
    }
    if (has_ended) {
        uv_thread_join(&reader->thread);
        uv_mutex_destroy(&reader->lock);
        uv_cond_destroy(&reader->changed);
        uv_close((uv_handle_t *)&reader->answered, on_async_closed);
    }
}

void mp__dead_reader_init(struct mp__dead_reader *reader, uv_loop_t *loop,
                          const struct mp_kafka_cluster *cluster, const char *topic_name,
                          unsigned json_depth)
{
    *reader = (struct mp__dead_reader){.cluster = cluster,
                                       .topic_name = topic_name,
                                       .json_depth = json_depth,
                                       .loop = loop};
}

static int start(struct mp__dead_reader *reader)
{
    if (uv_mutex_init(&reader->lock) != 0) {
        return MP_ENOMEM;
    }
    if (uv_cond_init(&reader->changed) != 0) {
        goto no_cond;
    }
    reader->answered.data = reader;
    if (uv_async_init(reader->loop, &reader->answered, on_answered) != 0) {
        goto no_async;
    }
    /* Not a reason for the loop to go on; calls that are under way are the engine's. */
    if (uv_thread_create(&reader->thread, run, reader) == 0) {
        reader->is_started = true;
        return MP_OK;
    }
    uv_close((uv_handle_t *)&reader->answered, NULL);
no_async:
    uv_cond_destroy(&reader->changed);
no_cond:
    uv_mutex_destroy(&reader->lock);
    return MP_ENOMEM;
}

int mp__dead_reader_ask(struct mp__dead_reader *reader, struct mp__dead_ask *ask)
{
    if (!reader->is_started && start(reader) != MP_OK) {
        return MP_ENOMEM;
    }
    uv_mutex_lock(&reader->lock);
    push(&reader->inbox, ask);
    uv_cond_signal(&reader->changed);
    uv_mutex_unlock(&reader->lock);
    return MP_OK;
}

void mp__dead_reader_stop(struct mp__dead_reader *reader, void (*on_stopped)(void *arg),
                          void *arg)
{
    reader->on_stopped = on_stopped;
    reader->stopped_arg = arg;
    if (!reader->is_started) {
        reader->answered.data = reader;
        uv_async_init(reader->loop, &reader->answered, NULL);
        uv_close((uv_handle_t *)&reader->answered, on_async_closed);
        return;
    }
    uv_mutex_lock(&reader->lock);
    reader->is_stopping = true;
    uv_cond_signal(&reader->changed);
    uv_mutex_unlock(&reader->lock);
}
