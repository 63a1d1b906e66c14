/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "worker.h"

#define KEPT_BYTES ((size_t)64 * 1024)

/* What the transfer tells. */

void mp__attempt_go_on(struct mp__worker *worker, struct mp__attempt *released)
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
    mp__attempt_go_on(worker, mp__lookup_end(&worker->lookups, attempt));
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

struct mp__attempt *mp__attempt_new(struct mp__worker *worker)
{
    struct mp__attempt *attempt = worker->spare;
    if (attempt) {
        worker->spare = attempt->next;
        worker->spare_count--;
        return attempt;
    }
    attempt = calloc(1, sizeof(*attempt));
    if (!attempt ||
        mp__transfer_init(&attempt->transfer, &worker->curl, worker->room->egress,
                          worker->room->tuning.connect_max_ms)) {
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

void mp__attempt_drop(struct mp__attempt *attempt)
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

void mp__attempt_enlist(struct mp__attempt *attempt, struct mp__lane *lane, bool is_probe)
{
    struct mp__worker *worker = attempt->worker;
    struct mp__partner *partner = lane->partner;
    attempt->lane = lane;
    attempt->generation = partner->current;
    attempt->generation->uses++;
    attempt->is_probe = is_probe;
    attempt->is_scout = false;
    attempt->has_request = false;
    attempt->prev = NULL;
    attempt->next = worker->attempts;
    if (attempt->next) {
        attempt->next->prev = attempt;
    }
    worker->attempts = attempt;
    worker->in_flight++;
    lane->in_flight++;
    partner->in_flight++;
    atomic_fetch_add_explicit(&partner->shared->in_flight, 1, memory_order_relaxed);
    mp_series_add(partner->shared->in_flight_gauge, 1);
    if (is_probe) {
        mp__health_probe_begun(&lane->health);
    }
}

void mp__attempt_scout(struct mp__attempt *attempt)
{
    struct mp__lane *lane = attempt->lane;
    if (lane->warm_until_ms <= attempt->worker->mono_ms) {
        attempt->is_scout = true;
        lane->has_scout = true;
        attempt->worker->scouts++;
    }
}

static void give_back(struct mp__attempt *attempt)
{
    struct mp__batch *batch = attempt->batch;
    for (size_t i = 0; batch && i < batch->count; i++) {
        if (batch->members[i]) {
            mp__worker_give_back(attempt->worker, batch->members[i]);
        }
    }
    if (batch) {
        attempt->lane->flying -= batch->count;
        mp__batch_free(batch);
    } else {
        mp__worker_give_back(attempt->worker, attempt->record);
    }
    attempt->record = NULL;
    attempt->batch = NULL;
}

void mp__attempt_release(struct mp__attempt *attempt)
{
    struct mp__worker *worker = attempt->worker;
    struct mp__lane *lane = attempt->lane;
    struct mp__partner *partner = lane->partner;
    end_scouting(attempt);
    mp__attempt_go_on(worker, mp__lookup_end(&worker->lookups, attempt));
    *(attempt->prev ? &attempt->prev->next : &worker->attempts) = attempt->next;
    if (attempt->next) {
        attempt->next->prev = attempt->prev;
    }
    mp__generation_release(attempt->generation);
    worker->in_flight--;
    lane->in_flight--;
    lane->bodies_bytes -= attempt->body_bytes;
    attempt->body_bytes = 0;
    lane->used_ms = worker->mono_ms;
    partner->in_flight--;
    atomic_fetch_sub_explicit(&partner->shared->in_flight, 1, memory_order_relaxed);
    mp_series_add(partner->shared->in_flight_gauge, (uint64_t)-1);
    give_back(attempt);
    mp__attempt_drop(attempt);
    mp__lane_touch(worker, lane);
    struct mp__news *news;
    if (partner->is_leaving && partner->in_flight == 0 &&
        (news = mp__worker_news(worker, MP__NEWS_LEFT))) {
        partner->is_leaving = false;
        news->shared = partner->shared;
    }
}
