/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "moonpost/clock.h"
#include "moonpost/log.h"
#include "request.h"
#include "worker.h"

#define COMPLAIN_MS 10000

/* The script's own failures. */

static void complain(struct mp__worker *worker, struct mp__partner *partner,
                     const struct mp_error *err)
{
    mp_series_add(partner->shared->script_errors, 1);
    int64_t now_ms = worker->mono_ms;
    if (partner->complained_ms == 0 || now_ms - partner->complained_ms >= COMPLAIN_MS) {
        partner->complained_ms = now_ms;
        mp_log_warn("deliver", "%s: %s", partner->shared->name, err->text);
    }
}

bool mp__may_be_slow(const struct mp_script *script, const struct mp_record *record)
{
    return script->has_functions || record->event.length >= MP__LARGE_EVENT_BYTES;
}

void mp__script_called(struct mp__worker *worker, struct mp__lane *lane,
                       struct mp__generation *generation, struct mp_str id,
                       int64_t since_us, int status, const struct mp_error *err)
{
    bool has_overrun = status == MP_EBUDGET;
    bool is_current = generation == lane->partner->current;
    if (status == MP_ESCRIPT || has_overrun) {
        struct mp_error told = *err;
        mp__error_hide(worker, generation, &told);
        complain(worker, lane->partner, &told);
        if (has_overrun) {
            mp__partner_overran(worker, lane, generation, told.text);
        }
        if (is_current) {
            mp__lane_threw(worker, lane, id, told.text);
        }
    }
    if (is_current) {
        mp__partner_called(worker, lane, mp_clock_cpu_us() - since_us, has_overrun);
    }
    if (has_overrun) {
        generation->overruns++;
        mp__generation_drop_state(generation);
    }
}

void mp__attempt_called(struct mp__attempt *attempt, int64_t since_us, int status,
                        const struct mp_error *err)
{
    mp__script_called(attempt->worker, attempt->lane, attempt->generation,
                      attempt->record->id, since_us, status, err);
}

struct mp_context mp__delivery_context(const struct mp__worker *worker,
                                       const struct mp_script *script,
                                       const struct mp_record *record)
{
    return (struct mp_context){
        .record = record,
        .attempt = record->attempts + 1,
        .last = record->attempts >= script->schedule_count,
        .now_ms = worker->wall_ms,
    };
}

struct mp_context mp__attempt_context(const struct mp__attempt *attempt)
{
    const struct mp_script *script = attempt->generation->script;
    const struct mp__batch *batch = attempt->batch;
    struct mp_context context =
        mp__delivery_context(attempt->worker, script, attempt->record);
    if (batch) {
        uint32_t attempts = mp__batch_attempts(batch);
        context.attempt = attempts + 1;
        context.last = attempts >= script->schedule_count;
        context.members = (const struct mp_record *const *)batch->members;
        context.items = batch->items;
        context.member_count = batch->count;
        context.batch_id = mp__batch_id(batch);
    }
    return context;
}

static void add_thrown(struct mp_verdict *verdict, const struct mp_error *thrown)
{
    char usual[sizeof(verdict->why)];
    memcpy(usual, verdict->why, sizeof(usual));
    mp_verdict_set(verdict, verdict->kind, "%s; verdict threw: %s", usual, thrown->text);
}

/* The state in which the verdict hook is asked; `why` says why it is not. */
static int state_of_hook(const struct mp__attempt *attempt,
                         struct mp_script_state **state, struct mp_error *why)
{
    const struct mp__generation *generation = attempt->generation;
    const struct mp__lane *lane = attempt->lane;
    /* Nobody pauses it here. */
    bool is_away = generation != lane->partner->current || lane->partner->told_move;
    unsigned most = attempt->worker->room->tuning.overruns;
    if (lane->has_overrun || (is_away && generation->overruns >= most)) {
        return mp_error_set(why, MP_EDENIED,
                            "it overran its budget too often to be asked");
    }
    return mp__generation_state(attempt->generation, state, why);
}

static void judge(struct mp__attempt *attempt, struct mp__ending *ending)
{
    struct mp_script *script = attempt->generation->script;
    struct mp_context context = mp__attempt_context(attempt);
    struct mp_script_state *state = NULL;
    struct mp_error thrown = {0};
    const char *by;
    bool has_hook = script->hooks & MP_HOOK_VERDICT;
    /* Hundreds of `answers` may look for their place in a great answer. */
    bool is_timed = has_hook || ending->response->body.length >= MP__LARGE_EVENT_BYTES;
    int64_t since_us = is_timed ? mp_clock_cpu_us() : 0;
    int made = has_hook ? state_of_hook(attempt, &state, &thrown) : MP_OK;
    ending->members = attempt->batch ? attempt->batch->verdicts : NULL;
    int status = mp_judge(script, state, &context, ending->response, &ending->verdict,
                          ending->members, &by, &thrown);
    status = made == MP_OK ? status : made;
    ending->is_default = strcmp(by, "default") == 0;
    bool was_asked = has_hook && strcmp(by, "answers") != 0;
    if (was_asked && made != MP_EDENIED) {
        mp__attempt_called(attempt, since_us, status, &thrown);
        attempt->lane->partner->judged++;
    } else if (is_timed && !was_asked) {
        mp__attempt_called(attempt, since_us, MP_OK, &thrown);
    }
    if (!was_asked || status == MP_OK) {
        mp__health_not_thrown(&attempt->lane->health);
        return;
    }
    add_thrown(&ending->verdict, &thrown);
    for (size_t i = 0; ending->members && i < context.member_count; i++) {
        ending->members[i] = ending->verdict;
    }
}

struct judging {
    struct mp__attempt *attempt;
    struct mp__ending *ending;
};

static void judge_aside(void *arg)
{
    struct judging *judging = arg;
    judge(judging->attempt, judging->ending);
}

void mp__attempt_judge(struct mp__attempt *attempt, struct mp__ending *ending)
{
    struct judging judging = {attempt, ending};
    mp__aside_run(&attempt->worker->aside, judge_aside, &judging);
}
