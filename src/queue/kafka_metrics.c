/* SPDX-License-Identifier: MIT */
#include "kafka.h"

/* The engine's series; the lag of each partition is the group's. */

static struct mp_series *counter(struct mp__kafka *engine, const char *name,
                                 const char *help)
{
    return mp_metrics_counter(engine->config.metrics, name, help, NULL, 0);
}

static struct mp_series *gauge(struct mp__kafka *engine, const char *name,
                               const char *help)
{
    return mp_metrics_gauge(engine->config.metrics, name, help, NULL, 0);
}

void mp__kafka_metrics_open(struct mp__kafka *engine)
{
    static const char *const reasons[] = {
        [MP__KAFKA_PAUSED] = "paused",
        [MP__KAFKA_BREAKER] = "breaker",
        [MP__KAFKA_SLOW] = "slow",
    };
    if (!engine->config.metrics) {
        return;
    }
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        struct mp_label label = {"reason", mp_str_of(reasons[i])};
        engine->spilled[i] = mp_metrics_counter(
            engine->config.metrics, "moonpost_kafka_spilled_total",
            "Waiting records moved to a retry tier, no attempt spent.", &label, 1);
    }
    engine->rebalances = counter(engine, "moonpost_kafka_rebalances_total",
                                 "Times that partitions were assigned or revoked.");
    engine->commits =
        counter(engine, "moonpost_kafka_commits_total", "Commits that the group took.");
    engine->commit_errors = counter(engine, "moonpost_kafka_commit_errors_total",
                                    "Commits that failed, and were tried again.");
    engine->produce_errors = counter(engine, "moonpost_kafka_produce_errors_total",
                                     "Tries to produce a record that failed.");
    engine->malformed = counter(engine, "moonpost_kafka_malformed_total",
                                "Records that could not be read, now dead letters.");
    engine->in_flight = gauge(engine, "moonpost_kafka_in_flight",
                              "Records produced whose report is not there yet.");
    engine->partitions =
        gauge(engine, "moonpost_kafka_partitions", "Partitions that this process reads.");
}

void mp__kafka_measure(struct mp__kafka *engine)
{
    uint64_t errors = engine->producer.errors;
    mp_series_add(engine->produce_errors, errors - engine->told_errors);
    engine->told_errors = errors;
    mp_series_set(engine->in_flight, (int64_t)engine->producer.count);
}
