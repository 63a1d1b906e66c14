/* SPDX-License-Identifier: MIT */
#include "app_private.h"

#include <signal.h>
#include <stdlib.h>

#include "moonpost/clock.h"
#include "moonpost/log.h"

static void on_tick(uv_timer_t *timer)
{
    struct app *app = timer->data;
    mp__partners_tick(app->partners);
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
    if (app->deliver == NULL) {
        close_scripts(app);
        return;
    }
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
    } else {
        on_queue_closed(app);
    }
}

void mp__app_stop(struct app *app)
{
    if (app->is_stopping) {
        return;
    }
    app->is_stopping = true;
    app->closing = 1;
    if (app->queue != NULL) {
        mp_queue_rest(app->queue);
    }
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
    mp__app_stop(app);
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
    mp__proxies_fini(&app->proxies);
    mp_metrics_free(app->metrics);
}

int mp_app_run(const struct mp_settings *settings, struct mp_error *err)
{
    struct app app = {.settings = settings, .err = err};
    int status = mp_cli_role_parse(settings->role, &app.role);
    if (status != MP_OK) {
        return mp_error_set(err, status,
                            "--role takes all, ingest or deliver, not \"%s\"",
                            settings->role);
    }
    if (settings->kafka == NULL && app.role != MP_ROLE_ALL) {
        return mp_error_set(err, MP_EINVAL,
                            "--role %s needs --kafka: the embedded queue "
                            "is one process's",
                            settings->role);
    }
    signal(SIGPIPE, SIG_IGN);
    if (uv_loop_init(&app.loop) != 0) {
        return mp_error_set(err, MP_ENOMEM, "could not start: out of memory");
    }
    watch_signals(&app);
    app.status = mp__app_open(&app);
    if (app.status != MP_OK) {
        mp__app_stop(&app);
    }
    uv_run(&app.loop, UV_RUN_DEFAULT);
    free_rooms(&app);
    uv_loop_close(&app.loop);
    return app.status;
}
