/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "kafka_fields.h"
#include "moonpost/clock.h"
#include "moonpost/exchange.h"
#include "moonpost/json.h"

/* From a record of Kafka's to a delivery. Whatever does not fit is said in words: they
 * are the reason that its dead letter shows. */

#define ID_BYTES_MAX   128
#define AHEAD_MS       (INT64_C(3650) * 24 * 3600 * 1000)
#define COUNT_MAX      999999999
#define ENDPOINT_DEPTH 8

struct reading {
    const struct mp__kafka_raw *raw;
    int64_t now_ms;
    bool is_dead;
    struct mp_record draft;
    struct mp_error *err;
    struct mp_buf text; /* of an endpoint with escapes */
    char lane[MP_LANE_BYTES];
    char origin[MP__KAFKA_ORIGIN_BYTES];
};

static struct mp_str head(const struct reading *reading, enum mp__kafka_head which)
{
    return reading->raw->heads[which];
}

static int refuse(struct reading *reading, enum mp__kafka_head which, const char *what)
{
    return mp_error_set(reading->err, MP_EINVAL, "%s %s", mp__kafka_head_name(which).data,
                        what);
}

/* Digits and nothing else; `out` stays as it is without such a header. */
static int read_number(struct reading *reading, enum mp__kafka_head which, int64_t max,
                       const char *what, int64_t *out)
{
    struct mp_str text = head(reading, which);
    if (!text.data) {
        return MP_OK;
    }
    uint64_t number = 0;
    if (text.length == 0 || text.length > 18) {
        return refuse(reading, which, what);
    }
    for (size_t i = 0; i < text.length; i++) {
        unsigned digit = (unsigned)(unsigned char)text.data[i] - '0';
        if (digit > 9) {
            return refuse(reading, which, what);
        }
        number = number * 10 + digit;
    }
    if (number > (uint64_t)max) {
        return refuse(reading, which, what);
    }
    *out = (int64_t)number;
    return MP_OK;
}

static int read_time(struct reading *reading, enum mp__kafka_head which, int64_t *out)
{
    return read_number(reading, which, reading->now_ms + AHEAD_MS,
                       "is not a Unix time in milliseconds, ten years ahead at most",
                       out);
}

static int read_count(struct reading *reading, enum mp__kafka_head which, uint32_t *out)
{
    int64_t number = 0;
    int status = read_number(reading, which, COUNT_MAX,
                             "is not a number of 1 to 9 digits", &number);
    *out = (uint32_t)number;
    return status;
}

static int read_verdict(struct reading *reading)
{
    struct mp_str name = head(reading, MP__HEAD_VERDICT);
    enum mp_verdict_kind kind =
        reading->draft.attempts > 0 ? MP_VERDICT_RETRY : MP_VERDICT_NONE;
    if (name.data) {
        kind = mp_verdict_of_name(name);
        if (kind == MP_VERDICT_NONE && !mp_str_is(name, "none")) {
            return refuse(reading, MP__HEAD_VERDICT, "is no verdict");
        }
    }
    reading->draft.last_verdict = (uint8_t)kind;
    return MP_OK;
}

static int read_spent(struct reading *reading)
{
    struct mp_record *draft = &reading->draft;
    int64_t code = 0;
    int status = read_count(reading, MP__HEAD_ATTEMPT, &draft->attempts);
    status = status ? status : read_count(reading, MP__HEAD_REPLAYS, &draft->replays);
    status = status ? status
                    : read_number(reading, MP__HEAD_STATUS, 999,
                                  "is not a status of 1 to 3 digits", &code);
    draft->last_status = (uint16_t)code;
    return status ? status : read_verdict(reading);
}

