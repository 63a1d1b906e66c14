/* SPDX-License-Identifier: MIT */
#include "attempt.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "moonpost/log.h"
#include "request.h"
#include "worker.h"

#define KEPT_BYTES  ((size_t)64 * 1024)
#define COMPLAIN_MS 10000

/* What the transfer tells. */

static void go_on(struct mp__worker *worker, struct mp__attempt *released)
{
    while (released) {
        struct mp__attempt *next = released->wait_next;
        released->wait_next = worker->again;
        worker->again = released;
        released = next;
    }
}

static void end_scouting(struct mp__attempt *attempt)
{
    if (attempt->is_scout) {
        attempt->is_scout = false;
        attempt->lane->has_scout = false;
        attempt->worker->scouts--;
    }
}

static void on_reached(void *arg)
{
    struct mp__attempt *attempt = arg;
    struct mp__worker *worker = attempt->worker;
    go_on(worker, mp__lookup_end(&worker->lookups, attempt));
    attempt->lane->warm_until_ms = worker->mono_ms + worker->room->tuning.lookup_fresh_ms;
    if (attempt->is_scout) {
        end_scouting(attempt);
        mp__lane_touch(worker, attempt->lane);
    }
}

static bool on_lookup(void *arg)
{
    struct mp__attempt *attempt = arg;
    return mp__lookup_begin(&attempt->worker->lookups, attempt,
                            mp__transfer_host(&attempt->transfer));
}

static void on_ended(void *arg, CURLcode code)
{
    mp__attempt_ended(arg, code);
}

/* Attempts come and go by the thousand: their memory and their curl handles stay. */

static struct mp__attempt *attempt_new(struct mp__worker *worker)
{
    struct mp__attempt *attempt = worker->spare;
    if (attempt) {
        worker->spare = attempt->next;
        worker->spare_count--;
        return attempt;
    }
    attempt = calloc(1, sizeof(*attempt));
    if (!attempt ||
        mp__transfer_init(&attempt->transfer, &worker->curl, worker->room->egress)) {
        free(attempt);
        return NULL;
    }
    attempt->worker = worker;
    attempt->transfer.events =
        (struct mp__transfer_events){on_reached, on_lookup, on_ended, attempt};
    mp_request_init(&attempt->request);
    return attempt;
}

static void attempt_free(struct mp__attempt *attempt)
{
    mp__transfer_fini(&attempt->transfer);
    mp_request_fini(&attempt->request);
    free(attempt);
}

void mp__attempt_free_spares(struct mp__worker *worker, unsigned kept)
{
    while (worker->spare_count > kept) {
        struct mp__attempt *attempt = worker->spare;
        worker->spare = attempt->next;
        worker->spare_count--;
        attempt_free(attempt);
    }
}

static void make_spare(struct mp__attempt *attempt)
{
    struct mp__worker *worker = attempt->worker;
    struct mp_request *request = &attempt->request;
    if (worker->spare_count >= MP__SPARE_ATTEMPTS) {
        attempt_free(attempt);
        return;
    }
    attempt->wait_next = NULL;
    mp__transfer_trim(&attempt->transfer);
    if (request->body.capacity > KEPT_BYTES ||
        request->body_shown.capacity > KEPT_BYTES ||
        request->text.capacity > KEPT_BYTES) {
        mp_request_fini(request);
        mp_request_init(request);
    }
    attempt->next = worker->spare;
    worker->spare = attempt;
    worker->spare_count++;
}

static void enlist(struct mp__attempt *attempt, struct mp__lane *lane, bool is_probe)
{
    struct mp__worker *worker = attempt->worker;
    struct mp__partner *partner = lane->partner;
    attempt->lane = lane;
    attempt->generation = partner->current;
    attempt->generation->uses++;
    attempt->is_probe = is_probe;
    attempt->is_scout = lane->warm_until_ms <= worker->mono_ms;
    attempt->has_request = false;
    attempt->prev = NULL;
    attempt->next = worker->attempts;
    if (attempt->next) {
        attempt->next->prev = attempt;
    }
    worker->attempts = attempt;
    worker->in_flight++;
    worker->scouts += attempt->is_scout;
    lane->has_scout = lane->has_scout || attempt->is_scout;
    lane->in_flight++;
    partner->in_flight++;
    atomic_fetch_add_explicit(&partner->shared->in_flight, 1, memory_order_relaxed);
    mp_series_add(partner->shared->in_flight_gauge, 1);
    if (is_probe) {
        mp__health_probe_begun(&lane->health);
    }
}

