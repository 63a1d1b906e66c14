/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "kafka_dead_calls.h"

/* What a replay or a purge is of, on the reader's thread. */

#define CHUNK_BYTES ((size_t)16 * 1024 * 1024)

static struct mp__dead_change *change_of(struct mp__dead_ask *ask)
{
    return (struct mp__dead_change *)(void *)ask;
}

int mp__dead_select(struct mp__dead_reader *reader, struct mp__dead_ask *ask,
                    struct mp_error *err)
{
    struct mp__dead_change *change = change_of(ask);
    int status = mp__dead_catch_up(reader, err);
    if (status != MP_OK) {
        return status;
    }
    status = mp__dead_index_select(&reader->index, &change->filter, change->is_purge,
                                   &change->targets, change->known);
    change->is_through = calloc(change->targets.count + 1, sizeof(bool));
    if (status != MP_OK || !change->is_through) {
        return mp_error_set(err, MP_ENOMEM,
                            "could not read the dead letters: out of memory");
    }
    change->count.matched = change->targets.matched;
    return MP_OK;
}

/* It was one of ours by its key alone. */
static void exclude(struct mp__dead_change *change, const struct mp__dead_target *target)
{
    change->count.matched--;
    if (target->id_at != UINT32_MAX) {
        change->known[target->id_at] = MP__DEAD_UNKNOWN;
    }
}

static bool is_malformed(const struct mp_record *record)
{
    return mp_str_is(record->partner, "-");
}

static int take_record(struct mp__dead_change *change,
                       const struct mp__dead_target *target,
                       const rd_kafka_message_t *message, struct mp_record **out,
                       struct mp_error *err)
{
    struct mp_str reason;
    int status = mp__kafka_dead_read(message, change->json_depth, out, &reason, err);
    if (status == MP_OK && is_malformed(*out)) {
        mp_record_free(*out);
        *out = NULL;
        exclude(change, target);
    }
    return status;
}

static int take_one(void *arg, size_t at, const rd_kafka_message_t *message,
                    struct mp_error *err)
{
    struct mp__dead_change *change = arg;
    const struct mp__dead_target *target = &change->targets.items[at];
    bool is_replay = !change->is_purge && !target->is_older;
    if (change->chunk_bytes >= CHUNK_BYTES) {
        return MP_ELIMIT;
    }
    change->is_through[at] = true;
    struct mp_record *record = NULL;
    if (message && is_replay) {
        int status = take_record(change, target, message, &record, err);
        if (status != MP_OK) {
            return status;
        }
    }
    if (!message || (is_replay && !record)) {
        return MP_OK;
    }
    struct mp__dead_one *one = &change->chunk[change->chunk_count];
    *one = (struct mp__dead_one){.change = change,
                                 .record = record,
                                 .counts = !target->is_older,
                                 .key = malloc(message->key_len),
                                 .key_length = message->key_len};
    if (!one->key) {
        mp_record_free(record);
        return mp_error_set(err, MP_ENOMEM,
                            "could not read the dead letters: out of memory");
    }
    memcpy(one->key, message->key, message->key_len);
    change->chunk_count++;
    change->chunk_bytes += record ? record->size_bytes : 0;
    return MP_OK;
}

/* Of one partition, so that they are read in order and what is over the chunk's bytes is
 * not read in vain. */
static size_t choose(struct mp__dead_change *change, const struct mp__dead_index *index,
                     struct mp__dead_place *places)
{
    const struct mp__dead_targets *targets = &change->targets;
    size_t count = 0;
    while (change->from < targets->count && change->is_through[change->from]) {
        change->from++;
    }
    for (size_t i = change->from; i < targets->count && count < MP__DEAD_CHUNK; i++) {
        if (targets->items[i].entry.partition !=
            targets->items[change->from].entry.partition) {
            break;
        }
        if (change->is_through[i]) {
            continue;
        }
        const struct mp__dead_entry *now =
            mp__dead_index_find(index, &targets->items[i].entry);
        if (now) {
            places[count++] = (struct mp__dead_place){*now, i};
        } else {
            change->is_through[i] = true; /* another process was quicker */
        }
    }
    return count;
}

int mp__dead_read_chunk(struct mp__dead_reader *reader, struct mp__dead_ask *ask,
                        struct mp_error *err)
{
    struct mp__dead_change *change = change_of(ask);
    struct mp__dead_place places[MP__DEAD_CHUNK];
    change->chunk_count = change->chunk_bytes = 0;
    int status = mp__dead_catch_up(reader, err);
    if (status != MP_OK) {
        return status;
    }
    size_t count = choose(change, &reader->index, places);
    status = mp__dead_fetch(reader, places, count, take_one, change, err);
    return status == MP_ELIMIT ? MP_OK : status;
}
