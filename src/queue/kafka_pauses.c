/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "kafka.h"
#include "kafka_pause_state.h"
#include "moonpost/clock.h"
#include "moonpost/log.h"

/* Follows the topic of pauses. */

#define TURN_RECORDS 1000
#define LOOK_MS      1000

static void take_message(struct mp__kafka *engine, const rd_kafka_message_t *message)
{
    struct mp__kafka_pauses *pauses = &engine->pauses;
    struct mp_str name = {message->key, message->key_len};
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        bool is_ours =
            message->partition >= 0 && message->partition < pauses->partition_count;
        if (is_ours && !pauses->has_ended[message->partition]) {
            pauses->has_ended[message->partition] = true;
            pauses->at_end++;
        }
        pauses->is_at_end = true;
    } else if (message->err) {
        mp__kafka_warn("could not read which partners are paused: %s",
                       mp__kafka_text(message->err));
    } else if (!message->key || name.length == 0 || name.length >= MP_LANE_BYTES ||
               memchr(name.data, '\0', name.length)) {
        mp_log_warn("queue", "%s-%d: the record at %lld is no pause: its key is no name",
                    engine->topics.names[MP__KAFKA_PARTNERS], (int)message->partition,
                    (long long)message->offset);
    } else {
        pauses->is_at_end = false;
        mp__pause_state_take(engine, name, message);
    }
}

bool mp__kafka_pauses_poll(struct mp__kafka *engine)
{
    struct mp__kafka_pauses *pauses = &engine->pauses;
    rd_kafka_event_t *event;
    if (!pauses->queue || pauses->is_stopped) {
        return true;
    }
    while ((event = rd_kafka_queue_poll(pauses->events, 0))) {
        mp__kafka_event_log(event, NULL);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_message_t *message = NULL;
    for (int i = 0;
         i < TURN_RECORDS && (message = rd_kafka_consume_queue(pauses->queue, 0)); i++) {
        take_message(engine, message);
        rd_kafka_message_destroy(message);
    }
    if (!pauses->is_loaded && pauses->at_end == pauses->partition_count) {
        mp__pause_states_loaded(engine);
    }
    int64_t now_ms = mp_clock_mono_ms();
    if (pauses->is_at_end && now_ms - pauses->looked_ms >= LOOK_MS) {
        pauses->looked_ms = now_ms;
        mp__pause_states_at_end(engine);
    }
    return message == NULL;
}

/* --- start and end */

static int follow(struct mp__kafka_pauses *pauses, int32_t partitions,
                  struct mp_error *err)
{
    for (int32_t i = 0; i < partitions; i++) {
        if (rd_kafka_consume_start_queue(pauses->topic, i, RD_KAFKA_OFFSET_BEGINNING,
                                         pauses->queue)) {
            return mp_error_set(err, MP_EIO,
                                "could not read which partners are paused: %s",
                                mp__kafka_text(rd_kafka_last_error()));
        }
        pauses->partition_count++;
    }
    return MP_OK;
}

static void destroy_handle(const struct mp__kafka_pauses *pauses)
{
    for (int32_t i = 0; i < pauses->partition_count; i++) {
        rd_kafka_consume_stop(pauses->topic, i);
    }
    if (pauses->queue) {
        rd_kafka_queue_destroy(pauses->queue);
    }
    if (pauses->events) {
        rd_kafka_queue_destroy(pauses->events);
    }
    if (pauses->topic) {
        rd_kafka_topic_destroy(pauses->topic);
    }
    if (pauses->handle) {
        rd_kafka_destroy_flags(pauses->handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    }
    free(pauses->has_ended);
}

int mp__kafka_pauses_start(struct mp__kafka *engine, int32_t partitions,
                           struct mp_error *err)
{
    struct mp__kafka_pauses *pauses = &engine->pauses;
    static const uint64_t one = 1;
    rd_kafka_conf_t *conf =
        mp__kafka_conf_new(&engine->config.cluster, MP__KAFKA_FOLLOWER, err);
    if (!conf) {
        return err ? err->status : MP_EINVAL;
    }
    int status = mp__kafka_handle_new(conf, MP__KAFKA_FOLLOWER, &pauses->handle, err);
    if (status != MP_OK) {
        return status;
    }
    pauses->has_ended = calloc((size_t)partitions + 1, sizeof(bool));
    pauses->queue = rd_kafka_queue_new(pauses->handle);
    pauses->events = rd_kafka_queue_get_main(pauses->handle);
    pauses->topic = rd_kafka_topic_new(pauses->handle,
                                       engine->topics.names[MP__KAFKA_PARTNERS], NULL);
    if (!pauses->has_ended || !pauses->topic) {
        status = mp_error_set(err, MP_ENOMEM,
                              "could not read which partners are paused: out of memory");
        goto fail;
    }
    rd_kafka_queue_io_event_enable(pauses->queue, engine->wake_fd, &one, sizeof(one));
    rd_kafka_queue_io_event_enable(pauses->events, engine->wake_fd, &one, sizeof(one));
    status = follow(pauses, partitions, err);
    if (status == MP_OK) {
        return MP_OK;
    }
fail:
    destroy_handle(pauses);
    pauses->has_ended = NULL;
    pauses->queue = pauses->events = NULL;
    pauses->topic = NULL;
    pauses->handle = NULL;
    pauses->partition_count = 0;
    return status;
}

void mp__kafka_pauses_stop(struct mp__kafka *engine)
{
    struct mp__kafka_pauses *pauses = &engine->pauses;
    pauses->is_stopped = true;
    if (pauses->queue) {
        rd_kafka_queue_io_event_enable(pauses->queue, -1, NULL, 0);
        rd_kafka_queue_io_event_enable(pauses->events, -1, NULL, 0);
    }
}

void mp__kafka_pauses_destroy(struct mp__kafka_pauses *pauses)
{
    destroy_handle(pauses);
    mp__pause_states_fini(pauses);
}
