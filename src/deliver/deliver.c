/* SPDX-License-Identifier: MIT */
#include "moonpost/deliver.h"

#include <stdlib.h>
#include <string.h>

#include "room.h"
#include "tokens.h"

struct mp__deliver_tuning mp__deliver_tuning_default(void)
{
    return (struct mp__deliver_tuning){
        .breaker_retries = 10,
        .breaker_open_ms = 30 * 1000,
        .breaker_open_max_ms = 10 * 60 * 1000,
        .auth_streak = 20,
        .thrown_streak = 20,
        .overruns = 3,
        .overruns_within_ms = 60 * 1000,
        .slow_calls = 3,
        .slow_call_us = 2000,
        .slow_once_us = 10 * 1000,
        .lane_bodies_bytes = (size_t)64 * 1024 * 1024,
        .slow_within_ms = 10 * 1000,
        .clean_ms = 60 * 1000,
        .lane_idle_ms = 5 * 60 * 1000,
        .in_flight_max = 4096,
        .lookups_max = 16,
        .connect_max_ms = 5 * 1000,
        .lookup_fresh_ms = 55 * 1000, /* a little less than curl keeps it */
        .token_wait_ms = 1000,
        .token_wait_max_ms = 60 * 1000,
        .token_refused_ms = 60 * 1000,
        .log_bytes_max = 8 * 1024 * 1024,
        .log_stop_ms = 5 * 1000,
    };
}

/* Starting. */

static void on_log_room(void *arg)
{
    struct mp_deliver *deliver = arg;
    atomic_store(&deliver->log_has_room, true);
    mp__wake_send(&deliver->room.inbox.wake);
}

static void on_log_thread_done(void *arg)
{
    struct mp_deliver *deliver = arg;
    uv_async_send(&deliver->log_stopped);
}

static void on_log_stopped(uv_async_t *async)
{
    mp__room_close_handles(async->data);
}

static int init_handles(struct mp_deliver *deliver)
{
    struct mp__inbox *inbox = &deliver->room.inbox;
    if (mp__wake_init(&inbox->wake, deliver->loop, mp__news_arrived, deliver) != MP_OK) {
        return MP_EIO;
    }
    uv_async_init(deliver->loop, &deliver->log_stopped, on_log_stopped);
    uv_timer_init(deliver->loop, &deliver->deadline);
    deliver->log_stopped.data = deliver->deadline.data = deliver;
    deliver->handles_open = 3;
    return MP_OK;
}

static int start_log(struct mp_deliver *deliver, struct mp_error *err)
{
    struct mp__attempt_log_config config = {
        .fd = deliver->config.log_fd,
        .max_bytes = deliver->room.tuning.log_bytes_max,
        .stop_ms = deliver->room.tuning.log_stop_ms,
        .on_room = on_log_room,
        .on_stopped = on_log_thread_done,
        .arg = deliver,
    };
    return mp__attempt_log_start(&config, &deliver->room.log, err);
}

static int start_workers(struct mp_deliver *deliver, struct mp_error *err)
{
    int status = MP_OK;
    unsigned count = deliver->worker_count;
    deliver->worker_count = 0; /* as many as run */
    while (deliver->worker_count < count && status == MP_OK) {
        struct mp__worker *worker = &deliver->workers[deliver->worker_count];
        worker->room = &deliver->room;
        worker->number = deliver->worker_count;
        worker->is_slow = worker->number == count - 1;
        status = mp__worker_start(worker, err);
        deliver->worker_count += status == MP_OK;
    }
    return status;
}

static int make_tokens(struct mp_deliver *deliver)
{
    const struct mp__deliver_tuning *tuning = &deliver->room.tuning;
    struct mp__token_store_config config = {
        .folder = deliver->config.folder,
        .wait_ms = tuning->token_wait_ms,
        .wait_max_ms = tuning->token_wait_max_ms,
        .refused_ms = tuning->token_refused_ms,
        .listeners_max = deliver->worker_count,
    };
    return mp__token_store_new(&config, &deliver->room.tokens);
}