static int read_times(struct reading *reading)
{
    struct mp_record *draft = &reading->draft;
    int64_t stamp_ms = reading->raw->timestamp_ms;
    draft->first_ms = stamp_ms < 0 ? reading->now_ms : stamp_ms;
    draft->due_ms = reading->now_ms;
    draft->occurred_ms = -1;
    int status = read_time(reading, MP__HEAD_FIRST, &draft->first_ms);
    status = status ? status : read_time(reading, MP__HEAD_DUE, &draft->due_ms);
    status = status ? status : read_time(reading, MP__HEAD_LAST, &draft->last_ms);
    struct mp_str time = head(reading, MP__HEAD_CE_TIME);
    if (status == MP_OK && time.length > 0 &&
        mp_time_parse(time, &draft->occurred_ms) != MP_OK) {
        return refuse(reading, MP__HEAD_CE_TIME, "is not an RFC 3339 time");
    }
    return status;
}

/* The text of a raw JSON string: a slice of it, or of reading->text, whose memory is
 * reserved and so does not move. */
static struct mp_str text_of(struct reading *reading, struct mp_str raw)
{
    struct mp_str inner = {raw.data + 1, raw.length - 2};
    size_t from = reading->text.length;
    if (inner.length == 0 || !memchr(inner.data, '\\', inner.length) ||
        mp_json_unescape(raw, &reading->text) != MP_OK) {
        return inner;
    }
    return (struct mp_str){reading->text.data + from, reading->text.length - from};
}

static bool read_method(struct reading *reading, struct mp_str raw)
{
    static const char *const METHODS[] = {"GET", "HEAD",  "POST",
                                          "PUT", "PATCH", "DELETE"};
    if (raw.length == 0) {
        reading->draft.endpoint_method = mp_str_of("GET");
        return true;
    }
    if (mp_json_kind(raw) != MP_JSON_STRING) {
        return false;
    }
    struct mp_str name = text_of(reading, raw);
    for (size_t i = 0; i < sizeof(METHODS) / sizeof(*METHODS); i++) {
        if (mp_str_equal_nocase(name, mp_str_of(METHODS[i]))) {
            reading->draft.endpoint_method = mp_str_of(METHODS[i]);
            return true;
        }
    }
    return false;
}

static int read_url(struct reading *reading, struct mp_str url)
{
    static const char PREFIX[] = "postback ";
    char authority[MP_LANE_BYTES];
    struct mp_error why = {0};
    reading->draft.endpoint_url = url;
    if (mp_authority_of(url, authority, NULL, &why) != MP_OK) {
        return mp_error_set(reading->err, MP_EINVAL, "mp_endpoint: %s", why.text);
    }
    size_t length = strlen(authority);
    if (length + sizeof(PREFIX) > MP_LANE_BYTES) {
        return refuse(reading, MP__HEAD_ENDPOINT, "has too long a host");
    }
    if (mp_str_is(reading->draft.partner, "postback")) {
        memcpy(reading->lane, PREFIX, sizeof(PREFIX) - 1);
        memcpy(reading->lane + sizeof(PREFIX) - 1, authority, length);
        reading->draft.lane = (struct mp_str){reading->lane, sizeof(PREFIX) - 1 + length};
    }
    return MP_OK;
}

static int read_endpoint(struct reading *reading)
{
    struct mp_str text = head(reading, MP__HEAD_ENDPOINT);
    struct mp_str object, method = {NULL, 0}, url = {NULL, 0};
    if (!text.data) {
        return mp_str_is(reading->draft.partner, "postback")
                   ? refuse(reading, MP__HEAD_ENDPOINT,
                            "is missing, which postback's records must have")
                   : MP_OK;
    }
    if (mp_json_check(text, ENDPOINT_DEPTH, &object, NULL) != MP_OK ||
        mp_json_kind(object) != MP_JSON_OBJECT) {
        return refuse(reading, MP__HEAD_ENDPOINT, "is no JSON object");
    }
    (void)mp_json_member(object, mp_str_of("method"), &method);
    (void)mp_json_member(object, mp_str_of("url"), &url);
    if (mp_json_kind(url) != MP_JSON_STRING) {
        return refuse(reading, MP__HEAD_ENDPOINT, "has no url that is a string");
    }
    if (memchr(text.data, '\\', text.length) &&
        mp_buf_reserve(&reading->text, text.length) != MP_OK) {
        return MP_ENOMEM;
    }
    if (!read_method(reading, method)) {
        return refuse(reading, MP__HEAD_ENDPOINT,
                      "has a method that is none of GET, HEAD, POST, PUT, PATCH, DELETE");
    }
    return read_url(reading, text_of(reading, url));
}

