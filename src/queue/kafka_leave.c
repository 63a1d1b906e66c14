/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "kafka.h"
#include "kafka_group_parts.h"
#include "moonpost/clock.h"
#include "moonpost/log.h"

/* Giving partitions back, and leaving the group. The others wait for us meanwhile, so
 * each step has its time. */

#define DRAIN_MS   2000
#define COMMIT_MS  2000
#define LEAVE_MS   10000
#define DESTROY_MS 5000

/* --- destroying a handle, which may hang */

enum { UNDER_WAY, ENDED, LET_GO };

struct mp__kafka_farewell {
    rd_kafka_t *handle;
    int flags;
    atomic_int state;
};

static void *destroy(void *arg)
{
    struct mp__kafka_farewell *farewell = arg;
    rd_kafka_destroy_flags(farewell->handle, farewell->flags);
    if (atomic_exchange(&farewell->state, ENDED) == LET_GO) {
        free(farewell);
    }
    return NULL;
}

static bool start_thread(struct mp__kafka_farewell *farewell)
{
    pthread_t thread;
    pthread_attr_t attr;
    if (pthread_attr_init(&attr) != 0) {
        return false;
    }
    bool is_started = pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) == 0 &&
                      pthread_create(&thread, &attr, destroy, farewell) == 0;
    pthread_attr_destroy(&attr);
    return is_started;
}

/* A thread of its own, and not the pool's: those are joined at the process's end. */
static void say_farewell(struct mp__kafka *engine, int flags)
{
    struct mp__kafka_group *group = &engine->group;
    struct mp__kafka_farewell *farewell = calloc(1, sizeof(*farewell));
    rd_kafka_queue_io_event_enable(group->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(group->queue);
    group->queue = NULL;
    group->state = MP__KAFKA_GROUP_GONE;
    group->until_ms = mp_clock_mono_ms() + DESTROY_MS;
    if (farewell) {
        *farewell = (struct mp__kafka_farewell){.handle = group->handle, .flags = flags};
        if (!start_thread(farewell)) {
            free(farewell);
            farewell = NULL;
        }
    }
    group->handle = NULL; /* without a thread for it: let go */
    group->farewell = farewell;
}

static void await_farewell(struct mp__kafka *engine)
{
    struct mp__kafka_group *group = &engine->group;
    struct mp__kafka_farewell *farewell = group->farewell;
    if (farewell && atomic_load(&farewell->state) == UNDER_WAY) {
        if (mp_clock_mono_ms() < group->until_ms) {
            return;
        }
        mp_log_warn("queue", "librdkafka does not end: left as it is");
        if (atomic_exchange(&farewell->state, LET_GO) == UNDER_WAY) {
            farewell = NULL;
        }
    }
    free(farewell);
    group->farewell = NULL;
    group->is_closing = false;
    mp__kafka_group_has_closed(engine);
}

/* --- leaving the group */

static void leave(struct mp__kafka *engine)
{
    struct mp__kafka_group *group = &engine->group;
    group->state = MP__KAFKA_GROUP_LEAVING;
    group->until_ms = mp_clock_mono_ms() + LEAVE_MS;
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(group->handle, group->queue);
    if (error) { /* it cannot leave any more: a fatal error */
        rd_kafka_error_destroy(error);
        group->until_ms = 0;
    }
}

static void await_leave(struct mp__kafka *engine)
{
    struct mp__kafka_group *group = &engine->group;
    if (rd_kafka_consumer_closed(group->handle)) {
        say_farewell(engine, 0);
    } else if (mp_clock_mono_ms() >= group->until_ms) {
        mp_log_warn("queue", "could not leave the group in time: it finds out by itself");
        say_farewell(engine, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    }
}

/* --- giving back */

static bool is_drained(const struct mp__kafka_group *group)
{
    for (size_t i = 0; i < group->assigned_count; i++) {
        if (group->assigned[i]->live > 0) {
            return false;
        }
    }
    return true;
}

static void let_go(struct mp__kafka *engine)
{
    struct mp__kafka_group *group = &engine->group;
    size_t count = group->assigned_count;
    mp__kafka_unassign(engine);
    if (group->is_revoked) {
        group->is_revoked = false;
        rd_kafka_assign(group->handle, NULL);
    }
    if (count > 0) {
        mp_log_info("queue", "gave back %zu partitions", count);
    }
    group->state = MP__KAFKA_GROUP_JOINING;
}

static void drain(struct mp__kafka *engine)
{
    struct mp__kafka_group *group = &engine->group;
    group->state = MP__KAFKA_GROUP_DRAINING;
    group->until_ms = mp_clock_mono_ms() + DRAIN_MS;
    mp__kafka_sweep(engine);
    if (engine->base.owner.on_recall) {
        engine->base.owner.on_recall(engine->base.owner.arg);
    }
}

void mp__kafka_give_back(struct mp__kafka *engine, bool is_lost)
{
    struct mp__kafka_group *group = &engine->group;
    if (group->state == MP__KAFKA_GROUP_READING) {
        drain(engine);
    }
    if (is_lost && group->assigned_count > 0) {
        mp_log_warn("queue", "the group took our partitions away: what is under way may "
                             "be sent twice");
    }
    if (is_lost || group->state == MP__KAFKA_GROUP_LOADING ||
        group->state == MP__KAFKA_GROUP_JOINING) {
        let_go(engine);
    }
}

static void go_on_giving_back(struct mp__kafka *engine)
{
    struct mp__kafka_group *group = &engine->group;
    int64_t now_ms = mp_clock_mono_ms();
    if (group->state == MP__KAFKA_GROUP_DRAINING) {
        if (!is_drained(group) && now_ms < group->until_ms) {
            return;
        }
        group->state = MP__KAFKA_GROUP_COMMITTING;
        group->until_ms = now_ms + COMMIT_MS;
    }
    if (now_ms < group->until_ms) {
        group->commit_at_ms = 0;
        if (group->is_committing || mp__kafka_commit(engine)) {
            return;
        }
    }
    let_go(engine);
}

void mp__kafka_leave_on(struct mp__kafka *engine)
{
    struct mp__kafka_group *group = &engine->group;
    if (group->state == MP__KAFKA_GROUP_DRAINING ||
        group->state == MP__KAFKA_GROUP_COMMITTING) {
        go_on_giving_back(engine);
    }
    if (group->is_closing && group->loads == 0 &&
        (group->state == MP__KAFKA_GROUP_OFF ||
         group->state == MP__KAFKA_GROUP_JOINING)) {
        leave(engine);
    }
    if (group->state == MP__KAFKA_GROUP_LEAVING) {
        await_leave(engine);
    }
    if (group->is_closing && group->state == MP__KAFKA_GROUP_GONE) {
        await_farewell(engine);
    }
}

void mp__kafka_group_close(struct mp__kafka *engine)
{
    struct mp__kafka_group *group = &engine->group;
    group->is_closing = true;
    if (group->state == MP__KAFKA_GROUP_LOADING) {
        mp__kafka_unassign(engine);
        group->state = MP__KAFKA_GROUP_JOINING;
    } else if (group->state == MP__KAFKA_GROUP_READING) {
        drain(engine);
    }
}
