/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka.h"
#include "moonpost/clock.h"
#include "moonpost/log.h"

/* Whether the cluster can be used, asked on a pool thread: librdkafka's own metadata call
 * blocks. What can be seen without asking (nothing was acked for a while) is looked at as
 * well. */

#define ASK_WELL_MS 2000
#define ASK_AWAY_MS 500
#define ANSWER_MS   3000
#define ASK_SOON_MS 250 /* while something waits: who leads now is what it waits for */
#define STALLED_MS  5000
/* A broker that died without a word does not answer, and is asked again for a while: the
 * cluster is there all the same when others acknowledge, or answer the next time. */
#define MISSES_MAX 3
#define FRESH_MS   5000

struct mp__kafka_watch {
    struct mp__kafka *engine;
    uv_timer_t timer;
    uv_work_t work;
    bool is_asking, is_closing;
    void (*on_closed)(void *arg);
    void *closed_arg;
    /* The answer; the pool's while it asks. */
    rd_kafka_t *handle;
    char why[256];
    bool is_reached;
    int32_t pause_partitions;
    int misses; /* answers that did not come, in a row */
    int64_t asked_ms;
};

/* A topic that is not there, or a partition without a leader. */
static bool find_fault(struct mp__kafka_watch *watch, const char *name,
                       const rd_kafka_metadata_topic_t *topic)
{
    if (topic->err || topic->partition_cnt == 0) {
        bool is_missing =
            !topic->err || topic->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
        snprintf(watch->why, sizeof(watch->why),
                 is_missing ? "the topic %s is missing: `moonpost topics create` makes it"
                            : "the topic %s cannot be used: %s",
                 name, mp__kafka_text(topic->err));
        return true;
    }
    for (int i = 0; i < topic->partition_cnt; i++) {
        if (topic->partitions[i].leader < 0) {
            snprintf(watch->why, sizeof(watch->why),
                     "%s-%d has no leader: too few brokers are up", name,
                     (int)topic->partitions[i].id);
            return true;
        }
    }
    return false;
}

static void read_metadata(struct mp__kafka_watch *watch, const rd_kafka_metadata_t *all)
{
    for (int t = 0; t < MP__KAFKA_TOPICS; t++) {
        const char *name = watch->engine->topics.names[t];
        const rd_kafka_metadata_topic_t *found = NULL;
        for (int i = 0; i < all->topic_cnt && !found; i++) {
            if (strcmp(all->topics[i].topic, name) == 0) {
                found = &all->topics[i];
            }
        }
        static const rd_kafka_metadata_topic_t none;
        if (find_fault(watch, name, found ? found : &none)) {
            return;
        }
        if (t == MP__KAFKA_PARTNERS) {
            watch->pause_partitions = found->partition_cnt;
        }
    }
}

static void ask(uv_work_t *work)
{
    struct mp__kafka_watch *watch = work->data;
    const rd_kafka_metadata_t *all = NULL;
    watch->why[0] = '\0';
    rd_kafka_resp_err_t code = rd_kafka_metadata(watch->handle, 0, NULL, &all, ANSWER_MS);
    watch->is_reached = code == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (watch->is_reached) {
        read_metadata(watch, all);
        rd_kafka_metadata_destroy(all);
        return;
    }
    snprintf(watch->why, sizeof(watch->why), "could not reach Kafka at %s: %s",
             watch->engine->config.cluster.bootstrap, mp__kafka_text(code));
}

static void begin(struct mp__kafka_watch *watch)
{
    struct mp__kafka *engine = watch->engine;
    struct mp_error err = {0};
    if (!engine->pauses.handle &&
        mp__kafka_pauses_start(engine, watch->pause_partitions, &err) != MP_OK) {
        mp_log_warn("queue", "%s", err.text);
        return;
    }
    if (engine->config.delivers && engine->has_pauses &&
        engine->group.state == MP__KAFKA_GROUP_OFF) {
        mp__kafka_group_subscribe(engine);
    }
}

static bool is_told(const struct mp__kafka *engine, const char *why)
{
    return why && engine->trouble ? strcmp(why, engine->trouble) == 0
                                  : !why && !engine->trouble;
}

static void tell(struct mp__kafka *engine, const char *why)
{
    const struct mp_queue_owner *owner = &engine->base.owner;
    if (is_told(engine, why)) {
        return;
    }
    if (why) {
        snprintf(engine->trouble_text, sizeof(engine->trouble_text), "%s", why);
    }
    engine->trouble = why ? engine->trouble_text : NULL;
    if (owner->on_ready) {
        owner->on_ready(owner->arg, engine->trouble);
    }
}