/* What is the key's after the partner's name; a stranger's key may be anything. */
static struct mp_str partition_key(const struct reading *reading)
{
    struct mp_str key = reading->raw->key;
    struct mp_str partner = reading->draft.partner;
    struct mp_str none = {NULL, 0};
    if (head(reading, MP__HEAD_CE_PARTITIONKEY).data) {
        return head(reading, MP__HEAD_CE_PARTITIONKEY);
    }
    if (reading->is_dead || key.length <= partner.length + 1 ||
        key.data[partner.length] != '/' ||
        memcmp(key.data, partner.data, partner.length) != 0) {
        return none;
    }
    struct mp_str rest = {key.data + partner.length + 1, key.length - partner.length - 1};
    return mp_str_equal(rest, reading->draft.id) ? none : rest;
}

static struct mp_str unless(struct mp_str text, const char *none)
{
    return mp_str_is(text, none) ? (struct mp_str){NULL, 0} : text;
}

static int read_names(struct reading *reading)
{
    struct mp_record *draft = &reading->draft;
    draft->partner = head(reading, MP__HEAD_CE_SUBJECT);
    draft->id = head(reading, MP__HEAD_CE_ID);
    draft->type = unless(head(reading, MP__HEAD_CE_TYPE), MP__KAFKA_NO_TYPE);
    draft->source = unless(head(reading, MP__HEAD_CE_SOURCE), MP__KAFKA_NO_SOURCE);
    draft->subject = head(reading, MP__HEAD_SUBJECT);
    draft->event_id = head(reading, MP__HEAD_EVENT_ID);
    struct mp_str version = head(reading, MP__HEAD_CE_SPECVERSION);
    if (draft->partner.length == 0) {
        return refuse(reading, MP__HEAD_CE_SUBJECT, "is missing: it names the partner");
    }
    if (!mp_partner_name_is_valid(draft->partner)) {
        return refuse(reading, MP__HEAD_CE_SUBJECT, "is no partner's name");
    }
    if (version.length > 0 && !mp_str_is(version, "1.0")) {
        return refuse(reading, MP__HEAD_CE_SPECVERSION, "is not 1.0");
    }
    if (draft->id.length > ID_BYTES_MAX) {
        return refuse(reading, MP__HEAD_CE_ID, "has more than 128 bytes");
    }
    if (draft->id.length == 0) {
        const struct mp__kafka_raw *raw = reading->raw;
        mp__kafka_origin_of(raw->topic, raw->partition, raw->offset, reading->origin);
        draft->id = mp__kafka_origin_id(mp_str_of(reading->origin));
    }
    draft->partition_key = partition_key(reading);
    return MP_OK;
}

static int read_event(struct reading *reading, unsigned json_depth)
{
    struct mp_json_fault fault;
    struct mp_str value = reading->raw->value;
    if (!value.data) {
        return mp_error_set(reading->err, MP_EINVAL, "it has no value");
    }
    if (mp_json_check(value, json_depth, &reading->draft.event, &fault) != MP_OK) {
        return mp_error_set(reading->err, MP_EINVAL,
                            "the value is not JSON: line %u, column %u: %s", fault.line,
                            fault.column, fault.reason);
    }
    if (mp_json_kind(reading->draft.event) != MP_JSON_OBJECT) {
        return mp_error_set(reading->err, MP_EINVAL, "the value is no JSON object");
    }
    return MP_OK;
}

