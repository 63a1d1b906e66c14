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
    int64_t since_us = script->has_functions ? mp__attempt_cpu_us() : 0;
    int status = mp__generation_state(attempt->generation, &state, err);
    if (status == MP_OK) {
        status =
            mp_request_stamp(&attempt->request, &context, attempt->worker->room->version);
    }
    if (status == MP_OK) {
        status =
            mp_request_build(script, state, &context, &attempt->request, verdict, err);
    }
    if (script->has_functions) {
        mp__attempt_called(attempt, since_us, status, err);
    }
    return status == MP_OK ? mp__auth_stamp(attempt, err) : status;
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

bool mp__attempt_begin(struct mp__worker *worker, struct mp__lane *lane, bool is_probe)
{
    struct mp__attempt *attempt = mp__attempt_new(worker);
    if (!attempt) {
        return false;
    }
    struct mp_verdict verdict = {.delay_ms = -1};
    struct mp_error err = {0};
    attempt->record = mp_record_list_pop(&lane->waiting);
    attempt->began_us = mp_clock_mono_us();
    mp__attempt_enlist(attempt, lane, is_probe);
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
    mp__attempt_release(attempt);
}
