/* SPDX-License-Identifier: MIT */
#include "kafka_group.h"

#include <stdlib.h>

#include "kafka.h"
#include "kafka_group_parts.h"
#include "moonpost/clock.h"
#include "moonpost/log.h"

/* The member of the group: its handle, what librdkafka tells it, and what follows from
 * that. librdkafka tells of one rebalance at a time, and waits for the answer (assign).
 */

#define EVENTS_A_TURN 64

int mp__kafka_group_open(struct mp__kafka *engine, struct mp_error *err)
{
    static const uint64_t one = 1;
    struct mp__kafka_group *group = &engine->group;
    rd_kafka_conf_t *conf =
        mp__kafka_conf_new(&engine->config.cluster, MP__KAFKA_CONSUMER, err);
    if (!conf) {
        return err ? err->status : MP_EINVAL;
    }
    int status = mp__kafka_handle_new(conf, MP__KAFKA_CONSUMER, &group->handle, err);
    if (status) {
        group->handle = NULL;
        return status;
    }
    group->due_ms = INT64_MAX;
    group->map_bytes = MP__TRACKER_MAP_BYTES;
    mp_buf_init(&group->map, MP__TRACKER_MAP_BYTES);
    group->queue = rd_kafka_queue_get_consumer(group->handle);
    rd_kafka_queue_io_event_enable(group->queue, engine->wake_fd, &one, sizeof(one));
    return MP_OK;
}

void mp__kafka_group_subscribe(struct mp__kafka *engine)
{
    struct mp__kafka_group *group = &engine->group;
    if (group->state != MP__KAFKA_GROUP_OFF || group->is_closing) {
        return;
    }
    rd_kafka_topic_partition_list_t *topics =
        rd_kafka_topic_partition_list_new(MP__KAFKA_GROUP_TOPICS);
    for (int i = 0; i < MP__KAFKA_GROUP_TOPICS; i++) {
        rd_kafka_topic_partition_list_add(topics, engine->topics.names[i],
                                          RD_KAFKA_PARTITION_UA);
    }
    rd_kafka_resp_err_t code = rd_kafka_subscribe(group->handle, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    if (code) {
        mp__kafka_warn("could not join the group: %s", mp__kafka_text(code));
        return;
    }
    group->state = MP__KAFKA_GROUP_JOINING;
}

/* --- what librdkafka tells */

static void on_rebalance(struct mp__kafka *engine, rd_kafka_event_t *event)
{
    struct mp__kafka_group *group = &engine->group;
    bool is_assign = rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    if (group->state == MP__KAFKA_GROUP_LEAVING) {
        rd_kafka_assign(group->handle, NULL);
        return;
    }
    if (is_assign && group->state == MP__KAFKA_GROUP_JOINING && !group->is_closing) {
        mp__kafka_assign(engine, rd_kafka_event_topic_partition_list(event));
        return;
    }
    mp_series_add(engine->rebalances, 1);
    group->is_revoked = true;
    /* An assignment that comes when none is awaited is given back as well. */
    mp__kafka_give_back(engine, is_assign || rd_kafka_assignment_lost(group->handle));
}

/* Records come in their partitions' queues. One that should come here, librdkafka would
 * think read: it is fetched again. */
static void on_fetch(struct mp__kafka *engine, rd_kafka_event_t *event)
{
    for (const rd_kafka_message_t *message;
         (message = rd_kafka_event_message_next(event));) {
        struct mp__kafka_partition *partition = mp__kafka_partition_find(
            &engine->group,
            mp__kafka_topics_find(&engine->topics, rd_kafka_topic_name(message->rkt)),
            message->partition);
        if (partition) {
            mp__kafka_reread(partition);
        }
    }
}

static void on_event(struct mp__kafka *engine, rd_kafka_event_t *event)
{
    switch (rd_kafka_event_type(event)) {
    case RD_KAFKA_EVENT_REBALANCE:
        on_rebalance(engine, event);
        break;
    case RD_KAFKA_EVENT_OFFSET_COMMIT:
        mp__kafka_commit_ended(engine, event);
        break;
    case RD_KAFKA_EVENT_FETCH:
        on_fetch(engine, event);
        break;
    case RD_KAFKA_EVENT_ERROR:
    case RD_KAFKA_EVENT_LOG:
        mp__kafka_event_log(event, NULL);
        break;
    default:
        break;
    }
}

bool mp__kafka_group_poll(struct mp__kafka *engine)
{
    struct mp__kafka_group *group = &engine->group;
    size_t count = 0;
    while (group->queue && count < EVENTS_A_TURN) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(group->queue, 0);
        if (!event) {
            break;
        }
        on_event(engine, event);
        rd_kafka_event_destroy(event);
        count++;
    }
    if (group->state == MP__KAFKA_GROUP_READING) {
        mp__kafka_commit(engine);
    }
    mp__kafka_leave_on(engine);
    return count < EVENTS_A_TURN;
}

void mp__kafka_group_tick(struct mp__kafka *engine)
{
    struct mp__kafka_group *group = &engine->group;
    if (group->state == MP__KAFKA_GROUP_LOADING) {
        mp__kafka_assign_tick(engine);
    }
    if (group->state == MP__KAFKA_GROUP_READING ||
        group->state == MP__KAFKA_GROUP_DRAINING) {
        mp__kafka_commit(engine);
        mp__kafka_measure_lag(engine);
    }
    mp__kafka_leave_on(engine);
}

void mp__kafka_group_fini(struct mp__kafka *engine)
{
    struct mp__kafka_group *group = &engine->group;
    if (group->handle) {
        rd_kafka_queue_destroy(group->queue);
        rd_kafka_destroy(group->handle);
        group->handle = NULL;
    }
    for (struct mp__kafka_partition *next; group->partitions; group->partitions = next) {
        next = group->partitions->next;
        mp__tracker_fini(&group->partitions->tracker);
        mp__kafka_due_fini(&group->partitions->due);
        free(group->partitions);
    }
    mp_buf_fini(&group->map);
}
