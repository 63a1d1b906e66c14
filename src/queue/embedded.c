/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "embedded.h"
#include "moonpost/clock.h"

/* What may be on its way to the disk at once. */
#define APPENDING_RECORDS 100000
#define APPENDING_BYTES   ((size_t)64 * 1024 * 1024)

static struct mp__embedded *engine_of(struct mp_queue *queue)
{
    return (struct mp__embedded *)(void *)queue;
}

static void let_go(struct mp__embedded *engine, struct mp_record *from,
                   const struct mp_record *until)
{
    for (struct mp_record *record = from; record != until; record = record->next) {
        struct mp__lane *lane = record->queue_lane;
        lane->appending--;
        mp__lane_mark(engine, lane);
    }
}

/* The lanes are found now, so that nothing can fail once the records are stored. */
static int enter_lanes(struct mp__embedded *engine, struct mp_record *first)
{
    for (struct mp_record *record = first; record; record = record->next) {
        bool fits = record->lane.length > 0 && record->lane.length < MP_LANE_BYTES &&
                    record->id.length > 0 && record->partner.length > 0;
        struct mp__lane *lane =
            fits ? mp__lane_of(engine, record->lane, record->partner) : NULL;
        if (!lane) {
            let_go(engine, first, record);
            return fits ? MP_ENOMEM : MP_EINVAL;
        }
        lane->appending++;
        record->queue_lane = lane;
    }
    return MP_OK;
}

static int append(struct mp_queue *queue, struct mp_append *append)
{
    struct mp__embedded *engine = engine_of(queue);
    struct mp_record_list *records = &append->records;
    if (engine->closing) {
        return MP_ECLOSED;
    }
    /* One that is too large for the limit by itself still has its turn. */
    if (engine->appending_count > 0 &&
        (engine->appending_count + records->count > APPENDING_RECORDS ||
         engine->appending_bytes + records->bytes > APPENDING_BYTES)) {
        return MP_EAGAIN;
    }
    struct mp__append_op *op = calloc(1, sizeof(*op));
    int status = op ? enter_lanes(engine, records->head) : MP_ENOMEM;
    if (status != MP_OK) {
        free(op);
        return status;
    }
    for (struct mp_record *record = records->head; record; record = record->next) {
        record->seq = MP__SEQ(engine->next_number++, false);
    }
    /* No ceiling: it is what an append brought, however long. */
    mp_buf_init(&append->answer_before, SIZE_MAX);
    engine->appending_count += records->count;
    engine->appending_bytes += records->bytes;
    op->op.kind = MP__OP_APPEND;
    op->append = append;
    op->records = *records;
    *records = (struct mp_record_list){0};
    mp__work_add(&engine->work, &op->op);
    return MP_OK;
}

static void resolve(struct mp_queue *queue, struct mp_record_list *records)
{
    struct mp__embedded *engine = engine_of(queue);
    if (engine->closing) {
        mp_record_list_free(records);
        return;
    }
    struct mp_record *record;
    while ((record = mp_record_list_pop(records))) {
        mp__lane_resolved(engine, record);
    }
}

static void hold(struct mp_queue *queue, struct mp_str name, int64_t until_ms)
{
    mp__lanes_hold(engine_of(queue), name, until_ms);
}

static void release(struct mp_queue *queue, struct mp_str name)
{
    mp__lanes_hold(engine_of(queue), name, 0);
}

static int store_pause(struct mp__embedded *engine, const struct mp_pause *pause,
                       bool clear)
{
    if (engine->closing) {
        return MP_ECLOSED;
    }
    struct mp__pause_op *op = calloc(1, sizeof(*op));
    if (!op) {
        return MP_ENOMEM;
    }
    op->op.kind = MP__OP_PAUSE;
    op->pause = *pause;
    op->clear = clear;
    mp__work_add(&engine->work, &op->op);
    return MP_OK;
}

static int set_pause(struct mp_queue *queue, const struct mp_pause *pause)
{
    return store_pause(engine_of(queue), pause, false);
}

static int clear_pause(struct mp_queue *queue, struct mp_str name)
{
    struct mp_pause pause = {.since_ms = 0};
    if (name.length >= sizeof(pause.name)) {
        return MP_EINVAL;
    }
    memcpy(pause.name, name.data, name.length);
    return store_pause(engine_of(queue), &pause, true);
}

static uint64_t waiting(struct mp_queue *queue, struct mp_str name)
{
    const struct mp__lanes *lanes = &engine_of(queue)->lanes;
    if (name.length == 0) {
        return lanes->waiting;
    }
    const struct mp__partner *partner = mp__names_find(&lanes->partners, name);
    return partner ? partner->waiting : 0;
}

static void close_queue(struct mp_queue *queue, void (*on_closed)(void *arg), void *arg)
{
    struct mp__embedded *engine = engine_of(queue);
    engine->closing = true;
    engine->on_closed = on_closed;
    engine->closed_arg = arg;
    mp_record_list_free(&engine->take);
    mp__storage_push(&engine->storage, &engine->work, true);
}

static void set_depth(struct mp_queue *queue, struct mp_str partner, size_t records)
{
    struct mp__embedded *engine = engine_of(queue);
    mp__lanes_set_depth(engine, partner, records);
}

