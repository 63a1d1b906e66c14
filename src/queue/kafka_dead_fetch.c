/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "kafka_dead_reader.h"
#include "kafka_record.h"

/* Records at known places: each partition is read forward from its first one, and what
 * lies between is skipped, by reading it or by seeking. */

#define POLL_MS    100
#define SEEK_MS    1000
#define SKIP_COUNT 4000 /* reading so many costs about what a seek does */

/* The places of one partition. */
struct run {
    int32_t partition;
    size_t at, end;
    int64_t from; /* the offset that reading began at */
    bool is_open;
};
struct fetch {
    struct mp__dead_reader *reader;
    const struct mp__dead_place *places;
    struct run *runs;
    size_t run_count, open;
    rd_kafka_queue_t *queue;
    mp__dead_each each;
    void *arg;
};

static int by_place(const void *a, const void *b)
{
    const struct mp__dead_entry *first = &((const struct mp__dead_place *)a)->entry;
    const struct mp__dead_entry *second = &((const struct mp__dead_place *)b)->entry;
    int order =
        (first->partition > second->partition) - (first->partition < second->partition);
    return order ? order
                 : (first->offset > second->offset) - (first->offset < second->offset);
}

static void close_run(struct fetch *fetch, struct run *run)
{
    if (run->is_open) {
        rd_kafka_consume_stop(fetch->reader->topic, run->partition);
        run->is_open = false;
        fetch->open--;
    }
}

/* Those before `offset` are not there any more. */
static int pass_over(struct fetch *fetch, struct run *run, int64_t offset,
                     struct mp_error *err)
{
    int status = MP_OK;
    while (status == MP_OK && run->at < run->end &&
           fetch->places[run->at].entry.offset < offset) {
        status = fetch->each(fetch->arg, fetch->places[run->at++].at, NULL, err);
    }
    return status;
}

/* The offsets of a topic that was made anew are of other records. */
static bool is_of(const rd_kafka_message_t *message, const struct mp__dead_entry *entry)
{
    struct mp__dead_key key;
    return message->payload && mp__dead_key_of(message, &key) &&
           mp__dead_entry_is_of(entry, &key);
}

static int take_place(struct fetch *fetch, struct run *run,
                      const rd_kafka_message_t *message, struct mp_error *err)
{
    const struct mp__dead_place *place = &fetch->places[run->at];
    if (run->at == run->end || place->entry.offset != message->offset) {
        return MP_OK;
    }
    run->at++;
    if (!is_of(message, &place->entry)) {
        fetch->reader->is_stale = true;
        message = NULL;
    }
    return fetch->each(fetch->arg, place->at, message, err);
}

static int take_message(struct fetch *fetch, struct run *run,
                        const rd_kafka_message_t *message, struct mp_error *err)
{
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF ||
        (!message->err && message->offset < run->from)) {
        fetch->reader->is_stale = fetch->reader->is_stale || !message->err;
        close_run(fetch, run);
        return pass_over(fetch, run, INT64_MAX, err);
    }
    if (message->err) {
        return mp__dead_is_passing(message->err)
                   ? MP_OK
                   : mp__dead_fail(fetch->reader, message->err, err);
    }
    mp__dead_went_on(fetch->reader);
    int status = pass_over(fetch, run, message->offset, err);
    status = status ? status : take_place(fetch, run, message, err);
    if (status == MP_OK && run->at == run->end) {
        close_run(fetch, run);
    } else if (status == MP_OK &&
               fetch->places[run->at].entry.offset - message->offset > SKIP_COUNT) {
        rd_kafka_seek(fetch->reader->topic, run->partition,
                      fetch->places[run->at].entry.offset, SEEK_MS);
    }
    return status;
}

static struct run *run_of(struct fetch *fetch, int32_t partition)
{
    for (size_t i = 0; i < fetch->run_count; i++) {
        if (fetch->runs[i].partition == partition && fetch->runs[i].is_open) {
            return &fetch->runs[i];
        }
    }
    return NULL;
}

static int read_runs(struct fetch *fetch, struct mp_error *err)
{
    int status = MP_OK;
    mp__dead_went_on(fetch->reader);
    while (status == MP_OK && fetch->open > 0) {
        rd_kafka_message_t *message = rd_kafka_consume_queue(fetch->queue, POLL_MS);
        if (message) {
            struct run *run = run_of(fetch, message->partition);
            status = run ? take_message(fetch, run, message, err) : MP_OK;
            rd_kafka_message_destroy(message);
            continue;
        }
        mp__dead_events(fetch->reader);
        if (mp__dead_patience_ms(fetch->reader) == 0) {
            status = mp__dead_fail(fetch->reader, RD_KAFKA_RESP_ERR__TIMED_OUT, err);
        }
    }
    return status;
}

static void split(struct fetch *fetch, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int32_t partition = fetch->places[i].entry.partition;
        struct run *last = fetch->run_count ? &fetch->runs[fetch->run_count - 1] : NULL;
        if (!last || last->partition != partition) {
            last = &fetch->runs[fetch->run_count++];
            *last = (struct run){
                .partition = partition, .at = i, .from = fetch->places[i].entry.offset};
        }
        last->end = i + 1;
    }
}

static int start_runs(struct fetch *fetch, struct mp_error *err)
{
    for (size_t i = 0; i < fetch->run_count; i++) {
        struct run *run = &fetch->runs[i];
        if (rd_kafka_consume_start_queue(fetch->reader->topic, run->partition, run->from,
                                         fetch->queue)) {
            return mp__dead_fail(fetch->reader, rd_kafka_last_error(), err);
        }
        run->is_open = true;
        fetch->open++;
    }
    return MP_OK;
}

int mp__dead_fetch(struct mp__dead_reader *reader, struct mp__dead_place *places,
                   size_t count, mp__dead_each each, void *arg, struct mp_error *err)
{
    if (count == 0) {
        return MP_OK;
    }
    struct fetch fetch = {.reader = reader,
                          .places = places,
                          .runs = calloc(count, sizeof(*fetch.runs)),
                          .each = each,
                          .arg = arg};
    fetch.queue = fetch.runs ? rd_kafka_queue_new(reader->handle) : NULL;
    if (!fetch.queue) {
        free(fetch.runs);
        return mp_error_set(err, MP_ENOMEM,
                            "could not read the dead letters: out of memory");
    }
    qsort(places, count, sizeof(*places), by_place);
    split(&fetch, count);
    int status = start_runs(&fetch, err);
    status = status ? status : read_runs(&fetch, err);
    for (size_t i = 0; i < fetch.run_count; i++) {
        close_run(&fetch, &fetch.runs[i]);
    }
    rd_kafka_queue_destroy(fetch.queue);
    free(fetch.runs);
    return status;
}
