/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka.h"
#include "moonpost/clock.h"
#include "moonpost/log.h"

/* What leaves its partition for another topic: produce it, await its report, and only
 * then is it done where it came from. A crash between the two costs a duplicate. */

/* What a wait may lack of a tier's length, since a moment has passed from when it was
 * set: the tier that is one too short would be gone round several times. Those behind it
 * there are so late at most. */
#define SLACK_MS 500

struct store {
    struct mp__kafka_send send;
    struct mp__kafka *engine;
    struct mp__kafka_item *item;
    char origin[MP__KAFKA_ORIGIN_BYTES]; /* of a dead letter */
    /* Of one that is malformed: its own key, value and headers. */
    char *value;
    rd_kafka_headers_t *headers;
};

static void forget(struct store *store)
{
    if (store->headers) {
        rd_kafka_headers_destroy(store->headers);
    }
    free(store->value);
    free(store);
}

/* Left where it is, what its tier does not take would be tried, and come back, for ever.
 */
static void bury_instead(struct store *store, const char *why)
{
    struct mp_record *record = store->item->record;
    char reason[512];
    snprintf(reason, sizeof(reason), "it could not be stored for a retry in %s: %s",
             store->engine->topics.names[store->send.topic], why);
    free(record->outcome.reason);
    record->outcome.reason = strdup(reason);
    mp__kafka_store_dead(store->engine, store->item);
}

static void on_end(struct mp__kafka_send *send, int status, const char *why)
{
    struct store *store = send->arg;
    struct mp__kafka *engine = store->engine;
    struct mp__kafka_item *item = store->item;
    engine->kept--;
    if (status == MP_OK) {
        mp__kafka_item_done(engine, item);
    } else if (status == MP_ELIMIT && send->topic != MP__KAFKA_DEAD) {
        bury_instead(store, why);
    } else {
        if (status == MP_ELIMIT) {
            mp_log_error("queue",
                         "%s-%d: the record at %lld is too large for %s (%s): it stays "
                         "where it is until that topic takes larger ones",
                         engine->topics.names[item->partition->topic],
                         (int)item->partition->number, (long long)item->offset,
                         engine->topics.names[send->topic], why);
        }
        mp__kafka_item_drop(engine, item);
    }
    forget(store);
    mp__kafka_stir(engine);
}

static struct store *store_new(struct mp__kafka *engine, struct mp__kafka_item *item,
                               enum mp__kafka_topic topic)
{
    struct store *store = calloc(1, sizeof(*store));
    if (!store) {
        mp_log_warn("queue", "a record is left to be read again: out of memory");
        mp__kafka_item_drop(engine, item);
        return NULL;
    }
    store->engine = engine;
    store->item = item;
    store->send = (struct mp__kafka_send){
        .topic = topic, .is_kept = true, .arg = store, .on_end = on_end};
    return store;
}

static void begin(struct store *store)
{
    store->engine->kept++;
    /* A kept send is taken whatever happens: its end comes through on_end. */
    int status = mp__kafka_producer_send(&store->engine->producer, &store->send);
    if (status != MP_OK) {
        on_end(&store->send, status, mp_status_text(status));
    }
}

/* A repeated try looks anew: the partition may be somebody else's by now, who reads the
 * record again, and less of the wait is left. */
static int prepare_retry(struct mp__kafka_send *send, struct mp_buf *key,
                         rd_kafka_headers_t **headers)
{
    struct store *store = send->arg;
    struct mp_record *record = store->item->record;
    if (!mp__kafka_item_is_ours(store->item)) {
        return MP_ECLOSED;
    }
    struct mp__kafka_notes notes = {.unknown_ms = store->item->unknown_ms};
    send->topic = mp__kafka_tier_for(record->due_ms - mp_clock_wall_ms() + SLACK_MS);
    *headers = mp__kafka_record_headers(record, send->topic, &notes);
    return *headers ? mp__kafka_record_key(record, send->topic, key) : MP_ENOMEM;
}

void mp__kafka_store_retry(struct mp__kafka *engine, struct mp__kafka_item *item,
                           int64_t due_ms)
{
    struct store *store = store_new(engine, item, MP__KAFKA_RETRY_5S);
    if (!store) {
        return;
    }
    item->record->due_ms = due_ms;
    /* Whoever reads it counts its tier from here. */
    store->send.timestamp_ms = mp_clock_wall_ms();
    store->send.value = item->record->event;
    store->send.prepare = prepare_retry;
    begin(store);
}

static int prepare_dead(struct mp__kafka_send *send, struct mp_buf *key,
                        rd_kafka_headers_t **headers)
{
    struct store *store = send->arg;
    struct mp_record *record = store->item->record;
    if (!mp__kafka_item_is_ours(store->item)) {
        return MP_ECLOSED;
    }
    struct mp__kafka_notes notes = {
        .reason = record->outcome.reason ? record->outcome.reason : "",
        .origin = mp_str_of(store->origin),
    };
    *headers = mp__kafka_record_headers(record, MP__KAFKA_DEAD, &notes);
    return *headers ? mp__kafka_record_key(record, MP__KAFKA_DEAD, key) : MP_ENOMEM;
}

void mp__kafka_store_dead(struct mp__kafka *engine, struct mp__kafka_item *item)
{
    struct store *store = store_new(engine, item, MP__KAFKA_DEAD);
    if (!store) {
        return;
    }
    mp__kafka_origin_of(engine->topics.names[item->partition->topic],
                        item->partition->number, item->offset, store->origin);
    store->send.value = item->record->event;
    store->send.prepare = prepare_dead;
    begin(store);
}

static int prepare_malformed(struct mp__kafka_send *send, struct mp_buf *key,
                             rd_kafka_headers_t **headers)
{
    struct store *store = send->arg;
    if (!mp__kafka_item_is_ours(store->item)) {
        return MP_ECLOSED;
    }
    *headers = rd_kafka_headers_copy(store->headers);
    int status = mp_buf_append_text(key, "-/");
    return status ? status : mp_buf_append_text(key, store->origin);
}

void mp__kafka_store_malformed(struct mp__kafka *engine, struct mp__kafka_item *item,
                               const rd_kafka_message_t *message, const char *why)
{
    struct store *store = store_new(engine, item, MP__KAFKA_DEAD);
    if (!store) {
        return;
    }
    mp__kafka_origin(message, store->origin);
    mp_log_warn("queue", "%s is malformed: %s; it is among the dead letters",
                store->origin, why);
    mp_series_add(engine->malformed, 1);
    store->value = malloc(message->len + 1); /* no value is an empty one, no tombstone */
    store->headers = mp__kafka_malformed_headers(message, why, mp_clock_wall_ms());
    if (!store->value || !store->headers) {
        mp__kafka_item_drop(engine, item);
        forget(store);
        return;
    }
    if (message->len > 0) {
        memcpy(store->value, message->payload, message->len);
    }
    store->send.value = (struct mp_str){store->value, message->len};
    store->send.prepare = prepare_malformed;
    begin(store);
}
