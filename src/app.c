/* SPDX-License-Identifier: MIT */
#include "app.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "moonpost/clock.h"
#include "moonpost/console.h"
#include "moonpost/engine.h"
#include "moonpost/log.h"
#include "moonpost/metrics.h"
#include "partners.h"

/* One process: the rooms, and what is left of the way down once it has begun. */
struct app {
    const struct mp_settings *settings;
    uv_loop_t loop;
    uv_signal_t on_term, on_int, on_hup;
    uv_timer_t tick;
    struct mp_metrics *metrics;
    struct mp_egress *egress;
    struct mp_directory *directory;
    struct mp__partners *partners;
    struct mp_deliver *deliver;
    struct mp_scripts *scripts;
    struct mp_queue *queue;
    struct mp_api *api;
    struct mp_ingest *ingest;
    const char *queue_trouble; /* NULL: none */
    char trouble_text[256];
    bool is_stopping;
    int closing; /* rooms that must end before the next step down */
    int status;  /* of the start */
    struct mp_error *err;
};

static void stop(struct app *app);

static void on_take(void *arg, struct mp_record_list *records)
{
    struct app *app = arg;
    if (app->is_stopping) { /* never resolved, so taken again after the next start */
        mp_record_list_free(records);
        return;
    }
    mp_deliver_take(app->deliver, records);
}

static void on_outcomes(void *arg, struct mp_record_list *records)
{
    struct app *app = arg;
    struct mp_record_list resolved = {0}, left = {0};
    for (struct mp_record *r; (r = mp_record_list_pop(records)) != NULL;) {
        bool is_parked = r->outcome.kind == MP_OUTCOME_PARK;
        if (is_parked) {
            mp__partners_orphan(app->partners, r->partner);
        }
        bool is_left = app->queue == NULL || (is_parked && app->is_stopping);
        mp_record_list_push(is_left ? &left : &resolved, r);
    }
    mp_record_list_free(&left);
    if (resolved.count > 0) {
        mp_queue_resolve(app->queue, &resolved);
    }
}

static void on_hold(void *arg, struct mp_str lane, int64_t until_ms)
{
    struct app *app = arg;
    if (app->queue != NULL) {
        mp_queue_hold(app->queue, lane, until_ms);
    }
}

static void on_pause(void *arg, const struct mp_pause *pause)
{
    struct app *app = arg;
    mp__partners_pause(app->partners, pause, false);
}

static void on_stored_pause(void *arg, const struct mp_pause *pause)
{
    struct app *app = arg;
    mp__partners_pause(app->partners, pause, true);
}

static void on_queue_ready(void *arg, const char *why)
{
    struct app *app = arg;
    snprintf(app->trouble_text, sizeof app->trouble_text, "%s", why ? why : "");
    app->queue_trouble = why ? app->trouble_text : NULL;
}

static const char *not_ready(void *arg)
{
    struct app *app = arg;
    return app->is_stopping ? "shutting down" : app->queue_trouble;
}

static void on_script_change(void *arg, const struct mp_scripts_change *change)
{
    struct app *app = arg;
    mp__partners_change(app->partners, change);
}

static void on_collect(void *arg)
{
    struct app *app = arg;
    mp_series_set(mp_metrics_gauge(app->metrics, "moonpost_waiting",
                                   "Deliveries neither settled nor dead.", NULL, 0),
                  (int64_t)mp_queue_waiting(app->queue, (struct mp_str){0}));
}

static void on_tick(uv_timer_t *timer)
{
    struct app *app = timer->data;
    mp__partners_tick(app->partners);
}

static int open_queue(struct app *app)
{
    struct mp_queue_embedded_config config = {
        .folder = app->settings->data,
        .idempotency_window_ms = app->settings->idempotency_window_ms,
        .metrics = app->metrics,
        .owner = {.arg = app,
                  .on_take = on_take,
                  .on_pause = on_stored_pause,
                  .on_ready = on_queue_ready},
    };
    int status = mp_queue_open_embedded(&app->loop, &config, &app->queue, app->err);
    if (status == MP_OK) {
        mp__partners_attach(app->partners, app->queue, app->deliver);
        mp_metrics_on_collect(app->metrics, on_collect, app);
    }
    return status;
}