void mp__kafka_trouble(struct mp__kafka *engine, const char *why)
{
    if (engine->is_closing || is_told(engine, why)) {
        return;
    }
    if (why) {
        mp_log_warn("queue", "%s", why);
    } else {
        mp_log_info("queue", "Kafka at %s can be used", engine->config.cluster.bootstrap);
    }
    tell(engine, why);
}

/* Whether the one answer that did not come says nothing yet. */
static bool is_doubtful(const struct mp__kafka_watch *watch, int64_t now_ms)
{
    const struct mp__kafka *engine = watch->engine;
    const struct mp__kafka_producer *producer = &engine->producer;
    if (watch->is_reached || !engine->is_reachable || producer->all_down) {
        return false;
    }
    return watch->misses < MISSES_MAX ||
           (producer->acked_ms > 0 && now_ms - producer->acked_ms < FRESH_MS);
}

static void judge(struct mp__kafka_watch *watch)
{
    struct mp__kafka *engine = watch->engine;
    struct mp__kafka_producer *producer = &engine->producer;
    int64_t now_ms = mp_clock_mono_ms();
    watch->misses = watch->is_reached ? 0 : watch->misses + 1;
    if (is_doubtful(watch, now_ms)) {
        return;
    }
    producer->all_down = producer->all_down && !watch->is_reached;
    /* What has no leader for a while is not told to be away: what is sent meanwhile is
     * stored after the election. */
    engine->is_reachable = watch->is_reached && engine->has_pauses;
    if (watch->why[0] != '\0') {
        mp__kafka_trouble(engine, watch->why);
    } else if (!engine->has_pauses) {
        tell(engine, "reading which partners are paused");
    } else if (producer->waiting_ms > 0 && now_ms - producer->waiting_ms > STALLED_MS) {
        mp__kafka_trouble(engine, "Kafka has acknowledged nothing for 5 s");
    } else {
        mp__kafka_trouble(engine, NULL);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct mp__kafka_watch *watch = handle->data;
    watch->engine->watch = NULL;
    watch->on_closed(watch->closed_arg);
    free(watch);
}

static void on_timer(uv_timer_t *timer);

static void again(struct mp__kafka_watch *watch)
{
    const struct mp__kafka *engine = watch->engine;
    uv_update_time(engine->loop);
    bool is_well = !engine->trouble && watch->misses == 0;
    uv_timer_start(&watch->timer, on_timer, is_well ? ASK_WELL_MS : ASK_AWAY_MS, 0);
}

static void on_answer(uv_work_t *work, int status)
{
    struct mp__kafka_watch *watch = work->data;
    (void)status;
    watch->is_asking = false;
    if (watch->is_closing) {
        uv_close((uv_handle_t *)&watch->timer, on_closed);
        return;
    }
    if (watch->is_reached && watch->why[0] == '\0') {
        begin(watch);
    }
    judge(watch);
    again(watch);
}

static void on_timer(uv_timer_t *timer)
{
    struct mp__kafka_watch *watch = timer->data;
    watch->handle = watch->engine->producer.handle;
    watch->asked_ms = mp_clock_mono_ms();
    watch->is_asking =
        uv_queue_work(watch->engine->loop, &watch->work, ask, on_answer) == 0;
    if (!watch->is_asking) {
        again(watch);
    }
}

int mp__kafka_watch_start(struct mp__kafka *engine)
{
    struct mp__kafka_watch *watch = calloc(1, sizeof(*watch));
    if (!watch) {
        return MP_ENOMEM;
    }
    watch->engine = engine;
    watch->work.data = watch->timer.data = watch;
    uv_timer_init(engine->loop, &watch->timer);
    uv_timer_start(&watch->timer, on_timer, 0, 0);
    engine->watch = watch;
    tell(engine, "looking for the Kafka cluster");
    return MP_OK;
}

void mp__kafka_watch_hurry(struct mp__kafka *engine)
{
    struct mp__kafka_watch *watch = engine->watch;
    if (!watch || watch->is_asking || watch->is_closing) {
        return;
    }
    int64_t wait_ms = watch->asked_ms + ASK_SOON_MS - mp_clock_mono_ms();
    uv_timer_start(&watch->timer, on_timer, wait_ms > 0 ? (uint64_t)wait_ms : 0, 0);
}

void mp__kafka_watch_close(struct mp__kafka *engine, void (*closed)(void *arg), void *arg)
{
    struct mp__kafka_watch *watch = engine->watch;
    watch->on_closed = closed;
    watch->closed_arg = arg;
    watch->is_closing = true;
    if (!watch->is_asking) {
        uv_close((uv_handle_t *)&watch->timer, on_closed);
    }
}
