/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <time.h>

#include "moonpost/log.h"
#include "worker.h"

#define COMPLAIN_MS 10000

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

int64_t mp__attempt_cpu_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void mp__attempt_called(struct mp__attempt *attempt, int64_t since_us, int status,
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
        mp__partner_called(worker, attempt->lane, mp__attempt_cpu_us() - since_us,
                           has_overrun);
    }
    if (has_overrun) {
        mp__generation_drop_state(generation);
    }
}

struct mp_context mp__attempt_context(const struct mp__attempt *attempt)
{
    const struct mp_record *record = attempt->record;
    return (struct mp_context){
        .record = record,
        .attempt = record->attempts + 1,
        .last = record->attempts >= attempt->generation->script->schedule_count,
        .now_ms = attempt->worker->wall_ms,
    };
}

/* What the verdict hook says; false: nothing, or it threw, which `why` then tells. */
static bool ask_hook(struct mp__attempt *attempt, const struct mp_response *response,
                     struct mp_verdict *verdict, struct mp_error *why)
{
    struct mp_script_state *state = NULL;
    if (!(attempt->generation->script->hooks & MP_HOOK_VERDICT)) {
        return false;
    }
    if (attempt->lane->has_overrun) {
        mp_error_set(why, MP_ESCRIPT, "it overran its budget too often to be asked");
        return false;
    }
    struct mp_context context = mp__attempt_context(attempt);
    int64_t since_us = mp__attempt_cpu_us();
    int status = mp__generation_state(attempt->generation, &state, why);
    if (status == MP_OK) {
        status = mp_script_call_verdict(state, &context, response, verdict, NULL, why);
    }
    mp__attempt_called(attempt, since_us, status, why);
    if (status == MP_OK) {
        why->text[0] = '\0';
    }
    return status == MP_OK && verdict->kind != MP_VERDICT_NONE;
}

void mp__attempt_judge(struct mp__attempt *attempt, struct mp__ending *ending)
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
