/* SPDX-License-Identifier: MIT */
#include "kafka_producer.h"

#include <string.h>
#include <unistd.h>

#include "kafka_producer_handle.h"
#include "moonpost/clock.h"

#define BACKOFF_MS      200
#define BACKOFF_MAX_MS  5000
#define FULL_MS         50 /* when librdkafka is full */
#define ABANDON_POLL_MS 20

int mp__kafka_producer_open(struct mp__kafka_producer *producer,
                            const struct mp_kafka_cluster *cluster,
                            const struct mp__kafka_topics *names, int64_t append_ms,
                            int wake_fd, struct mp_error *err)
{
    *producer = (struct mp__kafka_producer){.cluster = cluster,
                                            .names = names,
                                            .append_ms = append_ms,
                                            .wake_fd = wake_fd,
                                            .backoff_ms = BACKOFF_MS};
    mp_buf_init(&producer->key, MP__KAFKA_RECORD_BYTES);
    return mp__kafka_producer_connect(producer, err);
}

static void wake(const struct mp__kafka_producer *producer)
{
    uint64_t one = 1;
    /* A full eventfd has been written to. */
    ssize_t written = write(producer->wake_fd, &one, sizeof(one));
    (void)written;
}

/* --- the two ways a send goes */

static void end(struct mp__kafka_producer *producer, struct mp__kafka_send *send,
                int status, const char *why)
{
    producer->count--;
    producer->bytes -= send->value.length;
    if (producer->count == 0) {
        producer->waiting_ms = 0;
    }
    send->on_end(send, status, status ? why : NULL);
}

static void put_again(struct mp__kafka_producer *producer, struct mp__kafka_send *send)
{
    if (!producer->again) {
        producer->again = send;
        producer->again_ms = mp_clock_mono_ms() + producer->backoff_ms;
    } else {
        producer->again_tail->next = send;
    }
    producer->again_tail = send;
    send->next = NULL;
}

/* What became of a try that failed. */
static void fail(struct mp__kafka_producer *producer, struct mp__kafka_send *send,
                 int status, rd_kafka_resp_err_t code)
{
    const char *topic = producer->names->names[send->topic];
    producer->errors++;
    if (!send->is_kept || status == MP_ELIMIT || producer->is_abandoned) {
        end(producer, send, status, mp__kafka_text(code));
        return;
    }
    if (code == RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP) {
        send->timestamp_ms = 0; /* its producer's clock was wrong: now will do */
    }
    mp__kafka_warn("could not store a record in %s, it is tried again: %s", topic,
                   mp__kafka_text(code));
    put_again(producer, send);
}

/* --- one try */

static rd_kafka_resp_err_t produce(struct mp__kafka_producer *producer,
                                   struct mp__kafka_send *send,
                                   rd_kafka_headers_t *headers)
{
    size_t count = 0;
    rd_kafka_vu_t parts[7];
    parts[count].vtype = RD_KAFKA_VTYPE_RKT;
    parts[count++].u.rkt = producer->topics[send->topic];
    parts[count].vtype = RD_KAFKA_VTYPE_VALUE;
    parts[count].u.mem.ptr = (void *)(uintptr_t)send->value.data;
    parts[count++].u.mem.size = send->value.length;
    parts[count].vtype = RD_KAFKA_VTYPE_KEY;
    parts[count].u.mem.ptr = producer->key.data;
    parts[count++].u.mem.size = producer->key.length;
    parts[count].vtype = RD_KAFKA_VTYPE_OPAQUE;
    parts[count++].u.ptr = send;
    parts[count].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
    parts[count++].u.i = 0; /* the value is neither copied nor freed */
    parts[count].vtype = RD_KAFKA_VTYPE_TIMESTAMP;
    parts[count++].u.i64 = send->timestamp_ms;
    if (headers) {
        parts[count].vtype = RD_KAFKA_VTYPE_HEADERS;
        parts[count++].u.headers = headers;
    }
    rd_kafka_error_t *error = rd_kafka_produceva(producer->handle, parts, count);
    rd_kafka_resp_err_t code =
        error ? rd_kafka_error_code(error) : RD_KAFKA_RESP_ERR_NO_ERROR;
    if (error) {
        rd_kafka_error_destroy(error);
        if (headers) {
            rd_kafka_headers_destroy(headers);
        }
    }
    return code;
}

