/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>

#include "kafka_dead_calls.h"
#include "moonpost/clock.h"

/* Replays and purges: the reader finds what is meant and reads a chunk of it at a time;
 * each is produced to `postbacks` (a replay), and only when that is acked its dead letter
 * gets a tombstone. A crash between the two costs a second replay, never the delivery. */

static struct mp__dead_change *change_of(struct mp__dead_ask *ask)
{
    return (struct mp__dead_change *)(void *)ask;
}

static void free_change(struct mp__dead_change *change)
{
    free(change->targets.items);
    free(change->is_through);
    free(change->ids);
    free(change->known);
    free(change->count.unknown);
    free(change);
}

static void begin(struct mp__dead_change *change);
static void on_chunk(struct mp__dead_ask *ask);

static void finish(struct mp__dead_change *change)
{
    struct mp__kafka_dead *dead = change->dead;
    /* None is known to be unknown when they could not be looked for. */
    for (size_t i = 0; change->is_through && i < change->filter.id_count; i++) {
        if (change->known[i] == MP__DEAD_UNKNOWN) {
            change->count.unknown[change->count.unknown_count++] = change->ids[i];
        }
    }
    change->done(change->arg, change->status, change->status ? change->why : NULL,
                 &change->count);
    struct mp__dead_change *next = NULL;
    if (!change->is_dry) {
        next = dead->changing = change->next;
        dead->changes_tail = next ? dead->changes_tail : NULL;
    }
    free_change(change);
    if (next) {
        begin(next);
    }
    mp__dead_call_ended(dead);
}

static void fail(struct mp__dead_change *change, int status, const char *why)
{
    if (change->status == MP_OK) {
        change->status = status;
        snprintf(change->why, sizeof(change->why), "%.*s", (int)sizeof(change->why) - 1,
                 why);
    }
}

static bool is_closing(const struct mp__dead_change *change)
{
    return change->dead->is_closing || change->dead->engine->is_closing;
}

static void ask(struct mp__dead_change *change,
                int (*run)(struct mp__dead_reader *, struct mp__dead_ask *,
                           struct mp_error *),
                void (*done)(struct mp__dead_ask *))
{
    change->ask.run = run;
    change->ask.done = done;
    int status = mp__dead_reader_ask(&change->dead->reader, &change->ask);
    if (status != MP_OK) {
        fail(change, status, mp_status_text(status));
        finish(change);
    }
}

static void go_on(struct mp__dead_change *change)
{
    while (change->from < change->targets.count && change->is_through[change->from]) {
        change->from++;
    }
    bool is_done = change->from == change->targets.count;
    if (!is_done && is_closing(change)) {
        fail(change, MP_ECLOSED, mp_status_text(MP_ECLOSED));
    }
    /* What is too large for its topic keeps no other from being replayed. */
    if (is_done || (change->status != MP_OK && change->status != MP_ELIMIT)) {
        finish(change);
    } else {
        ask(change, mp__dead_read_chunk, on_chunk);
    }
}

static void one_is_done(struct mp__dead_one *one)
{
    struct mp__dead_change *change = one->change;
    mp_record_free(one->record);
    free(one->key);
    one->record = NULL;
    one->key = NULL;
    if (--change->under_way == 0) {
        go_on(change);
    }
}

static int prepare_tombstone(struct mp__kafka_send *send, struct mp_buf *key,
                             rd_kafka_headers_t **headers)
{
    struct mp__dead_one *one = send->arg;
    *headers = NULL;
    return mp_buf_append(key, one->key, one->key_length);
}

static int prepare_replay(struct mp__kafka_send *send, struct mp_buf *key,
                          rd_kafka_headers_t **headers)
{
    struct mp__dead_one *one = send->arg;
    *headers = mp__kafka_record_headers(one->record, MP__KAFKA_POSTBACKS, NULL);
    return *headers ? mp__kafka_record_key(one->record, MP__KAFKA_POSTBACKS, key)
                    : MP_ENOMEM;
}

static void send_one(struct mp__dead_one *one)
{
    struct mp__kafka *engine = one->change->dead->engine;
    engine->kept++;
    int status = mp__kafka_producer_send(&engine->producer, &one->send);
    if (status != MP_OK) {
        one->send.on_end(&one->send, status, mp_status_text(status));
    }
}

static void on_tombstone(struct mp__kafka_send *send, int status, const char *why)
{
    struct mp__dead_one *one = send->arg;
    one->change->dead->engine->kept--;
    if (status == MP_OK) {
        one->change->count.done += one->counts;
    } else {
        fail(one->change, is_closing(one->change) ? MP_ECLOSED : status, why);
    }
    one_is_done(one);
}

static void bury_for_good(struct mp__dead_one *one)
{
    one->send = (struct mp__kafka_send){.topic = MP__KAFKA_DEAD,
                                        .is_kept = true,
                                        .arg = one,
                                        .prepare = prepare_tombstone,
                                        .on_end = on_tombstone};
    send_one(one);
}

