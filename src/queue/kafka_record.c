/* SPDX-License-Identifier: MIT */
#include "kafka_record.h"

#include "moonpost/clock.h"

#define HEADERS_COMMON 16

void mp__kafka_origin(const rd_kafka_message_t *message, char out[MP__KAFKA_ORIGIN_BYTES])
{
    mp__kafka_origin_of(rd_kafka_topic_name(message->rkt), message->partition,
                        message->offset, out);
}

static void read_headers(const rd_kafka_message_t *message, struct mp__kafka_raw *raw)
{
    rd_kafka_headers_t *headers;
    const char *name;
    const void *value;
    size_t length;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return;
    }
    for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &length) ==
                       RD_KAFKA_RESP_ERR_NO_ERROR;
         i++) {
        mp__kafka_raw_head(raw, name, (struct mp_str){value, length});
    }
}

static void take(const rd_kafka_message_t *message, struct mp__kafka_raw *raw)
{
    rd_kafka_timestamp_type_t type;
    int64_t timestamp_ms = rd_kafka_message_timestamp(message, &type);
    *raw = (struct mp__kafka_raw){
        .value = {message->payload, message->len},
        .key = {message->key, message->key_len},
        .topic = rd_kafka_topic_name(message->rkt),
        .partition = message->partition,
        .offset = message->offset,
        .timestamp_ms = type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? -1 : timestamp_ms,
    };
    read_headers(message, raw);
}

int mp__kafka_record_read(const rd_kafka_message_t *message, unsigned json_depth,
                          int64_t now_ms, struct mp_record **out,
                          struct mp__kafka_notes *notes, struct mp_error *err)
{
    struct mp__kafka_raw raw;
    take(message, &raw);
    return mp__kafka_raw_read(&raw, json_depth, now_ms, out, notes, err);
}

int mp__kafka_dead_read(const rd_kafka_message_t *message, unsigned json_depth,
                        struct mp_record **out, struct mp_str *reason,
                        struct mp_error *err)
{
    struct mp__kafka_raw raw;
    take(message, &raw);
    return mp__kafka_raw_dead(&raw, json_depth, mp_clock_wall_ms(), out, reason, err);
}

static int add(rd_kafka_headers_t *headers, enum mp__kafka_head head, struct mp_str value)
{
    struct mp_str name = mp__kafka_head_name(head);
    const char *data = value.data ? value.data : "";
    return rd_kafka_header_add(headers, name.data, (ssize_t)name.length, data,
                               (ssize_t)value.length) == RD_KAFKA_RESP_ERR_NO_ERROR
               ? MP_OK
               : MP_ENOMEM;
}

rd_kafka_headers_t *mp__kafka_record_headers(const struct mp_record *record,
                                             enum mp__kafka_topic topic,
                                             const struct mp__kafka_notes *notes)
{
    struct mp__kafka_fields fields;
    int64_t now_ms = topic == MP__KAFKA_DEAD ? mp_clock_wall_ms() : 0;
    rd_kafka_headers_t *headers = rd_kafka_headers_new(HEADERS_COMMON);
    if (!headers) {
        return NULL;
    }
    int status = mp__kafka_fields_write(&fields, record, topic, notes, now_ms);
    for (size_t i = 0; status == MP_OK && i < fields.count; i++) {
        status = add(headers, fields.list[i].head, fields.list[i].value);
    }
    mp__kafka_fields_fini(&fields);
    if (status != MP_OK) {
        rd_kafka_headers_destroy(headers);
        return NULL;
    }
    return headers;
}

rd_kafka_headers_t *mp__kafka_malformed_headers(const rd_kafka_message_t *message,
                                                const char *reason, int64_t now_ms)
{
    static const enum mp__kafka_head OURS[] = {MP__HEAD_REASON, MP__HEAD_LAST,
                                               MP__HEAD_ORIGIN};
    char origin[MP__KAFKA_ORIGIN_BYTES];
    rd_kafka_headers_t *theirs = NULL;
    (void)rd_kafka_message_headers(message, &theirs);
    rd_kafka_headers_t *headers =
        theirs ? rd_kafka_headers_copy(theirs) : rd_kafka_headers_new(HEADERS_COMMON);
    if (!headers) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof(OURS) / sizeof(*OURS); i++) {
        (void)rd_kafka_header_remove(headers, mp__kafka_head_name(OURS[i]).data);
    }
    struct mp_buf last;
    mp_buf_init(&last, 32);
    mp__kafka_origin(message, origin);
    int status = mp_buf_append_int(&last, now_ms);
    status = status ? status : add(headers, MP__HEAD_REASON, mp__kafka_reason(reason));
    status = status ? status : add(headers, MP__HEAD_LAST, mp_buf_str(&last));
    status = status ? status : add(headers, MP__HEAD_ORIGIN, mp_str_of(origin));
    mp_buf_fini(&last);
    if (status != MP_OK) {
        rd_kafka_headers_destroy(headers);
        return NULL;
    }
    return headers;
}
