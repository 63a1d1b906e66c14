/* SPDX-License-Identifier: MIT */
#pragma once

#include <pthread.h>

#include "map.h"
#include "rate.h"

/* The buckets of a partner's lanes. They are the partner's and not a worker's, so that
 * tokens stay what they are when a lane moves, or is forgotten and comes again. Only
 * lanes with a rate have one; the lock is held for a few additions. Any thread. */

struct mp__bucket;
struct mp__buckets {
    pthread_mutex_t lock;
    struct mp__map by_lane;
};

void mp__buckets_init(struct mp__buckets *buckets);
void mp__buckets_fini(struct mp__buckets *buckets);

/* The lane's, made when missing, with this rate from now on. NULL: out of memory. */
struct mp__bucket *mp__bucket_open(struct mp__buckets *buckets, struct mp_str lane,
                                   double per_second, int64_t now_us);
/* Nobody's any more, it is forgotten once it is full. NULL is allowed. */
void mp__bucket_close(struct mp__buckets *buckets, struct mp__bucket *bucket,
                      int64_t now_us);
/* As their namesakes of rate.h. */
void mp__bucket_set(struct mp__buckets *buckets, struct mp__bucket *bucket,
                    double per_second, int64_t now_us);
int64_t mp__bucket_due_us(struct mp__buckets *buckets, struct mp__bucket *bucket);
bool mp__bucket_take(struct mp__buckets *buckets, struct mp__bucket *bucket,
                     int64_t now_us);
void mp__bucket_give_back(struct mp__buckets *buckets, struct mp__bucket *bucket);
bool mp__bucket_is_full(struct mp__buckets *buckets, struct mp__bucket *bucket,
                        int64_t now_us);
