/* SPDX-License-Identifier: MIT */
#include "moonpost/metrics.h"

#include <stdlib.h>
#include <string.h>

#include "metrics_store.h"
#include "moonpost/log.h"

const struct mp__bound mp__bounds[MP__BUCKETS] = {
    {500, "0.0005"},  {1000, "0.001"},  {2500, "0.0025"}, {5000, "0.005"},
    {10000, "0.01"},  {25000, "0.025"}, {50000, "0.05"},  {100000, "0.1"},
    {250000, "0.25"}, {500000, "0.5"},  {1000000, "1"},   {2500000, "2.5"},
    {5000000, "5"},   {10000000, "10"}, {30000000, "30"},
};

int mp_metrics_new(struct mp_metrics **out)
{
    struct mp_metrics *metrics = calloc(1, sizeof(*metrics));
    if (!metrics) {
        return MP_ENOMEM;
    }
    if (pthread_mutex_init(&metrics->lock, NULL) != 0) {
        free(metrics);
        return MP_ENOMEM;
    }
    metrics->last = &metrics->first;
    *out = metrics;
    return MP_OK;
}

static void free_family(struct mp__family *family)
{
    struct mp__entry *entry = family->first;
    while (entry) {
        struct mp__entry *next = entry->next;
        free(entry->labels);
        free(entry);
        entry = next;
    }
    free(family->slots);
    free(family);
}

void mp_metrics_free(struct mp_metrics *metrics)
{
    if (!metrics) {
        return;
    }
    struct mp__family *family = metrics->first;
    while (family) {
        struct mp__family *next = family->next;
        free_family(family);
        family = next;
    }
    pthread_mutex_destroy(&metrics->lock);
    free(metrics);
}

static struct mp__family *find_family(struct mp_metrics *metrics, const char *name)
{
    for (struct mp__family *family = metrics->first; family; family = family->next) {
        if (strcmp(family->name, name) == 0) {
            return family;
        }
    }
    return NULL;
}

static struct mp__family *make_family(struct mp_metrics *metrics,
                                      enum mp__family_kind kind, const char *name,
                                      const char *help)
{
    struct mp__family *family = calloc(1, sizeof(*family));
    if (family) {
        family->name = name;
        family->help = help;
        family->kind = kind;
        family->last = &family->first;
        *metrics->last = family;
        metrics->last = &family->next;
    }
    return family;
}

static uint64_t hash_of(const char *text)
{
    uint64_t hash = UINT64_C(0xCBF29CE484222325);
    for (; *text; text++) {
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001B3);
    }
    return hash;
}

static bool widen(struct mp__family *family)
{
    if (family->entry_count < family->slot_count) {
        return true;
    }
    size_t count = family->slot_count ? family->slot_count * 2 : 8;
    struct mp__entry **slots = calloc(count, sizeof(struct mp__entry *));
    if (!slots) {
        return false;
    }
    for (struct mp__entry *entry = family->first; entry; entry = entry->next) {
        struct mp__entry **slot = &slots[entry->hash & (count - 1)];
        entry->same_slot = *slot;
        *slot = entry;
    }
    free(family->slots);
    family->slots = slots;
    family->slot_count = count;
    return true;
}

static struct mp__entry *find_entry(const struct mp__family *family, uint64_t hash,
                                    const char *labels)
{
    if (family->slot_count == 0) {
        return NULL;
    }
    struct mp__entry *entry = family->slots[hash & (family->slot_count - 1)];
    while (entry && (entry->hash != hash || strcmp(entry->labels, labels) != 0)) {
        entry = entry->same_slot;
    }
    return entry;
}

/* Takes over `labels`. */
static struct mp__entry *make_entry(struct mp__family *family, uint64_t hash,
                                    char *labels)
{
    struct mp__entry *entry = widen(family) ? calloc(1, sizeof(*entry)) : NULL;
    if (!entry) {
        free(labels);
        return NULL;
    }
    entry->labels = labels;
    entry->hash = hash;
    struct mp__entry **slot = &family->slots[hash & (family->slot_count - 1)];
    entry->same_slot = *slot;
    *slot = entry;
    *family->last = entry;
    family->last = &entry->next;
    family->entry_count++;
    return entry;
}

