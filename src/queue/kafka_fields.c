/* SPDX-License-Identifier: MIT */
#include "kafka_fields.h"

#include <string.h>

#define NAME_BYTES_MAX 15

/* In order of length, as the enum: a header's length leads to its candidates. */
static const struct mp_str NAMES[MP__KAFKA_HEADS] = {
    [MP__HEAD_CE_ID] = {"ce_id", 5},
    [MP__HEAD_DUE] = {"mp_due", 6},
    [MP__HEAD_CE_TYPE] = {"ce_type", 7},
    [MP__HEAD_CE_TIME] = {"ce_time", 7},
    [MP__HEAD_LAST] = {"mp_last", 7},
    [MP__HEAD_FIRST] = {"mp_first", 8},
    [MP__HEAD_CE_SOURCE] = {"ce_source", 9},
    [MP__HEAD_STATUS] = {"mp_status", 9},
    [MP__HEAD_REASON] = {"mp_reason", 9},
    [MP__HEAD_ORIGIN] = {"mp_origin", 9},
    [MP__HEAD_CE_SUBJECT] = {"ce_subject", 10},
    [MP__HEAD_ATTEMPT] = {"mp_attempt", 10},
    [MP__HEAD_SUBJECT] = {"mp_subject", 10},
    [MP__HEAD_REPLAYS] = {"mp_replays", 10},
    [MP__HEAD_UNKNOWN] = {"mp_unknown", 10},
    [MP__HEAD_VERDICT] = {"mp_verdict", 10},
    [MP__HEAD_ENDPOINT] = {"mp_endpoint", 11},
    [MP__HEAD_EVENT_ID] = {"mp_event_id", 11},
    [MP__HEAD_CONTENT_TYPE] = {"content-type", 12},
    [MP__HEAD_CE_SPECVERSION] = {"ce_specversion", 14},
    [MP__HEAD_CE_PARTITIONKEY] = {"ce_partitionkey", 15},
};
/* The first of the names of so many bytes; the next length's is behind the last. */
static const unsigned char FIRST_OF[NAME_BYTES_MAX + 2] = {
    [5] = MP__HEAD_CE_ID,
    [6] = MP__HEAD_DUE,
    [7] = MP__HEAD_CE_TYPE,
    [8] = MP__HEAD_FIRST,
    [9] = MP__HEAD_CE_SOURCE,
    [10] = MP__HEAD_CE_SUBJECT,
    [11] = MP__HEAD_ENDPOINT,
    [12] = MP__HEAD_CONTENT_TYPE,
    [13] = MP__HEAD_CE_SPECVERSION,
    [14] = MP__HEAD_CE_SPECVERSION,
    [15] = MP__HEAD_CE_PARTITIONKEY,
    [16] = MP__KAFKA_HEADS,
};

struct mp_str mp__kafka_head_name(enum mp__kafka_head head)
{
    return NAMES[head];
}

void mp__kafka_raw_head(struct mp__kafka_raw *raw, const char *name, struct mp_str value)
{
    size_t length = strlen(name);
    if (length > NAME_BYTES_MAX) {
        return;
    }
    for (unsigned i = FIRST_OF[length]; i < FIRST_OF[length + 1]; i++) {
        if (memcmp(NAMES[i].data, name, length) == 0) {
            raw->heads[i] = value;
            return;
        }
    }
}

static char *put_number(char *at, uint64_t number)
{
    char digits[20];
    size_t length = 0;
    do {
        digits[length++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    while (length > 0) {
        *at++ = digits[--length];
    }
    return at;
}

void mp__kafka_origin_of(const char *topic, int32_t partition, int64_t offset,
                         char out[MP__KAFKA_ORIGIN_BYTES])
{
    /* A topic's name has 249 bytes at most; the numbers of what was consumed have no
     * sign. */
    size_t length = strnlen(topic, 249);
    memcpy(out, topic, length);
    char *at = out + length;
    *at++ = '-';
    at = put_number(at, partition < 0 ? 0 : (uint64_t)partition);
    *at++ = '-';
    at = put_number(at, offset < 0 ? 0 : (uint64_t)offset);
    *at = '\0';
}

struct mp_str mp__kafka_origin_id(struct mp_str origin)
{
    size_t length = origin.length < 128 ? origin.length : 128;
    return (struct mp_str){origin.data + origin.length - length, length};
}

bool mp__kafka_dead_key_parse(struct mp_str key, struct mp_str *partner,
                              struct mp_str *id, uint32_t *replays)
{
    const char *first = key.length ? memchr(key.data, '/', key.length) : NULL;
    if (!first) {
        return false;
    }
    const char *end = key.data + key.length;
    *partner = (struct mp_str){key.data, (size_t)(first - key.data)};
    *id = (struct mp_str){first + 1, (size_t)(end - first - 1)};
    *replays = 0;
    if (mp_str_is(*partner, "-")) {
        *id = mp__kafka_origin_id(*id);
        return id->length > 0;
    }
    const char *last = memrchr(first + 1, '/', id->length);
    if (!last || last == first + 1 || end - last - 1 < 1 || end - last - 1 > 9) {
        return false;
    }
    id->length = (size_t)(last - first - 1);
    for (const char *at = last + 1; at < end; at++) {
        if (*at < '0' || *at > '9') {
            return false;
        }
        *replays = *replays * 10 + (uint32_t)(*at - '0');
    }
    return id->length <= 128 && mp_partner_name_is_valid(*partner);
}
