/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka.h"
#include "kafka_group_parts.h"
#include "moonpost/clock.h"
#include "moonpost/log.h"

/* An assignment: what was committed is asked for on a pool thread (librdkafka's call
 * blocks), for as long as it takes, and only then reading begins, each partition where we
 * say. While it waits for that, librdkafka goes on with its heartbeats and tells of no
 * other rebalance: should the group have thrown us out meanwhile, the first heartbeat
 * after it says so, as a lost assignment. */

#define ASK_MS   5000
#define AGAIN_MS 500

struct mp__kafka_load {
    uv_work_t work;
    struct mp__kafka *engine;
    rd_kafka_t *handle;
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_resp_err_t code;
    bool is_asking;   /* the list is the pool's */
    bool is_obsolete; /* nobody wants the answer any more */
    int64_t again_ms; /* monotonic */
};

struct mp__kafka_partition *mp__kafka_partition_find(const struct mp__kafka_group *group,
                                                     enum mp__kafka_topic topic,
                                                     int32_t number)
{
    struct mp__kafka_partition *at = group->partitions;
    while (at && (at->topic != topic || at->number != number)) {
        at = at->next;
    }
    return at;
}

static struct mp_series *lag_series(struct mp__kafka *engine, const char *topic,
                                    int32_t number)
{
    char text[16];
    snprintf(text, sizeof(text), "%d", (int)number);
    struct mp_label labels[] = {{"topic", mp_str_of(topic)},
                                {"partition", mp_str_of(text)}};
    return !engine->config.metrics
               ? NULL
               : mp_metrics_gauge(engine->config.metrics, "moonpost_kafka_lag",
                                  "Records of a partition that are not done.", labels, 2);
}

static struct mp__kafka_partition *find_or_make(struct mp__kafka *engine,
                                                const rd_kafka_topic_partition_t *element)
{
    struct mp__kafka_group *group = &engine->group;
    enum mp__kafka_topic topic = mp__kafka_topics_find(&engine->topics, element->topic);
    struct mp__kafka_partition *partition =
        mp__kafka_partition_find(group, topic, element->partition);
    if (partition || topic >= MP__KAFKA_GROUP_TOPICS) {
        return partition;
    }
    partition = calloc(1, sizeof(*partition));
    if (!partition) {
        return NULL;
    }
    partition->topic = topic;
    partition->number = element->partition;
    partition->committed = partition->committing = -1;
    partition->lag = lag_series(engine, element->topic, element->partition);
    mp__tracker_init(&partition->tracker, 0);
    partition->next = group->partitions;
    group->partitions = partition;
    return partition;
}

/* --- what we know, and what the group knows */

/* The group's offset is lower than what it took from us: an operator set it back, or the
 * topic was deleted. What was kept is of no use then. */
static void forget(struct mp__kafka *engine, struct mp__kafka_partition *partition,
                   int64_t offset)
{
    mp_log_warn("queue",
                "%s-%d: the group's offset is %" PRId64 " and was %" PRId64
                ": it is read again from there",
                engine->topics.names[partition->topic], (int)partition->number, offset,
                partition->committed);
    partition->epoch++;
    partition->has_mark = false;
    mp__tracker_reset(&partition->tracker, 0);
}

/* What the group has, and what we kept: what either says to be done is done. */
static void join(struct mp__kafka *engine, struct mp__kafka_partition *partition,
                 int64_t offset, struct mp_str map)
{
    struct mp__tracker kept = partition->tracker;
    struct mp__tracker fresh = {0};
    if (mp__tracker_read(&fresh, offset, map) != MP_OK) {
        mp_log_warn("queue",
                    "%s-%d: what was committed with its offset is not ours: what is done "
                    "beyond it may be sent twice",
                    engine->topics.names[partition->topic], (int)partition->number);
    }
    fresh.changed = false;
    if (partition->has_mark) {
        mp__tracker_join(&fresh, &kept);
    }
    mp__tracker_fini(&kept);
    mp__tracker_rewind(&fresh);
    partition->tracker = fresh;
    partition->has_mark = true;
}

