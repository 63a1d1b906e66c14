/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "embedded.h"
#include "moonpost/clock.h"

/* One thread alone writes. A commit begins as soon as the last one is through and
 * something waits for its durability; what waits meanwhile is the next commit. No timer
 * makes anyone wait for company. */

/* Settles and retries wait for company, but not long: a crash before only repeats
 * attempts. */
#define LAZY_MOST    1000
#define LAZY_US      20000
#define REPEAT_US    1000000
#define ONCE_RECORDS 4096
#define ONCE_BYTES   ((size_t)8 * 1024 * 1024)

static size_t lazy_count(const struct mp__work *work)
{
    return work->settled_count + work->changed.count;
}

/* What only this thread sees. */
struct run {
    struct mp__storage *storage;
    struct mp__work todo;
    int64_t lazy_since_us;
    int64_t repeat_at_us; /* 0: writes work */
    const char *why;
};

static int run_op(struct mp__store *store, struct mp__op *op, int64_t now_ms)
{
    op->status = MP_OK;
    if (op->kind == MP__OP_PAUSE) {
        struct mp__pause_op *pause = (struct mp__pause_op *)(void *)op;
        return pause->clear ? mp__store_clear_pause(store, pause->pause.name)
                            : mp__store_set_pause(store, &pause->pause);
    }
    if (op->kind == MP__OP_DEAD) {
        return mp__store_dead(store, &((struct mp__dead_op *)(void *)op)->portion);
    }
    if (op->kind == MP__OP_FETCH) {
        struct mp__fetch_op *fetch = (struct mp__fetch_op *)(void *)op;
        mp_record_list_free(&fetch->fetch.records);
        fetch->fetch = fetch->from;
        op->status = mp__store_fetch(store, &fetch->fetch);
        op->why = op->status == MP_OK ? NULL : mp__store_why(store);
        /* One lane that cannot be read is no reason to store nothing, unless what was
         * stored before it is gone and the rest would be stored alone. */
        return mp__store_has_lost(store) ? op->status : MP_OK;
    }
    struct mp__append_op *append = (struct mp__append_op *)(void *)op;
    int status =
        append->append->has_key ? mp__store_key(store, append->append, now_ms) : MP_OK;
    if (status == MP_EDUPLICATE || status == MP_ECONFLICT) {
        op->status = status;
        return MP_OK;
    }
    const struct mp_record *record = append->records.head;
    for (; status == MP_OK && record; record = record->next) {
        status = mp__store_insert(store, record);
    }
    return status;
}

static int compare(const void *a, const void *b)
{
    uint64_t first = *(const uint64_t *)a;
    uint64_t second = *(const uint64_t *)b;
    return (first > second) - (first < second);
}

static int run_lazy(struct mp__store *store, struct mp__work *todo)
{
    int status = MP_OK;
    /* In order: a run of neighbours costs little more than one of them. */
    if (todo->settled_count > 1) {
        qsort(todo->settled, todo->settled_count, sizeof(uint64_t), compare);
    }
    for (size_t i = 0; status == MP_OK && i < todo->settled_count; i++) {
        uint64_t first = todo->settled[i];
        while (i + 1 < todo->settled_count &&
               todo->settled[i + 1] == todo->settled[i] + MP__SEQ_STEP) {
            i++;
        }
        status = mp__store_settle(store, first, todo->settled[i]);
    }
    const struct mp_record *record = todo->changed.head;
    for (; status == MP_OK && record; record = record->next) {
        status = mp__store_change(store, record);
    }
    return status;
}

/* Everything up to `end` in one transaction; nothing of it when it fails. */
static int transact(struct run *run, const struct mp__op *end)
{
    struct mp__store *store = run->storage->store;
    int64_t now_ms = mp_clock_wall_ms();
    bool failing = run->repeat_at_us != 0;
    bool writes = lazy_count(&run->todo) > 0 || failing;
    for (struct mp__op *op = run->todo.head; op != end && !writes; op = op->next) {
        writes = op->kind != MP__OP_FETCH;
    }
    int status = writes ? mp__store_begin(store) : MP_OK;
    if (status == MP_OK) {
        status = run_lazy(store, &run->todo);
    }
    for (struct mp__op *op = run->todo.head; status == MP_OK && op != end;
         op = op->next) {
        status = run_op(store, op, now_ms);
    }
    if (status == MP_OK && writes) {
        status = failing ? mp__store_probe(store) : mp__store_expire_keys(store, now_ms);
    }
    if (status == MP_OK && writes) {
        int64_t from_us = mp_clock_mono_us();
        status = mp__store_commit(store);
        mp_histogram_observe_us(run->storage->commit_seconds,
                                mp_clock_mono_us() - from_us);
    }
    run->why = status == MP_OK ? NULL : mp__store_why(store);
    if (status != MP_OK && writes) {
        mp__store_rollback(store);
    }
    return status;
}