/* MP_OK: librdkafka has it. MP_EAGAIN: it may be tried again. Otherwise it never can. */
static int try_once(struct mp__kafka_producer *producer, struct mp__kafka_send *send)
{
    rd_kafka_headers_t *headers = NULL;
    mp_buf_reset(&producer->key);
    send->code = RD_KAFKA_RESP_ERR_NO_ERROR;
    int status = send->prepare(send, &producer->key, &headers);
    if (status) {
        if (headers) {
            rd_kafka_headers_destroy(headers);
        }
        /* Its own MP_EAGAIN is an end as well. */
        send->ended = status;
        return status == MP_EAGAIN ? MP_EIO : status;
    }
    send->code = produce(producer, send, headers);
    if (send->code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        return MP_OK;
    }
    send->ended = mp__kafka_status(send->code) == MP_ELIMIT ? MP_ELIMIT : MP_EAGAIN;
    return send->ended;
}

static const char *why_ended(const struct mp__kafka_send *send)
{
    return send->code ? mp__kafka_text(send->code) : mp_status_text(send->ended);
}

int mp__kafka_producer_send(struct mp__kafka_producer *producer,
                            struct mp__kafka_send *send)
{
    if (producer->is_abandoned) {
        return MP_EAGAIN;
    }
    int status = try_once(producer, send);
    if (status && !send->is_kept) {
        producer->errors += send->code != RD_KAFKA_RESP_ERR_NO_ERROR;
        return send->ended;
    }
    producer->waiting_ms =
        producer->waiting_ms ? producer->waiting_ms : mp_clock_mono_ms();
    producer->count++;
    producer->bytes += send->value.length;
    if (status == MP_EAGAIN && send->code == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        put_again(producer, send);
    } else if (status == MP_EAGAIN) {
        fail(producer, send, MP_EAGAIN, send->code);
    } else if (status) {
        send->next = producer->ended;
        producer->ended = send;
        wake(producer);
    }
    return MP_OK;
}

/* --- repeats */

static void end_ended(struct mp__kafka_producer *producer)
{
    struct mp__kafka_send *send = producer->ended;
    producer->ended = NULL;
    while (send) {
        struct mp__kafka_send *next = send->next;
        end(producer, send, send->ended, why_ended(send));
        send = next;
    }
}

/* Nobody behind one that librdkafka has no room for is tried. */
static void repeat_full(struct mp__kafka_producer *producer, struct mp__kafka_send *send,
                        int64_t now_ms)
{
    send->next = producer->again;
    producer->again_tail = send->next ? producer->again_tail : send;
    producer->again = send;
    producer->again_ms = now_ms + FULL_MS;
}

/* Those that wait now, at most `most`; what fails waits behind them, longer than the last
 * time. False: there are more. */
static bool repeat_due(struct mp__kafka_producer *producer, size_t most)
{
    int64_t now_ms = mp_clock_mono_ms();
    struct mp__kafka_send *last = producer->again_tail;
    if (!producer->again || now_ms < producer->again_ms) {
        return true;
    }
    for (bool is_last = false; !is_last && producer->again; most--) {
        if (most == 0) {
            return false;
        }
        struct mp__kafka_send *send = producer->again;
        producer->again = send->next;
        is_last = send == last;
        int status = try_once(producer, send);
        if (status == MP_EAGAIN && send->code == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            repeat_full(producer, send, now_ms);
            return true;
        }
        if (status == MP_EAGAIN) {
            fail(producer, send, MP_EAGAIN, send->code);
        } else if (status) {
            end(producer, send, send->ended, why_ended(send));
        }
    }
    bool is_longest = producer->backoff_ms * 2 > BACKOFF_MAX_MS;
    producer->backoff_ms = is_longest ? BACKOFF_MAX_MS : producer->backoff_ms * 2;
    producer->again_ms = now_ms + producer->backoff_ms;
    return true;
}

/* --- reports */

static void on_ack(struct mp__kafka_producer *producer, struct mp__kafka_send *send)
{
    int64_t now_ms = mp_clock_mono_ms();
    producer->acked_ms = producer->waiting_ms = now_ms;
    producer->all_down = false;
    producer->backoff_ms = BACKOFF_MS;
    if (producer->again_ms > now_ms + BACKOFF_MS) {
        producer->again_ms = now_ms + BACKOFF_MS;
    }
    end(producer, send, MP_OK, NULL);
}

