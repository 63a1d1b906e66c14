/* SPDX-License-Identifier: MIT */
#include "kafka_topics.h"

#include <stdbool.h>
#include <string.h>

#define NAME_BYTES_MAX 249 /* Kafka's own limit */
#define SECOND_MS      INT64_C(1000)
#define MINUTE_MS      (60 * SECOND_MS)
#define HOUR_MS        (60 * MINUTE_MS)

static const struct {
    const char *name;
    int64_t tier_ms;
} TOPICS[MP__KAFKA_TOPICS] = {
    [MP__KAFKA_POSTBACKS] = {"postbacks", 0},
    [MP__KAFKA_RETRY_5S] = {"postbacks.retry.5s", 5 * SECOND_MS},
    [MP__KAFKA_RETRY_30S] = {"postbacks.retry.30s", 30 * SECOND_MS},
    [MP__KAFKA_RETRY_2M] = {"postbacks.retry.2m", 2 * MINUTE_MS},
    [MP__KAFKA_RETRY_10M] = {"postbacks.retry.10m", 10 * MINUTE_MS},
    [MP__KAFKA_RETRY_1H] = {"postbacks.retry.1h", HOUR_MS},
    [MP__KAFKA_RETRY_6H] = {"postbacks.retry.6h", 6 * HOUR_MS},
    [MP__KAFKA_RETRY_24H] = {"postbacks.retry.24h", 24 * HOUR_MS},
    [MP__KAFKA_DEAD] = {"postbacks.dead", 0},
    [MP__KAFKA_PARTNERS] = {"postbacks.partners", 0},
};

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '.' || c == '_' || c == '-';
}

int mp__kafka_topics_init(struct mp__kafka_topics *topics, const char *prefix,
                          struct mp_error *err)
{
    for (const char *at = prefix; *at; at++) {
        if (!is_name_byte(*at)) {
            return mp_error_set(err, MP_EINVAL,
                                "could not use --topic-prefix: topics' names have only "
                                "letters, digits, '.', '_' and '-'");
        }
    }
    size_t length = strlen(prefix);
    for (size_t i = 0; i < MP__KAFKA_TOPICS; i++) {
        size_t rest = strlen(TOPICS[i].name);
        if (length + rest > NAME_BYTES_MAX) {
            return mp_error_set(err, MP_EINVAL,
                                "could not use --topic-prefix: with it the name of %s "
                                "has more than %d bytes",
                                TOPICS[i].name, NAME_BYTES_MAX);
        }
        memcpy(topics->names[i], prefix, length);
        memcpy(topics->names[i] + length, TOPICS[i].name, rest + 1);
    }
    return MP_OK;
}

enum mp__kafka_topic mp__kafka_topics_find(const struct mp__kafka_topics *topics,
                                           const char *name)
{
    unsigned topic = 0;
    while (topic < MP__KAFKA_TOPICS && strcmp(topics->names[topic], name) != 0) {
        topic++;
    }
    return (enum mp__kafka_topic)topic;
}

int64_t mp__kafka_tier_ms(enum mp__kafka_topic topic)
{
    return topic < MP__KAFKA_TOPICS ? TOPICS[topic].tier_ms : 0;
}

enum mp__kafka_topic mp__kafka_tier_for(int64_t wait_ms)
{
    unsigned tier = MP__KAFKA_RETRY_24H;
    while (tier > MP__KAFKA_RETRY_5S && TOPICS[tier].tier_ms > wait_ms) {
        tier--;
    }
    return (enum mp__kafka_topic)tier;
}
