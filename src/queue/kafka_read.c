/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "kafka.h"
#include "kafka_group_parts.h"
#include "moonpost/clock.h"
#include "moonpost/log.h"

/* Reading: one record at a time (librdkafka 2.0 loses some of a batch), each partition in
 * its turn. One that is full is not polled: librdkafka stops fetching by itself, while a
 * pause would throw away what was fetched. */

#define QUANTUM      32
#define TIER_POLL_MS 100
#define REREAD_MS    30000
#define HELD_SHARE   4 /* the part of the memory that waiting for 5s retries may take */

void mp__kafka_reread(struct mp__kafka_partition *partition)
{
    partition->reread_ms = 1;
}

/* --- items */

static void let_go(struct mp__kafka *engine, struct mp__kafka_item *item)
{
    struct mp__kafka_partition *partition = item->partition;
    if (item->assignment == partition->assignment) {
        partition->live--;
    }
    mp__kafka_item_free(engine, item);
}

void mp__kafka_item_done(struct mp__kafka *engine, struct mp__kafka_item *item)
{
    struct mp__kafka_partition *partition = item->partition;
    if (item->epoch == partition->epoch) {
        mp__tracker_done(&partition->tracker, item->offset);
    }
    let_go(engine, item);
}

void mp__kafka_item_drop(struct mp__kafka *engine, struct mp__kafka_item *item)
{
    struct mp__kafka_partition *partition = item->partition;
    bool is_missed = mp__kafka_item_may_wait(engine, item) &&
                     item->epoch == partition->epoch &&
                     !mp__kafka_carry_met(partition, item->offset);
    if (is_missed && partition->reread_ms == 0) {
        partition->reread_ms = mp_clock_mono_ms() + REREAD_MS;
    }
    let_go(engine, item);
}

bool mp__kafka_item_is_ours(const struct mp__kafka_item *item)
{
    return item->partition->is_assigned &&
           item->assignment == item->partition->assignment;
}

bool mp__kafka_item_may_wait(const struct mp__kafka *engine,
                             const struct mp__kafka_item *item)
{
    return engine->group.state == MP__KAFKA_GROUP_READING && !engine->is_resting &&
           mp__kafka_item_is_ours(item);
}

/* --- one record */

static void begin_epoch(struct mp__kafka *engine, struct mp__kafka_partition *partition,
                        int64_t offset)
{
    mp_log_warn("queue",
                "%s-%d goes on at %" PRId64 ", and was read to %" PRId64
                ": its log was cut or made anew, and is read as a new one",
                engine->topics.names[partition->topic], (int)partition->number, offset,
                partition->tracker.next);
    partition->epoch++;
    partition->committed = partition->committing = -1;
    mp__kafka_carry_end(partition);
    mp__tracker_reset(&partition->tracker, offset);
}

static int see(struct mp__kafka *engine, struct mp__kafka_partition *partition,
               int64_t offset)
{
    if (!partition->has_mark) {
        partition->has_mark = true;
        mp__tracker_reset(&partition->tracker, offset);
    }
    int status = mp__tracker_see(&partition->tracker, offset);
    if (status == MP_EINVAL) {
        begin_epoch(engine, partition, offset);
        status = mp__tracker_see(&partition->tracker, offset);
    }
    return status;
}

/* When a tier is over for a record: what was read before it in the same tier was due
 * before it. The 5s tier is read on instead, and so is exact; what is due much later is
 * not its own, and would fill the window. A clock that was ahead of ours when it was
 * stored makes no tier longer. */
static int64_t ready_ms(const struct mp__kafka_partition *partition,
                        const rd_kafka_message_t *message, int64_t due_ms, int64_t now_ms)
{
    rd_kafka_timestamp_type_t type;
    int64_t stored_ms = rd_kafka_message_timestamp(message, &type);
    if (partition->topic == MP__KAFKA_RETRY_5S) {
        return mp__kafka_tier_for(due_ms - now_ms) == MP__KAFKA_RETRY_5S ? due_ms
                                                                         : now_ms;
    }
    bool is_known = type != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && stored_ms < now_ms;
    int64_t over_ms =
        (is_known ? stored_ms : now_ms) + mp__kafka_tier_ms(partition->topic);
    return due_ms < over_ms ? due_ms : over_ms;
}