/* The first op that is not in this transaction. */
static struct mp__op *end_of_portion(const struct mp__work *todo)
{
    size_t records = 0;
    size_t bytes = 0;
    struct mp__op *op = todo->head;
    while (op && records < ONCE_RECORDS && bytes < ONCE_BYTES) {
        if (op->kind == MP__OP_APPEND) {
            records += ((struct mp__append_op *)(void *)op)->records.count;
            bytes += ((struct mp__append_op *)(void *)op)->records.bytes;
        }
        op = op->next;
    }
    return op;
}

/* Whether it is over although the transaction failed: nobody waits for a full disk to
 * answer a producer, and a lane that could not be read is asked for again by itself. */
static bool is_told(const struct mp__op *op)
{
    return op->kind == MP__OP_APPEND || (op->kind == MP__OP_FETCH && op->status != MP_OK);
}

/* Moves the ops up to `end` that are done, or with `failed` those that are told so, to
 * `done`. */
static void take_done(struct run *run, const struct mp__op *end, int failed,
                      struct mp__work *done)
{
    struct mp__work kept = {0};
    struct mp__op *op = run->todo.head;
    while (op != end) {
        struct mp__op *next = op->next;
        if (failed != MP_OK && op->kind == MP__OP_APPEND) {
            op->status = failed;
            op->why = run->why;
        }
        mp__work_add(failed == MP_OK || is_told(op) ? done : &kept, op);
        op = next;
    }
    while (op) {
        struct mp__op *next = op->next;
        mp__work_add(&kept, op);
        op = next;
    }
    run->todo.head = kept.head;
    run->todo.tail = kept.tail;
}

static void count_stored(struct run *run, const struct mp__work *done)
{
    uint64_t count = 0;
    for (struct mp__op *op = done->head; op; op = op->next) {
        if (op->kind == MP__OP_APPEND && op->status == MP_OK) {
            count += ((struct mp__append_op *)(void *)op)->records.count;
        }
    }
    mp_series_add(run->storage->records_total, count);
}

static void post(struct run *run, struct mp__work *done, bool ready_changed, bool ended)
{
    struct mp__storage *storage = run->storage;
    if (!done->head && !ready_changed && !ended) {
        return;
    }
    uv_mutex_lock(&storage->mutex);
    if (done->head) {
        if (storage->done_tail) {
            storage->done_tail->next = done->head;
        } else {
            storage->done_head = done->head;
        }
        storage->done_tail = done->tail;
    }
    if (ready_changed) {
        storage->ready_changed = true;
        storage->ready_why = run->why;
    }
    storage->ended = ended;
    uv_async_t *wake = storage->wake_main;
    if (wake) {
        uv_async_send(wake);
    }
    uv_mutex_unlock(&storage->mutex);
}

static int try_portion(struct run *run, struct mp__work *done)
{
    struct mp__op *end = end_of_portion(&run->todo);
    int status = transact(run, end);
    take_done(run, end, status, done);
    if (status == MP_OK) {
        run->todo.settled_count = 0;
        mp_record_list_free(&run->todo.changed);
        run->lazy_since_us = 0;
    }
    return status;
}

static void run_portion(struct run *run)
{
    struct mp__work done = {0};
    bool failed_before = run->repeat_at_us != 0;
    if (try_portion(run, &done) == MP_OK) {
        run->repeat_at_us = 0;
        count_stored(run, &done);
        if (failed_before) {
            mp_log_info("queue", "can write to disk again");
        }
    } else {
        if (!failed_before) {
            mp_log_error("queue", "could not write to disk: %s", run->why);
        }
        run->repeat_at_us = mp_clock_mono_us() + REPEAT_US;
        const char *why = run->why;
        /* What was resolved needs little room, and may find it where appends did not. */
        (void)try_portion(run, &done);
        run->why = why;
    }
    post(run, &done, failed_before != (run->repeat_at_us != 0), false);
}

