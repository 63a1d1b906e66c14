/* SPDX-License-Identifier: MIT */
#include "kafka_admin.h"

static void tell_shape(struct mp__kafka_admin *admin, enum mp__kafka_topic topic,
                       const rd_kafka_metadata_topic_t *made, int copies)
{
    int asked = topic == MP__KAFKA_PARTNERS ? 1 : (int)admin->plan->partitions;
    mp__kafka_admin_tell(
        admin, topic, true, "%s%d partition%s, %d cop%s of each record%s",
        admin->is_made[topic] ? "made, " : "", made->partition_cnt,
        made->partition_cnt == 1 ? "" : "s", copies, copies == 1 ? "y" : "ies",
        copies == 1 ? ": lost with its broker's disk" : "");
    if (made->partition_cnt < asked) {
        mp__kafka_admin_tell(admin, topic, true, "fewer partitions than the %d asked for",
                             asked);
    }
}

/* The fewest copies that a partition has; what is wrong with partitions is told. */
static int check_partitions(struct mp__kafka_admin *admin, enum mp__kafka_topic topic,
                            const rd_kafka_metadata_topic_t *made)
{
    int copies = made->partition_cnt ? made->partitions[0].replica_cnt : 0,
        leaderless = 0;
    for (int i = 0; i < made->partition_cnt; i++) {
        const rd_kafka_metadata_partition_t *partition = &made->partitions[i];
        copies = partition->replica_cnt < copies ? partition->replica_cnt : copies;
        leaderless += partition->leader < 0;
    }
    if (leaderless) {
        mp__kafka_admin_tell(admin, topic, false,
                             "%d of its %d partitions have no leader: their brokers are "
                             "down, start them",
                             leaderless, made->partition_cnt);
    }
    return copies;
}

static void check_copies(struct mp__kafka_admin *admin, enum mp__kafka_topic topic,
                         int copies)
{
    int wanted = mp__kafka_admin_replication(admin);
    if (copies < wanted) {
        mp__kafka_admin_tell(admin, topic, false,
                             "has %d cop%s of each record and not %d: a broker's disk "
                             "that is lost may lose records. Give it more with "
                             "kafka-reassign-partitions.sh, or delete it while it is "
                             "empty and make it anew",
                             copies, copies == 1 ? "y" : "ies", wanted);
    }
}

static void check_topic(struct mp__kafka_admin *admin, enum mp__kafka_topic topic,
                        const rd_kafka_ConfigResource_t *resource)
{
    size_t count, before = admin->bad;
    const rd_kafka_metadata_topic_t *made = mp__kafka_admin_find(admin, topic);
    rd_kafka_resp_err_t code =
        resource ? rd_kafka_ConfigResource_error(resource) : RD_KAFKA_RESP_ERR__NOENT;
    int copies = check_partitions(admin, topic, made);
    check_copies(admin, topic, copies);
    if (admin->is_made[topic] && code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
        /* This broker has not heard of it yet; its settings are ours. */
    } else if (code) {
        mp__kafka_admin_tell(admin, topic, false, "its settings could not be read: %s",
                             mp__kafka_text(code));
    } else {
        const rd_kafka_ConfigEntry_t **entries =
            rd_kafka_ConfigResource_configs(resource, &count);
        mp__kafka_admin_judge(admin, topic, entries, count);
    }
    if (admin->bad == before) {
        tell_shape(admin, topic, made, copies);
    }
}

static rd_kafka_event_t *describe(struct mp__kafka_admin *admin)
{
    char why[256];
    rd_kafka_ConfigResource_t *resources[MP__KAFKA_TOPICS];
    size_t count = 0;
    for (size_t i = 0; i < MP__KAFKA_TOPICS; i++) {
        if (mp__kafka_admin_find(admin, (enum mp__kafka_topic)i)) {
            resources[count++] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC,
                                                             admin->names.names[i]);
        }
    }
    if (count == 0) {
        return NULL;
    }
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(admin->handle, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_AdminOptions_set_request_timeout(options, mp__kafka_admin_left_ms(admin),
                                              why, sizeof(why));
    rd_kafka_DescribeConfigs(admin->handle, resources, count, options, admin->answers);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ConfigResource_destroy_array(resources, count);
    return mp__kafka_admin_answer(admin);
}

static const rd_kafka_ConfigResource_t *
find_resource(const struct mp__kafka_admin *admin,
              const rd_kafka_ConfigResource_t **resources, size_t count,
              enum mp__kafka_topic topic)
{
    for (size_t i = 0; i < count; i++) {
        if (mp__kafka_topics_find(&admin->names,
                                  rd_kafka_ConfigResource_name(resources[i])) == topic) {
            return resources[i];
        }
    }
    return NULL;
}

static void check_all(struct mp__kafka_admin *admin,
                      const rd_kafka_ConfigResource_t **resources, size_t count)
{
    for (size_t i = 0; i < MP__KAFKA_TOPICS; i++) {
        enum mp__kafka_topic topic = (enum mp__kafka_topic)i;
        if (mp__kafka_admin_find(admin, topic)) {
            check_topic(admin, topic, find_resource(admin, resources, count, topic));
        } else {
            mp__kafka_admin_tell(admin, topic, false,
                                 "is missing: `moonpost topics create` makes it");
        }
    }
}

int mp__kafka_admin_check(struct mp__kafka_admin *admin, struct mp_error *err)
{
    size_t count = 0;
    const rd_kafka_ConfigResource_t **resources = NULL;
    bool is_any = false;
    for (size_t i = 0; i < MP__KAFKA_TOPICS; i++) {
        is_any = is_any || mp__kafka_admin_find(admin, (enum mp__kafka_topic)i);
    }
    rd_kafka_event_t *event = describe(admin);
    rd_kafka_resp_err_t code = event    ? rd_kafka_event_error(event)
                               : is_any ? RD_KAFKA_RESP_ERR__TIMED_OUT
                                        : RD_KAFKA_RESP_ERR_NO_ERROR;
    if (event && !code) {
        resources = rd_kafka_DescribeConfigs_result_resources(
            rd_kafka_event_DescribeConfigs_result(event), &count);
    }
    if (!code) {
        check_all(admin, resources, count);
    }
    if (event) {
        rd_kafka_event_destroy(event);
    }
    return code ? mp_error_set(err, MP_EIO, "could not read the topics' settings: %s",
                               mp__kafka_text(code))
                : MP_OK;
}
