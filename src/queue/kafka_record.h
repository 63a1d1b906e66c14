/* SPDX-License-Identifier: MIT */
#pragma once

#include <librdkafka/rdkafka.h>

#include "kafka_fields.h"

/* The border of the record codec: kafka_fields.h on librdkafka's messages and headers.
 * The same for records that a stranger's producer wrote. */

void mp__kafka_origin(const rd_kafka_message_t *message,
                      char out[MP__KAFKA_ORIGIN_BYTES]);

/* Copies a consumed record. record->due_ms is mp_due, or now_ms when absent; the lane is
 * the partner's, or of mp_endpoint's authority for postback. An id that is absent is the
 * origin. `notes` (may be NULL) has slices into the message. MP_EINVAL: `err` says what
 * is malformed, for its dead letter: no value, no JSON object, no ce_subject or one that
 * is no partner's name, a header of ours that cannot be read, a postback without a good
 * mp_endpoint, an id over 128 bytes, a time more than ten years ahead. Unknown headers
 * are let be. MP_ENOMEM. */
MP_MUST_CHECK int mp__kafka_record_read(const rd_kafka_message_t *message,
                                        unsigned json_depth, int64_t now_ms,
                                        struct mp_record **out,
                                        struct mp__kafka_notes *notes,
                                        struct mp_error *err);

/* A dead letter's record: as above, but one that was malformed is given as well: partner
 * "-", id its origin (of a very long one its last 128 bytes), the event its bytes when
 * they are JSON, else a JSON string of them. `reason` is a slice into the message.
 * MP_EINVAL only without a value. */
MP_MUST_CHECK int mp__kafka_dead_read(const rd_kafka_message_t *message,
                                      unsigned json_depth, struct mp_record **out,
                                      struct mp_str *reason, struct mp_error *err);

/* The headers for `topic`, the caller's (rd_kafka_headers_destroy, unless produced).
 * Attributes that hold when absent are left out: mp_attempt 0, mp_due of postbacks and of
 * dead letters, mp_status 0 … and mp_first of postbacks that were never replayed: those
 * are produced with first_ms as their timestamp, replays without one, lest they be too
 * old for the topic. NULL: out of memory. */
rd_kafka_headers_t *mp__kafka_record_headers(const struct mp_record *record,
                                             enum mp__kafka_topic topic,
                                             const struct mp__kafka_notes *notes);
/* The headers of a dead letter for a record that is malformed: its own (NULL: none), and
 * mp_reason, mp_last, mp_origin in place of any such. NULL: out of memory. */
rd_kafka_headers_t *mp__kafka_malformed_headers(const rd_kafka_message_t *message,
                                                const char *reason, int64_t now_ms);