/* How long to wait before the next portion; 0: not at all; -1: until there is work. */
static int64_t wait_us(struct run *run, bool stop)
{
    bool append = false;
    for (struct mp__op *op = run->todo.head; op && !append; op = op->next) {
        append = op->kind == MP__OP_APPEND;
    }
    int64_t now_us = mp_clock_mono_us();
    if (run->repeat_at_us != 0 && !append && !stop) {
        return run->repeat_at_us > now_us ? run->repeat_at_us - now_us : 0;
    }
    if (run->todo.head || stop || lazy_count(&run->todo) >= LAZY_MOST) {
        return 0;
    }
    if (lazy_count(&run->todo) == 0) {
        return -1;
    }
    if (run->lazy_since_us == 0) {
        run->lazy_since_us = now_us;
    }
    int64_t left_us = run->lazy_since_us + LAZY_US - now_us;
    return left_us > 0 ? left_us : 0;
}

/* Returns whether this is the end. */
static bool wait_for_work(struct run *run)
{
    struct mp__storage *storage = run->storage;
    uv_mutex_lock(&storage->mutex);
    for (;;) {
        mp__work_move(&run->todo, &storage->inbox);
        int64_t us = wait_us(run, storage->stop);
        if (us == 0) {
            break;
        }
        storage->sleeping = true;
        storage->lazy_seen = us < 0 ? 0 : lazy_count(&run->todo) + 1;
        if (us < 0) {
            uv_cond_wait(&storage->cond, &storage->mutex);
        } else {
            uv_cond_timedwait(&storage->cond, &storage->mutex, (uint64_t)us * 1000);
        }
        storage->sleeping = false;
    }
    bool stop = storage->stop;
    uv_mutex_unlock(&storage->mutex);
    return stop;
}

static void storage_main(void *arg)
{
    struct run run = {.storage = arg};
    for (;;) {
        bool stop = wait_for_work(&run);
        if (run.todo.head || lazy_count(&run.todo) > 0 || run.repeat_at_us != 0) {
            run_portion(&run);
        }
        if (stop && (!run.todo.head || run.repeat_at_us != 0)) {
            break;
        }
    }
    /* What could not be written is attempted again after the next start. */
    struct mp__work done = {.head = run.todo.head, .tail = run.todo.tail};
    for (struct mp__op *op = done.head; op; op = op->next) {
        op->status = MP_ECLOSED;
        op->why = "shutting down";
    }
    mp_record_list_free(&run.todo.changed);
    free(run.todo.settled);
    mp__store_close(run.storage->store);
    post(&run, &done, false, true);
}

int mp__storage_start(struct mp__storage *storage)
{
    if (uv_mutex_init(&storage->mutex) != 0) {
        return MP_ENOMEM;
    }
    if (uv_cond_init(&storage->cond) != 0) {
        uv_mutex_destroy(&storage->mutex);
        return MP_ENOMEM;
    }
    if (uv_thread_create(&storage->thread, storage_main, storage) != 0) {
        uv_cond_destroy(&storage->cond);
        uv_mutex_destroy(&storage->mutex);
        return MP_EAGAIN;
    }
    return MP_OK;
}

void mp__storage_push(struct mp__storage *storage, struct mp__work *work, bool stop)
{
    uv_mutex_lock(&storage->mutex);
    mp__work_move(&storage->inbox, work);
    storage->stop = stop;
    /* A thread that waits for company already need not be woken for more of it. */
    bool urgent = storage->inbox.head || stop || storage->lazy_seen == 0 ||
                  storage->lazy_seen + lazy_count(&storage->inbox) > LAZY_MOST;
    if (storage->sleeping && urgent) {
        uv_cond_signal(&storage->cond);
    }
    uv_mutex_unlock(&storage->mutex);
}

struct mp__op *mp__storage_results(struct mp__storage *storage, bool *ended,
                                   bool *ready_changed, const char **ready_why)
{
    uv_mutex_lock(&storage->mutex);
    struct mp__op *results = storage->done_head;
    storage->done_head = storage->done_tail = NULL;
    *ended = storage->ended;
    *ready_changed = storage->ready_changed;
    *ready_why = storage->ready_why;
    storage->ready_changed = false;
    uv_mutex_unlock(&storage->mutex);
    return results;
}

void mp__storage_join(struct mp__storage *storage)
{
    uv_thread_join(&storage->thread);
    uv_cond_destroy(&storage->cond);
    uv_mutex_destroy(&storage->mutex);
    free(storage->inbox.settled);
}