static int read_all(struct reading *reading, unsigned json_depth,
                    struct mp__kafka_notes *notes)
{
    int status = read_names(reading);
    status = status ? status : read_event(reading, json_depth);
    status = status ? status : read_times(reading);
    status = status ? status : read_spent(reading);
    status = status ? status : read_endpoint(reading);
    int64_t unknown_ms = 0;
    status = status ? status : read_time(reading, MP__HEAD_UNKNOWN, &unknown_ms);
    if (status == MP_OK && notes) {
        *notes = (struct mp__kafka_notes){.unknown_ms = unknown_ms,
                                          .origin = head(reading, MP__HEAD_ORIGIN)};
    }
    return status;
}

static int read_record(const struct mp__kafka_raw *raw, unsigned json_depth,
                       int64_t now_ms, bool is_dead, struct mp_record **out,
                       struct mp__kafka_notes *notes, struct mp_error *err)
{
    struct reading reading; /* its two arrays are written before they are read */
    reading.raw = raw;
    reading.now_ms = now_ms;
    reading.is_dead = is_dead;
    reading.draft = (struct mp_record){0};
    reading.err = err;
    mp_buf_init(&reading.text, SIZE_MAX);
    int status = read_all(&reading, json_depth, notes);
    if (status == MP_OK) {
        status = mp_record_new(&reading.draft, out);
    }
    if (status == MP_ENOMEM) {
        mp_error_set(err, MP_ENOMEM, "out of memory");
    }
    mp_buf_fini(&reading.text);
    return status;
}

int mp__kafka_raw_read(const struct mp__kafka_raw *raw, unsigned json_depth,
                       int64_t now_ms, struct mp_record **out,
                       struct mp__kafka_notes *notes, struct mp_error *err)
{
    return read_record(raw, json_depth, now_ms, false, out, notes, err);
}

/* Whatever it is, it must be shown. */
static int give_malformed(const struct mp__kafka_raw *raw, unsigned json_depth,
                          int64_t now_ms, struct mp_record **out)
{
    char origin[MP__KAFKA_ORIGIN_BYTES];
    struct reading reading = {.raw = raw, .now_ms = now_ms};
    struct mp_record draft = {.partner = mp_str_of("-"), .occurred_ms = -1};
    uint32_t none;
    struct mp_buf text;
    draft.first_ms = draft.due_ms = raw->timestamp_ms < 0 ? now_ms : raw->timestamp_ms;
    draft.last_ms = draft.first_ms;
    (void)read_time(&reading, MP__HEAD_LAST, &draft.last_ms);
    struct mp_str partner;
    if (!mp__kafka_dead_key_parse(raw->key, &partner, &draft.id, &none) ||
        !mp_str_is(partner, "-")) {
        mp__kafka_origin_of(raw->topic, raw->partition, raw->offset, origin);
        draft.id = mp__kafka_origin_id(mp_str_of(origin));
    }
    mp_buf_init(&text, SIZE_MAX);
    int status = MP_OK;
    if (mp_json_check(raw->value, json_depth, &draft.event, NULL) != MP_OK) {
        status = mp_json_write_string(&text, raw->value);
        draft.event = mp_buf_str(&text);
    }
    status = status ? MP_ENOMEM : mp_record_new(&draft, out);
    mp_buf_fini(&text);
    return status;
}

int mp__kafka_raw_dead(const struct mp__kafka_raw *raw, unsigned json_depth,
                       int64_t now_ms, struct mp_record **out, struct mp_str *reason,
                       struct mp_error *err)
{
    *reason = raw->heads[MP__HEAD_REASON];
    if (!raw->value.data) {
        return mp_error_set(err, MP_EINVAL, "it has no value");
    }
    bool was_malformed = raw->key.length > 1 && memcmp(raw->key.data, "-/", 2) == 0;
    int status = MP_EINVAL;
    if (!was_malformed) {
        status = read_record(raw, json_depth, now_ms, true, out, NULL, err);
    }
    return status == MP_EINVAL ? give_malformed(raw, json_depth, now_ms, out) : status;
}
