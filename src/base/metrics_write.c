/* SPDX-License-Identifier: MIT */
#include "metrics_store.h"

static const char *const kinds[] = {
    [MP__COUNTER] = "counter", [MP__GAUGE] = "gauge", [MP__HISTOGRAM] = "histogram"};

static int write_help(const struct mp__family *family, struct mp_buf *out)
{
    int status = mp_buf_printf(out, "# HELP %s ", family->name);
    for (const char *at = family->help; *at && status == MP_OK; at++) {
        if (*at == '\\') {
            status = mp_buf_append_text(out, "\\\\");
        } else if (*at == '\n') {
            status = mp_buf_append_text(out, "\\n");
        } else {
            status = mp_buf_append_char(out, *at);
        }
    }
    if (status == MP_OK) {
        status =
            mp_buf_printf(out, "\n# TYPE %s %s\n", family->name, kinds[family->kind]);
    }
    return status;
}

static int write_series(const struct mp__family *family, const struct mp__entry *entry,
                        struct mp_buf *out)
{
    const char *labels = entry->labels;
    return mp_buf_printf(out, "%s%s%s%s %lld\n", family->name, *labels ? "{" : "", labels,
                         *labels ? "}" : "", (long long)mp_series_get(&entry->series));
}

static int write_bucket(const struct mp__family *family, const char *labels,
                        const char *bound, uint64_t count, struct mp_buf *out)
{
    return mp_buf_printf(out, "%s_bucket{%s%sle=\"%s\"} %llu\n", family->name, labels,
                         *labels ? "," : "", bound, (unsigned long long)count);
}

/* The count is what the buckets add up to, so that the two agree while others count on.
 */
static int write_histogram(const struct mp__family *family, const struct mp__entry *entry,
                           struct mp_buf *out)
{
    const struct mp_histogram *histogram = &entry->histogram;
    const char *labels = entry->labels;
    const char *open = *labels ? "{" : "";
    const char *close = *labels ? "}" : "";
    uint64_t count = 0;
    int status = MP_OK;
    for (size_t i = 0; i <= MP__BUCKETS && status == MP_OK; i++) {
        count += atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);
        const char *bound = i < MP__BUCKETS ? mp__bounds[i].text : "+Inf";
        status = write_bucket(family, labels, bound, count, out);
    }
    if (status != MP_OK) {
        return status;
    }
    uint64_t us = atomic_load_explicit(&histogram->sum_us, memory_order_relaxed);
    return mp_buf_printf(out, "%s_sum%s%s%s %llu.%06llu\n%s_count%s%s%s %llu\n",
                         family->name, open, labels, close,
                         (unsigned long long)(us / 1000000),
                         (unsigned long long)(us % 1000000), family->name, open, labels,
                         close, (unsigned long long)count);
}

static int write_family(const struct mp__family *family, struct mp_buf *out)
{
    int status = write_help(family, out);
    for (const struct mp__entry *entry = family->first; entry && status == MP_OK;
         entry = entry->next) {
        status = family->kind == MP__HISTOGRAM ? write_histogram(family, entry, out)
                                               : write_series(family, entry, out);
    }
    return status;
}

int mp_metrics_write(struct mp_metrics *metrics, struct mp_buf *out)
{
    pthread_mutex_lock(&metrics->lock);
    size_t collectors = metrics->collector_count;
    pthread_mutex_unlock(&metrics->lock);
    /* Without the lock: they find and make series. Collectors are only ever added. */
    for (size_t i = 0; i < collectors; i++) {
        metrics->collectors[i].run(metrics->collectors[i].arg);
    }
    size_t before = out->length;
    int status = MP_OK;
    pthread_mutex_lock(&metrics->lock);
    for (const struct mp__family *family = metrics->first; family && status == MP_OK;
         family = family->next) {
        status = write_family(family, out);
    }
    pthread_mutex_unlock(&metrics->lock);
    if (status != MP_OK) {
        out->length = before;
    }
    return status;
}