static void on_report(struct mp__kafka_producer *producer,
                      const rd_kafka_message_t *message)
{
    struct mp__kafka_send *send = message->_private;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        on_ack(producer, send);
    } else if (mp__kafka_status(message->err) == MP_ELIMIT) {
        fail(producer, send, MP_ELIMIT, message->err);
    } else {
        bool is_not_stored =
            rd_kafka_message_status(message) == RD_KAFKA_MSG_STATUS_NOT_PERSISTED;
        fail(producer, send, is_not_stored ? MP_EAGAIN : MP_EIO, message->err);
    }
}

/* The reports of the event at hand; it is kept until all are told. */
static size_t tell_reports(struct mp__kafka_producer *producer, size_t most)
{
    size_t told = 0;
    const rd_kafka_message_t *message = NULL;
    while (told < most &&
           (message = rd_kafka_event_message_next(producer->event)) != NULL) {
        on_report(producer, message);
        told++;
    }
    if (!message) {
        rd_kafka_event_destroy(producer->event);
        producer->event = NULL;
    }
    return told;
}

/* At most `most` reports of this queue's; how many. */
static size_t drain(struct mp__kafka_producer *producer, rd_kafka_queue_t *queue,
                    int wait_ms, size_t most)
{
    size_t told = 0;
    while (told < most) {
        producer->event =
            producer->event ? producer->event : rd_kafka_queue_poll(queue, wait_ms);
        if (!producer->event) {
            break;
        }
        if (rd_kafka_event_type(producer->event) == RD_KAFKA_EVENT_DR) {
            told += tell_reports(producer, most - told);
        } else {
            mp__kafka_event_log(producer->event, &producer->all_down);
            rd_kafka_event_destroy(producer->event);
            producer->event = NULL;
        }
        wait_ms = 0;
    }
    return told;
}

static size_t drain_given_up(struct mp__kafka_producer *producer, size_t most)
{
    size_t told = 0;
    struct mp__kafka_given_up *given_up = producer->given_up;
    for (; given_up && told < most; given_up = given_up->next) {
        told += drain(producer, given_up->queue, 0, most - told);
    }
    return told;
}

bool mp__kafka_producer_poll(struct mp__kafka_producer *producer, size_t most)
{
    if (!producer->handle || producer->is_abandoned) {
        return true;
    }
    if (rd_kafka_fatal_error(producer->handle, NULL, 0)) {
        mp__kafka_producer_renew(producer);
    }
    end_ended(producer);
    size_t told = drain_given_up(producer, most);
    told += drain(producer, producer->queue, 0, most - told);
    bool is_repeated = repeat_due(producer, most);
    mp__kafka_given_up_tend(producer);
    return told < most && !producer->ended && is_repeated;
}

/* --- the end */

static void end_again(struct mp__kafka_producer *producer)
{
    while (producer->again) {
        struct mp__kafka_send *send = producer->again;
        producer->again = send->next;
        end(producer, send, MP_EIO, "it was given up");
    }
}

void mp__kafka_producer_abandon(struct mp__kafka_producer *producer)
{
    producer->is_abandoned = true;
    end_ended(producer);
    end_again(producer);
    while (producer->count > 0) {
        mp__kafka_given_up_tend(producer);
        rd_kafka_purge(producer->handle,
                       RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        drain_given_up(producer, SIZE_MAX);
        drain(producer, producer->queue, ABANDON_POLL_MS, SIZE_MAX);
    }
}

void mp__kafka_producer_destroy(struct mp__kafka_producer *producer)
{
    if (producer->event) {
        rd_kafka_event_destroy(producer->event);
    }
    for (size_t i = 0; i < MP__KAFKA_TOPICS; i++) {
        if (producer->topics[i]) {
            rd_kafka_topic_destroy(producer->topics[i]);
        }
    }
    while (producer->given_up) {
        struct mp__kafka_given_up *given_up = producer->given_up;
        producer->given_up = given_up->next;
        mp__kafka_given_up_destroy(given_up);
    }
    if (producer->handle) {
        rd_kafka_queue_io_event_enable(producer->queue, -1, NULL, 0);
        rd_kafka_queue_destroy(producer->queue);
        rd_kafka_destroy(producer->handle);
    }
    mp_buf_fini(&producer->key);
    memset(producer, 0, sizeof(*producer));
}