static int check_proxies(const struct mp_deliver_config *config, struct mp_error *err)
{
    int status = MP_OK;
    for (size_t i = 0; i < config->proxy_count && status == MP_OK; i++) {
        status = mp__proxy_check(&config->proxies[i], err);
    }
    return status;
}

static struct mp_deliver *deliver_new(uv_loop_t *loop,
                                      const struct mp_deliver_config *config,
                                      const struct mp__deliver_tuning *tuning)
{
    struct mp_deliver *deliver = calloc(1, sizeof(*deliver));
    unsigned workers = config->workers ? config->workers : uv_available_parallelism();
    if (!deliver) {
        return NULL;
    }
    deliver->loop = loop;
    deliver->config = *config;
    deliver->worker_count = workers + 1;
    deliver->workers = calloc(workers + 1, sizeof(*deliver->workers));
    deliver->gathered = calloc(workers + 1, sizeof(*deliver->gathered));
    deliver->room.tuning = *tuning;
    deliver->room.egress = config->egress;
    deliver->room.version = config->version;
    deliver->room.proxies = config->proxies;
    deliver->room.proxy_count = config->proxy_count;
    deliver->room.metrics = config->metrics;
    pthread_mutex_init(&deliver->room.inbox.lock, NULL);
    if (!deliver->workers || !deliver->gathered || make_tokens(deliver) != MP_OK ||
        init_handles(deliver) != MP_OK) {
        mp__token_store_free(deliver->room.tokens);
        pthread_mutex_destroy(&deliver->room.inbox.lock);
        free(deliver->workers);
        free(deliver->gathered);
        free(deliver);
        return NULL;
    }
    return deliver;
}

int mp__deliver_start_tuned(uv_loop_t *loop, const struct mp_deliver_config *config,
                            const struct mp__deliver_tuning *tuning,
                            struct mp_deliver **out, struct mp_error *err)
{
    int status = check_proxies(config, err);
    if (status != MP_OK) {
        return status;
    }
    struct mp_deliver *deliver = deliver_new(loop, config, tuning);
    if (!deliver || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return mp_error_set(err, MP_ENOMEM, "could not start delivery: out of memory");
    }
    status = start_log(deliver, err);
    if (status != MP_OK) {
        mp__room_close_handles(deliver);
        return status;
    }
    status = start_workers(deliver, err);
    if (status != MP_OK) {
        mp_deliver_close(deliver, NULL, NULL);
        return status;
    }
    *out = deliver;
    return MP_OK;
}

int mp_deliver_start(uv_loop_t *loop, const struct mp_deliver_config *config,
                     struct mp_deliver **out, struct mp_error *err)
{
    struct mp__deliver_tuning tuning = mp__deliver_tuning_default();
    return mp__deliver_start_tuned(loop, config, &tuning, out, err);
}

/* Records. */

static void hand_over(struct mp_deliver *deliver, unsigned number)
{
    struct mp_record_list *records = &deliver->gathered[number];
    if (records->count == 0) {
        return;
    }
    struct mp__order *order = mp__order_new(MP__ORDER_TAKE, (struct mp_str){0});
    if (!order) {
        mp__news_park(deliver, records);
        return;
    }
    mp_record_list_append(&order->records, records);
    mp__worker_order(&deliver->workers[number], order);
}

void mp_deliver_take(struct mp_deliver *deliver, struct mp_record_list *records)
{
    struct mp_record_list parked = {0};
    struct mp__partner_shared *shared = NULL; /* records of one partner come together */
    struct mp_record *record;
    deliver->out += records->count;
    while ((record = mp_record_list_pop(records))) {
        record->outcome.kind = MP_OUTCOME_NONE;
        if (!shared || !mp_str_equal(shared->node.key, record->partner)) {
            shared = mp__route_find(deliver, record->partner);
        }
        if (deliver->is_draining || !shared || !shared->script ||
            mp__route_is_paused(deliver, record)) {
            mp_record_list_push(&parked, record);
            continue;
        }
        struct mp__worker *worker = mp__route_worker(deliver, shared, record->lane);
        mp_record_list_push(&deliver->gathered[worker->number], record);
    }
    for (unsigned i = 0; i < deliver->worker_count; i++) {
        hand_over(deliver, i);
    }
    if (parked.count > 0) {
        mp__news_park(deliver, &parked);
    }
}

