/* SPDX-License-Identifier: MIT */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moonpost/kafka.h"
#include "queue_probe.h"

/* The Kafka engine under the probe: how it is opened, and what only its owner is told. */

static bool was_ready, hand_has_begun;
static const char *bootstrap, *prefix;

void mp__probe_kafka_ready(const char *why)
{
    if (!why && !was_ready) {
        was_ready = true;
        mp__probe_say("open");
        if (mp__probe.on_open) {
            mp__probe.on_open();
        }
    }
}

static void on_resume(void *arg, struct mp_str name)
{
    (void)arg;
    mp__probe_say("resume\t%.*s", (int)name.length, name.data);
}

static void on_recall(void *arg)
{
    (void)arg;
    mp__probe_say("recall\t%zu", hand_has_begun ? 0 : mp__probe.hand.count);
    if (!hand_has_begun) {
        struct mp_record_list hand = mp__probe.hand;
        mp__probe.hand = (struct mp_record_list){0};
        for (struct mp_record *record = hand.head; record; record = record->next) {
            record->outcome.kind = MP_OUTCOME_PARK;
        }
        mp_queue_resolve(mp__probe.queue, &hand);
    }
}

/* begin: what is in hand has begun, and is not given back when it is recalled */
void mp__probe_begin(char **word, int count)
{
    (void)word;
    (void)count;
    hand_has_begun = true;
}

/* window=N, memory=BYTES, unknown_ms=MS are the engine's; all else is librdkafka's. */
static void take_setting(struct mp_queue_kafka_config *config, const char **settings,
                         const char *text)
{
    if (strncmp(text, "window=", 7) == 0) {
        config->window = atoll(text + 7);
    } else if (strncmp(text, "memory=", 7) == 0) {
        config->memory_bytes = atoll(text + 7);
    } else if (strncmp(text, "unknown_ms=", 11) == 0) {
        config->unknown_ms = atoll(text + 11);
    } else {
        settings[config->cluster.settings.count++] = text;
    }
}

int mp__probe_open_kafka(const struct mp_queue_owner *owner, bool delivers, char **word,
                         int count, struct mp_error *err)
{
    bootstrap = word[0];
    prefix = word[1];
    struct mp_queue_kafka_config config = {
        .cluster = {.bootstrap = bootstrap, .topic_prefix = prefix},
        .delivers = delivers,
        .append_ms = 10000,
        .window = 8192,
        .memory_bytes = (int64_t)512 * 1024 * 1024,
        .unknown_ms = 86400000,
        .json_depth = 128,
        .owner = *owner,
    };
    static const char *settings[64];
    config.cluster.settings.items = settings;
    for (int i = 2; i < count && i < 64; i++) {
        take_setting(&config, settings, word[i]);
    }
    config.owner.on_resume = on_resume;
    config.owner.on_recall = on_recall;
    return mp_queue_open_kafka(&mp__probe.loop, &config, &mp__probe.queue, err);
}

/* --- how far the group's commits are behind */

static int64_t lag_of(rd_kafka_t *handle, const char *topic, int32_t partition)
{
    int64_t low, high, lag = -1;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition);
    if (!rd_kafka_query_watermark_offsets(handle, topic, partition, &low, &high, 5000) &&
        !rd_kafka_committed(handle, list, 5000)) {
        lag = high - (list->elems[0].offset < 0 ? 0 : list->elems[0].offset);
    }
    rd_kafka_topic_partition_list_destroy(list);
    return lag;
}

/* lag: of the group in `postbacks` */
void mp__probe_lag(char **word, int count)
{
    char text[512], why[256];
    (void)word;
    (void)count;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    snprintf(text, sizeof(text), "%smoonpost", prefix);
    rd_kafka_conf_set(conf, "group.id", text, why, sizeof(why));
    rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, why, sizeof(why));
    rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
    snprintf(text, sizeof(text), "%spostbacks", prefix);
    int64_t lag = 0;
    for (int32_t i = 0; i < 2; i++) {
        lag += lag_of(handle, text, i);
    }
    rd_kafka_destroy(handle);
    mp__probe_say("lag\t%lld", (long long)lag);
}