static void on_replay(struct mp__kafka_send *send, int status, const char *why)
{
    struct mp__dead_one *one = send->arg;
    one->change->dead->engine->kept--;
    if (status == MP_OK) {
        bury_for_good(one);
        return;
    }
    fail(one->change, is_closing(one->change) ? MP_ECLOSED : status, why);
    one_is_done(one);
}

/* The record's time is now: retention counts from it, and a delivery of last month must
 * not be deleted before it is read. Its own first_ms goes with it in mp_first. */
static void replay(struct mp__dead_one *one)
{
    struct mp_record *record = one->record;
    record->replays++;
    record->attempts = 0;
    record->last_status = 0;
    record->last_verdict = 0;
    record->last_ms = 0;
    record->due_ms = mp_clock_wall_ms();
    one->send = (struct mp__kafka_send){.topic = MP__KAFKA_POSTBACKS,
                                        .is_kept = true,
                                        .value = record->event,
                                        .arg = one,
                                        .prepare = prepare_replay,
                                        .on_end = on_replay};
    send_one(one);
}

static void drop_chunk(struct mp__dead_change *change)
{
    for (size_t i = 0; i < change->chunk_count; i++) {
        mp_record_free(change->chunk[i].record);
        free(change->chunk[i].key);
    }
    change->chunk_count = 0;
}

static void on_chunk(struct mp__dead_ask *ask)
{
    struct mp__dead_change *change = change_of(ask);
    if (ask->status != MP_OK || is_closing(change)) {
        drop_chunk(change);
        fail(change, ask->status ? ask->status : MP_ECLOSED,
             ask->status ? ask->err.text : mp_status_text(MP_ECLOSED));
        finish(change);
        return;
    }
    /* One more, so that it goes on once, and after the last is sent. */
    change->under_way = change->chunk_count + 1;
    for (size_t i = 0; i < change->chunk_count; i++) {
        if (change->chunk[i].record) {
            replay(&change->chunk[i]);
        } else {
            bury_for_good(&change->chunk[i]);
        }
    }
    if (--change->under_way == 0) {
        go_on(change);
    }
}

static void on_selected(struct mp__dead_ask *ask)
{
    struct mp__dead_change *change = change_of(ask);
    if (ask->status != MP_OK) {
        fail(change, ask->status, ask->err.text);
    }
    if (ask->status != MP_OK || change->is_dry) {
        finish(change);
    } else {
        go_on(change);
    }
}

static void begin(struct mp__dead_change *change)
{
    if (is_closing(change)) {
        fail(change, MP_ECLOSED, mp_status_text(MP_ECLOSED));
        finish(change);
    } else {
        ask(change, mp__dead_select, on_selected);
    }
}

static struct mp__dead_change *change_new(const struct mp_dead_filter *filter)
{
    size_t bytes = filter->partner.length, count = filter->ids ? filter->id_count : 0;
    for (size_t i = 0; i < count; i++) {
        bytes += filter->ids[i].length;
    }
    struct mp__dead_change *change = calloc(1, sizeof(*change) + bytes);
    if (!change) {
        return NULL;
    }
    change->ids = calloc(count + 1, sizeof(*change->ids));
    change->known = calloc(count + 1, sizeof(*change->known));
    change->count.unknown = calloc(count + 1, sizeof(*change->count.unknown));
    if (!change->ids || !change->known || !change->count.unknown) {
        free_change(change);
        return NULL;
    }
    char *at = change->text;
    change->filter = *filter;
    change->filter.partner = mp__dead_keep(&at, filter->partner);
    change->filter.id_count = count;
    change->filter.ids = filter->ids ? change->ids : NULL;
    for (size_t i = 0; i < count; i++) {
        change->ids[i] = mp__dead_keep(&at, filter->ids[i]);
    }
    return change;
}

int mp__kafka_dead_change(struct mp__kafka_dead *dead, bool is_purge,
                          const struct mp_dead_filter *filter, bool dry_run,
                          mp_dead_count_cb done, void *arg)
{
    if (dead->is_closing || dead->engine->is_closing) {
        return MP_ECLOSED;
    }
    struct mp__dead_change *change = change_new(filter);
    if (!change) {
        return MP_ENOMEM;
    }
    change->dead = dead;
    change->is_purge = is_purge;
    change->is_dry = dry_run;
    change->json_depth = dead->engine->config.json_depth;
    change->done = done;
    change->arg = arg;
    dead->calls++;
    if (!dry_run && dead->changing) {
        dead->changes_tail->next = change;
        dead->changes_tail = change;
        return MP_OK;
    }
    if (!dry_run) {
        dead->changing = dead->changes_tail = change;
    }
    change->ask.run = mp__dead_select;
    change->ask.done = on_selected;
    int status = mp__dead_reader_ask(&dead->reader, &change->ask);
    if (status != MP_OK) {
        dead->calls--;
        if (!dry_run) {
            dead->changing = dead->changes_tail = NULL;
        }
        free_change(change);
    }
    return status;
}
