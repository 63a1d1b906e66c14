/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "kafka.h"
#include "kafka_group_parts.h"
#include "moonpost/clock.h"
#include "moonpost/log.h"

/* Commits: of each partition that changed its mark, and as metadata the map of what is
 * done beyond it, both of one moment. One at a time: librdkafka repeats it by itself for
 * as long as the coordinator is away, and lets no rebalance past it. */

/* What is done and not committed is sent twice after a crash, so a commit follows soon;
 * its bytes are what it costs the broker, so a large one keeps the next away. */
#define COMMIT_MIN_MS 5
#define COMMIT_MAX_MS 200
#define BYTES_A_MS    100
#define ENTRY_BYTES   64
#define WAIT_MAX_MS   1000
#define MAP_BYTES_MIN 64
#define LAG_MS        1000

static int64_t until_next_ms(const rd_kafka_topic_partition_list_t *list)
{
    size_t bytes = 0;
    for (int i = 0; i < list->cnt; i++) {
        bytes += ENTRY_BYTES + list->elems[i].metadata_size;
    }
    int64_t wait_ms = (int64_t)(bytes / BYTES_A_MS);
    return wait_ms < COMMIT_MIN_MS   ? COMMIT_MIN_MS
           : wait_ms > COMMIT_MAX_MS ? COMMIT_MAX_MS
                                     : wait_ms;
}

/* librdkafka frees it with the list. */
static void add_map(struct mp__kafka_group *group, struct mp__kafka_partition *partition,
                    rd_kafka_topic_partition_t *element)
{
    bool has_map = !partition->skips_map && group->map_bytes >= MAP_BYTES_MIN;
    partition->skips_map = false;
    mp_buf_reset(&group->map);
    if (!has_map ||
        mp__tracker_write(&partition->tracker, group->map_bytes, &group->map) != MP_OK ||
        group->map.length == 0) {
        return;
    }
    element->metadata = malloc(group->map.length);
    if (element->metadata) {
        memcpy(element->metadata, group->map.data, group->map.length);
        element->metadata_size = group->map.length;
    }
}

static rd_kafka_topic_partition_list_t *list_changed(struct mp__kafka *engine)
{
    struct mp__kafka_group *group = &engine->group;
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)group->assigned_count);
    for (size_t i = 0; i < group->assigned_count; i++) {
        struct mp__kafka_partition *partition = group->assigned[i];
        struct mp__tracker *tracker = &partition->tracker;
        if (!partition->has_mark || !tracker->changed ||
            tracker->mark < partition->committed) {
            continue;
        }
        rd_kafka_topic_partition_t *element = rd_kafka_topic_partition_list_add(
            list, engine->topics.names[partition->topic], partition->number);
        element->offset = tracker->mark;
        add_map(group, partition, element);
        tracker->changed = false;
        partition->committing = tracker->mark;
    }
    return list;
}

bool mp__kafka_commit(struct mp__kafka *engine)
{
    struct mp__kafka_group *group = &engine->group;
    int64_t now_ms = mp_clock_mono_ms();
    if (group->is_committing || now_ms < group->commit_at_ms ||
        rd_kafka_assignment_lost(group->handle)) {
        return false;
    }
    rd_kafka_topic_partition_list_t *list = list_changed(engine);
    if (list->cnt > 0) {
        group->commit_at_ms = now_ms + until_next_ms(list);
        group->is_committing =
            !rd_kafka_commit_queue(group->handle, list, group->queue, NULL, NULL);
    }
    rd_kafka_topic_partition_list_destroy(list);
    return group->is_committing;
}

/* A broker may be set to take less metadata (offset.metadata.max.bytes). */
static void refuse_map(struct mp__kafka_group *group,
                       struct mp__kafka_partition *partition)
{
    partition->skips_map = true;
    group->map_bytes /= 2;
    mp_log_warn("queue",
                "the broker's offset.metadata.max.bytes is too low for what is done out "
                "of order: more is sent twice after a crash");
}

static rd_kafka_resp_err_t end_one(struct mp__kafka *engine,
                                   const rd_kafka_topic_partition_t *element,
                                   rd_kafka_resp_err_t code)
{
    struct mp__kafka_group *group = &engine->group;
    struct mp__kafka_partition *partition = mp__kafka_partition_find(
        group, mp__kafka_topics_find(&engine->topics, element->topic),
        element->partition);
    code = element->err ? element->err : code;
    if (!partition || partition->committing != element->offset) {
        return code; /* its log is another by now */
    }
    partition->committing = -1;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        partition->committed = element->offset;
        return code;
    }
    partition->tracker.changed = true;
    if (code == RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE) {
        refuse_map(group, partition);
    }
    return code;
}

static void back_off(struct mp__kafka *engine, rd_kafka_resp_err_t code)
{
    struct mp__kafka_group *group = &engine->group;
    mp_series_add(engine->commit_errors, 1);
    mp__kafka_warn("could not commit: %s", mp__kafka_text(code));
    if (code == RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE) {
        group->commit_at_ms = 0;
        return;
    }
    group->commit_wait_ms =
        group->commit_wait_ms ? group->commit_wait_ms * 2 : 2 * COMMIT_MAX_MS;
    if (group->commit_wait_ms > WAIT_MAX_MS) {
        group->commit_wait_ms = WAIT_MAX_MS;
    }
    group->commit_at_ms = mp_clock_mono_ms() + group->commit_wait_ms;
    if (group->state == MP__KAFKA_GROUP_COMMITTING) {
        group->until_ms = 0; /* the map is kept; there is no time for a second try */
    }
}

void mp__kafka_commit_ended(struct mp__kafka *engine, rd_kafka_event_t *event)
{
    struct mp__kafka_group *group = &engine->group;
    rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(event);
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    group->is_committing = false;
    for (int i = 0; list && i < list->cnt; i++) {
        rd_kafka_resp_err_t own =
            end_one(engine, &list->elems[i], rd_kafka_event_error(event));
        code = own ? own : code;
    }
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        group->commit_wait_ms = 0;
        mp_series_add(engine->commits, 1);
    } else {
        back_off(engine, code);
    }
}

void mp__kafka_measure_lag(struct mp__kafka *engine)
{
    struct mp__kafka_group *group = &engine->group;
    int64_t now_ms = mp_clock_mono_ms();
    if (!engine->config.metrics || now_ms < group->lag_at_ms) {
        return;
    }
    group->lag_at_ms = now_ms + LAG_MS;
    for (size_t i = 0; i < group->assigned_count; i++) {
        const struct mp__kafka_partition *partition = group->assigned[i];
        int64_t low = -1;
        int64_t high = -1;
        if (rd_kafka_get_watermark_offsets(group->handle,
                                           engine->topics.names[partition->topic],
                                           partition->number, &low, &high) == 0 &&
            high >= 0) {
            int64_t from = partition->has_mark ? partition->tracker.mark : low;
            mp_series_set(partition->lag, high > from ? high - from : 0);
        }
    }
}
