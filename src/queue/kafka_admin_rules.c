/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka_admin.h"
#include "moonpost/buf.h"
#include "moonpost/clock.h"

/* What each topic's settings are to be, and what a different one does. */

/* A batch's own bytes beside its one record's. */
#define BATCH_HEAD_BYTES 1024
#define POSTBACK_BYTES   (MP__KAFKA_RECORD_BYTES + 4 * BATCH_HEAD_BYTES)
#define OTHER_BYTES      (MP__KAFKA_BATCH_BYTES + BATCH_HEAD_BYTES)
/* The least that a record outlives the time it waits for. */
#define SPARE_MS (3600 * INT64_C(1000))

static bool is_compacted(enum mp__kafka_topic topic)
{
    return topic == MP__KAFKA_DEAD || topic == MP__KAFKA_PARTNERS;
}

static int64_t wanted_retention_ms(const struct mp__kafka_admin *admin,
                                   enum mp__kafka_topic topic)
{
    int64_t retention_ms = admin->plan->retention_ms;
    return retention_ms < 0 ? -1 : retention_ms + mp__kafka_tier_ms(topic);
}

static int wanted_in_sync(int copies)
{
    return copies > 2 ? copies - 1 : 1;
}

/* What must come in: ours, and what a retry or a burial adds to a stranger's. */
static int wanted_bytes(enum mp__kafka_topic topic)
{
    return topic == MP__KAFKA_POSTBACKS ? POSTBACK_BYTES : OTHER_BYTES;
}

const char *mp__kafka_admin_wanted(const struct mp__kafka_admin *admin,
                                   enum mp__kafka_topic topic, size_t index,
                                   const char **name, char out[24])
{
    static const char *const names[] = {
        "cleanup.policy",         "retention.ms",        "retention.bytes",
        "max.message.bytes",      "min.insync.replicas", "unclean.leader.election.enable",
        "message.timestamp.type", "compression.type"};
    *name = index < sizeof(names) / sizeof(names[0]) ? names[index] : NULL;
    switch (index) {
    case 0:
        return is_compacted(topic) ? "compact" : "delete";
    case 1:
        snprintf(out, 24, "%" PRId64, wanted_retention_ms(admin, topic));
        return is_compacted(topic) ? NULL : out;
    case 2:
        return "-1";
    case 3:
        snprintf(out, 24, "%d", wanted_bytes(topic));
        return out;
    case 4:
        snprintf(out, 24, "%d", wanted_in_sync(mp__kafka_admin_replication(admin)));
        return out;
    case 5:
        return "false";
    case 6:
        return "CreateTime";
    case 7:
        return "producer";
    default:
        return NULL;
    }
}

/* --- what is wrong */

struct made {
    const rd_kafka_ConfigEntry_t **entries;
    size_t count;
};

static const char *text_of(const struct made *made, const char *name)
{
    for (size_t i = 0; i < made->count; i++) {
        if (strcmp(rd_kafka_ConfigEntry_name(made->entries[i]), name) == 0) {
            const char *value = rd_kafka_ConfigEntry_value(made->entries[i]);
            return value ? value : "";
        }
    }
    return "";
}

static int64_t number_of(const struct made *made, const char *name, int64_t fallback)
{
    const char *text = text_of(made, name);
    return *text ? strtoll(text, NULL, 10) : fallback;
}

static bool has_own(const struct made *made)
{
    for (size_t i = 0; i < made->count; i++) {
        if (rd_kafka_ConfigEntry_source(made->entries[i]) ==
            RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG) {
            return true;
        }
    }
    return false;
}

static void judge_policy(struct mp__kafka_admin *admin, enum mp__kafka_topic topic,
                         const struct made *made)
{
    const char *policy = text_of(made, "cleanup.policy");
    if (is_compacted(topic) && strcmp(policy, "compact") != 0) {
        mp__kafka_admin_tell(admin, topic, false,
                             "cleanup.policy is %s: what is in it would be deleted after "
                             "a time. Set it to compact",
                             policy);
    } else if (!is_compacted(topic) && strcmp(policy, "delete") != 0) {
        mp__kafka_admin_tell(admin, topic, false,
                             "cleanup.policy is %s: records with the same key would "
                             "erase each other. Set it to delete",
                             policy);
    }
}

