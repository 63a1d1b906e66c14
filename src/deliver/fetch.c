/* SPDX-License-Identifier: MIT */
#include "fetch.h"

#include <stdlib.h>
#include <string.h>

#include "moonpost/log.h"
#include "worker.h"

#define TIMEOUT_MS 15000

struct mp__fetch {
    struct mp__fetch *next, *prev; /* the worker's */
    struct mp__worker *worker;
    struct mp__generation *generation; /* a use of its own */
    struct mp__transfer transfer;
    struct mp_request request;
    bool is_refreshing;
};

static struct mp__fetch *fetch_new(struct mp__worker *worker,
                                   struct mp__generation *generation)
{
    struct mp__fetch *fetch = calloc(1, sizeof(*fetch));
    if (!fetch || mp__transfer_init(&fetch->transfer, &worker->curl, worker->room->egress,
                                    worker->room->tuning.connect_max_ms) != MP_OK) {
        free(fetch);
        return NULL;
    }
    struct mp__auth *auth = &worker->auth;
    mp_request_init(&fetch->request);
    fetch->worker = worker;
    fetch->generation = generation;
    fetch->is_refreshing = generation->script->oauth2->refresh_token.text.length > 0;
    generation->uses++;
    auth->fetching++;
    auth->refreshing += fetch->is_refreshing;
    fetch->next = auth->fetches;
    if (fetch->next) {
        fetch->next->prev = fetch;
    }
    auth->fetches = fetch;
    return fetch;
}

static void fetch_free(struct mp__fetch *fetch)
{
    struct mp__auth *auth = &fetch->worker->auth;
    *(fetch->prev ? &fetch->prev->next : &auth->fetches) = fetch->next;
    if (fetch->next) {
        fetch->next->prev = fetch->prev;
    }
    auth->fetching--;
    auth->refreshing -= fetch->is_refreshing;
    mp__transfer_fini(&fetch->transfer);
    mp_request_fini(&fetch->request);
    mp__generation_release(fetch->generation);
    free(fetch);
}

/* What it came to. */

static void count(struct mp__worker *worker, const char *partner,
                  enum mp__grant_kind kind)
{
    static const char *const results[] = {[MP__GRANT_FAILED] = "failed",
                                          [MP__GRANT_REFUSED] = "refused",
                                          [MP__GRANT_GIVEN] = "ok"};
    struct mp_label labels[] = {{"partner", mp_str_of(partner)},
                                {"result", mp_str_of(results[kind])}};
    if (worker->room->metrics) {
        mp_series_add(mp_metrics_counter(
                          worker->room->metrics, "moonpost_oauth2_fetches_total",
                          "Requests to token endpoints, by their result.", labels, 2),
                      1);
    }
}

/* The endpoint may repeat what it was sent. */
static void hide(struct mp__generation *generation, struct mp__grant *grant)
{
    struct mp_buf own, all;
    mp_buf_init(&own, grant->why.max_bytes);
    mp_buf_init(&all, grant->why.max_bytes);
    bool is_hidden =
        mp__token_hide(generation->token, mp_buf_str(&grant->why), &own) == MP_OK &&
        mp_secrets_hide(mp_script_secrets(generation->script), mp_buf_str(&own), &all) ==
            MP_OK;
    mp_buf_reset(&grant->why);
    if (!is_hidden || mp_buf_append_str(&grant->why, mp_buf_str(&all)) != MP_OK) {
        mp_buf_reset(&grant->why); /* rather nothing than a secret */
    }
    mp_buf_fini(&own);
    mp_buf_fini(&all);
}

static void finish(struct mp__worker *worker, struct mp__generation *generation,
                   struct mp__grant *grant)
{
    const char *partner = generation->script->name;
    hide(generation, grant);
    count(worker, partner, grant->kind);
    if (!mp__token_end(generation->token, grant, worker->mono_ms)) {
        return; /* as before, which was told */
    }
    if (grant->kind == MP__GRANT_GIVEN) {
        mp_log_info("deliver", "%s: oauth2: the token endpoint gives tokens again",
                    partner);
    } else {
        mp_log_warn("deliver", "%s: could not fetch an oauth2 token%s: %.*s", partner,
                    grant->kind == MP__GRANT_FAILED ? ", deliveries wait for one" : "",
                    (int)grant->why.length, grant->why.data ? grant->why.data : "");
    }
}

