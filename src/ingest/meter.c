/* SPDX-License-Identifier: MIT */
#include "meter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const ROUTE_NAMES[MP__ROUTES] = {
    [MP__ROUTE_NONE] = "none",
    [MP__ROUTE_POSTBACK] = "/postback",
    [MP__ROUTE_PARTNER] = "/events/{partner}",
    [MP__ROUTE_EVENTS] = "/events",
    [MP__ROUTE_HEALTHZ] = "/healthz",
    [MP__ROUTE_READYZ] = "/readyz",
    [MP__ROUTE_METRICS] = "/metrics",
    [MP__ROUTE_API] = "/api",
    [MP__ROUTE_CONSOLE] = "/console",
};

int mp__meter_init(struct mp__meter *meter, struct mp_metrics *metrics)
{
    *meter = (struct mp__meter){.metrics = metrics};
    meter->requests = calloc(MP__ROUTES, sizeof(*meter->requests));
    meter->connections = mp_metrics_gauge(metrics, "moonpost_ingest_connections",
                                          "Connections open now.", NULL, 0);
    return meter->requests && meter->connections ? MP_OK : MP_ENOMEM;
}

void mp__meter_fini(struct mp__meter *meter)
{
    free(meter->requests);
    free(meter->accepted);
}

static struct mp_series *request_series(struct mp__meter *meter, enum mp__route route,
                                        int status)
{
    char code[8];
    snprintf(code, sizeof(code), "%d", status);
    struct mp_label labels[] = {{"route", mp_str_of(ROUTE_NAMES[route])},
                                {"code", mp_str_of(code)}};
    return mp_metrics_counter(meter->metrics, "moonpost_ingest_requests_total",
                              "Requests answered.", labels, 2);
}

void mp__meter_answer(struct mp__meter *meter, enum mp__route route, int status,
                      int64_t us)
{
    if (status < 100 || status >= 100 + MP__CODES) {
        return;
    }
    struct mp_series **series = &meter->requests[route][status - 100];
    if (!*series) {
        *series = request_series(meter, route, status);
    }
    mp_series_add(*series, 1);
    if (!meter->durations[route]) {
        struct mp_label label = {"route", mp_str_of(ROUTE_NAMES[route])};
        meter->durations[route] = mp_metrics_histogram(
            meter->metrics, "moonpost_ingest_request_duration_seconds",
            "From a request's head to its answer.", &label, 1);
    }
    if (meter->durations[route]) {
        mp_histogram_observe_us(meter->durations[route], us);
    }
}

static struct mp__accepted *slot_of(struct mp__accepted *table, size_t capacity,
                                    struct mp_str partner)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < partner.length; i++) {
        hash = (hash ^ (unsigned char)partner.data[i]) * 16777619u;
    }
    for (size_t i = hash & (capacity - 1);; i = (i + 1) & (capacity - 1)) {
        if (!table[i].series || mp_str_is(partner, table[i].partner)) {
            return &table[i];
        }
    }
}

static bool grow(struct mp__meter *meter)
{
    size_t capacity = meter->accepted_capacity ? meter->accepted_capacity * 2 : 64;
    struct mp__accepted *table = calloc(capacity, sizeof(*table));
    if (!table) {
        return false;
    }
    for (size_t i = 0; i < meter->accepted_capacity; i++) {
        if (meter->accepted[i].series) {
            struct mp_str partner = mp_str_of(meter->accepted[i].partner);
            *slot_of(table, capacity, partner) = meter->accepted[i];
        }
    }
    free(meter->accepted);
    meter->accepted = table;
    meter->accepted_capacity = capacity;
    return true;
}

struct mp_series *mp__meter_accepted(struct mp__meter *meter, struct mp_str partner)
{
    if (meter->accepted_count * 2 >= meter->accepted_capacity && !grow(meter)) {
        return NULL;
    }
    struct mp__accepted *slot =
        slot_of(meter->accepted, meter->accepted_capacity, partner);
    if (!slot->series && partner.length < sizeof(slot->partner)) {
        struct mp_label label = {"partner", partner};
        slot->series = mp_metrics_counter(meter->metrics, "moonpost_accepted_total",
                                          "Deliveries answered with 202.", &label, 1);
        if (slot->series) {
            memcpy(slot->partner, partner.data, partner.length);
            slot->partner[partner.length] = '\0';
            meter->accepted_count++;
        }
    }
    return slot->series;
}