static void adopt(struct mp__kafka *engine, struct mp__kafka_partition *partition,
                  rd_kafka_topic_partition_t *element)
{
    int64_t offset = element->offset >= 0 ? element->offset : -1;
    if (offset < partition->committed) {
        forget(engine, partition, offset);
    }
    if (offset >= 0) {
        join(engine, partition, offset,
             (struct mp_str){element->metadata, element->metadata_size});
    } else {
        mp__tracker_rewind(&partition->tracker);
    }
    partition->assignment = engine->group.assignment;
    partition->committed = offset;
    partition->committing = -1;
    partition->live = 0;
    partition->poll_at_ms = partition->reread_ms = 0;
    partition->is_assigned = true;
    element->offset =
        partition->has_mark ? partition->tracker.mark : RD_KAFKA_OFFSET_BEGINNING;
}

/* --- beginning to read */

static void tell(const rd_kafka_topic_partition_list_t *list)
{
    struct mp_buf text;
    mp_buf_init(&text, 4096);
    int status = MP_OK;
    for (int i = 0; i < list->cnt && status == MP_OK; i++) {
        const rd_kafka_topic_partition_t *at = &list->elems[i];
        bool is_first = i == 0 || strcmp(at[-1].topic, at->topic) != 0;
        status = is_first ? mp_buf_printf(&text, "%s%s ", i == 0 ? ": " : "; ", at->topic)
                          : mp_buf_append_char(&text, ',');
        if (status == MP_OK) {
            status = mp_buf_append_int(&text, at->partition);
        }
    }
    mp_log_info("queue", "reading %d partitions%.*s%s", list->cnt, (int)text.length,
                text.data ? text.data : "", status == MP_OK ? "" : " ...");
    mp_buf_fini(&text);
}

/* Before the assignment: what is fetched must not go to the group's queue. */
static void open_queue(struct mp__kafka *engine, struct mp__kafka_partition *partition,
                       const char *topic)
{
    static const uint64_t one = 1;
    partition->queue =
        rd_kafka_queue_get_partition(engine->group.handle, topic, partition->number);
    rd_kafka_queue_forward(partition->queue, NULL);
    rd_kafka_queue_io_event_enable(partition->queue, engine->wake_fd, &one, sizeof(one));
}

static int read_all(struct mp__kafka *engine, rd_kafka_topic_partition_list_t *list)
{
    struct mp__kafka_group *group = &engine->group;
    for (int i = 0; i < list->cnt; i++) {
        if (!find_or_make(engine, &list->elems[i])) {
            return MP_ENOMEM;
        }
    }
    group->assigned = calloc((size_t)list->cnt + 1, sizeof(struct mp__kafka_partition *));
    if (!group->assigned) {
        return MP_ENOMEM;
    }
    group->assignment++;
    group->turn = 0;
    for (int i = 0; i < list->cnt; i++) {
        struct mp__kafka_partition *partition = find_or_make(engine, &list->elems[i]);
        adopt(engine, partition, &list->elems[i]);
        open_queue(engine, partition, list->elems[i].topic);
        group->assigned[group->assigned_count++] = partition;
    }
    mp__kafka_carry(engine);
    return MP_OK;
}

/* What hangs must leave room in the windows for what does not. */
static size_t half_of_windows(const struct mp__kafka *engine)
{
    const struct mp__kafka_group *group = &engine->group;
    size_t count = 0;
    for (size_t i = 0; i < group->assigned_count; i++) {
        count += group->assigned[i]->topic == MP__KAFKA_POSTBACKS;
    }
    return count * (size_t)engine->config.window / 2;
}

static void begin(struct mp__kafka *engine, rd_kafka_topic_partition_list_t *list)
{
    struct mp__kafka_group *group = &engine->group;
    rd_kafka_resp_err_t code = rd_kafka_assign(group->handle, list);
    if (code) {
        mp_log_error("queue", "could not read the partitions assigned: %s",
                     mp__kafka_text(code));
    }
    tell(list);
    group->state = MP__KAFKA_GROUP_READING;
    engine->lanes.most_out = half_of_windows(engine);
    group->commit_at_ms = group->commit_wait_ms = 0;
    mp_series_set(engine->partitions, list->cnt);
    mp__kafka_stir(engine);
}

