/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "kafka_fields.h"
#include "moonpost/clock.h"
#include "moonpost/exchange.h"
#include "moonpost/json.h"

/* From a delivery to a record of Kafka's. */

/* Names of headers, lengths, numbers, and what a retry and a dead letter add. */
#define FIXED_BYTES 4096

static void add(struct mp__kafka_fields *fields, enum mp__kafka_head head,
                struct mp_str value)
{
    fields->list[fields->count++] = (struct mp__kafka_field){head, value};
}

static void add_text(struct mp__kafka_fields *fields, enum mp__kafka_head head,
                     struct mp_str text)
{
    if (text.length > 0) {
        add(fields, head, text);
    }
}

/* 0, or less: it is left out. */
static void add_number(struct mp__kafka_fields *fields, enum mp__kafka_head head,
                       int64_t number)
{
    if (number <= 0) {
        return;
    }
    char digits[20];
    size_t at = sizeof(digits);
    for (uint64_t rest = (uint64_t)number; rest > 0; rest /= 10) {
        digits[--at] = (char)('0' + rest % 10);
    }
    char *text = fields->text + fields->used;
    size_t length = sizeof(digits) - at;
    memcpy(text, digits + at, length);
    fields->used += length;
    add(fields, head, (struct mp_str){text, length});
}

static void add_time(struct mp__kafka_fields *fields, int64_t occurred_ms)
{
    if (occurred_ms >= 0) {
        char *text = fields->text + fields->used;
        mp_time_format(occurred_ms, text);
        fields->used += MP_TIME_BYTES;
        add(fields, MP__HEAD_CE_TIME, (struct mp_str){text, MP_TIME_BYTES - 1});
    }
}

static void add_attributes(struct mp__kafka_fields *fields,
                           const struct mp_record *record)
{
    bool has_type = record->type.length > 0;
    bool has_source = record->source.length > 0;
    add(fields, MP__HEAD_CE_SUBJECT, record->partner);
    add(fields, MP__HEAD_CE_ID, record->id);
    add(fields, MP__HEAD_CE_SPECVERSION, mp_str_of("1.0"));
    add(fields, MP__HEAD_CE_TYPE, has_type ? record->type : mp_str_of(MP__KAFKA_NO_TYPE));
    add(fields, MP__HEAD_CE_SOURCE,
        has_source ? record->source : mp_str_of(MP__KAFKA_NO_SOURCE));
    add_time(fields, record->occurred_ms);
    add(fields, MP__HEAD_CONTENT_TYPE, mp_str_of("application/json"));
    add_text(fields, MP__HEAD_EVENT_ID, record->event_id);
    add_text(fields, MP__HEAD_SUBJECT, record->subject);
}

static void add_state(struct mp__kafka_fields *fields, const struct mp_record *record,
                      enum mp__kafka_topic topic)
{
    add_number(fields, MP__HEAD_ATTEMPT, record->attempts);
    if (mp__kafka_tier_ms(topic) > 0) {
        add_number(fields, MP__HEAD_DUE, record->due_ms);
    }
    if (topic != MP__KAFKA_POSTBACKS || record->replays > 0) {
        add_number(fields, MP__HEAD_FIRST, record->first_ms);
    }
    add_number(fields, MP__HEAD_STATUS, record->last_status);
    if (record->attempts > 0 && record->last_verdict != MP_VERDICT_RETRY) {
        const char *name = mp_verdict_name((enum mp_verdict_kind)record->last_verdict);
        add(fields, MP__HEAD_VERDICT, mp_str_of(*name ? name : "none"));
    }
    add_number(fields, MP__HEAD_REPLAYS, record->replays);
}

