/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include <signal.h>
#include <stdlib.h>

#include "moonpost/log.h"

#define TURN_ATTEMPTS_MAX 128
#define TURN_US_MAX       2000
#define HAND_OVER_MAX     64 /* records */
#define HAND_OVER_US      1000
#define LINES_MAX         ((size_t)1024 * 1024 * 1024)

/* What leaves the thread. */

void mp__worker_give_back(struct mp__worker *worker, struct mp_record *record)
{
    mp_record_list_push(&worker->outcomes, record);
}

void mp__worker_park(struct mp__worker *worker, struct mp_record *record)
{
    record->outcome.kind = MP_OUTCOME_PARK;
    mp__worker_give_back(worker, record);
}

struct mp__news *mp__worker_news(struct mp__worker *worker, enum mp__news_kind kind)
{
    struct mp__news *news = calloc(1, sizeof(*news));
    if (!news) {
        mp_log_error("deliver", "could not tell the main loop: out of memory");
        return NULL;
    }
    news->kind = kind;
    news->worker = worker;
    if (worker->news_tail) {
        worker->news_tail->next = news;
    } else {
        worker->news = news;
    }
    worker->news_tail = news;
    return news;
}

static void give_to_main(struct mp__worker *worker)
{
    struct mp__inbox *inbox = &worker->room->inbox;
    if (!worker->outcomes.head && !worker->news) {
        return;
    }
    pthread_mutex_lock(&inbox->lock);
    mp_record_list_append(&inbox->outcomes, &worker->outcomes);
    if (worker->news) {
        *(inbox->news_tail ? &inbox->news_tail->next : &inbox->news) = worker->news;
        inbox->news_tail = worker->news_tail;
        worker->news = worker->news_tail = NULL;
    }
    pthread_mutex_unlock(&inbox->lock);
    mp__wake_send(&inbox->wake);
}

static void on_hand_over(uv_timer_t *timer)
{
    (void)timer; /* the turn that it begins does the rest */
}

/* Waking two threads costs as much as a third of a request: under load the results of a
 * millisecond go together. Without load, and with news, nothing waits. */
static void hand_over(struct mp__worker *worker)
{
    if (!worker->outcomes.head && !worker->news) {
        return;
    }
    bool may_wait = worker->in_flight > 0 && !worker->news && !worker->is_draining &&
                    worker->outcomes.count < HAND_OVER_MAX;
    if (may_wait && worker->held_us == 0) {
        worker->held_us = worker->mono_us;
        uv_timer_start(&worker->hand_over, on_hand_over, 1, 0);
    }
    if (may_wait && worker->mono_us - worker->held_us < HAND_OVER_US) {
        return;
    }
    worker->held_us = 0;
    uv_timer_stop(&worker->hand_over);
    mp__attempt_log_give(worker->room->log, &worker->lines);
    give_to_main(worker);
}

/* One turn of the loop. */

static void look_at_clocks(struct mp__worker *worker)
{
    worker->mono_us = mp_clock_mono_us();
    worker->mono_ms = worker->mono_us / 1000;
    worker->wall_ms = mp_clock_wall_ms();
}

/* Each may ask a script for its verdict, for as long as the budget. */
static bool on_transfer_done(void *arg, CURL *easy, CURLcode code)
{
    struct mp__transfer *transfer = mp__transfer_of(easy);
    transfer->events.on_ended(transfer->events.arg, code);
    struct mp__worker *worker = arg;
    return mp_clock_mono_us() - worker->mono_us <= TURN_US_MAX;
}

static void resume_waiting(struct mp__worker *worker)
{
    while (worker->again) {
        struct mp__attempt *attempt = worker->again;
        worker->again = attempt->wait_next;
        attempt->wait_next = NULL;
        mp__attempt_resume(attempt);
    }
}

static bool may_begin(const struct mp__worker *worker)
{
    return worker->in_flight < worker->room->tuning.in_flight_max &&
           !mp__attempt_log_is_full(worker->room->log);
}

