/* SPDX-License-Identifier: MIT */
#include "attempt.h"

#include "request.h"
#include "worker.h"

/* The path: build, send, judge, conclude. */

static int build(struct mp__attempt *attempt, struct mp_verdict *verdict,
                 struct mp_error *err)
{
    struct mp_script *script = attempt->generation->script;
    struct mp_context context = mp__attempt_context(attempt);
    struct mp_script_state *state = NULL;
    mp_request_reset(&attempt->request);
    bool is_timed = mp__may_be_slow(script, attempt->record);
    int64_t since_us = is_timed ? mp_clock_cpu_us() : 0;
    int status = mp__generation_state(attempt->generation, &state, err);
    if (status == MP_OK) {
        status =
            mp_request_stamp(&attempt->request, &context, attempt->worker->room->version);
    }
    if (status == MP_OK) {
        status =
            mp_request_build(script, state, &context, &attempt->request, verdict, err);
    }
    if (is_timed) {
        mp__attempt_called(attempt, since_us, status, err);
    }
    return status == MP_OK ? mp__auth_stamp(attempt, err) : status;
}

struct building {
    struct mp__attempt *attempt;
    struct mp_verdict *verdict;
    struct mp_error *err;
    int status;
};

static void build_aside(void *arg)
{
    struct building *building = arg;
    building->status = build(building->attempt, building->verdict, building->err);
}

static void conclude(struct mp__attempt *attempt, struct mp__ending *ending)
{
    mp__attempt_conclude(attempt, ending);
    mp__attempt_release(attempt);
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

/* The next of the lane's: false: out of memory, it is still the lane's. */
static bool pick(struct mp__attempt *attempt, struct mp__lane *lane)
{
    if (!mp__lane_batches(lane)) {
        attempt->record = mp_record_list_pop(&lane->waiting);
        return true;
    }
    struct mp__batch *batch = mp__groups_next(&lane->groups);
    if (mp__batch_reserve(batch) != MP_OK) {
        mp__groups_put_back(&lane->groups, batch);
        return false;
    }
    lane->flying += batch->count;
    attempt->batch = batch;
    attempt->record = batch->members[0];
    return true;
}

/* A batch that cannot be sent may hold one that is to blame: it is told from the others
 * as a partner's refusal would be. */
static bool may_split(struct mp__attempt *attempt, int status)
{
    struct mp__batch *batch = attempt->batch;
    if (status != MP_EDEAD || !batch || batch->count == 1) {
        return false;
    }
    for (size_t i = 0; i < batch->count; i++) {
        batch->members[i]->outcome.kind = MP_OUTCOME_PARK;
        batch->verdicts[i].kind = MP_VERDICT_SPLIT;
    }
    if (attempt->is_probe) {
        mp__health_probe_void(&attempt->lane->health);
    }
    mp__gather_split(attempt);
    mp__attempt_release(attempt);
    return true;
}

bool mp__attempt_begin(struct mp__worker *worker, struct mp__lane *lane, bool is_probe)
{
    struct mp__attempt *attempt = mp__attempt_new(worker);
    if (!attempt) {
        return false;
    }
    if (!pick(attempt, lane)) {
        mp__attempt_drop(attempt);
        return false;
    }
    struct mp_verdict verdict = {.delay_ms = -1};
    struct mp_error err = {0};
    attempt->began_us = mp_clock_mono_us();
    mp__attempt_enlist(attempt, lane, is_probe);
    mp__attempt_scout(attempt);
    struct building building = {.attempt = attempt, .verdict = &verdict, .err = &err};
    mp__aside_run(&worker->aside, build_aside, &building);
    int status = building.status;
    attempt->body_bytes =
        attempt->request.body.capacity + attempt->request.body_shown.capacity;
    lane->bodies_bytes += attempt->body_bytes;
    attempt->has_request = status == MP_OK;
    if (status == MP_OK) {
        mp__transfer_set_fresh(&attempt->transfer, false);
        status = send_out(attempt, &err);
    }
    if (status != MP_OK) {
        mp__lane_rate_give_back(lane);
        if (!may_split(attempt, status)) {
            conclude_unsent(attempt, status, &verdict, &err);
        }
    }
    return true;
}

void mp__attempt_refuse(struct mp__worker *worker, struct mp__lane *lane,
                        struct mp_record *record, int64_t began_us, int status,
                        const struct mp_verdict *verdict, const struct mp_error *err)
{
    struct mp__attempt *attempt = mp__attempt_new(worker);
    if (!attempt) {
        mp__worker_park(worker, record);
        return;
    }
    attempt->record = record;
    attempt->began_us = began_us;
    mp__attempt_enlist(attempt, lane, false);
    conclude_unsent(attempt, status, verdict, err);
}

void mp__attempt_ended(struct mp__attempt *attempt, CURLcode code)
{
    struct mp__worker *worker = attempt->worker;
    struct mp__transfer *transfer = &attempt->transfer;
    if (transfer->must_wait) {
        if (!mp__lookup_wait(&worker->lookups, attempt, mp__transfer_host(transfer))) {
            attempt->wait_next = NULL;
            mp__attempt_go_on(worker, attempt);
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
        mp__attempt_judge(attempt, &ending);
    }
    mp__attempt_conclude(attempt, &ending);
    if (ending.members) {
        mp__gather_split(attempt);
    }
    mp__attempt_release(attempt);
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
    for (size_t i = 0; attempt->batch && i < attempt->batch->count; i++) {
        attempt->batch->members[i]->outcome.kind = MP_OUTCOME_PARK;
    }
    mp__attempt_release(attempt);
}