/* --- loading */

static void ask(uv_work_t *work)
{
    struct mp__kafka_load *load = work->data;
    load->code = rd_kafka_committed(load->handle, load->list, ASK_MS);
    for (int i = 0; i < load->list->cnt && !load->code; i++) {
        load->code = load->list->elems[i].err;
    }
}

static void free_load(struct mp__kafka_load *load)
{
    struct mp__kafka_group *group = &load->engine->group;
    group->load = group->load == load ? NULL : group->load;
    group->loads--;
    rd_kafka_topic_partition_list_destroy(load->list);
    free(load);
}

static void on_answer(uv_work_t *work, int status)
{
    struct mp__kafka_load *load = work->data;
    struct mp__kafka *engine = load->engine;
    load->is_asking = false;
    if (load->is_obsolete) {
        free_load(load);
        mp__kafka_leave_on(engine);
        return;
    }
    if (status == 0 && load->code == RD_KAFKA_RESP_ERR_NO_ERROR &&
        read_all(engine, load->list) == MP_OK) {
        rd_kafka_topic_partition_list_t *list = load->list;
        load->list = rd_kafka_topic_partition_list_new(0);
        free_load(load);
        begin(engine, list);
        rd_kafka_topic_partition_list_destroy(list);
        return;
    }
    mp__kafka_warn("could not learn what the group committed: %s",
                   load->code ? mp__kafka_text(load->code) : "out of memory");
    load->again_ms = mp_clock_mono_ms() + AGAIN_MS;
}

void mp__kafka_assign_tick(struct mp__kafka *engine)
{
    struct mp__kafka_load *load = engine->group.load;
    if (load && !load->is_asking && mp_clock_mono_ms() >= load->again_ms) {
        load->is_asking = uv_queue_work(engine->loop, &load->work, ask, on_answer) == 0;
    }
}

void mp__kafka_assign(struct mp__kafka *engine,
                      const rd_kafka_topic_partition_list_t *list)
{
    struct mp__kafka_group *group = &engine->group;
    struct mp__kafka_load *load = calloc(1, sizeof(*load));
    mp_series_add(engine->rebalances, 1);
    if (!load || list->cnt == 0) {
        /* None of them: there are more members than partitions. Or no memory; the next
         * rebalance may bring them. */
        rd_kafka_topic_partition_list_t *none = rd_kafka_topic_partition_list_new(0);
        free(load);
        begin(engine, none);
        rd_kafka_topic_partition_list_destroy(none);
        return;
    }
    load->engine = engine;
    load->handle = group->handle;
    load->list = rd_kafka_topic_partition_list_copy(list);
    rd_kafka_topic_partition_list_sort(load->list, NULL, NULL);
    load->work.data = load;
    group->load = load;
    group->loads++;
    group->state = MP__KAFKA_GROUP_LOADING;
    mp__kafka_assign_tick(engine);
}

void mp__kafka_unassign(struct mp__kafka *engine)
{
    struct mp__kafka_group *group = &engine->group;
    if (group->load && group->load->is_asking) {
        group->load->is_obsolete = true;
        group->load = NULL;
    } else if (group->load) {
        free_load(group->load);
    }
    for (size_t i = 0; i < group->assigned_count; i++) {
        struct mp__kafka_partition *partition = group->assigned[i];
        partition->is_assigned = false;
        rd_kafka_queue_io_event_enable(partition->queue, -1, NULL, 0);
        rd_kafka_queue_destroy(partition->queue);
        partition->queue = NULL;
        mp__kafka_carry_end(partition);
        if (partition->stuck) {
            rd_kafka_message_destroy(partition->stuck);
            partition->stuck = NULL;
            partition->is_stuck_seen = false;
        }
        mp_series_set(partition->lag, 0);
    }
    free(group->assigned);
    group->assigned = NULL;
    group->assigned_count = 0;
    mp_series_set(engine->partitions, 0);
}