const struct mp_queue_ops mp__embedded_ops = {
    .append = append,
    .resolve = resolve,
    .hold = hold,
    .release = release,
    .set_pause = set_pause,
    .clear_pause = clear_pause,
    .set_depth = set_depth,
    .waiting = waiting,
    .dead_list = mp__dead_list,
    .dead_show = mp__dead_show,
    .dead_replay = mp__dead_replay,
    .dead_purge = mp__dead_purge,
    .close = close_queue,
};

static int on_lane(void *arg, struct mp_str name, struct mp_str partner, uint64_t fresh,
                   uint64_t retries, int64_t next_due_ms)
{
    struct mp__embedded *engine = arg;
    struct mp__lane *lane = mp__lane_of(engine, name, partner);
    if (!lane) {
        return MP_ENOMEM;
    }
    if (fresh > 0) {
        mp__lane_note_fresh(lane, 0);
    }
    if (next_due_ms < lane->next_due_ms) {
        lane->next_due_ms = next_due_ms;
    }
    mp__lane_count(engine, lane, (int64_t)(fresh + retries));
    mp__lane_mark(engine, lane);
    return MP_OK;
}

static int on_pause(void *arg, const struct mp_pause *pause)
{
    struct mp__embedded *engine = arg;
    size_t count = engine->pause_count + 1;
    struct mp_pause *pauses = realloc(engine->pauses, count * sizeof(*pauses));
    if (!pauses) {
        return MP_ENOMEM;
    }
    pauses[engine->pause_count] = *pause;
    engine->pauses = pauses;
    engine->pause_count = count;
    return MP_OK;
}

static int recover(struct mp__embedded *engine, const char *folder, struct mp_error *err)
{
    struct mp__recovered recovered = {engine, on_lane, on_pause, 0};
    int status = mp__store_recover(engine->storage.store, &recovered);
    if (status != MP_OK) {
        return mp_error_set(err, status, "could not read the queue in %s: %s", folder,
                            status == MP_ENOMEM ? "out of memory"
                                                : mp__store_why(engine->storage.store));
    }
    engine->next_number = recovered.last_number + 1;
    return MP_OK;
}

static int start(struct mp__embedded *engine, struct mp_error *err)
{
    /* The thread first: a handle of the loop can only be closed with another turn of it.
     */
    int status = mp__storage_start(&engine->storage);
    if (status != MP_OK) {
        return mp_error_set(err, status, "could not start the storage thread: %s",
                            mp_status_text(status));
    }
    int code = uv_async_init(engine->loop, &engine->wake, mp__turn_on_wake);
    if (code != 0) {
        mp__storage_push(&engine->storage, &engine->work, true);
        mp__storage_join(&engine->storage);
        engine->storage.store = NULL;
        return mp_error_set(err, MP_EIO, "could not start the queue: %s",
                            uv_strerror(code));
    }
    engine->storage.wake_main = &engine->wake;
    uv_prepare_init(engine->loop, &engine->prepare);
    uv_check_init(engine->loop, &engine->check);
    uv_timer_init(engine->loop, &engine->timer);
    engine->wake.data = engine->prepare.data = engine->check.data = engine;
    engine->timer.data = engine;
    uv_prepare_start(&engine->prepare, mp__turn_on_prepare);
    uv_check_start(&engine->check, mp__turn_on_check);
    engine->handles_open = 4;
    return MP_OK;
}

static void count_in(struct mp__embedded *engine, struct mp_metrics *metrics)
{
    if (metrics) {
        engine->storage.commit_seconds =
            mp_metrics_histogram(metrics, "moonpost_queue_commit_seconds",
                                 "How long a commit to disk took", NULL, 0);
        engine->storage.records_total = mp_metrics_counter(
            metrics, "moonpost_queue_stored_total", "Deliveries stored", NULL, 0);
    }
}

static char *path_in(const char *folder)
{
    size_t bytes = strlen(folder) + sizeof("/" MP__STORE_FILE);
    char *path = malloc(bytes);
    if (path) {
        snprintf(path, bytes, "%s/%s", folder, MP__STORE_FILE);
    }
    return path;
}

int mp_queue_open_embedded(uv_loop_t *loop, const struct mp_queue_embedded_config *config,
                           struct mp_queue **out, struct mp_error *err)
{
    struct mp__embedded *engine = calloc(1, sizeof(*engine));
    char *path = path_in(config->folder);
    int status = MP_ENOMEM;
    if (!engine || !path) {
        mp_error_set(err, status, "could not open the queue: out of memory");
        goto fail;
    }
    engine->queue.ops = &mp__embedded_ops;
    engine->queue.owner = config->owner;
    engine->loop = loop;
    engine->path = path;
    engine->timer_ms = INT64_MAX;
    count_in(engine, config->metrics);
    status = mp__folder_lock(config->folder, &engine->lock, err);
    if (status != MP_OK) {
        goto fail;
    }
    status = mp__store_open(config->folder, config->idempotency_window_ms,
                            &engine->storage.store, err);
    if (status == MP_OK) {
        status = recover(engine, config->folder, err);
    }
    if (status == MP_OK) {
        status = start(engine, err);
    }
    if (status != MP_OK) {
        goto fail_locked;
    }
    *out = &engine->queue;
    return MP_OK;

fail_locked:
    mp__store_close(engine->storage.store);
    mp__lanes_fini(engine);
    free(engine->pauses);
    mp__folder_unlock(engine->lock);
fail:
    free(path);
    free(engine);
    return status;
}
