/* SPDX-License-Identifier: MIT */
#include "kafka_conf.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka_conf_rules.h"

#define PRODUCER (1u << MP__KAFKA_PRODUCER)
#define MEMBER   (1u << MP__KAFKA_CONSUMER)
#define FOLLOWER (1u << MP__KAFKA_FOLLOWER)
#define READERS  (MEMBER | FOLLOWER)
#define ALL      (PRODUCER | READERS | (1u << MP__KAFKA_ADMIN))

struct setting {
    const char *name, *value;
    unsigned roles;
    unsigned since; /* the first version that knows it; 0: all that we take */
};

/* The user's come after these. */
static const struct setting defaults[] = {
    {"client.id", "moonpost", ALL, 0},
    {"socket.nagle.disable", "true", ALL, 0},
    {"socket.keepalive.enable", "true", ALL, 0},
    {"reconnect.backoff.ms", "50", ALL, 0},
    {"reconnect.backoff.max.ms", "1000", ALL, 0},
    {"socket.connection.setup.timeout.ms", "10000", ALL, 0},
    /* A broker that hangs is given up before an accepted event's time is over. */
    {"socket.timeout.ms", "12000", ALL, 0},
    {"request.timeout.ms", "10000", PRODUCER, 0},
    {"enable.metrics.push", "false", ALL, 0x020500ff},
    {"compression.codec", "zstd", PRODUCER, 0},
    {"linger.ms", "5", PRODUCER, 0},
    {"queue.buffering.max.messages", "100000", PRODUCER, 0},
    {"queue.buffering.max.kbytes", "262144", PRODUCER, 0},
    {"partition.assignment.strategy", "range,roundrobin", MEMBER, 0},
    /* Records of a process that died wait so long for another: as long as a broker's own
     * default session, and three heartbeats may be lost. */
    {"session.timeout.ms", "10000", MEMBER, 0},
    {"heartbeat.interval.ms", "3000", MEMBER, 0},
    {"max.poll.interval.ms", "600000", MEMBER, 0},
    /* Of each partition: enough for the next fetch to be under way in time, little enough
     * for fifty partitions. */
    {"queued.min.messages", "10000", READERS, 0},
    {"queued.max.messages.kbytes", "2048", READERS, 0},
    {"fetch.message.max.bytes", "262144", READERS, 0},
    /* A fetch under way keeps a partition that has room again waiting as long. */
    {"fetch.wait.max.ms", "100", READERS, 0},
    {"fetch.queue.backoff.ms", "20", READERS, 0x020200ff},
    {"check.crcs", "true", READERS, 0},
};

/* After the user's: a promise rests on each. */
static const struct setting promises[] = {
    {"log.queue", "true", ALL, 0},
    {"acks", "all", PRODUCER, 0},
    {"delivery.report.only.error", "false", PRODUCER, 0},
    {"partitioner", "murmur2_random", PRODUCER, 0},
    {"enable.auto.commit", "false", READERS, 0},
    {"auto.commit.enable", "false", READERS, 0},
    {"enable.auto.offset.store", "false", READERS, 0},
    {"auto.offset.reset", "earliest", READERS, 0},
    {"allow.auto.create.topics", "false", READERS, 0},
    {"enable.partition.eof", "false", MEMBER, 0},
    {"enable.partition.eof", "true", FOLLOWER, 0},
};

static atomic_bool idempotence_is_forced;

void mp__kafka_force_idempotence(bool is_forced)
{
    atomic_store(&idempotence_is_forced, is_forced);
}

bool mp__kafka_is_idempotence_sound(void)
{
    return rd_kafka_version() >= 0x020500ff;
}

const char *mp_kafka_version(void)
{
    return rd_kafka_version_str();
}

static int set_ours(rd_kafka_conf_t *conf, const char *name, const char *value,
                    struct mp_error *err)
{
    char why[256];
    rd_kafka_conf_res_t result = rd_kafka_conf_set(conf, name, value, why, sizeof(why));
    return result == RD_KAFKA_CONF_OK
               ? MP_OK
               : mp_error_set(err, MP_EINVAL,
                              "could not take the librdkafka setting %s: %s", name, why);
}

