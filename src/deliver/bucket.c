/* SPDX-License-Identifier: MIT */
#include "bucket.h"

#include <stdlib.h>
#include <string.h>

struct mp__bucket {
    struct mp__map_node node; /* by lane */
    unsigned users;
    struct mp__rate rate;
    char lane[];
};

struct sweep {
    struct mp__map *map;
    int64_t now_us; /* INT64_MAX: all go */
};

static void forget(void *arg, struct mp__map_node *node)
{
    struct mp__bucket *bucket = (struct mp__bucket *)(void *)node;
    const struct sweep *sweep = arg;
    if (sweep->now_us == INT64_MAX ||
        (bucket->users == 0 && mp__rate_is_full(&bucket->rate, sweep->now_us))) {
        mp__map_remove(sweep->map, node);
        free(bucket);
    }
}

void mp__buckets_init(struct mp__buckets *buckets)
{
    *buckets = (struct mp__buckets){.by_lane = {0}};
    pthread_mutex_init(&buckets->lock, NULL);
}

void mp__buckets_fini(struct mp__buckets *buckets)
{
    struct sweep sweep = {&buckets->by_lane, INT64_MAX};
    mp__map_each(&buckets->by_lane, forget, &sweep);
    mp__map_fini(&buckets->by_lane);
    pthread_mutex_destroy(&buckets->lock);
}

static struct mp__bucket *find_or_add(struct mp__buckets *buckets, struct mp_str lane)
{
    struct mp__bucket *bucket = (struct mp__bucket *)(void *)mp__map_find(
        &buckets->by_lane, lane, mp__hash(lane));
    if (bucket) {
        return bucket;
    }
    bucket = calloc(1, sizeof(*bucket) + lane.length + 1);
    if (!bucket) {
        return NULL;
    }
    memcpy(bucket->lane, lane.data, lane.length);
    bucket->node.key = (struct mp_str){bucket->lane, lane.length};
    if (mp__map_add(&buckets->by_lane, &bucket->node) != MP_OK) {
        free(bucket);
        return NULL;
    }
    return bucket;
}

struct mp__bucket *mp__bucket_open(struct mp__buckets *buckets, struct mp_str lane,
                                   double per_second, int64_t now_us)
{
    pthread_mutex_lock(&buckets->lock);
    struct mp__bucket *bucket = find_or_add(buckets, lane);
    if (bucket) {
        bucket->users++;
        mp__rate_set(&bucket->rate, per_second, now_us);
    }
    pthread_mutex_unlock(&buckets->lock);
    return bucket;
}

void mp__bucket_close(struct mp__buckets *buckets, struct mp__bucket *bucket,
                      int64_t now_us)
{
    if (!bucket) {
        return;
    }
    pthread_mutex_lock(&buckets->lock);
    struct sweep sweep = {&buckets->by_lane, now_us};
    if (--bucket->users == 0) {
        /* All of them: one that was closed before it was full may be full now. */
        mp__map_each(&buckets->by_lane, forget, &sweep);
    }
    pthread_mutex_unlock(&buckets->lock);
}

void mp__bucket_set(struct mp__buckets *buckets, struct mp__bucket *bucket,
                    double per_second, int64_t now_us)
{
    pthread_mutex_lock(&buckets->lock);
    mp__rate_set(&bucket->rate, per_second, now_us);
    pthread_mutex_unlock(&buckets->lock);
}

int64_t mp__bucket_due_us(struct mp__buckets *buckets, struct mp__bucket *bucket)
{
    pthread_mutex_lock(&buckets->lock);
    int64_t due_us = mp__rate_due_us(&bucket->rate);
    pthread_mutex_unlock(&buckets->lock);
    return due_us;
}

bool mp__bucket_take(struct mp__buckets *buckets, struct mp__bucket *bucket,
                     int64_t now_us)
{
    pthread_mutex_lock(&buckets->lock);
    bool has_taken = mp__rate_take(&bucket->rate, now_us);
    pthread_mutex_unlock(&buckets->lock);
    return has_taken;
}

void mp__bucket_give_back(struct mp__buckets *buckets, struct mp__bucket *bucket)
{
    pthread_mutex_lock(&buckets->lock);
    mp__rate_give_back(&bucket->rate);
    pthread_mutex_unlock(&buckets->lock);
}

bool mp__bucket_is_full(struct mp__buckets *buckets, struct mp__bucket *bucket,
                        int64_t now_us)
{
    pthread_mutex_lock(&buckets->lock);
    bool is_full = mp__rate_is_full(&bucket->rate, now_us);
    pthread_mutex_unlock(&buckets->lock);
    return is_full;
}