/* Begins what may begin, a lane at a time and one attempt each, so that a flood in one
 * lane is not in the others' way. True: there may be more than this turn had time for. */
static bool begin_known(struct mp__worker *worker)
{
    unsigned begun = 0;
    int64_t since_us = mp_clock_mono_us();
    struct mp__lane *lane;
    while (may_begin(worker) && (lane = mp__lane_next_ready(worker))) {
        bool has_begun = mp__lane_step(worker, lane);
        mp__lane_touch(worker, lane);
        if (!has_begun || ++begun >= TURN_ATTEMPTS_MAX ||
            mp_clock_mono_us() - since_us > TURN_US_MAX) {
            return true;
        }
    }
    return false;
}

/* The same, and behind them one whose script nobody knows yet. */
static bool begin_attempts(struct mp__worker *worker)
{
    bool has_more = begin_known(worker);
    struct mp__lane *lane = may_begin(worker) ? mp__lane_next_unknown(worker) : NULL;
    if (!lane) {
        return has_more;
    }
    (void)mp__lane_step(worker, lane);
    mp__lane_touch(worker, lane);
    return true;
}

static void on_alarm(uv_timer_t *timer)
{
    (void)timer; /* the turn that it begins does the rest */
}

static void ring_alarms(struct mp__worker *worker)
{
    struct mp__lane *lane;
    while ((lane = mp__alarms_ring(&worker->alarms, worker->mono_us))) {
        mp__gather_close_due(worker, lane);
        mp__lane_touch(worker, lane);
    }
}

static void set_alarm(struct mp__worker *worker)
{
    int64_t next_us = mp__alarms_next_us(&worker->alarms);
    if (next_us == INT64_MAX) {
        uv_timer_stop(&worker->alarm);
        return;
    }
    int64_t left_ms = (next_us - worker->mono_us + 999) / 1000;
    uv_timer_start(&worker->alarm, on_alarm, left_ms > 1 ? (uint64_t)left_ms : 1, 0);
}

static void on_more(uv_idle_t *idle)
{
    (void)idle; /* its being there keeps the loop from sleeping */
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct mp__worker *worker = prepare->data;
    look_at_clocks(worker);
    bool has_more = mp__curl_loop_drain(&worker->curl, on_transfer_done, worker);
    resume_waiting(worker);
    ring_alarms(worker);
    has_more = begin_attempts(worker) || has_more;
    if (mp__auth_turn(worker) || has_more) {
        uv_idle_start(&worker->more, on_more);
    } else {
        uv_idle_stop(&worker->more);
    }
    set_alarm(worker);
    if (worker->is_draining && worker->in_flight == 0 && worker->auth.refreshing == 0 &&
        !worker->told_drained) {
        worker->told_drained = mp__worker_news(worker, MP__NEWS_DRAINED) != NULL;
    }
    hand_over(worker);
}

static void on_wake(void *arg)
{
    struct mp__worker *worker = arg;
    look_at_clocks(worker);
    pthread_mutex_lock(&worker->lock);
    struct mp__order *order = worker->orders;
    worker->orders = worker->orders_tail = NULL;
    pthread_mutex_unlock(&worker->lock);
    while (order) {
        struct mp__order *next = order->next;
        mp__worker_obey(worker, order);
        free(order);
        order = next;
    }
}

static void sweep_lane(void *arg, struct mp__map_node *node)
{
    mp__lane_sweep(arg, (struct mp__lane *)(void *)node);
}

static void on_sweep(uv_timer_t *timer)
{
    struct mp__worker *worker = timer->data;
    look_at_clocks(worker);
    mp__map_each(&worker->lanes, sweep_lane, worker);
    if (worker->in_flight == 0) {
        mp__attempt_free_spares(worker, MP__SPARE_ATTEMPTS / 16);
    }
}

/* The thread's life. */

