/* SPDX-License-Identifier: MIT */
#include "kafka_producer_handle.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "moonpost/clock.h"

/* Longer than anybody asks a cluster something through a handle. */
#define HELD_MS  60000
#define RENEW_MS 1000

/* Events a queue has told of before do not wake again until it was polled: one descriptor
 * serves all. */
static const uint64_t one = 1;

static void destroy_topics(rd_kafka_topic_t **topics)
{
    for (size_t i = 0; i < MP__KAFKA_TOPICS; i++) {
        if (topics[i]) {
            rd_kafka_topic_destroy(topics[i]);
            topics[i] = NULL;
        }
    }
}

/* All at once: librdkafka keeps the settings of the first who names a topic. */
static int make_topics(const struct mp__kafka_producer *producer, rd_kafka_t *handle,
                       rd_kafka_topic_t **topics, struct mp_error *err)
{
    for (size_t i = 0; i < MP__KAFKA_TOPICS; i++) {
        char timeout[24], why[256];
        rd_kafka_topic_conf_t *conf = rd_kafka_default_topic_conf_dup(handle);
        /* Kept ones have the time they need. */
        snprintf(timeout, sizeof(timeout), "%lld",
                 i == MP__KAFKA_POSTBACKS ? (long long)producer->append_ms : 0LL);
        bool is_set = rd_kafka_topic_conf_set(conf, "message.timeout.ms", timeout, why,
                                              sizeof(why)) == RD_KAFKA_CONF_OK;
        topics[i] =
            is_set ? rd_kafka_topic_new(handle, producer->names->names[i], conf) : NULL;
        if (!topics[i]) {
            destroy_topics(topics);
            return mp_error_set(
                err, MP_EINVAL, "could not use the librdkafka settings for %s: %s",
                producer->names->names[i],
                is_set ? "linger.ms is longer than --kafka-timeout" : why);
        }
    }
    return MP_OK;
}

int mp__kafka_producer_connect(struct mp__kafka_producer *producer, struct mp_error *err)
{
    rd_kafka_t *handle;
    rd_kafka_topic_t *topics[MP__KAFKA_TOPICS] = {NULL};
    rd_kafka_conf_t *conf =
        mp__kafka_conf_new(producer->cluster, MP__KAFKA_PRODUCER, err);
    if (!conf) {
        return err && err->status ? err->status : MP_EINVAL;
    }
    int status = mp__kafka_handle_new(conf, MP__KAFKA_PRODUCER, &handle, err);
    if (status) {
        return status;
    }
    status = make_topics(producer, handle, topics, err);
    if (status) {
        rd_kafka_destroy(handle);
        return status;
    }
    producer->handle = handle;
    producer->queue = rd_kafka_queue_get_main(handle);
    for (size_t i = 0; i < MP__KAFKA_TOPICS; i++) {
        producer->topics[i] = topics[i];
    }
    rd_kafka_queue_io_event_enable(producer->queue, producer->wake_fd, &one, sizeof(one));
    return MP_OK;
}

void mp__kafka_producer_renew(struct mp__kafka_producer *producer)
{
    char why[256] = "";
    struct mp_error err = {0};
    int64_t now_ms = mp_clock_mono_ms();
    if (now_ms < producer->renew_ms) {
        return;
    }
    producer->renew_ms = now_ms + RENEW_MS;
    rd_kafka_resp_err_t code = rd_kafka_fatal_error(producer->handle, why, sizeof(why));
    struct mp__kafka_given_up *old = calloc(1, sizeof(*old));
    rd_kafka_topic_t *topics[MP__KAFKA_TOPICS];
    for (size_t i = 0; i < MP__KAFKA_TOPICS; i++) {
        topics[i] = producer->topics[i];
    }
    if (old) {
        old->handle = producer->handle;
        old->queue = producer->queue;
        old->at_ms = now_ms;
    }
    if (!old || mp__kafka_producer_connect(producer, &err) != MP_OK) {
        mp__kafka_warn("kafka: could not make a new producer: %s",
                       err.text[0] ? err.text : "out of memory");
        free(old);
        return;
    }
    mp__kafka_warn("kafka: the producer is made anew, since it failed: %s (%s)", why,
                   rd_kafka_err2name(code));
    destroy_topics(topics);
    old->next = producer->given_up;
    producer->given_up = old;
    mp__kafka_given_up_tend(producer);
}

void mp__kafka_given_up_destroy(struct mp__kafka_given_up *given_up)
{
    rd_kafka_queue_io_event_enable(given_up->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(given_up->queue);
    rd_kafka_destroy(given_up->handle);
    free(given_up);
}

static void *on_thread(void *arg)
{
    mp__kafka_given_up_destroy(arg);
    return NULL;
}

/* Its threads may take a while to end. */
static bool destroy_apart(struct mp__kafka_given_up *given_up)
{
    pthread_t thread;
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) {
        return false;
    }
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    bool is_made = pthread_create(&thread, &attributes, on_thread, given_up) == 0;
    pthread_attr_destroy(&attributes);
    return is_made;
}

void mp__kafka_given_up_tend(struct mp__kafka_producer *producer)
{
    int64_t now_ms = mp_clock_mono_ms();
    for (struct mp__kafka_given_up **at = &producer->given_up; *at;) {
        struct mp__kafka_given_up *given_up = *at;
        if (rd_kafka_outq_len(given_up->handle) > 0) {
            rd_kafka_purge(given_up->handle, RD_KAFKA_PURGE_F_QUEUE |
                                                 RD_KAFKA_PURGE_F_INFLIGHT |
                                                 RD_KAFKA_PURGE_F_NON_BLOCKING);
            at = &given_up->next;
        } else if (now_ms - given_up->at_ms > HELD_MS) {
            struct mp__kafka_given_up *next = given_up->next;
            if (!destroy_apart(given_up)) {
                return;
            }
            *at = next;
        } else {
            at = &given_up->next;
        }
    }
}
