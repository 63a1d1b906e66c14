/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kafka_conf_rules.h"

#define OURS_KAFKA   "the brokers are named with --kafka"
#define OURS_ACKS    "an event is accepted when every in-sync replica has it, never before"
#define OURS_COMMITS "a record is committed when its delivery is done, never before"
#define OURS_START                                                                       \
    "a partition without a commit is read from its beginning, or records are lost"
#define OURS_TIMEOUT "how long an event waits for Kafka is --kafka-timeout"
#define OURS_APIS                                                                        \
    "an old protocol has no headers, and they say which partner an event is for"
#define OURS_EVENTS "what librdkafka tells is read from its queues"
#define OURS_MEMORY "it takes memory of the program, not text"

/* Every alias too: librdkafka follows it before anybody can look. */
static const struct {
    const char *name, *why;
} refused[] = {
    {"bootstrap.servers", OURS_KAFKA},
    {"metadata.broker.list", OURS_KAFKA},
    {"acks", OURS_ACKS},
    {"request.required.acks", OURS_ACKS},
    {"enable.auto.commit", OURS_COMMITS},
    {"auto.commit.enable", OURS_COMMITS},
    {"enable.auto.offset.store", OURS_COMMITS},
    {"offset.store.method", OURS_COMMITS},
    {"auto.offset.reset", OURS_START},
    {"message.timeout.ms", OURS_TIMEOUT},
    {"delivery.timeout.ms", OURS_TIMEOUT},
    {"api.version.request", OURS_APIS},
    {"api.version.fallback.ms", OURS_APIS},
    {"broker.version.fallback", OURS_APIS},
    {"delivery.report.only.error", "each record's report is needed, good or bad"},
    {"transactional.id", "records are not sent in transactions, and then none could be"},
    {"enable.gapless.guarantee", "one record that fails would end the producer"},
    {"partitioner", "a dead letter is erased in the partition that its key chose"},
    {"enable.partition.eof", OURS_EVENTS},
    {"enabled_events", OURS_EVENTS},
    {"log.queue", OURS_EVENTS},
    {"allow.auto.create.topics",
     "topics are made with `moonpost topics create`, or with settings that lose records"},
    {"topic.blacklist", "a topic that is not read is not delivered"},
    {"group.instance.id",
     "processes that read the same settings would put each other out of the group"},
    {"internal.termination.signal", "signals are Moonpost's"},
    {"opaque", OURS_MEMORY},
    {"default_topic_conf", OURS_MEMORY},
    {"interceptors", OURS_MEMORY},
    {"msg_order_cmp", OURS_MEMORY},
    {"ssl_key", OURS_MEMORY},
    {"ssl_certificate", OURS_MEMORY},
    {"ssl_ca", OURS_MEMORY},
    {"ssl_engine_callback_data", OURS_MEMORY},
};

/* Whole numbers that must not be less; 0 means "no limit" for those that allow it. */
static const struct {
    const char *name;
    long min;
    bool zero_is_none;
    const char *why;
} floors[] = {
    {"message.max.bytes", MP__KAFKA_BATCH_BYTES, false,
     "a record that was accepted must fit with what a retry adds; at least 2228224"},
    {"queue.buffering.max.kbytes", 16384, false,
     "large records must fit; at least 16384"},
    {"queue.buffering.max.messages", 1000, true, "it must be at least 1000, or 0"},
    {"message.send.max.retries", 1, false, "a leader that moves must lose nothing"},
    {"retries", 1, false, "a leader that moves must lose nothing"},
};

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

static const char *refuse_number(const char *name, const char *value)
{
    for (size_t i = 0; i < sizeof(floors) / sizeof(floors[0]); i++) {
        if (strcmp(name, floors[i].name) == 0) {
            char *end;
            errno = 0;
            /* As librdkafka reads it; what it cannot read it refuses itself. */
            long number = strtol(value, &end, 0);
            bool is_none = number == 0 && floors[i].zero_is_none;
            bool is_low = end != value && number < floors[i].min && !is_none;
            return is_low || errno == ERANGE ? floors[i].why : NULL;
        }
    }
    return NULL;
}

static const char *refuse_value(const char *name, const char *value)
{
    if (strcmp(name, "partition.assignment.strategy") == 0 &&
        strstr(value, "cooperative") != NULL) {
        return "partitions are taken and given up all at once: range or roundrobin";
    }
    if (strcmp(name, "group.protocol") == 0 && strcasecmp(value, "classic") != 0) {
        return "partitions are taken and given up all at once: classic";
    }
    if (strcmp(name, "enable.idempotence") == 0 && !mp__kafka_is_idempotence_sound()) {
        return "before librdkafka 2.5 a lost connection ends an idempotent producer";
    }
    return refuse_number(name, value);
}

const char *mp__kafka_refuse(const char *name, const char *value)
{
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        if (strcmp(name, refused[i].name) == 0) {
            return refused[i].why;
        }
    }
    if (ends_with(name, "_cb")) {
        return OURS_MEMORY;
    }
    if (strncmp(name, "test.", 5) == 0 || strncmp(name, "ut_", 3) == 0) {
        return "it is for librdkafka's own tests, and puts a make-believe cluster first";
    }
    return refuse_value(name, value);
}
