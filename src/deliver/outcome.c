/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "moonpost/id.h"
#include "moonpost/log.h"
#include "worker.h"

static void bury(struct mp_record *record, const char *why)
{
    record->outcome.kind = MP_OUTCOME_BURY;
    record->outcome.reason = strdup(*why ? why : "dead"); /* NULL reads as no reason */
}

/* One delivery's part in what an attempt came to. */
struct part {
    struct mp__attempt *attempt;
    const struct mp__ending *ending;
    struct mp_record *record;
    struct mp_verdict verdict;
};

static void retry(struct part *part)
{
    struct mp_record *record = part->record;
    const struct mp__ending *ending = part->ending;
    int64_t wait_ms =
        mp_retry_wait_ms(part->attempt->generation->script, record->attempts + 1,
                         &part->verdict, ending->is_exchange ? ending->response : NULL,
                         part->attempt->worker->wall_ms, mp_random_unit());
    if (wait_ms >= 0) {
        record->outcome.kind = MP_OUTCOME_RETRY;
        record->outcome.due_ms = part->attempt->worker->wall_ms + wait_ms;
        return;
    }
    char why[sizeof(part->verdict.why)];
    memcpy(why, part->verdict.why, sizeof(why));
    mp_verdict_set(&part->verdict, MP_VERDICT_DEAD, "gave up after %u attempt%s%s%s",
                   record->attempts + 1, record->attempts == 0 ? "" : "s",
                   *why ? ": " : "", why);
    bury(record, part->verdict.why);
}

static void decide(struct part *part)
{
    struct mp_record *record = part->record;
    if (part->ending->goes_again) {
        record->outcome.kind = MP_OUTCOME_PARK;
        return;
    }
    switch (part->verdict.kind) {
    case MP_VERDICT_DELIVERED:
    case MP_VERDICT_SKIPPED:
        record->outcome.kind = MP_OUTCOME_SETTLE;
        break;
    case MP_VERDICT_DEAD:
        bury(record, part->verdict.why);
        break;
    case MP_VERDICT_SPLIT:
    case MP_VERDICT_PAUSE:
        record->outcome.kind = MP_OUTCOME_PARK;
        break;
    case MP_VERDICT_NONE:
    case MP_VERDICT_RETRY:
        retry(part);
        break;
    }
}

static void spend(const struct part *part)
{
    struct mp_record *record = part->record;
    if (record->outcome.kind == MP_OUTCOME_PARK) {
        return;
    }
    record->attempts++;
    record->last_status = (uint16_t)part->ending->response->status;
    record->last_verdict = (uint8_t)part->verdict.kind;
    record->last_ms = part->attempt->worker->wall_ms;
}

static void count(const struct part *part)
{
    const struct mp__partner_shared *shared = part->attempt->lane->partner->shared;
    enum mp_verdict_kind kind = part->verdict.kind;
    mp_series_add(shared->attempts[kind], 1);
    if (kind == MP_VERDICT_DELIVERED) {
        mp_series_add(shared->delivered, 1);
        int64_t took_ms = part->attempt->worker->wall_ms - part->record->first_ms;
        mp_histogram_observe_us(shared->end_to_end, took_ms > 0 ? took_ms * 1000 : 0);
    } else if (kind == MP_VERDICT_SKIPPED) {
        mp_series_add(shared->skipped, 1);
    } else if (kind == MP_VERDICT_DEAD) {
        mp_series_add(shared->dead, 1);
    }
}

static const char *time_of(struct mp__worker *worker)
{
    if (worker->time_ms != worker->wall_ms) {
        worker->time_ms = worker->wall_ms;
        mp_time_format(worker->wall_ms, worker->time);
    }
    return worker->time;
}

static void tell(const struct part *part, uint32_t number)
{
    struct mp__attempt *attempt = part->attempt;
    const struct mp_record *record = part->record;
    bool is_retry = record->outcome.kind == MP_OUTCOME_RETRY;
    struct mp__attempt_line line = {
        .time = time_of(attempt->worker),
        .record = record,
        .attempt = number,
        .generation = attempt->generation->script->generation,
        .request = attempt->has_request ? &attempt->request : NULL,
        .response = part->ending->response,
        .duration_us = part->ending->duration_us,
        .verdict = &part->verdict,
        .next_ms = is_retry ? record->outcome.due_ms : -1,
        .batch = attempt->batch ? mp__batch_id(attempt->batch) : (struct mp_str){0},
    };
    int status = mp__attempt_line_write(&attempt->worker->lines, &line);
    if (status != MP_OK) {
        mp_log_error("deliver", "could not log an attempt of %s: %s",
                     attempt->lane->partner->shared->name, mp_status_text(status));
    }
}

static void conclude_one(struct mp__attempt *attempt, const struct mp__ending *ending,
                         struct mp_record *record, const struct mp_verdict *verdict)
{
    struct part part = {attempt, ending, record, *verdict};
    uint32_t number = record->attempts + 1;
    decide(&part);
    spend(&part);
    count(&part);
    tell(&part, number);
}

/* What the exchange says of the partner, not of one delivery: a failure only when all
 * are to be tried again. */
static const struct mp_verdict *verdict_of_all(const struct mp__attempt *attempt,
                                               const struct mp__ending *ending)
{
    if (!ending->members) {
        return &ending->verdict;
    }
    for (size_t i = 0; i < attempt->batch->count; i++) {
        if (ending->members[i].kind != MP_VERDICT_RETRY) {
            return &ending->members[i];
        }
    }
    return &ending->members[0];
}

/* A partner may be told to pause by what it said of one of them. */
static const struct mp_verdict *find_pause(const struct mp__attempt *attempt,
                                           const struct mp__ending *ending)
{
    size_t count = ending->members ? attempt->batch->count : 1;
    const struct mp_verdict *verdicts =
        ending->members ? ending->members : &ending->verdict;
    for (size_t i = 0; i < count; i++) {
        if (verdicts[i].kind == MP_VERDICT_PAUSE) {
            return &verdicts[i];
        }
    }
    return NULL;
}

static void tell_lane(struct mp__attempt *attempt, const struct mp__ending *ending)
{
    struct mp__worker *worker = attempt->worker;
    struct mp__lane *lane = attempt->lane;
    if (ending->is_exchange && !ending->goes_again) {
        mp__lane_exchanged(worker, lane, verdict_of_all(attempt, ending),
                           ending->response->status, ending->is_default,
                           attempt->is_probe);
    } else if (attempt->is_probe) {
        mp__health_probe_void(&lane->health);
    }
    const struct mp_verdict *pause = find_pause(attempt, ending);
    if (pause) {
        mp__lane_pause(worker, lane,
                       ending->is_default ? MP_PAUSE_GONE : MP_PAUSE_VERDICT, pause->why);
    }
}

void mp__attempt_conclude(struct mp__attempt *attempt, struct mp__ending *ending)
{
    const struct mp__batch *batch = attempt->batch;
    struct mp_response shown;
    mp__ending_hide(attempt, ending, batch ? batch->count : 0, &shown);
    tell_lane(attempt, ending);
    if (ending->is_exchange) {
        mp_histogram_observe_us(attempt->lane->partner->shared->duration,
                                ending->duration_us);
    }
    if (!batch) {
        conclude_one(attempt, ending, attempt->record, &ending->verdict);
    }
    for (size_t i = 0; batch && i < batch->count; i++) {
        conclude_one(attempt, ending, batch->members[i],
                     ending->members ? &ending->members[i] : &ending->verdict);
    }
}
