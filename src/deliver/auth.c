/* SPDX-License-Identifier: MIT */
#include "auth.h"

#include "fetch.h"
#include "worker.h"

/* Generations. */

static const struct mp_proxy *find_proxy(const struct mp__room *room, struct mp_str name,
                                         bool *is_lone)
{
    const struct mp_proxy *found = NULL;
    for (size_t i = 0; i < room->proxy_count && !found; i++) {
        found = mp_str_equal(room->proxies[i].name, name) ? &room->proxies[i] : NULL;
    }
    for (size_t i = 0; found && i < room->proxy_count; i++) {
        *is_lone = *is_lone || mp__proxy_is_alike(found, &room->proxies[i]);
    }
    return found;
}

/* For a name that is not there: nothing can be sent, never around it. */
static const struct mp_proxy nowhere;

int mp__auth_attach(struct mp__worker *worker, struct mp__generation *generation)
{
    const struct mp_script *script = generation->script;
    struct mp__link *link = &generation->link;
    if (script->tls || script->proxy.length > 0) {
        link->number = ++worker->auth.links;
        link->tls = script->tls;
    }
    if (script->proxy.length > 0) {
        link->proxy = find_proxy(worker->room, script->proxy, &link->is_lone);
        link->proxy = link->proxy ? link->proxy : &nowhere;
    }
    if (!script->oauth2) {
        return MP_OK;
    }
    generation->token = mp__token_acquire(worker->room->tokens, script->oauth2,
                                          script->tls, worker->mono_ms);
    return generation->token ? MP_OK : MP_ENOMEM;
}

void mp__auth_detach(struct mp__generation *generation)
{
    mp__token_release(generation->token);
}

/* Lanes. */

static struct mp__token *token_of(const struct mp__lane *lane)
{
    return lane->partner->current ? lane->partner->current->token : NULL;
}

bool mp__auth_admits(struct mp__worker *worker, struct mp__lane *lane)
{
    struct mp__token *token = token_of(lane);
    if (!token) {
        return true;
    }
    enum mp__token_state state = mp__token_look(token, worker->mono_ms, NULL, NULL);
    if (state != MP__TOKEN_READY && !lane->wants_token) {
        lane->wants_token = true;
        worker->auth.is_wanted = true;
    }
    return state == MP__TOKEN_READY || state == MP__TOKEN_STALE;
}

struct look {
    struct mp__worker *worker;
    int64_t until_ms;
    bool has_woken;
};

/* True: it is being fetched now, or was to be and could not. */
static bool fetch(struct mp__worker *worker, const struct mp__lane *lane)
{
    struct mp__generation *generation = lane->partner->current;
    if (worker->auth.fetching >= MP__FETCHES_MAX ||
        !mp__token_begin(generation->token, worker->mono_ms)) {
        return false;
    }
    mp__fetch_start(worker, generation, lane->multi);
    return true;
}

static void wake(struct look *look, struct mp__lane *lane)
{
    mp__lane_touch(look->worker, lane);
    look->has_woken = true;
}

static void look_at(struct look *look, struct mp__lane *lane, struct mp__token *token)
{
    char why[256];
    int64_t until_ms = INT64_MAX;
    struct mp__worker *worker = look->worker;
    enum mp__token_state state = mp__token_look(token, worker->mono_ms, &until_ms, why);
    bool has_work = lane->waiting.count > 0 || !mp__groups_are_empty(&lane->groups);
    if (!has_work && state != MP__TOKEN_STALE) {
        return;
    }
    switch (state) {
    case MP__TOKEN_STALE:
        fetch(worker, lane);
        wake(look, lane);
        break;
    case MP__TOKEN_READY:
        wake(look, lane);
        break;
    case MP__TOKEN_NEEDED:
        fetch(worker, lane);
        lane->wants_token = true;
        break;
    case MP__TOKEN_AWAITED:
        look->until_ms = until_ms < look->until_ms ? until_ms : look->until_ms;
        lane->wants_token = true;
        break;
    case MP__TOKEN_REFUSED:
        mp__lane_pause(worker, lane, MP_PAUSE_AUTH, why);
        break;
    }
}

static void on_lane(void *arg, struct mp__map_node *node)
{
    struct mp__lane *lane = (struct mp__lane *)(void *)node;
    struct mp__token *token = token_of(lane);
    if (!lane->wants_token) {
        return;
    }
    lane->wants_token = false;
    if (token) {
        look_at(arg, lane, token);
    } else {
        wake(arg, lane);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct mp__worker *worker = timer->data;
    worker->auth.is_wanted = true; /* the turn that this begins does the rest */
}

bool mp__auth_turn(struct mp__worker *worker)
{
    struct mp__auth *auth = &worker->auth;
    struct look look = {.worker = worker, .until_ms = INT64_MAX};
    uint64_t version = mp__token_store_version(worker->room->tokens);
    auth->is_wanted = auth->is_wanted || version != auth->seen;
    if (!auth->is_wanted || worker->is_draining) {
        return false;
    }
    auth->seen = version;
    auth->is_wanted = false;
    mp__map_each(&worker->lanes, on_lane, &look);
    if (look.until_ms < INT64_MAX) {
        int64_t wait_ms = look.until_ms - worker->mono_ms;
        uv_update_time(&worker->loop);
        uv_timer_start(&auth->timer, on_timer, wait_ms > 0 ? (uint64_t)wait_ms : 0, 0);
    }
    return look.has_woken;
}

void mp__auth_resumed(struct mp__worker *worker, struct mp__lane *lane)
{
    struct mp__token *token = token_of(lane);
    (void)worker;
    if (token) {
        mp__token_forgive(token);
    }
}

/* Attempts. */

int mp__auth_stamp(struct mp__attempt *attempt, struct mp_error *err)
{
    struct mp__generation *generation = attempt->generation;
    int status = mp__transfer_set_link(&attempt->transfer, &generation->link, err);
    attempt->token = 0;
    attempt->transfer.hidden = (struct mp_str){0};
    if (status != MP_OK || !generation->token) {
        return status;
    }
    status = mp__token_stamp(generation->token, &attempt->request, &attempt->token,
                             &attempt->transfer.hidden);
    return status == MP_OK
               ? MP_OK
               : mp_error_set(err, status, "could not write the oauth2 token: %s",
                              mp_status_text(status));
}

bool mp__auth_refused(struct mp__attempt *attempt, struct mp__ending *ending)
{
    struct mp__token *token = attempt->generation->token;
    if (ending->response->status != 401 || attempt->token == 0 ||
        !mp__token_refused(token, attempt->token, attempt->worker->mono_ms)) {
        return false;
    }
    mp_verdict_set(&ending->verdict, MP_VERDICT_RETRY,
                   "status 401: again with another oauth2 token");
    ending->verdict.delay_ms = -1;
    ending->goes_again = true;
    return true;
}

/* The worker. */

void mp__auth_open(struct mp__worker *worker)
{
    uv_timer_init(&worker->loop, &worker->auth.timer);
    worker->auth.timer.data = worker;
    mp__token_store_listen(worker->room->tokens, &worker->wake);
}

void mp__auth_drain(struct mp__worker *worker)
{
    mp__fetch_abort(worker, false);
}

void mp__auth_abort(struct mp__worker *worker)
{
    mp__fetch_abort(worker, true);
}

void mp__auth_close(struct mp__worker *worker)
{
    mp__token_store_unlisten(worker->room->tokens, &worker->wake);
    uv_close((uv_handle_t *)&worker->auth.timer, NULL);
}