static int open_api(struct app *app)
{
    struct mp_api_owner owner = {
        .arg = app->partners,
        .queue = app->queue,
        .scripts = app->scripts,
        .directory = app->directory,
        .json_depth = app->settings->limits.json_depth,
        .partners = mp__partners_list,
        .pause = mp__partners_operator_pause,
        .resume = mp__partners_resume,
    };
    return mp_api_new(&owner, &app->api);
}

static void on_api_call(void *arg, struct mp_call *call)
{
    struct app *app = arg;
    mp_api_handle(app->api, call);
}

static int open_ingest(struct app *app)
{
    const struct mp_settings *settings = app->settings;
    struct mp_ingest_config config = {
        .listen = settings->listen,
        .limits = settings->limits,
        .rate = settings->ingest_rate,
        .ingest_token_file = settings->ingest_token_file,
        .api_token_file = settings->api_token_file,
        .no_auth = settings->no_auth,
        .queue = app->queue,
        .directory = app->directory,
        .metrics = app->metrics,
        .not_ready = not_ready,
        .api = on_api_call,
        .arg = app,
    };
    return mp_ingest_start(&app->loop, &config, &app->ingest, app->err);
}

/* Records are let in and out only once every script was read: before that each would be
 * parked. */
static void on_scripts_loaded(void *arg)
{
    struct app *app = arg;
    if (app->is_stopping) {
        return;
    }
    app->status = open_queue(app);
    if (app->status == MP_OK) {
        app->status = open_api(app);
    }
    if (app->status == MP_OK) {
        app->status = open_ingest(app);
    }
    if (app->status != MP_OK) {
        stop(app);
        return;
    }
    mp_log_info("app", "moonpost " MP_VERSION " listening on http://%s",
                mp_ingest_address(app->ingest));
}

static int open_deliver(struct app *app)
{
    int status = mp_egress_new(&app->egress);
    if (status == MP_OK && app->settings->egress_allow != NULL) {
        status = mp_egress_allow(app->egress, mp_str_of(app->settings->egress_allow),
                                 app->err);
    }
    if (status != MP_OK) {
        return status;
    }
    struct mp_deliver_config config = {
        .workers = (unsigned)app->settings->workers,
        .egress = app->egress,
        .metrics = app->metrics,
        .version = MP_VERSION,
        .log_fd = 1,
        .arg = app,
        .on_outcomes = on_outcomes,
        .on_hold = on_hold,
        .on_pause = on_pause,
    };
    return mp_deliver_start(&app->loop, &config, &app->deliver, app->err);
}

static int open_scripts(struct app *app)
{
    struct mp_scripts_config config = {
        .folder = app->settings->scripts,
        .builder = mp_request_try,
        .on_change = on_script_change,
        .on_loaded = on_scripts_loaded,
        .arg = app,
    };
    return mp_scripts_start(&app->loop, &config, &app->scripts, app->err);
}

static int open_rooms(struct app *app)
{
    int status = mp_metrics_new(&app->metrics);
    if (status == MP_OK) {
        status = mp_directory_new(&app->directory);
    }
    if (status == MP_OK) {
        status = mp__partners_new(app->directory, app->metrics, &app->partners);
    }
    if (status == MP_OK) {
        status = mp_script_watchdog_start();
    }
    if (status == MP_OK) {
        status = open_deliver(app);
    }
    if (status == MP_OK) {
        mp__partners_attach(app->partners, NULL, app->deliver);
        status = open_scripts(app);
    }
    return status;
}

static void close_loop_handles(struct app *app)
{
    uv_close((uv_handle_t *)&app->on_term, NULL);
    uv_close((uv_handle_t *)&app->on_int, NULL);
    uv_close((uv_handle_t *)&app->on_hup, NULL);
    uv_close((uv_handle_t *)&app->tick, NULL);
}