static int open_loop(struct mp__worker *worker)
{
    if (uv_loop_init(&worker->loop) != 0) {
        return MP_ENOMEM;
    }
    if (mp__wake_init(&worker->wake, &worker->loop, on_wake, worker) != MP_OK) {
        uv_loop_close(&worker->loop);
        return MP_EIO;
    }
    uv_prepare_init(&worker->loop, &worker->prepare);
    uv_idle_init(&worker->loop, &worker->more);
    uv_timer_init(&worker->loop, &worker->sweep);
    uv_timer_init(&worker->loop, &worker->hand_over);
    uv_timer_init(&worker->loop, &worker->alarm);
    worker->prepare.data = worker->sweep.data = worker;
    mp__auth_open(worker);
    return MP_OK;
}

static void free_lane(void *arg, struct mp__map_node *node)
{
    mp__lane_free(arg, (struct mp__lane *)(void *)node);
}

static void free_partner(void *arg, struct mp__map_node *node)
{
    (void)arg;
    mp__partner_free((struct mp__partner *)(void *)node);
}

static void free_contents(struct mp__worker *worker)
{
    mp__map_each(&worker->lanes, free_lane, worker);
    mp__map_fini(&worker->lanes);
    mp__map_each(&worker->partners, free_partner, NULL);
    mp__map_fini(&worker->partners);
    mp__alarms_fini(&worker->alarms);
    mp__lookups_fini(&worker->lookups);
    mp__curl_loop_fini(&worker->curl);
    mp_buf_fini(&worker->lines);
    mp_buf_fini(&worker->hidden[0]);
    mp_buf_fini(&worker->hidden[1]);
}

static void run(void *arg)
{
    struct mp__worker *worker = arg;
    uint64_t sweep_ms = (uint64_t)worker->room->tuning.lane_idle_ms / 5 + 1;
    sigset_t all;
    sigfillset(&all); /* signals are the main loop's; a closed socket is an error, not a
                         signal */
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    pthread_setname_np(pthread_self(), worker->is_slow ? "mp-slow" : "mp-worker");
    look_at_clocks(worker);
    uv_prepare_start(&worker->prepare, on_prepare);
    uv_timer_start(&worker->sweep, on_sweep, sweep_ms, sweep_ms);
    uv_run(&worker->loop, UV_RUN_DEFAULT);
    mp__attempt_log_give(worker->room->log, &worker->lines);
    mp__aside_stop(&worker->aside);
    free_contents(worker);
    uv_loop_close(&worker->loop);
    mp__worker_news(worker, MP__NEWS_STOPPED);
    give_to_main(worker);
}

int mp__worker_start(struct mp__worker *worker, struct mp_error *err)
{
    uv_thread_options_t options = {.flags = UV_THREAD_HAS_STACK_SIZE,
                                   .stack_size = MP_SCRIPT_STACK_BYTES};
    mp_buf_init(&worker->lines, LINES_MAX);
    mp_buf_init(&worker->hidden[0], LINES_MAX);
    mp_buf_init(&worker->hidden[1], LINES_MAX);
    worker->lookups.max = worker->room->tuning.lookups_max;
    int status = open_loop(worker);
    if (status != MP_OK) {
        return mp_error_set(err, status, "could not start a delivery worker: %s",
                            mp_status_text(status));
    }
    pthread_mutex_init(&worker->lock, NULL);
    status =
        mp__curl_loop_init(&worker->curl, &worker->loop, mp__transfer_is_established);
    if (status == MP_OK && worker->is_slow) {
        status = mp__aside_start(&worker->aside);
    }
    int failed = status == MP_OK
                     ? uv_thread_create_ex(&worker->thread, &options, run, worker)
                     : UV_ENOMEM;
    return failed ? mp_error_set(err, MP_EIO, "could not start a delivery worker: %s",
                                 uv_strerror(failed))
                  : MP_OK;
}

void mp__worker_join(struct mp__worker *worker)
{
    uv_thread_join(&worker->thread);
    mp__wake_fini(&worker->wake);
    pthread_mutex_destroy(&worker->lock);
}