/* The record has its outcome; everything the attempt held is let go. */
static void release(struct mp__attempt *attempt)
{
    struct mp__worker *worker = attempt->worker;
    struct mp__lane *lane = attempt->lane;
    struct mp__partner *partner = lane->partner;
    end_scouting(attempt);
    go_on(worker, mp__lookup_end(&worker->lookups, attempt));
    *(attempt->prev ? &attempt->prev->next : &worker->attempts) = attempt->next;
    if (attempt->next) {
        attempt->next->prev = attempt->prev;
    }
    mp__generation_release(attempt->generation);
    worker->in_flight--;
    lane->in_flight--;
    lane->used_ms = worker->mono_ms;
    partner->in_flight--;
    atomic_fetch_sub_explicit(&partner->shared->in_flight, 1, memory_order_relaxed);
    mp_series_add(partner->shared->in_flight_gauge, (uint64_t)-1);
    mp__worker_give_back(worker, attempt->record);
    attempt->record = NULL;
    make_spare(attempt);
    mp__lane_touch(worker, lane);
    struct mp__news *news;
    if (partner->is_leaving && partner->in_flight == 0 &&
        (news = mp__worker_news(worker, MP__NEWS_LEFT))) {
        partner->is_leaving = false;
        news->shared = partner->shared;
    }
}

/* The script's own failures. */

static void complain(struct mp__attempt *attempt, const struct mp_error *err)
{
    struct mp__partner *partner = attempt->lane->partner;
    mp_series_add(partner->shared->script_errors, 1);
    int64_t now_ms = attempt->worker->mono_ms;
    if (partner->complained_ms == 0 || now_ms - partner->complained_ms >= COMPLAIN_MS) {
        partner->complained_ms = now_ms;
        mp_log_warn("deliver", "%s: %s", partner->shared->name, err->text);
    }
}

/* Of this thread's own work: a busy machine must not make a script look slow. */
static int64_t cpu_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* After a call into Lua that began at `since_us`: `status` is what it gave. */
static void called(struct mp__attempt *attempt, int64_t since_us, int status,
                   const struct mp_error *err)
{
    struct mp__worker *worker = attempt->worker;
    struct mp__generation *generation = attempt->generation;
    bool has_overrun = status == MP_EBUDGET;
    bool is_current = generation == attempt->lane->partner->current;
    if (status == MP_ESCRIPT || has_overrun) {
        complain(attempt, err);
    }
    if (is_current && (status == MP_ESCRIPT || has_overrun)) {
        mp__lane_threw(worker, attempt->lane, attempt->record->id, err->text,
                       has_overrun);
    }
    if (is_current) {
        mp__partner_called(worker, attempt->lane, cpu_us() - since_us, has_overrun);
    }
    if (has_overrun) {
        mp__generation_drop_state(generation);
    }
}

/* The path: build, send, judge, conclude. */

static struct mp_context context_of(const struct mp__attempt *attempt)
{
    const struct mp_record *record = attempt->record;
    return (struct mp_context){
        .record = record,
        .attempt = record->attempts + 1,
        .last = record->attempts >= attempt->generation->script->schedule_count,
        .now_ms = attempt->worker->wall_ms,
    };
}

static int build(struct mp__attempt *attempt, struct mp_verdict *verdict,
                 struct mp_error *err)
{
    struct mp_script *script = attempt->generation->script;
    struct mp_context context = context_of(attempt);
    struct mp_script_state *state = NULL;
    mp_request_reset(&attempt->request);
    int status = mp__generation_state(attempt->generation, &state, err);
    int64_t since_us = script->has_functions ? cpu_us() : 0;
    if (status == MP_OK) {
        status = mp__request_stamp(&attempt->request, &context,
                                   attempt->worker->room->version);
    }
    if (status == MP_OK) {
        status =
            mp_request_build(script, state, &context, &attempt->request, verdict, err);
    }
    if (script->has_functions) {
        called(attempt, since_us, status, err);
    }
    return status == MP_OK ? mp__auth_stamp(attempt, err) : status;
}

static void conclude(struct mp__attempt *attempt, struct mp__ending *ending)
{
    mp__attempt_conclude(attempt, ending);
    release(attempt);
}

/* Nothing was sent: `accepts`, `required`, a throw, a request that cannot be sent. */
static void conclude_unsent(struct mp__attempt *attempt, int status,
                            const struct mp_verdict *verdict, const struct mp_error *err)
{
    struct mp_response none = {0};
    struct mp__ending ending = {.response = &none, .verdict = *verdict};
    ending.duration_us = mp_clock_mono_us() - attempt->began_us;
    if (status == MP_EDEAD) {
        mp__health_not_thrown(&attempt->lane->health);
    } else if (status == MP_EINVAL) {
        mp_verdict_set(&ending.verdict, MP_VERDICT_DEAD, "%s", err->text);
    } else {
        mp_verdict_set(&ending.verdict, MP_VERDICT_RETRY, "%s", err->text);
    }
    conclude(attempt, &ending);
}

