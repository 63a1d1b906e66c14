/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

#include "moonpost/status.h"

/* The topics' names, and which retry tier a wait goes to. */

enum mp__kafka_topic {
    MP__KAFKA_POSTBACKS,
    MP__KAFKA_RETRY_5S, /* the tiers, shortest first */
    MP__KAFKA_RETRY_30S,
    MP__KAFKA_RETRY_2M,
    MP__KAFKA_RETRY_10M,
    MP__KAFKA_RETRY_1H,
    MP__KAFKA_RETRY_6H,
    MP__KAFKA_RETRY_24H,
    MP__KAFKA_DEAD,
    MP__KAFKA_PARTNERS,
    MP__KAFKA_TOPICS
};
/* Those that deliverers read as a group: the first so many. */
#define MP__KAFKA_GROUP_TOPICS MP__KAFKA_DEAD

/* The most of a record's value with key and headers. */
#define MP__KAFKA_RECORD_BYTES (2 * 1024 * 1024)

struct mp__kafka_topics {
    char names[MP__KAFKA_TOPICS][250]; /* with the prefix */
};
/* MP_EINVAL: with this prefix a name would be none (249 of [a-zA-Z0-9._-]). */
MP_MUST_CHECK int mp__kafka_topics_init(struct mp__kafka_topics *topics,
                                        const char *prefix, struct mp_error *err);
/* MP__KAFKA_TOPICS: none of ours. */
enum mp__kafka_topic mp__kafka_topics_find(const struct mp__kafka_topics *topics,
                                           const char *name);
/* 0: not a tier. */
int64_t mp__kafka_tier_ms(enum mp__kafka_topic topic);
/* The largest tier that fits the wait; under 5 s (or past): the 5s tier. */
enum mp__kafka_topic mp__kafka_tier_for(int64_t wait_ms);