static void add_death(struct mp__kafka_fields *fields, const struct mp_record *record,
                      const struct mp__kafka_notes *notes, int64_t now_ms)
{
    add(fields, MP__HEAD_REASON, mp__kafka_reason(notes ? notes->reason : NULL));
    /* They are looked for by when they died: also those without an attempt. */
    add_number(fields, MP__HEAD_LAST, record->last_ms > 0 ? record->last_ms : now_ms);
    if (notes) {
        add_text(fields, MP__HEAD_ORIGIN, notes->origin);
    }
    add_text(fields, MP__HEAD_CE_PARTITIONKEY, record->partition_key);
}

static int add_endpoint(struct mp__kafka_fields *fields, const struct mp_record *record)
{
    struct mp_buf *out = &fields->endpoint;
    if (record->endpoint_url.length == 0) {
        return MP_OK;
    }
    int status = mp_buf_append_text(out, "{\"method\":");
    status = status ? status : mp_json_write_string(out, record->endpoint_method);
    status = status ? status : mp_buf_append_text(out, ",\"url\":");
    status = status ? status : mp_json_write_string(out, record->endpoint_url);
    status = status ? status : mp_buf_append_char(out, '}');
    if (status == MP_OK) {
        add(fields, MP__HEAD_ENDPOINT, mp_buf_str(out));
    }
    return status;
}

int mp__kafka_fields_write(struct mp__kafka_fields *fields,
                           const struct mp_record *record, enum mp__kafka_topic topic,
                           const struct mp__kafka_notes *notes, int64_t now_ms)
{
    fields->count = 0;
    fields->used = 0;
    mp_buf_init(&fields->endpoint, SIZE_MAX);
    add_attributes(fields, record);
    add_state(fields, record, topic);
    if (notes) {
        add_number(fields, MP__HEAD_UNKNOWN, notes->unknown_ms);
    }
    if (topic == MP__KAFKA_DEAD) {
        add_death(fields, record, notes, now_ms);
    }
    return add_endpoint(fields, record);
}

void mp__kafka_fields_fini(struct mp__kafka_fields *fields)
{
    mp_buf_fini(&fields->endpoint);
}

struct mp_str mp__kafka_reason(const char *reason)
{
    struct mp_str text = mp_str_of(reason ? reason : "");
    if (text.length > MP__KAFKA_REASON_BYTES) {
        text.length = MP__KAFKA_REASON_BYTES;
        while (text.length > 0 &&
               ((unsigned char)text.data[text.length] & 0xc0) == 0x80) {
            text.length--;
        }
    }
    return text;
}

int mp__kafka_record_key(const struct mp_record *record, enum mp__kafka_topic topic,
                         struct mp_buf *out)
{
    bool is_dead = topic == MP__KAFKA_DEAD;
    bool is_keyed = !is_dead && record->partition_key.length > 0;
    size_t keep = out->length;
    int status = mp_buf_append_str(out, record->partner);
    status = status ? status : mp_buf_append_char(out, '/');
    status = status
                 ? status
                 : mp_buf_append_str(out, is_keyed ? record->partition_key : record->id);
    if (is_dead) {
        status = status ? status : mp_buf_append_char(out, '/');
        status = status ? status : mp_buf_append_int(out, record->replays);
    }
    if (status != MP_OK) {
        out->length = keep;
    }
    return status;
}

/* As a JSON string, or more. */
static size_t escaped_bytes(struct mp_str text)
{
    size_t bytes = text.length;
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.data[i];
        bytes += c < ' ' || c == '"' || c == '\\' || c >= 0x7f ? 5 : 0;
    }
    return bytes;
}

bool mp__kafka_record_fits(const struct mp_record *record)
{
    /* Partner and id are in the key as well; the partition key is, or in a header. */
    size_t bytes = FIXED_BYTES + record->event.length + 2 * record->partner.length +
                   2 * record->id.length + record->type.length + record->source.length +
                   record->subject.length + record->event_id.length +
                   2 * record->partition_key.length + record->endpoint_method.length +
                   escaped_bytes(record->endpoint_url);
    return bytes <= MP__KAFKA_RECORD_BYTES;
}