/* Partners. */

void mp_deliver_set_script(struct mp_deliver *deliver, struct mp_str partner,
                           struct mp_script *script)
{
    mp__route_set_script(deliver, partner, script);
}

static struct mp_str partner_of(struct mp_str name)
{
    const char *space = name.length > 0 ? memchr(name.data, ' ', name.length) : NULL;
    return space ? (struct mp_str){name.data, (size_t)(space - name.data)} : name;
}

static void set_paused(struct mp_deliver *deliver, struct mp_str name, bool is_paused)
{
    struct mp__partner_shared *shared = mp__route_find(deliver, partner_of(name));
    mp__route_set_paused(deliver, name, is_paused);
    if (shared) {
        mp__route_order(deliver, shared, is_paused ? MP__ORDER_PAUSE : MP__ORDER_RESUME,
                        name);
    }
}

void mp_deliver_pause(struct mp_deliver *deliver, struct mp_str name)
{
    set_paused(deliver, name, true);
}

void mp_deliver_resume(struct mp_deliver *deliver, struct mp_str name)
{
    set_paused(deliver, name, false);
}

static void add_in_flight(void *arg, struct mp__map_node *node)
{
    const struct mp__partner_shared *shared =
        (const struct mp__partner_shared *)(void *)node;
    int64_t *sum = arg;
    *sum += atomic_load_explicit(&shared->in_flight, memory_order_relaxed);
}

uint64_t mp_deliver_in_flight(const struct mp_deliver *deliver, struct mp_str partner)
{
    int64_t sum = 0;
    struct mp_deliver *room = (struct mp_deliver *)(uintptr_t)deliver;
    if (partner.length == 0) {
        mp__map_each(&room->partners, add_in_flight, &sum);
    } else {
        struct mp__partner_shared *shared = mp__route_find(room, partner);
        if (shared) {
            add_in_flight(&sum, &shared->node);
        }
    }
    return sum > 0 ? (uint64_t)sum : 0;
}

/* Ending. */

static void order_all(struct mp_deliver *deliver, enum mp__order_kind kind)
{
    for (unsigned i = 0; i < deliver->worker_count; i++) {
        struct mp__order *order = mp__order_new(kind, (struct mp_str){0});
        if (order) {
            mp__worker_order(&deliver->workers[i], order);
        }
    }
}

void mp_deliver_recall(struct mp_deliver *deliver)
{
    order_all(deliver, MP__ORDER_RECALL);
}

static void on_deadline(uv_timer_t *timer)
{
    order_all(timer->data, MP__ORDER_ABORT);
}

void mp_deliver_drain(struct mp_deliver *deliver, int64_t deadline_ms,
                      void (*on_drained)(void *arg), void *arg)
{
    int64_t left_ms = deadline_ms - mp_clock_mono_ms();
    deliver->is_draining = true;
    deliver->on_drained = on_drained;
    deliver->drained_arg = arg;
    order_all(deliver, MP__ORDER_DRAIN);
    uv_update_time(deliver->loop);
    uv_timer_start(&deliver->deadline, on_deadline, left_ms > 0 ? (uint64_t)left_ms : 0,
                   0);
}

void mp_deliver_close(struct mp_deliver *deliver, void (*on_closed)(void *arg), void *arg)
{
    deliver->is_closing = true;
    deliver->on_closed = on_closed;
    deliver->closed_arg = arg;
    order_all(deliver, MP__ORDER_STOP);
    if (deliver->worker_count == 0) {
        mp__attempt_log_stop(deliver->room.log);
    }
}