static void on_scripts_closed(void *arg)
{
    struct app *app = arg;
    app->scripts = NULL;
    close_loop_handles(app);
}

static void close_scripts(struct app *app)
{
    if (app->scripts == NULL) {
        close_loop_handles(app);
        return;
    }
    mp_scripts_close(app->scripts, on_scripts_closed, app);
}

static void on_deliver_closed(void *arg)
{
    struct app *app = arg;
    app->deliver = NULL;
    close_scripts(app);
}

static void on_queue_closed(void *arg)
{
    struct app *app = arg;
    app->queue = NULL;
    mp__partners_attach(app->partners, NULL, NULL);
    mp_deliver_close(app->deliver, on_deliver_closed, app);
}

/* Ingest and the attempts in flight end side by side; the queue goes only after both,
 * since both still need it. */
static void on_quiet(void *arg)
{
    struct app *app = arg;
    if (--app->closing > 0) {
        return;
    }
    if (app->queue != NULL) {
        mp_queue_close(app->queue, on_queue_closed, app);
    } else if (app->deliver != NULL) {
        on_queue_closed(app);
    } else {
        close_scripts(app);
    }
}

static void stop(struct app *app)
{
    if (app->is_stopping) {
        return;
    }
    app->is_stopping = true;
    app->closing = 1;
    if (app->ingest != NULL) {
        app->closing++;
        mp_ingest_close(app->ingest, on_quiet, app);
    }
    if (app->deliver != NULL) {
        app->closing++;
        mp_deliver_drain(app->deliver, mp_clock_mono_ms() + app->settings->drain_ms,
                         on_quiet, app);
    }
    on_quiet(app);
}

/* The first signal drains; with the handlers gone, a second one ends the process at once,
 * which loses nothing: what was not settled is delivered after the next start. */
static void on_stop_signal(uv_signal_t *handle, int number)
{
    struct app *app = handle->data;
    mp_log_info("app", "%s: draining for at most %lld s",
                number == SIGINT ? "SIGINT" : "SIGTERM",
                (long long)(app->settings->drain_ms / 1000));
    uv_signal_stop(&app->on_term);
    uv_signal_stop(&app->on_int);
    stop(app);
}

static void on_hangup(uv_signal_t *handle, int number)
{
    (void)number;
    struct app *app = handle->data;
    if (app->scripts != NULL) {
        mp_scripts_rescan(app->scripts);
    }
}

static void watch_signals(struct app *app)
{
    uv_signal_init(&app->loop, &app->on_term);
    uv_signal_init(&app->loop, &app->on_int);
    uv_signal_init(&app->loop, &app->on_hup);
    uv_timer_init(&app->loop, &app->tick);
    app->on_term.data = app->on_int.data = app->on_hup.data = app->tick.data = app;
    uv_signal_start(&app->on_term, on_stop_signal, SIGTERM);
    uv_signal_start(&app->on_int, on_stop_signal, SIGINT);
    uv_signal_start(&app->on_hup, on_hangup, SIGHUP);
    uv_timer_start(&app->tick, on_tick, 1000, 1000);
}

static void free_rooms(struct app *app)
{
    mp_script_watchdog_stop();
    mp_api_free(app->api);
    mp__partners_free(app->partners);
    mp_directory_free(app->directory);
    mp_egress_free(app->egress);
    mp_metrics_free(app->metrics);
}

int mp_app_run(const struct mp_settings *settings, struct mp_error *err)
{
    struct app app = {.settings = settings, .err = err};
    signal(SIGPIPE, SIG_IGN);
    if (uv_loop_init(&app.loop) != 0) {
        return mp_error_set(err, MP_ENOMEM, "could not start: out of memory");
    }
    watch_signals(&app);
    app.status = open_rooms(&app);
    if (app.status != MP_OK) {
        stop(&app);
    }
    uv_run(&app.loop, UV_RUN_DEFAULT);
    free_rooms(&app);
    uv_loop_close(&app.loop);
    return app.status;
}
