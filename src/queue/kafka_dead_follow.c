/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "kafka_dead_reader.h"
#include "kafka_record.h"
#include "moonpost/log.h"

/* From where the reading stopped the last time to where the topic ends now. */

#define POLL_MS     100
#define STALE_TRIES 3

static bool read_last_ms(const rd_kafka_message_t *message, int64_t *out)
{
    rd_kafka_headers_t *headers;
    const void *value;
    size_t length;
    if (rd_kafka_message_headers(message, &headers) ||
        rd_kafka_header_get_last(headers, "mp_last", &value, &length) || !value ||
        length == 0 || length > 18) {
        return false;
    }
    int64_t number = 0;
    for (size_t i = 0; i < length; i++) {
        char digit = ((const char *)value)[i];
        if (digit < '0' || digit > '9') {
            return false;
        }
        number = number * 10 + (digit - '0');
    }
    *out = number;
    return true;
}

bool mp__dead_key_of(const rd_kafka_message_t *message, struct mp__dead_key *key)
{
    struct mp_str text = {message->key, message->key_len};
    if (!message->key) {
        return false;
    }
    *key = (struct mp__dead_key){.replays = 0};
    if (!mp__kafka_dead_key_parse(text, &key->partner, &key->id, &key->replays)) {
        *key = (struct mp__dead_key){.partner = mp_str_of("-"), .id = text};
    }
    return true;
}

static int apply(struct mp__dead_reader *reader, const rd_kafka_message_t *message)
{
    struct mp__dead_key key;
    if (!mp__dead_key_of(message, &key)) {
        return MP_OK; /* could never be replaced, nor purged: a compacted topic has none
                       */
    }
    if (!message->payload) {
        mp__dead_index_remove(&reader->index, &key);
        return MP_OK;
    }
    rd_kafka_timestamp_type_t type;
    int64_t stored_ms = rd_kafka_message_timestamp(message, &type);
    stored_ms = stored_ms > 0 ? stored_ms : 0;
    int64_t last_ms = stored_ms;
    read_last_ms(message, &last_ms);
    return mp__dead_index_put(&reader->index, &key, message->partition, message->offset,
                              stored_ms, last_ms);
}

static int ask_partitions(struct mp__dead_reader *reader, int32_t *count,
                          struct mp_error *err)
{
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__TIMED_OUT;
    int patience_ms;
    while ((patience_ms = mp__dead_patience_ms(reader)) > 0) {
        const struct rd_kafka_metadata *all;
        code = rd_kafka_metadata(reader->handle, 0, reader->topic, &all, patience_ms);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            code = all->topic_cnt == 1 ? all->topics[0].err
                                       : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
            *count = all->topic_cnt == 1 ? all->topics[0].partition_cnt : 0;
            rd_kafka_metadata_destroy(all);
        }
        mp__dead_events(reader);
        if (!mp__dead_is_passing(code)) {
            break;
        }
    }
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        mp__dead_went_on(reader);
        return MP_OK;
    }
    return mp__dead_fail(reader, code, err);
}

static int ask_ends(struct mp__dead_reader *reader, int32_t partition, int64_t *low,
                    int64_t *high, struct mp_error *err)
{
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__TIMED_OUT;
    int patience_ms;
    while ((patience_ms = mp__dead_patience_ms(reader)) > 0) {
        code = rd_kafka_query_watermark_offsets(reader->handle, reader->topic_name,
                                                partition, low, high, patience_ms);
        mp__dead_events(reader);
        if (!mp__dead_is_passing(code)) {
            break;
        }
    }
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ? MP_OK : mp__dead_fail(reader, code, err);
}

static void forget_all(struct mp__dead_reader *reader)
{
    mp__dead_index_fini(&reader->index);
    free(reader->positions);
    reader->positions = NULL;
    reader->partition_count = 0;
    reader->is_stale = false;
}

static int take_partitions(struct mp__dead_reader *reader, int32_t count,
                           struct mp_error *err)
{
    if (count < reader->partition_count) {
        forget_all(reader);
    }
    if (count == reader->partition_count) {
        return MP_OK;
    }
    int64_t *positions = realloc(reader->positions, (size_t)count * sizeof(*positions));
    if (!positions) {
        return mp_error_set(err, MP_ENOMEM,
                            "could not read the dead letters: out of memory");
    }
    for (int32_t i = reader->partition_count; i < count; i++) {
        positions[i] = 0;
    }
    reader->positions = positions;
    reader->partition_count = count;
    return MP_OK;
}

/* --- one reading of all that are behind */

struct pass {
    rd_kafka_queue_t *queue;
    int64_t *ends; /* of each partition; -1: nothing to read, or read */
    int32_t open;
};

static void close_partition(struct mp__dead_reader *reader, struct pass *pass,
                            int32_t partition)
{
    rd_kafka_consume_stop(reader->topic, partition);
    pass->ends[partition] = -1;
    pass->open--;
}

