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

static void retry(struct mp__attempt *attempt, struct mp__ending *ending)
{
    struct mp_record *record = attempt->record;
    int64_t wait_ms =
        mp_retry_wait_ms(attempt->generation->script, record->attempts + 1,
                         &ending->verdict, ending->is_exchange ? ending->response : NULL,
                         attempt->worker->wall_ms, mp_random_unit());
    if (wait_ms >= 0) {
        record->outcome.kind = MP_OUTCOME_RETRY;
        record->outcome.due_ms = attempt->worker->wall_ms + wait_ms;
        return;
    }
    mp_verdict_give_up(&ending->verdict, record->attempts + 1);
    bury(record, ending->verdict.why);
}

static void decide(struct mp__attempt *attempt, struct mp__ending *ending)
{
    struct mp_record *record = attempt->record;
    if (ending->goes_again) {
        record->outcome.kind = MP_OUTCOME_PARK;
        return;
    }
    switch (ending->verdict.kind) {
    case MP_VERDICT_DELIVERED:
    case MP_VERDICT_SKIPPED:
        record->outcome.kind = MP_OUTCOME_SETTLE;
        break;
    case MP_VERDICT_DEAD:
        bury(record, ending->verdict.why);
        break;
    case MP_VERDICT_SPLIT:
    case MP_VERDICT_PAUSE:
        record->outcome.kind = MP_OUTCOME_PARK;
        break;
    case MP_VERDICT_NONE:
    case MP_VERDICT_RETRY:
        retry(attempt, ending);
        break;
    }
}

static void spend(struct mp__attempt *attempt, const struct mp__ending *ending)
{
    struct mp_record *record = attempt->record;
    if (record->outcome.kind == MP_OUTCOME_PARK) {
        return;
    }
    record->attempts++;
    record->last_status = (uint16_t)ending->response->status;
    record->last_verdict = (uint8_t)ending->verdict.kind;
    record->last_ms = attempt->worker->wall_ms;
}

static void count(const struct mp__attempt *attempt, const struct mp__ending *ending)
{
    const struct mp__partner_shared *shared = attempt->lane->partner->shared;
    enum mp_verdict_kind kind = ending->verdict.kind;
    mp_series_add(shared->attempts[kind], 1);
    if (ending->is_exchange) {
        mp_histogram_observe_us(shared->duration, ending->duration_us);
    }
    if (kind == MP_VERDICT_DELIVERED) {
        mp_series_add(shared->delivered, 1);
        int64_t took_ms = attempt->worker->wall_ms - attempt->record->first_ms;
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

static void tell(struct mp__attempt *attempt, const struct mp__ending *ending,
                 uint32_t number)
{
    const struct mp_record *record = attempt->record;
    bool is_retry = record->outcome.kind == MP_OUTCOME_RETRY;
    struct mp__attempt_line line = {
        .time = time_of(attempt->worker),
        .record = record,
        .attempt = number,
        .generation = attempt->generation->script->generation,
        .request = attempt->has_request ? &attempt->request : NULL,
        .response = ending->response,
        .duration_us = ending->duration_us,
        .verdict = &ending->verdict,
        .next_ms = is_retry ? record->outcome.due_ms : -1,
    };
    int status = mp__attempt_line_write(&attempt->worker->lines, &line);
    if (status != MP_OK) {
        mp_log_error("deliver", "could not log an attempt of %s: %s",
                     attempt->lane->partner->shared->name, mp_status_text(status));
    }
}

static void tell_lane(struct mp__attempt *attempt, const struct mp__ending *ending)
{
    struct mp__worker *worker = attempt->worker;
    struct mp__lane *lane = attempt->lane;
    const struct mp_verdict *verdict = &ending->verdict;
    if (ending->is_exchange && !ending->goes_again) {
        mp__lane_exchanged(worker, lane, verdict, ending->response->status,
                           ending->is_default, attempt->is_probe);
    } else if (attempt->is_probe) {
        mp__health_probe_void(&lane->health);
    }
    if (verdict->kind == MP_VERDICT_PAUSE) {
        mp__lane_pause(worker, lane,
                       ending->is_default ? MP_PAUSE_GONE : MP_PAUSE_VERDICT,
                       verdict->why);
    }
}

void mp__attempt_conclude(struct mp__attempt *attempt, struct mp__ending *ending)
{
    uint32_t number = attempt->record->attempts + 1;
    tell_lane(attempt, ending);
    decide(attempt, ending);
    spend(attempt, ending);
    count(attempt, ending);
    tell(attempt, ending, number);
}