static size_t *bytes_of(struct mp__kafka_group *group,
                        const struct mp__kafka_partition *partition)
{
    return partition->topic == MP__KAFKA_RETRY_5S ? &group->held_bytes
                                                  : &group->head_bytes;
}

static void hold(struct mp__kafka *engine, struct mp__kafka_item *item, int64_t at_ms)
{
    struct mp__kafka_group *group = &engine->group;
    if (mp__kafka_due_put(&item->partition->due, at_ms, item) != MP_OK) {
        mp__kafka_item_drop(engine, item);
        return;
    }
    *bytes_of(group, item->partition) += item->size_bytes;
    group->due_ms = at_ms < group->due_ms ? at_ms : group->due_ms;
}

/* A record that the tracker counts. False: out of memory. */
static bool hand_on(struct mp__kafka *engine, struct mp__kafka_partition *partition,
                    const rd_kafka_message_t *message, int64_t now_ms)
{
    struct mp_record *record = NULL;
    struct mp__kafka_notes notes = {0};
    struct mp_error err = {0};
    int status = mp__kafka_record_read(message, engine->config.json_depth, now_ms,
                                       &record, &notes, &err);
    if (status == MP_ENOMEM) {
        return false;
    }
    struct mp__kafka_item *item =
        mp__kafka_item_new(engine, partition, message->offset, record);
    if (!item) {
        return false;
    }
    partition->live++;
    if (status != MP_OK) {
        mp__kafka_store_malformed(engine, item, message, err.text);
        return true;
    }
    item->unknown_ms = notes.unknown_ms;
    int64_t at_ms = partition->topic == MP__KAFKA_POSTBACKS
                        ? now_ms
                        : ready_ms(partition, message, record->due_ms, now_ms);
    if (at_ms > now_ms) {
        hold(engine, item, at_ms);
    } else {
        mp__kafka_ready(engine, item, now_ms);
    }
    return true;
}

/* False: it cannot be taken now, and is kept. */
static bool take(struct mp__kafka *engine, struct mp__kafka_partition *partition,
                 rd_kafka_message_t *message, int64_t now_ms)
{
    bool is_seen = partition->is_stuck_seen;
    bool is_taken = true;
    partition->stuck = NULL;
    partition->is_stuck_seen = false;
    if (message->err) {
        if (message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            mp__kafka_warn("could not read %s-%d: %s",
                           engine->topics.names[partition->topic], (int)partition->number,
                           mp__kafka_text(message->err));
        }
    } else {
        int status = is_seen ? MP_OK : see(engine, partition, message->offset);
        is_seen = status == MP_OK;
        is_taken = status == MP_EDUPLICATE ||
                   (is_seen && (mp__kafka_carry_met(partition, message->offset) ||
                                hand_on(engine, partition, message, now_ms)));
    }
    if (is_taken) {
        rd_kafka_message_destroy(message);
    } else {
        partition->stuck = message;
        partition->is_stuck_seen = is_seen;
    }
    return is_taken;
}

/* --- a partition's turn */

/* What was dropped is read again once nothing else of the partition is in hand: nothing
 * is done twice then. */
static void go_back(struct mp__kafka *engine, struct mp__kafka_partition *partition)
{
    const char *name = engine->topics.names[partition->topic];
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    if (partition->stuck) {
        rd_kafka_message_destroy(partition->stuck);
        partition->stuck = NULL;
        partition->is_stuck_seen = false;
    }
    mp__tracker_rewind(&partition->tracker);
    rd_kafka_topic_partition_list_add(list, name, partition->number)->offset =
        partition->tracker.mark;
    rd_kafka_error_t *error = rd_kafka_seek_partitions(engine->group.handle, list, 0);
    rd_kafka_topic_partition_list_destroy(list);
    partition->reread_ms = 0;
    if (error) {
        mp_log_warn("queue", "could not go back to %" PRId64 " in %s-%d: %s",
                    partition->tracker.mark, name, (int)partition->number,
                    mp__kafka_text(rd_kafka_error_code(error)));
        partition->reread_ms = engine->lanes.now_ms + REREAD_MS;
        rd_kafka_error_destroy(error);
    }
}