static int set_all(rd_kafka_conf_t *conf, const struct setting *settings, size_t count,
                   enum mp__kafka_role role, struct mp_error *err)
{
    unsigned version = (unsigned)rd_kafka_version();
    int status = MP_OK;
    for (size_t i = 0; !status && i < count; i++) {
        if ((settings[i].roles & (1u << role)) && version >= settings[i].since) {
            status = set_ours(conf, settings[i].name, settings[i].value, err);
        }
    }
    return status;
}

/* librdkafka's own text may repeat the value. */
static int set_users(void *arg, const char *name, const char *value, const char *where,
                     struct mp_error *err)
{
    char unused[8];
    const char *why = mp__kafka_refuse(name, value);
    if (!why) {
        switch (rd_kafka_conf_set(arg, name, value, unused, sizeof(unused))) {
        case RD_KAFKA_CONF_OK:
            return MP_OK;
        case RD_KAFKA_CONF_UNKNOWN:
            return mp_error_set(err, MP_EINVAL,
                                "could not take the librdkafka setting %s (%s): "
                                "librdkafka %s has none of that name",
                                name, where, rd_kafka_version_str());
        case RD_KAFKA_CONF_INVALID:
            break;
        }
        why = "librdkafka does not take this value";
    }
    return mp_error_set(err, MP_EINVAL,
                        "could not take the librdkafka setting %s (%s): %s", name, where,
                        why);
}

static int set_group(rd_kafka_conf_t *conf, const struct mp_kafka_cluster *cluster,
                     struct mp_error *err)
{
    char group[300];
    snprintf(group, sizeof(group), "%smoonpost",
             cluster->topic_prefix ? cluster->topic_prefix : "");
    return set_ours(conf, "group.id", group, err);
}

static int set_by_role(rd_kafka_conf_t *conf, const struct mp_kafka_cluster *cluster,
                       enum mp__kafka_role role, struct mp_error *err)
{
    if (role == MP__KAFKA_CONSUMER || role == MP__KAFKA_FOLLOWER) {
        return set_group(conf, cluster, err);
    }
    if (role != MP__KAFKA_PRODUCER) {
        return MP_OK;
    }
    char bytes[16];
    snprintf(bytes, sizeof(bytes), "%d", MP__KAFKA_BATCH_BYTES);
    int status = set_ours(conf, "message.max.bytes", bytes, err);
    bool is_idempotent =
        mp__kafka_is_idempotence_sound() || atomic_load(&idempotence_is_forced);
    return status ? status
                  : set_ours(conf, "enable.idempotence", is_idempotent ? "true" : "false",
                             err);
}

static void set_events(rd_kafka_conf_t *conf, enum mp__kafka_role role)
{
    int events = RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG;
    if (role == MP__KAFKA_PRODUCER) {
        events |= RD_KAFKA_EVENT_DR;
    } else if (role == MP__KAFKA_CONSUMER) {
        events |= RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_OFFSET_COMMIT;
    }
    rd_kafka_conf_set_events(conf, events);
}

rd_kafka_conf_t *mp__kafka_conf_new(const struct mp_kafka_cluster *cluster,
                                    enum mp__kafka_role role, struct mp_error *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (!conf) {
        mp_error_set(err, MP_ENOMEM,
                     "could not make librdkafka's settings: out of memory");
        return NULL;
    }
    int status =
        set_all(conf, defaults, sizeof(defaults) / sizeof(defaults[0]), role, err);
    status = status ? status : set_by_role(conf, cluster, role, err);
    status = status ? status : mp__kafka_each_setting(cluster, set_users, conf, err);
    status = status ? status
                    : set_all(conf, promises, sizeof(promises) / sizeof(promises[0]),
                              role, err);
    status = status ? status
                    : set_ours(conf, "bootstrap.servers",
                               cluster->bootstrap ? cluster->bootstrap : "", err);
    if (status) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    set_events(conf, role);
    return conf;
}
