/* SPDX-License-Identifier: MIT */
#include "gather.h"

#include "request.h"
#include "worker.h"

#define TURN_RECORDS 64
#define TURN_US      1000
#define READY_MAX    2
#define LANE_USUAL   256
/* What waits already goes along with a batch whose time has come. */
#define GRACE_US 20000

bool mp__lane_batches(const struct mp__lane *lane)
{
    const struct mp__generation *generation = lane->partner->current;
    return generation && generation->script->batch.size > 0;
}

/* While the next batches wait for their turn more would only grow old: `max_age` was
 * looked at when the piece was made. An open breaker's probe is one delivery. */
bool mp__gather_admits(const struct mp__worker *worker, const struct mp__lane *lane)
{
    bool is_probe;
    return lane->waiting.count > 0 && mp__lane_batches(lane) &&
           !lane->partner->told_move && !lane->is_paused && !worker->is_draining &&
           mp__health_admits(&lane->health, worker->wall_ms, &is_probe) &&
           lane->groups.ready_count < (is_probe ? 1 : READY_MAX);
}

static int build_piece(struct mp__worker *worker, struct mp__lane *lane,
                       const struct mp_record *record, struct mp_item *item,
                       struct mp_verdict *verdict, struct mp_error *err)
{
    struct mp__generation *generation = lane->partner->current;
    struct mp_script *script = generation->script;
    struct mp_script_state *state = NULL;
    struct mp_context context = mp__delivery_context(worker, script, record);
    bool is_timed = mp__may_be_slow(script, record);
    int64_t since_us = is_timed ? mp_clock_cpu_us() : 0;
    int status = mp__generation_state(generation, &state, err);
    if (status == MP_OK) {
        status = mp_item_build(script, state, &context, item, verdict, err);
    }
    if (is_timed) {
        mp__script_called(worker, lane, generation, record->id, since_us, status, err);
    }
    if (status == MP_OK) {
        mp__health_not_thrown(&lane->health);
    }
    return status;
}

struct building {
    struct mp__worker *worker;
    struct mp__lane *lane;
    const struct mp_record *record;
    struct mp_item *item;
    struct mp_verdict *verdict;
    struct mp_error *err;
    int status;
};

static void build_aside(void *arg)
{
    struct building *it = arg;
    it->status =
        build_piece(it->worker, it->lane, it->record, it->item, it->verdict, it->err);
}

static int join(struct mp__worker *worker, struct mp__lane *lane,
                struct mp_record *record, struct mp_item *item)
{
    const struct mp_script *script = lane->partner->current->script;
    struct mp_buf key;
    mp_buf_init(&key, MP_REQUEST_BODY_MAX);
    int status = mp_batch_key(script, record, &key);
    if (status == MP_OK) {
        status = mp__groups_join(&lane->groups, &script->batch, mp_buf_str(&key), record,
                                 item, worker->mono_us);
    }
    mp_buf_fini(&key);
    return status;
}

static void gather_one(struct mp__worker *worker, struct mp__lane *lane)
{
    struct mp_record *record = mp_record_list_pop(&lane->waiting);
    int64_t began_us = mp_clock_mono_us();
    struct mp_verdict verdict = {.delay_ms = -1};
    struct mp_error err = {0};
    struct mp_item item;
    mp_buf_init(&item.wire, MP_REQUEST_BODY_MAX);
    mp_buf_init(&item.shown, MP_REQUEST_BODY_MAX);
    struct building building = {worker, lane, record, &item, &verdict, &err, MP_OK};
    mp__aside_run(&worker->aside, build_aside, &building);
    int status = building.status;
    bool is_piece = status == MP_OK;
    if (is_piece) {
        status = join(worker, lane, record, &item);
    }
    if (status == MP_OK) {
        return;
    }
    mp_buf_fini(&item.wire);
    mp_buf_fini(&item.shown);
    if (is_piece) {
        mp__worker_park(worker, record); /* out of memory */
    } else {
        mp__attempt_refuse(worker, lane, record, began_us, status, &verdict, &err);
    }
}

