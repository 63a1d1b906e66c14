/* SPDX-License-Identifier: MIT */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "moonpost/metrics.h"

/* How the metrics are kept: families in the order they were made, each with its series.
 */

#define MP__BUCKETS    15
#define MP__COLLECTORS 16

enum mp__family_kind { MP__COUNTER, MP__GAUGE, MP__HISTOGRAM };

struct mp_series {
    _Atomic int64_t value;
};

/* Buckets count alone here, and add up when they are written. The last is +Inf. */
struct mp_histogram {
    _Atomic uint64_t buckets[MP__BUCKETS + 1];
    _Atomic uint64_t sum_us;
};

/* The upper bounds, and how they are written. */
struct mp__bound {
    int64_t us;
    const char *text;
};
extern const struct mp__bound mp__bounds[MP__BUCKETS];

/* One set of labels of a family. */
struct mp__entry {
    struct mp__entry *next;      /* in the order they were made */
    struct mp__entry *same_slot; /* in the hash table */
    uint64_t hash;
    char *labels; /* `a="b",c="d"`, without braces; never NULL */
    union {
        struct mp_series series;
        struct mp_histogram histogram;
    };
};

struct mp__family {
    struct mp__family *next;
    const char *name;
    const char *help;
    enum mp__family_kind kind;
    struct mp__entry *first;
    struct mp__entry **last;
    struct mp__entry **slots;
    size_t slot_count; /* a power of two, or 0 */
    size_t entry_count;
};

struct mp_metrics {
    pthread_mutex_t lock; /* of the families and entries; counting takes none */
    struct mp__family *first;
    struct mp__family **last;
    struct {
        void (*run)(void *arg);
        void *arg;
    } collectors[MP__COLLECTORS];
    size_t collector_count;
};
