/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka.h"

/* Appending: each record of a request is a record of `postbacks`; the request is answered
 * when the last one's report is there. Kafka has no all-or-none for them without
 * transactions, so that what was stored of a request that failed is told. */

/* What may be on its way to the brokers at once. */
#define APPENDING_RECORDS 100000
#define APPENDING_BYTES   ((size_t)64 * 1024 * 1024)

struct part {
    struct mp__kafka_send send;
    struct mp__kafka_append *append;
    struct mp_record *record;
};

struct mp__kafka_append {
    struct mp__kafka_append *next; /* of the engine's ended ones */
    struct mp__kafka *engine;
    struct mp_append *request;
    size_t left, stored_count, bytes, count;
    char why[200]; /* of the first that failed */
    bool *stored;
    struct part parts[];
};

static int prepare(struct mp__kafka_send *send, struct mp_buf *key,
                   rd_kafka_headers_t **headers)
{
    const struct part *part = send->arg;
    *headers = mp__kafka_record_headers(part->record, MP__KAFKA_POSTBACKS, NULL);
    return *headers ? mp__kafka_record_key(part->record, MP__KAFKA_POSTBACKS, key)
                    : MP_ENOMEM;
}

static void finish(struct mp__kafka_append *append)
{
    struct mp__kafka *engine = append->engine;
    struct mp_append *request = append->request;
    bool is_whole = append->stored_count == append->count;
    engine->appending -= append->count;
    engine->appending_bytes -= append->bytes;
    if (!is_whole && append->stored_count > 0) {
        request->stored = append->stored;
        request->stored_count = append->stored_count;
    }
    request->done(request, is_whole ? MP_OK : MP_EIO, is_whole ? NULL : append->why);
    for (size_t i = 0; i < append->count; i++) {
        mp_record_free(append->parts[i].record);
    }
    free(append->stored);
    free(append);
}

static void end_part(struct part *part, int status, const char *why)
{
    struct mp__kafka_append *append = part->append;
    if (status == MP_OK) {
        append->stored[part - append->parts] = true;
        append->stored_count++;
    } else if (append->why[0] == '\0') {
        snprintf(append->why, sizeof(append->why), "Kafka did not store it: %s",
                 why ? why : mp_status_text(status));
    }
    if (--append->left == 0) {
        finish(append);
    }
}

static void on_end(struct mp__kafka_send *send, int status, const char *why)
{
    end_part(send->arg, status, why);
}

static int check(const struct mp_record_list *records)
{
    for (const struct mp_record *record = records->head; record; record = record->next) {
        if (record->id.length == 0 || record->partner.length == 0 ||
            record->lane.length == 0 || record->lane.length >= MP_LANE_BYTES) {
            return MP_EINVAL;
        }
        if (!mp__kafka_record_fits(record)) {
            return MP_ELIMIT;
        }
    }
    return MP_OK;
}

static int admit(const struct mp__kafka *engine, const struct mp_record_list *records)
{
    if (engine->is_closing) {
        return MP_ECLOSED;
    }
    if (!engine->is_reachable) {
        return MP_EIO;
    }
    /* One that is too large for the limit by itself still has its turn. */
    if (engine->appending > 0 &&
        (engine->appending + records->count > APPENDING_RECORDS ||
         engine->appending_bytes + records->bytes > APPENDING_BYTES)) {
        return MP_EAGAIN;
    }
    return check(records);
}

static struct mp__kafka_append *append_new(struct mp__kafka *engine,
                                           struct mp_append *request)
{
    size_t count = request->records.count;
    struct mp__kafka_append *append =
        calloc(1, sizeof(*append) + (count ? count : 1) * sizeof(struct part));
    bool *stored = calloc(count ? count : 1, sizeof(bool));
    if (!append || !stored) {
        free(append);
        free(stored);
        return NULL;
    }
    *append = (struct mp__kafka_append){.engine = engine,
                                        .request = request,
                                        .left = count,
                                        .count = count,
                                        .bytes = request->records.bytes,
                                        .stored = stored};
    return append;
}

int mp__kafka_append(struct mp_queue *queue, struct mp_append *request)
{
    struct mp__kafka *engine = (struct mp__kafka *)(void *)queue;
    int status = admit(engine, &request->records);
    struct mp__kafka_append *append =
        status == MP_OK ? append_new(engine, request) : NULL;
    if (!append) {
        return status == MP_OK ? MP_ENOMEM : status;
    }
    request->stored = NULL;
    request->stored_count = 0;
    mp_buf_init(&request->answer_before, SIZE_MAX);
    engine->appending += append->count;
    engine->appending_bytes += append->bytes;
    /* Held by one more, so that the end cannot come before the last one is sent. */
    append->left++;
    struct mp_record *record;
    for (size_t i = 0; (record = mp_record_list_pop(&request->records)) != NULL; i++) {
        struct part *part = &append->parts[i];
        part->append = append;
        part->record = record;
        part->send = (struct mp__kafka_send){.topic = MP__KAFKA_POSTBACKS,
                                             .value = record->event,
                                             .timestamp_ms = record->first_ms,
                                             .arg = part,
                                             .prepare = prepare,
                                             .on_end = on_end};
        status = mp__kafka_producer_send(&engine->producer, &part->send);
        if (status != MP_OK) {
            end_part(part, status, NULL);
        }
    }
    if (--append->left == 0) { /* the callback must not run in here */
        append->next = engine->ended;
        engine->ended = append;
        mp__kafka_stir(engine);
    }
    return MP_OK;
}

void mp__kafka_append_end(struct mp__kafka *engine)
{
    struct mp__kafka_append *append;
    while ((append = engine->ended) != NULL) {
        engine->ended = append->next;
        finish(append);
    }
}