static int send_out(struct mp__attempt *attempt, struct mp_error *err)
{
    struct mp__lane *lane = attempt->lane;
    unsigned spill = lane->in_flight / (MP__MULTI_SHARE + 1);
    return mp__transfer_start(&attempt->transfer, lane->multi + spill, &attempt->request,
                              attempt->generation->script->timeout_ms, err);
}

void mp__attempt_resume(struct mp__attempt *attempt)
{
    struct mp_error err = {0};
    int status = send_out(attempt, &err);
    if (status != MP_OK) {
        struct mp_verdict verdict = {.delay_ms = -1};
        conclude_unsent(attempt, status, &verdict, &err);
    }
}

bool mp__attempt_begin(struct mp__worker *worker, struct mp__lane *lane, bool is_probe)
{
    struct mp__attempt *attempt = attempt_new(worker);
    if (!attempt) {
        return false;
    }
    struct mp_verdict verdict = {.delay_ms = -1};
    struct mp_error err = {0};
    attempt->record = mp_record_list_pop(&lane->waiting);
    attempt->began_us = mp_clock_mono_us();
    enlist(attempt, lane, is_probe);
    int status = build(attempt, &verdict, &err);
    attempt->has_request = status == MP_OK;
    if (status == MP_OK) {
        mp__transfer_set_fresh(&attempt->transfer, false);
        status = send_out(attempt, &err);
    }
    if (status != MP_OK) {
        conclude_unsent(attempt, status, &verdict, &err);
    }
    return true;
}

/* What the verdict hook says; false: nothing, or it threw, which `why` then tells. */
static bool ask_hook(struct mp__attempt *attempt, const struct mp_response *response,
                     struct mp_verdict *verdict, struct mp_error *why)
{
    struct mp_script_state *state = NULL;
    if (!(attempt->generation->script->hooks & MP_HOOK_VERDICT)) {
        return false;
    }
    struct mp_context context = context_of(attempt);
    int status = mp__generation_state(attempt->generation, &state, why);
    int64_t since_us = cpu_us();
    if (status == MP_OK) {
        status = mp_script_call_verdict(state, &context, response, verdict, NULL, why);
    }
    called(attempt, since_us, status, why);
    if (status == MP_OK) {
        why->text[0] = '\0';
    }
    return status == MP_OK && verdict->kind != MP_VERDICT_NONE;
}

static void judge(struct mp__attempt *attempt, struct mp__ending *ending)
{
    const struct mp_script *script = attempt->generation->script;
    const struct mp_response *response = ending->response;
    struct mp_error thrown = {0};
    ending->verdict.delay_ms = -1;
    ending->is_default = !mp_verdict_answers(script, response, &ending->verdict) &&
                         !ask_hook(attempt, response, &ending->verdict, &thrown);
    if (ending->is_default) {
        mp_verdict_default(response, &ending->verdict);
    }
    if (thrown.text[0] == '\0') {
        mp__health_not_thrown(&attempt->lane->health);
        return;
    }
    char usual[sizeof(ending->verdict.why)];
    memcpy(usual, ending->verdict.why, sizeof(usual));
    mp_verdict_set(&ending->verdict, ending->verdict.kind, "%s; verdict threw: %s", usual,
                   thrown.text);
}

void mp__attempt_ended(struct mp__attempt *attempt, CURLcode code)
{
    struct mp__worker *worker = attempt->worker;
    struct mp__transfer *transfer = &attempt->transfer;
    if (transfer->must_wait) {
        if (!mp__lookup_wait(&worker->lookups, attempt, mp__transfer_host(transfer))) {
            attempt->wait_next = NULL;
            go_on(worker, attempt);
        }
        return;
    }
    if (mp__transfer_was_lost(transfer, code)) {
        mp__transfer_set_fresh(transfer, true);
        mp__attempt_resume(attempt);
        return;
    }
    struct mp_response response;
    struct mp__ending ending = {.response = &response, .is_exchange = true};
    mp__transfer_finish(transfer, code, &response);
    ending.duration_us = transfer->duration_us;
    if (!mp__auth_refused(attempt, &ending)) {
        judge(attempt, &ending);
    }
    conclude(attempt, &ending);
}

void mp__attempt_abort(struct mp__attempt *attempt)
{
    if (attempt->wait_link) {
        mp__lookup_forget(attempt);
    } else if (!attempt->transfer.must_wait) {
        mp__transfer_cancel(&attempt->transfer);
    }
    if (attempt->is_probe) {
        mp__health_probe_void(&attempt->lane->health);
    }
    attempt->record->outcome.kind = MP_OUTCOME_PARK;
    release(attempt);
}