static int take_message(struct mp__dead_reader *reader, struct pass *pass,
                        const rd_kafka_message_t *message, struct mp_error *err)
{
    int32_t partition = message->partition;
    if (message->err && message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        return mp__dead_is_passing(message->err)
                   ? MP_OK /* librdkafka tries again; our patience ends */
                   : mp__dead_fail(reader, message->err, err);
    }
    if (partition < 0 || partition >= reader->partition_count ||
        pass->ends[partition] < 0) {
        return MP_OK;
    }
    mp__dead_went_on(reader);
    if (message->offset < reader->positions[partition]) {
        reader->is_stale = true; /* it was cut while we read */
        close_partition(reader, pass, partition);
        return MP_OK;
    }
    bool is_end = message->err != RD_KAFKA_RESP_ERR_NO_ERROR;
    if (!is_end && apply(reader, message) != MP_OK) {
        return mp_error_set(err, MP_ENOMEM,
                            "could not read the dead letters: out of memory");
    }
    reader->positions[partition] = message->offset + (is_end ? 0 : 1);
    if (is_end || reader->positions[partition] >= pass->ends[partition]) {
        close_partition(reader, pass, partition);
    }
    return MP_OK;
}

static int read_pass(struct mp__dead_reader *reader, struct pass *pass,
                     struct mp_error *err)
{
    int status = MP_OK;
    mp__dead_went_on(reader);
    while (status == MP_OK && pass->open > 0) {
        rd_kafka_message_t *message = rd_kafka_consume_queue(pass->queue, POLL_MS);
        if (message) {
            status = take_message(reader, pass, message, err);
            rd_kafka_message_destroy(message);
            continue;
        }
        mp__dead_events(reader);
        if (mp__dead_patience_ms(reader) == 0) {
            status = mp__dead_fail(reader, RD_KAFKA_RESP_ERR__TIMED_OUT, err);
        }
    }
    return status;
}

/* MP_OK with is_stale: what was read is of another topic. */
static int find_ends(struct mp__dead_reader *reader, struct pass *pass,
                     struct mp_error *err)
{
    for (int32_t i = 0; i < reader->partition_count; i++) {
        int64_t low, high;
        int status = ask_ends(reader, i, &low, &high, err);
        if (status != MP_OK) {
            return status;
        }
        mp__dead_went_on(reader);
        if (high < reader->positions[i]) {
            reader->is_stale = true;
        }
        if (low > reader->positions[i]) {
            mp__dead_index_drop_below(&reader->index, i, low);
            reader->positions[i] = low;
        }
        pass->ends[i] = high > reader->positions[i] ? high : -1;
    }
    return MP_OK;
}

static int start_pass(struct mp__dead_reader *reader, struct pass *pass,
                      struct mp_error *err)
{
    for (int32_t i = 0; i < reader->partition_count; i++) {
        if (pass->ends[i] < 0) {
            continue;
        }
        if (rd_kafka_consume_start_queue(reader->topic, i, reader->positions[i],
                                         pass->queue)) {
            int status = mp__dead_fail(reader, rd_kafka_last_error(), err);
            while (i < reader->partition_count) {
                pass->ends[i++] = -1;
            }
            return status;
        }
        pass->open++;
    }
    return MP_OK;
}

static int follow(struct mp__dead_reader *reader, struct mp_error *err)
{
    size_t count = (size_t)reader->partition_count;
    struct pass pass = {.ends = calloc(count + 1, sizeof(int64_t))};
    pass.queue = pass.ends ? rd_kafka_queue_new(reader->handle) : NULL;
    int status = pass.queue
                     ? find_ends(reader, &pass, err)
                     : mp_error_set(err, MP_ENOMEM, "could not read the dead letters: %s",
                                    mp_status_text(MP_ENOMEM));
    if (status == MP_OK && !reader->is_stale) {
        status = start_pass(reader, &pass, err);
        status = status ? status : read_pass(reader, &pass, err);
        for (int32_t i = 0; pass.open > 0 && i < reader->partition_count; i++) {
            if (pass.ends[i] >= 0) {
                close_partition(reader, &pass, i);
            }
        }
    }
    if (pass.queue) {
        rd_kafka_queue_destroy(pass.queue);
    }
    free(pass.ends);
    return status;
}

int mp__dead_catch_up(struct mp__dead_reader *reader, struct mp_error *err)
{
    int status = MP_OK;
    for (int tries = 0; status == MP_OK && tries < STALE_TRIES; tries++) {
        int32_t count = 0;
        if (reader->is_stale) {
            mp_log_info("queue", "%s is another than before: reading all of it",
                        reader->topic_name);
            forget_all(reader);
        }
        status = ask_partitions(reader, &count, err);
        status = status ? status : take_partitions(reader, count, err);
        status = status ? status : follow(reader, err);
        if (status == MP_OK && !reader->is_stale) {
            return MP_OK;
        }
    }
    return status ? status
                  : mp_error_set(err, MP_EIO,
                                 "could not read the dead letters: %s changes while it "
                                 "is read",
                                 reader->topic_name);
}
