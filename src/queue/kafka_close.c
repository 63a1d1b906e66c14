/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <unistd.h>

#include "kafka.h"
#include "kafka_group_parts.h"
#include "moonpost/clock.h"
#include "moonpost/log.h"

/* The way down: the group leaves first, while what it still stores can be stored; then
 * the dead letters' calls end, what is on its way is awaited, and the handles go, which
 * blocks, on a pool thread. */

#define STORE_MS 10000
#define CLOSE_MS 15000 /* storing is over then, though leaving took long */

enum step { OPEN, LEAVING, STORING, PARTS, HANDLES };

static void on_uv_closed(uv_handle_t *handle)
{
    struct mp__kafka *engine = handle->data;
    if (--engine->closing > 0) {
        return;
    }
    void (*on_closed)(void *arg) = engine->on_closed;
    void *arg = engine->closed_arg;
    mp__kafka_discard(engine);
    on_closed(arg);
}

static void close_uv(struct mp__kafka *engine)
{
    engine->closing = 4;
    uv_close((uv_handle_t *)&engine->wake, on_uv_closed);
    uv_close((uv_handle_t *)&engine->tick, on_uv_closed);
    uv_close((uv_handle_t *)&engine->due, on_uv_closed);
    uv_close((uv_handle_t *)&engine->more, on_uv_closed);
}

static void destroy_handles(uv_work_t *work)
{
    struct mp__kafka *engine = work->data;
    mp__kafka_producer_destroy(&engine->producer);
    mp__kafka_pauses_destroy(&engine->pauses);
}

static void on_destroyed(uv_work_t *work, int status)
{
    (void)status;
    close_uv(work->data);
}

static void on_part_closed(void *arg)
{
    struct mp__kafka *engine = arg;
    if (--engine->closing > 0) {
        return;
    }
    engine->step = HANDLES;
    engine->is_shut = true;
    /* No turn while a pool thread takes apart what it would poll. */
    uv_idle_stop(&engine->more);
    uv_timer_stop(&engine->tick);
    uv_timer_stop(&engine->due);
    uv_poll_stop(&engine->wake);
    engine->destroying.data = engine;
    if (uv_queue_work(engine->loop, &engine->destroying, destroy_handles, on_destroyed)) {
        destroy_handles(&engine->destroying);
        close_uv(engine);
    }
}

static void on_dead_closed(void *arg)
{
    struct mp__kafka *engine = arg;
    engine->dead = NULL;
    mp__kafka_producer_abandon(&engine->producer);
    on_part_closed(engine);
}

static void close_parts(struct mp__kafka *engine)
{
    if (engine->producer.count > 0) {
        mp_log_warn("queue",
                    "%zu records were not acknowledged in time: what was taken and not "
                    "stored is read again after the next start",
                    engine->producer.count);
    }
    engine->step = PARTS;
    mp__kafka_append_end(engine);
    mp__kafka_producer_abandon(&engine->producer);
    mp__kafka_pauses_stop(engine);
    engine->closing = 2;
    mp__kafka_watch_close(engine, on_part_closed, engine);
    mp__kafka_dead_close(engine->dead, on_dead_closed, engine);
}

void mp__kafka_group_has_closed(struct mp__kafka *engine)
{
    engine->step = STORING;
    int64_t until_ms = mp_clock_mono_ms() + STORE_MS;
    int64_t last_ms = engine->close_ms + CLOSE_MS;
    engine->store_until_ms = until_ms < last_ms ? until_ms : last_ms;
}

void mp__kafka_close_on(struct mp__kafka *engine)
{
    if (engine->step == STORING &&
        (engine->producer.count == 0 || mp_clock_mono_ms() >= engine->store_until_ms)) {
        close_parts(engine);
    }
}

/* What waits here goes to whom the partitions go to; in lanes it would be spilled. */
void mp__kafka_rest(struct mp_queue *queue)
{
    struct mp__kafka *engine = (struct mp__kafka *)(void *)queue;
    engine->is_resting = true;
    if (engine->config.delivers) {
        mp__kafka_sweep(engine);
    }
}

void mp__kafka_close(struct mp_queue *queue, void (*on_closed)(void *arg), void *arg)
{
    struct mp__kafka *engine = (struct mp__kafka *)(void *)queue;
    engine->is_closing = true;
    engine->on_closed = on_closed;
    engine->closed_arg = arg;
    engine->step = LEAVING;
    engine->close_ms = mp_clock_mono_ms();
    if (engine->config.delivers) {
        mp__kafka_group_close(engine);
    } else {
        mp__kafka_group_has_closed(engine);
    }
}

void mp__kafka_discard(struct mp__kafka *engine)
{
    mp__kafka_producer_destroy(&engine->producer);
    free(engine->dead);     /* only of an open that failed */
    while (engine->items) { /* their records, if they have none, are the owner's */
        mp__kafka_item_free(engine, engine->items);
    }
    mp__kafka_lanes_fini(&engine->lanes);
    if (engine->config.delivers) {
        mp__kafka_group_fini(engine);
    }
    mp__names_fini(&engine->tallies);
    mp_record_list_free(&engine->give);
    if (engine->wake_fd >= 0) {
        close(engine->wake_fd);
    }
    free(engine);
}