static void judge_in_sync(struct mp__kafka_admin *admin, enum mp__kafka_topic topic,
                          const struct made *made)
{
    const rd_kafka_metadata_topic_t *shape = mp__kafka_admin_find(admin, topic);
    int copies = shape->partition_cnt ? shape->partitions[0].replica_cnt : 0;
    int64_t in_sync = number_of(made, "min.insync.replicas", 1);
    if (copies > 1 && in_sync >= copies) {
        mp__kafka_admin_tell(admin, topic, false,
                             "min.insync.replicas is %" PRId64
                             " with %d copies: when one "
                             "broker is down nothing is accepted. Set it to %d",
                             in_sync, copies, wanted_in_sync(copies));
    } else if (copies > 2 && in_sync < 2) {
        mp__kafka_admin_tell(admin, topic, false,
                             "min.insync.replicas is %" PRId64 ": one copy is enough to "
                             "accept an event, and a broker that is lost loses it. Set "
                             "it to %d",
                             in_sync, wanted_in_sync(copies));
    } else if (copies == 1 && in_sync > 1) {
        mp__kafka_admin_tell(admin, topic, false,
                             "min.insync.replicas is %" PRId64 " with one copy: nothing "
                             "is accepted. Give it more copies",
                             in_sync);
    }
}

static void tell_retention(struct mp__kafka_admin *admin, enum mp__kafka_topic topic,
                           int64_t retention_ms, int64_t least_ms)
{
    struct mp_buf is, least;
    mp_buf_init(&is, 64);
    mp_buf_init(&least, 64);
    if (!mp_duration_write(&is, retention_ms) && !mp_duration_write(&least, least_ms) &&
        mp_buf_cstr(&is) && mp_buf_cstr(&least)) {
        mp__kafka_admin_tell(admin, topic, false,
                             "keeps records for %s only: they would be deleted before "
                             "they are sent. Set retention.ms to -1, or to %s or more",
                             is.data, least.data);
    }
    mp_buf_fini(&is);
    mp_buf_fini(&least);
}

static void judge_retention(struct mp__kafka_admin *admin, enum mp__kafka_topic topic,
                            const struct made *made)
{
    int64_t retention_ms = number_of(made, "retention.ms", -1);
    int64_t least_ms = mp__kafka_tier_ms(topic) + SPARE_MS;
    if (!is_compacted(topic) && retention_ms >= 0 && retention_ms < least_ms) {
        tell_retention(admin, topic, retention_ms, least_ms);
    }
    if (!is_compacted(topic) && number_of(made, "retention.bytes", -1) >= 0) {
        mp__kafka_admin_tell(admin, topic, false,
                             "retention.bytes is %s: past that records are deleted, sent "
                             "or not. Set it to -1",
                             text_of(made, "retention.bytes"));
    }
}

static void judge_records(struct mp__kafka_admin *admin, enum mp__kafka_topic topic,
                          const struct made *made)
{
    int64_t bytes = number_of(made, "max.message.bytes", wanted_bytes(topic));
    if (bytes < wanted_bytes(topic)) {
        mp__kafka_admin_tell(admin, topic, false,
                             "max.message.bytes is %" PRId64 ": large events cannot be "
                             "stored. Set it to %d or more",
                             bytes, wanted_bytes(topic));
    }
    if (strcmp(text_of(made, "message.timestamp.type"), "LogAppendTime") == 0) {
        mp__kafka_admin_tell(admin, topic, false,
                             "message.timestamp.type is LogAppendTime: when an event was "
                             "accepted would be lost. Set it to CreateTime");
    }
    if (strcmp(text_of(made, "unclean.leader.election.enable"), "true") == 0) {
        mp__kafka_admin_tell(admin, topic, false,
                             "unclean.leader.election.enable is true: a copy that lacks "
                             "accepted events may become the only one. Set it to false");
    }
}

void mp__kafka_admin_judge(struct mp__kafka_admin *admin, enum mp__kafka_topic topic,
                           const rd_kafka_ConfigEntry_t **entries, size_t count)
{
    struct made made = {entries, count};
    size_t before = admin->bad;
    judge_policy(admin, topic, &made);
    judge_in_sync(admin, topic, &made);
    judge_retention(admin, topic, &made);
    judge_records(admin, topic, &made);
    if (admin->bad > before && !has_own(&made)) {
        mp__kafka_admin_tell(admin, topic, false,
                             "has no settings of its own: a broker made it when somebody "
                             "first used its name. Delete it while it is empty and run "
                             "`moonpost topics create`");
    }
}
