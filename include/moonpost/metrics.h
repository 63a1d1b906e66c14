/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "moonpost/buf.h"

/* Metrics in Prometheus' text exposition format 0.0.4. A series is found or made once and
 * kept by who counts; counting is one relaxed atomic add, from any thread. */

struct mp_metrics;
struct mp_series;
struct mp_histogram;

struct mp_label {
    const char *name;
    struct mp_str value;
};

#define MP_LABELS_MAX 4

MP_MUST_CHECK int mp_metrics_new(struct mp_metrics **out);
void mp_metrics_free(struct mp_metrics *metrics);

/* Find or make. `name` and `help` are static texts; labels are copied. Any thread (takes
 * a lock: not for the hot path). NULL only when memory is out. Series live as long as
 * `metrics`. */
struct mp_series *mp_metrics_counter(struct mp_metrics *metrics, const char *name,
                                     const char *help, const struct mp_label *labels,
                                     size_t label_count);
struct mp_series *mp_metrics_gauge(struct mp_metrics *metrics, const char *name,
                                   const char *help, const struct mp_label *labels,
                                   size_t label_count);
/* Buckets of seconds, 0.0005 to 30. */
struct mp_histogram *mp_metrics_histogram(struct mp_metrics *metrics, const char *name,
                                          const char *help, const struct mp_label *labels,
                                          size_t label_count);

/* A NULL series is allowed and does nothing. */
void mp_series_add(struct mp_series *series, uint64_t n);
void mp_series_set(struct mp_series *series, int64_t value);
int64_t mp_series_get(const struct mp_series *series);
void mp_histogram_observe_us(struct mp_histogram *histogram, int64_t us);

/* Runs before each exposition, on the thread that writes it: to set gauges. */
void mp_metrics_on_collect(struct mp_metrics *metrics, void (*collect)(void *arg),
                           void *arg);
MP_MUST_CHECK int mp_metrics_write(struct mp_metrics *metrics, struct mp_buf *out);