static void fail(struct mp__worker *worker, struct mp__generation *generation, int status,
                 const struct mp_error *err)
{
    struct mp__grant grant;
    mp__grant_init(&grant);
    grant.kind = status == MP_EINVAL ? MP__GRANT_REFUSED : MP__GRANT_FAILED;
    if (mp_buf_append_text(&grant.why, err->text) != MP_OK) {
        mp_buf_reset(&grant.why);
    }
    finish(worker, generation, &grant);
    mp__grant_fini(&grant);
}

static void keep_refresh(struct mp__fetch *fetch, const struct mp__grant *grant)
{
    struct mp_error err;
    struct mp_str refresh = mp_buf_str(&grant->refresh);
    const char *partner = fetch->generation->script->name;
    if (!fetch->is_refreshing || refresh.length == 0) {
        return;
    }
    int status = mp__token_rotate(fetch->generation->token, refresh, &err);
    if (status == MP_EDENIED) {
        mp_log_warn("deliver", "%s: %s", partner, err.text);
    } else if (status != MP_OK) {
        mp_log_error("deliver", "%s: a rotated refresh token is not on disk: %s", partner,
                     err.text);
    }
}

static void on_ended(void *arg, CURLcode code)
{
    struct mp__fetch *fetch = arg;
    struct mp__worker *worker = fetch->worker;
    struct mp_response response;
    struct mp__grant grant;
    mp__grant_init(&grant);
    mp__transfer_finish(&fetch->transfer, code, &response);
    mp__grant_read(&response, worker->wall_ms, &grant);
    keep_refresh(fetch, &grant);
    finish(worker, fetch->generation, &grant);
    mp__grant_fini(&grant);
    fetch_free(fetch);
}

static void on_reached(void *arg)
{
    (void)arg;
}

static bool on_lookup(void *arg)
{
    (void)arg;
    return true;
}

/* A connection of its own: what was sent on one that the endpoint had closed would have
 * to be sent twice, and a refresh token may be good for once. */
static int send_out(struct mp__fetch *fetch, unsigned multi, struct mp_error *err)
{
    const struct mp_oauth2 *oauth2 = fetch->generation->script->oauth2;
    struct mp__transfer *transfer = &fetch->transfer;
    struct mp_buf refresh;
    int status = MP_OK;
    mp_buf_init(&refresh, MP_REQUEST_URL_MAX);
    if (fetch->is_refreshing) {
        status = mp__token_grant(fetch->generation->token, oauth2->refresh_token.text,
                                 &refresh);
    }
    if (status == MP_OK) {
        status = mp__fetch_write(oauth2, mp_buf_str(&refresh),
                                 fetch->worker->room->version, &fetch->request, err);
    } else {
        mp_error_set(err, status, "could not ask for a token: %s",
                     mp_status_text(status));
    }
    mp_buf_fini(&refresh);
    if (status == MP_OK) {
        status = mp__transfer_set_link(transfer, &fetch->generation->link, err);
    }
    if (status != MP_OK) {
        return status;
    }
    transfer->events =
        (struct mp__transfer_events){on_reached, on_lookup, on_ended, fetch};
    mp__transfer_set_fresh(transfer, true);
    return mp__transfer_start(transfer, multi, &fetch->request, TIMEOUT_MS, err);
}

void mp__fetch_start(struct mp__worker *worker, struct mp__generation *generation,
                     unsigned multi)
{
    struct mp_error err = {0};
    struct mp__fetch *fetch = fetch_new(worker, generation);
    int status = fetch ? send_out(fetch, multi, &err)
                       : mp_error_set(&err, MP_ENOMEM, "out of memory");
    if (status != MP_OK) {
        fail(worker, generation, status, &err);
        if (fetch) {
            fetch_free(fetch);
        }
    }
}

void mp__fetch_abort(struct mp__worker *worker, bool also_refreshing)
{
    struct mp__fetch *next;
    for (struct mp__fetch *fetch = worker->auth.fetches; fetch; fetch = next) {
        next = fetch->next;
        if (also_refreshing || !fetch->is_refreshing) {
            mp__transfer_cancel(&fetch->transfer);
            mp__token_cancel(fetch->generation->token);
            fetch_free(fetch);
        }
    }
}
