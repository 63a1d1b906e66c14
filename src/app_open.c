/* SPDX-License-Identifier: MIT */
#include "app_private.h"

#include <stdio.h>
#include <string.h>

#include "moonpost/clock.h"
#include "moonpost/kafka.h"
#include "moonpost/log.h"

/* The rooms in path order, and what passes between them. */

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
        if (is_parked && app->settings->kafka == NULL) {
            mp__partners_orphan(app->partners, r->partner);
        }
        bool is_left = app->queue == NULL ||
                       (is_parked && app->is_stopping && app->settings->kafka == NULL);
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

static void on_stored_resume(void *arg, struct mp_str name)
{
    struct app *app = arg;
    mp__partners_stored_resume(app->partners, name);
}

static void on_recall(void *arg)
{
    struct app *app = arg;
    mp_deliver_recall(app->deliver);
}

static bool knows(void *arg, struct mp_str partner)
{
    struct app *app = arg;
    return mp__partners_knows(app->partners, partner);
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
    mp_series_set(mp_metrics_gauge(app->metrics, "moonpost_lua_states",
                                   "Lua states that are open: none for scripts without "
                                   "functions.",
                                   NULL, 0),
                  mp_script_states());
}

static int open_embedded(struct app *app, const struct mp_queue_owner *owner)
{
    struct mp_queue_embedded_config config = {
        .folder = app->settings->data,
        .idempotency_window_ms = app->settings->idempotency_window_ms,
        .metrics = app->metrics,
        .owner = *owner,
    };
    return mp_queue_open_embedded(&app->loop, &config, &app->queue, app->err);
}

static int open_kafka(struct app *app, const struct mp_queue_owner *owner)
{
    const struct mp_settings *settings = app->settings;
    struct mp_queue_kafka_config config = {
        .cluster = {.bootstrap = settings->kafka,
                    .topic_prefix = settings->topic_prefix,
                    .settings_file = settings->kafka_config,
                    .settings = settings->kafka_settings},
        .delivers = (app->role & MP_ROLE_DELIVER) != 0,
        .append_ms = settings->kafka_timeout_ms,
        .window = settings->kafka_window,
        .memory_bytes = settings->kafka_memory_bytes,
        .unknown_ms = settings->unknown_partner_ms,
        .json_depth = (unsigned)settings->limits.json_depth,
        .metrics = app->metrics,
        .owner = *owner,
    };
    return mp_queue_open_kafka(&app->loop, &config, &app->queue, app->err);
}

static int open_queue(struct app *app)
{
    struct mp_queue_owner owner = {
        .arg = app,
        .on_take = on_take,
        .on_pause = on_stored_pause,
        .on_resume = on_stored_resume,
        .on_recall = on_recall,
        .knows = knows,
        .on_ready = on_queue_ready,
    };
    int status = app->settings->kafka == NULL ? open_embedded(app, &owner)
                                              : open_kafka(app, &owner);
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
        .takes_events = (app->role & MP_ROLE_INGEST) != 0,
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
        mp__app_stop(app);
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
        .folder = app->settings->data,
        .proxies = app->proxies.items,
        .proxy_count = app->proxies.count,
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
    struct mp_error missing;
    if (app->settings->reload_gate && mp_cli_can_test(&missing) != MP_OK) {
        return mp_error_set(app->err, MP_ENOTFOUND, "could not open --reload-gate: %s",
                            missing.text);
    }
    struct mp_scripts_config config = {
        .folder = app->settings->scripts,
        .secrets = app->settings->secrets,
        .proxies = app->proxies.names,
        .proxy_count = app->proxies.count,
        .gate = app->settings->reload_gate ? "/proc/self/exe" : NULL,
        .gate_ms = app->settings->reload_gate_ms,
        .builder = mp_request_try,
        .on_change = on_script_change,
        .on_loaded = on_scripts_loaded,
        .arg = app,
    };
    return mp_scripts_start(&app->loop, &config, &app->scripts, app->err);
}

int mp__app_open(struct app *app)
{
    int status = mp_metrics_new(&app->metrics);
    if (status == MP_OK) {
        status = mp_directory_new(&app->directory);
    }
    if (status == MP_OK) {
        status = mp__partners_new(app->directory, app->metrics,
                                  app->settings->kafka != NULL, &app->partners);
    }
    if (status == MP_OK) {
        status = mp__partners_accept(app->partners, mp_str_of(app->settings->partners),
                                     app->err);
    }
    if (status == MP_OK) {
        status = mp__proxies_read(&app->settings->proxies, &app->proxies, app->err);
    }
    if (status == MP_OK) {
        status = mp_script_watchdog_start();
    }
    if (status == MP_OK && (app->role & MP_ROLE_DELIVER) != 0) {
        status = open_deliver(app);
    }
    if (status == MP_OK) {
        mp__partners_attach(app->partners, NULL, app->deliver);
        status = open_scripts(app);
    }
    return status;
}