static int append_label_value(struct mp_buf *out, struct mp_str value)
{
    int status = MP_OK;
    for (size_t i = 0; i < value.length && status == MP_OK; i++) {
        switch (value.data[i]) {
        case '\\':
            status = mp_buf_append_text(out, "\\\\");
            break;
        case '"':
            status = mp_buf_append_text(out, "\\\"");
            break;
        case '\n':
            status = mp_buf_append_text(out, "\\n");
            break;
        case '\0': /* the format has no escape for it, and readers stop there */
            break;
        default:
            status = mp_buf_append_char(out, value.data[i]);
        }
    }
    return status;
}

static char *write_labels(const struct mp_label *labels, size_t count)
{
    struct mp_buf out;
    mp_buf_init(&out, SIZE_MAX);
    int status = MP_OK;
    for (size_t i = 0; i < count && i < MP_LABELS_MAX && status == MP_OK; i++) {
        status = mp_buf_printf(&out, "%s%s=\"", i ? "," : "", labels[i].name);
        if (status == MP_OK) {
            status = append_label_value(&out, labels[i].value);
        }
        if (status == MP_OK) {
            status = mp_buf_append_char(&out, '"');
        }
    }
    if (status != MP_OK || !mp_buf_cstr(&out)) {
        mp_buf_fini(&out);
        return NULL;
    }
    return out.data; /* the entry frees it */
}

static struct mp__entry *find_or_make(struct mp_metrics *metrics,
                                      enum mp__family_kind kind, const char *name,
                                      const char *help, const struct mp_label *labels,
                                      size_t count)
{
    char *written = write_labels(labels, count);
    if (!written) {
        return NULL;
    }
    uint64_t hash = hash_of(written);
    struct mp__entry *entry = NULL;
    pthread_mutex_lock(&metrics->lock);
    struct mp__family *family = find_family(metrics, name);
    if (!family) {
        family = make_family(metrics, kind, name, help);
    }
    if (family && family->kind == kind) {
        entry = find_entry(family, hash, written);
        if (!entry) {
            entry = make_entry(family, hash, written);
            written = NULL;
        }
    }
    pthread_mutex_unlock(&metrics->lock);
    free(written);
    return entry;
}

struct mp_series *mp_metrics_counter(struct mp_metrics *metrics, const char *name,
                                     const char *help, const struct mp_label *labels,
                                     size_t label_count)
{
    struct mp__entry *entry =
        find_or_make(metrics, MP__COUNTER, name, help, labels, label_count);
    return entry ? &entry->series : NULL;
}

struct mp_series *mp_metrics_gauge(struct mp_metrics *metrics, const char *name,
                                   const char *help, const struct mp_label *labels,
                                   size_t label_count)
{
    struct mp__entry *entry =
        find_or_make(metrics, MP__GAUGE, name, help, labels, label_count);
    return entry ? &entry->series : NULL;
}

struct mp_histogram *mp_metrics_histogram(struct mp_metrics *metrics, const char *name,
                                          const char *help, const struct mp_label *labels,
                                          size_t label_count)
{
    struct mp__entry *entry =
        find_or_make(metrics, MP__HISTOGRAM, name, help, labels, label_count);
    return entry ? &entry->histogram : NULL;
}

void mp_series_add(struct mp_series *series, uint64_t n)
{
    if (series) {
        atomic_fetch_add_explicit(&series->value, (int64_t)n, memory_order_relaxed);
    }
}

void mp_series_set(struct mp_series *series, int64_t value)
{
    if (series) {
        atomic_store_explicit(&series->value, value, memory_order_relaxed);
    }
}

int64_t mp_series_get(const struct mp_series *series)
{
    return series ? atomic_load_explicit(&series->value, memory_order_relaxed) : 0;
}

void mp_histogram_observe_us(struct mp_histogram *histogram, int64_t us)
{
    if (!histogram) {
        return;
    }
    int64_t spent = us < 0 ? 0 : us;
    size_t i = 0;
    while (i < MP__BUCKETS && spent > mp__bounds[i].us) {
        i++;
    }
    atomic_fetch_add_explicit(&histogram->buckets[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->sum_us, (uint64_t)spent, memory_order_relaxed);
}

void mp_metrics_on_collect(struct mp_metrics *metrics, void (*collect)(void *arg),
                           void *arg)
{
    pthread_mutex_lock(&metrics->lock);
    size_t at = metrics->collector_count;
    if (at < MP__COLLECTORS) {
        metrics->collectors[at].run = collect;
        metrics->collectors[at].arg = arg;
        metrics->collector_count++;
    }
    pthread_mutex_unlock(&metrics->lock);
    if (at == MP__COLLECTORS) {
        mp_log_error("base", "could not add a collector of metrics: there are %d already",
                     MP__COLLECTORS);
    }
}
