/* SPDX-License-Identifier: MIT */
#include "worker.h"

#define ASK_AGAIN_US 100000 /* without memory for a bucket */

static struct mp__buckets *buckets_of(const struct mp__lane *lane)
{
    return &lane->partner->shared->buckets;
}

int64_t mp__lane_rate_due_us(struct mp__worker *worker, struct mp__lane *lane)
{
    double per_second = lane->partner->current->script->rate_per_second;
    if (per_second <= 0) {
        return 0;
    }
    if (!lane->bucket) {
        lane->bucket = mp__bucket_open(buckets_of(lane), lane->node.key, per_second,
                                       mp_clock_mono_us());
    }
    return lane->bucket ? mp__bucket_due_us(buckets_of(lane), lane->bucket)
                        : worker->mono_us + ASK_AGAIN_US;
}

bool mp__lane_rate_take(struct mp__lane *lane)
{
    if (lane->partner->current->script->rate_per_second <= 0) {
        return true;
    }
    return lane->bucket &&
           mp__bucket_take(buckets_of(lane), lane->bucket, mp_clock_mono_us());
}

void mp__lane_rate_give_back(struct mp__lane *lane)
{
    if (lane->bucket) {
        mp__bucket_give_back(buckets_of(lane), lane->bucket);
    }
}

void mp__lane_rate_renew(struct mp__worker *worker, struct mp__lane *lane)
{
    const struct mp__generation *generation = lane->partner->current;
    double per_second = generation ? generation->script->rate_per_second : 0;
    if (!lane->bucket || !generation) {
        return; /* gone for a while is no other rate */
    }
    if (per_second > 0) {
        mp__bucket_set(buckets_of(lane), lane->bucket, per_second, mp_clock_mono_us());
    } else {
        mp__lane_rate_close(worker, lane);
    }
}

bool mp__lane_rate_is_full(const struct mp__worker *worker, const struct mp__lane *lane)
{
    return !lane->bucket ||
           mp__bucket_is_full(buckets_of(lane), lane->bucket, worker->mono_us);
}

void mp__lane_rate_close(struct mp__worker *worker, struct mp__lane *lane)
{
    mp__bucket_close(buckets_of(lane), lane->bucket, worker->mono_us);
    lane->bucket = NULL;
}
