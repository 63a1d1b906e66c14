/* SPDX-License-Identifier: MIT */
#pragma once

#include "kafka_topics.h"
#include "moonpost/record.h"

/* A delivery as a Kafka record, both ways, as docs/kafka.md tells it: CloudEvents' Kafka
 * binding in binary mode (headers ce_*, content-type) and our own mp_* headers. Knows
 * nothing of Kafka's library: kafka_record.h is the border. */

#define MP__KAFKA_ORIGIN_BYTES 288 /* "topic-partition-offset" */
#define MP__KAFKA_REASON_BYTES 1024
/* What stands where CloudEvents requires an attribute and the producer gave none; read as
 * none. */
#define MP__KAFKA_NO_SOURCE "urn:moonpost:unnamed"
#define MP__KAFKA_NO_TYPE   "moonpost.untyped"

/* The headers that mean something here, by the length of their names. Others are let be,
 * and so are those that only say what a record from us always is (content-type). */
enum mp__kafka_head {
    MP__HEAD_CE_ID,
    MP__HEAD_DUE,
    MP__HEAD_CE_TYPE,
    MP__HEAD_CE_TIME,
    MP__HEAD_LAST, /* wall: the last attempt, or the death; dead letters */
    MP__HEAD_FIRST,
    MP__HEAD_CE_SOURCE,
    MP__HEAD_STATUS,
    MP__HEAD_REASON, /* of dead letters */
    MP__HEAD_ORIGIN, /* of dead letters: where it was before */
    MP__HEAD_CE_SUBJECT,
    MP__HEAD_ATTEMPT,
    MP__HEAD_SUBJECT,
    MP__HEAD_REPLAYS,
    MP__HEAD_UNKNOWN, /* wall: first found to be of a partner without a script */
    MP__HEAD_VERDICT, /* of the last attempt; absent with attempts: "retry" */
    MP__HEAD_ENDPOINT,
    MP__HEAD_EVENT_ID,
    MP__HEAD_CONTENT_TYPE,
    MP__HEAD_CE_SPECVERSION,
    MP__HEAD_CE_PARTITIONKEY, /* wins over the key; written where the key is another's */
    MP__KAFKA_HEADS
};
/* The header's name, a C string. */
struct mp_str mp__kafka_head_name(enum mp__kafka_head head);

/* What a header says beyond the delivery itself. */
struct mp__kafka_notes {
    int64_t unknown_ms;   /* mp_unknown: wall; 0: none */
    const char *reason;   /* mp_reason, written for a dead letter; never read */
    struct mp_str origin; /* mp_origin, of a dead letter; empty: none */
};

/* A record as it was consumed. Slices are the consumer's. */
struct mp__kafka_raw {
    struct mp_str value; /* data NULL: none */
    struct mp_str key;
    struct mp_str heads[MP__KAFKA_HEADS]; /* data NULL: not there, or null */
    const char *topic;
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms; /* -1: none */
};
/* Of several headers of one name the last holds. */
void mp__kafka_raw_head(struct mp__kafka_raw *raw, const char *name, struct mp_str value);

/* As mp__kafka_record_read and mp__kafka_dead_read. */
MP_MUST_CHECK int mp__kafka_raw_read(const struct mp__kafka_raw *raw, unsigned json_depth,
                                     int64_t now_ms, struct mp_record **out,
                                     struct mp__kafka_notes *notes, struct mp_error *err);
MP_MUST_CHECK int mp__kafka_raw_dead(const struct mp__kafka_raw *raw, unsigned json_depth,
                                     int64_t now_ms, struct mp_record **out,
                                     struct mp_str *reason, struct mp_error *err);

/* The headers of a record. Values are slices of the record, the notes, and this struct,
 * which must stay where it is. */
struct mp__kafka_fields {
    struct mp__kafka_field {
        enum mp__kafka_head head;
        struct mp_str value;
    } list[MP__KAFKA_HEADS];
    size_t count;
    char text[224]; /* numbers and times */
    size_t used;
    struct mp_buf endpoint;
};
/* `now_ms` stands for what is not known of a dead letter. MP_ENOMEM. */
MP_MUST_CHECK int mp__kafka_fields_write(struct mp__kafka_fields *fields,
                                         const struct mp_record *record,
                                         enum mp__kafka_topic topic,
                                         const struct mp__kafka_notes *notes,
                                         int64_t now_ms);
void mp__kafka_fields_fini(struct mp__kafka_fields *fields);
/* At most MP__KAFKA_REASON_BYTES of it, no character cut in two. */
struct mp_str mp__kafka_reason(const char *reason);

/* The key: `partner/partitionkey`, or `partner/id`; of a dead letter
 * `partner/id/replays`, of a malformed one `-/origin`. Appends. */
MP_MUST_CHECK int mp__kafka_record_key(const struct mp_record *record,
                                       enum mp__kafka_topic topic, struct mp_buf *out);
/* What `partner/id` a dead letter's key is of, and its replays: slices into it. Of a
 * malformed one the partner is "-", and the id as dead_read gives it. False: not such a
 * key. */
bool mp__kafka_dead_key_parse(struct mp_str key, struct mp_str *partner,
                              struct mp_str *id, uint32_t *replays);
/* Whether it fits MP__KAFKA_RECORD_BYTES with key and headers, those too that it may come
 * to have as a retry and a dead letter. */
bool mp__kafka_record_fits(const struct mp_record *record);
void mp__kafka_origin_of(const char *topic, int32_t partition, int64_t offset,
                         char out[MP__KAFKA_ORIGIN_BYTES]);
/* An id for what has none: the origin, its last 128 bytes. */
struct mp_str mp__kafka_origin_id(struct mp_str origin);