/* In the longer tiers nothing behind the one that is held is due before it. */
static bool holds_enough(const struct mp__kafka *engine,
                         const struct mp__kafka_partition *partition)
{
    if (partition->topic != MP__KAFKA_RETRY_5S) {
        return partition->due.count > 0;
    }
    return engine->group.held_bytes >= (size_t)engine->config.memory_bytes / HELD_SHARE;
}

static bool may_poll(struct mp__kafka *engine, struct mp__kafka_partition *partition)
{
    int64_t now_ms = engine->lanes.now_ms;
    if (partition->reread_ms != 0 && now_ms >= partition->reread_ms) {
        if (partition->live > 0) {
            return false;
        }
        go_back(engine, partition);
    }
    return now_ms >= partition->poll_at_ms &&
           partition->tracker.open < (size_t)engine->config.window &&
           mp__tracker_has_room(&partition->tracker) &&
           !holds_enough(engine, partition) && mp__kafka_may_read(engine);
}

/* How many were read. */
static size_t read_some(struct mp__kafka *engine, struct mp__kafka_partition *partition,
                        size_t most, int64_t now_ms)
{
    size_t count = 0;
    while (count < most && may_poll(engine, partition)) {
        rd_kafka_message_t *message = partition->stuck
                                          ? partition->stuck
                                          : rd_kafka_consume_queue(partition->queue, 0);
        if (!message) {
            /* Retries can wait a little; looking at all tiers in each turn costs. */
            partition->poll_at_ms = partition->topic == MP__KAFKA_POSTBACKS || count > 0
                                        ? 0
                                        : engine->lanes.now_ms + TIER_POLL_MS;
            break;
        }
        if (!take(engine, partition, message, now_ms)) {
            break;
        }
        count++;
    }
    return count;
}

bool mp__kafka_group_read(struct mp__kafka *engine, size_t most)
{
    struct mp__kafka_group *group = &engine->group;
    if (group->state != MP__KAFKA_GROUP_READING) {
        return true;
    }
    int64_t now_ms = mp_clock_wall_ms();
    size_t left = most;
    for (size_t idle = 0; idle < group->assigned_count && left > 0;) {
        struct mp__kafka_partition *partition = group->assigned[group->turn];
        group->turn = (group->turn + 1) % group->assigned_count;
        size_t count =
            read_some(engine, partition, left < QUANTUM ? left : QUANTUM, now_ms);
        left -= count;
        idle = count > 0 ? 0 : idle + 1;
    }
    return left > 0 || !mp__kafka_may_read(engine);
}

/* --- what becomes due */

int64_t mp__kafka_group_due(struct mp__kafka *engine)
{
    struct mp__kafka_group *group = &engine->group;
    int64_t now_ms = mp_clock_wall_ms();
    if (now_ms < group->due_ms) {
        return group->due_ms;
    }
    group->due_ms = INT64_MAX;
    for (size_t i = 0; i < group->assigned_count; i++) {
        struct mp__kafka_due *due = &group->assigned[i]->due;
        for (struct mp__kafka_item *item; (item = mp__kafka_due_take(due, now_ms));) {
            *bytes_of(group, item->partition) -= item->size_bytes;
            mp__kafka_ready(engine, item, now_ms);
        }
        if (due->count > 0 && due->heap[0].ready_ms < group->due_ms) {
            group->due_ms = due->heap[0].ready_ms;
        }
    }
    return group->due_ms;
}

static bool on_sweep(void *arg, struct mp__kafka_item *item)
{
    mp__kafka_item_drop(arg, item);
    return true;
}

void mp__kafka_sweep(struct mp__kafka *engine)
{
    struct mp__kafka_group *group = &engine->group;
    mp__kafka_lanes_sweep(&engine->lanes, on_sweep, engine);
    for (size_t i = 0; i < group->assigned_count; i++) {
        struct mp__kafka_due *due = &group->assigned[i]->due;
        for (struct mp__kafka_item *item; (item = mp__kafka_due_take(due, INT64_MAX));) {
            mp__kafka_item_drop(engine, item);
        }
        mp__kafka_due_fini(due);
    }
    group->held_bytes = group->head_bytes = 0;
    group->due_ms = INT64_MAX;
}