void mp__gather(struct mp__worker *worker, struct mp__lane *lane)
{
    int64_t began_us = mp_clock_mono_us();
    for (unsigned i = 0; i < TURN_RECORDS && mp__gather_admits(worker, lane) &&
                         mp_clock_mono_us() - began_us < TURN_US;
         i++) {
        gather_one(worker, lane);
        if (lane->health.breaker != MP__BREAKER_CLOSED) {
            mp__groups_close(&lane->groups, INT64_MAX);
        }
    }
    mp__gather_close_due(worker, lane);
}

void mp__gather_relieve(struct mp__lane *lane)
{
    const struct mp__groups *groups = &lane->groups;
    if (!mp__lane_batches(lane) || groups->ready_count > 0 || lane->waiting.count > 0) {
        return;
    }
    const struct mp_script *script = lane->partner->current->script;
    size_t most = 2 * (size_t)script->batch.size;
    most = most > LANE_USUAL ? most : LANE_USUAL;
    if (lane->in_flight < script->concurrency &&
        groups->gathering_records + lane->flying >= most &&
        groups->gathering_records >= most / 2) {
        mp__groups_close_oldest(&lane->groups);
    }
}

int64_t mp__gather_due_us(const struct mp__worker *worker, const struct mp__lane *lane)
{
    if (!lane->groups.gathering.head) {
        return INT64_MAX;
    }
    int64_t grace_us = mp__gather_admits(worker, lane) ? GRACE_US : 0;
    return lane->groups.gathering.head->due_us + grace_us;
}

void mp__gather_close_due(struct mp__worker *worker, struct mp__lane *lane)
{
    int64_t grace_us = mp__gather_admits(worker, lane) ? GRACE_US : 0;
    mp__groups_close(&lane->groups, worker->mono_us - grace_us);
}

static void expire_one(struct mp__worker *worker, struct mp__lane *lane,
                       struct mp__batch *batch, size_t index)
{
    struct mp_record *record = batch->members[index];
    struct mp_script *script = lane->partner->current->script;
    struct mp_context context = mp__delivery_context(worker, script, record);
    struct mp_verdict verdict = {.delay_ms = -1};
    struct mp_error err = {0};
    if (mp__item_check_age(script, &context, &verdict) == MP_EDEAD) {
        mp__batch_remove(batch, index);
        mp__attempt_refuse(worker, lane, record, mp_clock_mono_us(), MP_EDEAD, &verdict,
                           &err);
    }
}

void mp__gather_expire(struct mp__worker *worker, struct mp__lane *lane)
{
    struct mp__batch *batch;
    if (!mp__lane_batches(lane) || lane->partner->current->script->max_age_ms < 0) {
        return;
    }
    while ((batch = mp__groups_next(&lane->groups))) {
        for (size_t i = batch->count; i-- > 0;) {
            expire_one(worker, lane, batch, i);
        }
        if (batch->count > 0) {
            mp__groups_put_back(&lane->groups, batch);
            return;
        }
        mp__batch_free(batch);
    }
}

void mp__gather_undo(struct mp__lane *lane)
{
    struct mp_record_list all = {0};
    mp__groups_empty(&lane->groups, &all);
    mp_record_list_append(&all, &lane->waiting);
    lane->waiting = all;
}

void mp__gather_split(struct mp__attempt *attempt)
{
    struct mp__batch *batch = attempt->batch;
    struct mp__lane *lane = attempt->lane;
    bool can_have = lane->partner->current == attempt->generation && !lane->is_paused &&
                    !attempt->worker->is_draining &&
                    lane->health.breaker == MP__BREAKER_CLOSED;
    if (!can_have) {
        return; /* they are parked, as they were told */
    }
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->verdicts[i].kind == MP_VERDICT_SPLIT) {
            batch->members[i]->outcome.kind = MP_OUTCOME_NONE;
        }
    }
    if (mp__groups_split(&lane->groups, batch) != MP_OK) {
        for (size_t i = 0; i < batch->count; i++) {
            if (batch->verdicts[i].kind == MP_VERDICT_SPLIT) {
                batch->members[i]->outcome.kind = MP_OUTCOME_PARK;
            }
        }
    }
}
