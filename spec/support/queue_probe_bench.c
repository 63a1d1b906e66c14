/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "moonpost/clock.h"
#include "moonpost/id.h"
#include "queue_probe.h"

/* Closed-loop producers; everything taken is settled. */

static size_t bench_left, bench_pending, bench_waiting;
static struct mp_str bench_event;

static void bench_send(void);

static void on_bench_done(struct mp_append *append, int status, const char *why)
{
    (void)why;
    if (status != MP_OK) {
        abort();
    }
    free(append);
    bench_pending--;
    bench_send();
}

static void bench_send(void)
{
    if (bench_left == 0) {
        return;
    }
    static const char *const lanes[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    struct mp_append *append = calloc(1, sizeof(*append));
    char id[MP_ID_BYTES];
    mp_id_new(id);
    mp__probe_add(append, lanes[bench_left % 8], id, bench_event);
    append->done = on_bench_done;
    bench_left--;
    bench_pending++;
    if (mp_queue_append(mp__probe.queue, append) != MP_OK) {
        abort();
    }
}

static void on_bench_turn(uv_prepare_t *check)
{
    if (bench_left == 0 && bench_pending == 0 &&
        mp_queue_waiting(mp__probe.queue, mp_str_of("")) == bench_waiting) {
        uv_prepare_stop(check);
        uv_close((uv_handle_t *)check, NULL);
        uv_stop(&mp__probe.loop);
    }
}

static int64_t cpu_us(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000 + use.ru_utime.tv_usec +
           use.ru_stime.tv_usec;
}

void mp__probe_bench(char **argv)
{
    size_t events = strtoull(argv[0], NULL, 10);
    size_t producers = strtoull(argv[1], NULL, 10);
    size_t bytes = strtoull(argv[2], NULL, 10);
    char *event = mp__probe_event(bytes);
    bench_event = (struct mp_str){event, bytes};
    bench_left = events;
    mp__probe.quiet = true;
    mp__probe.at_once =
        strcmp(argv[3], "settle") == 0 ? MP_OUTCOME_SETTLE : MP_OUTCOME_NONE;
    bench_waiting = mp_queue_waiting(mp__probe.queue, mp_str_of(""));
    bench_waiting += mp__probe.at_once == MP_OUTCOME_SETTLE ? 0 : events;
    uv_prepare_t check;
    uv_prepare_init(&mp__probe.loop, &check);
    uv_prepare_start(&check, on_bench_turn);
    int64_t cpu = cpu_us();
    int64_t from = mp_clock_mono_us();
    for (size_t i = 0; i < producers; i++) {
        bench_send();
    }
    uv_run(&mp__probe.loop, UV_RUN_DEFAULT);
    double us = (double)(mp_clock_mono_us() - from);
    mp__probe_say("bench\t%.0f events/s\t%.2f us CPU/event\t%ld KiB RSS",
                  (double)events * 1e6 / us, (double)(cpu_us() - cpu) / (double)events,
                  mp__probe_rss_kib());
    free(event);
    mp_queue_close(mp__probe.queue, mp__probe_on_closed, NULL);
    uv_run(&mp__probe.loop, UV_RUN_DEFAULT);
}

/* --- Kafka's: acks, and what is taken and settled, apart or together */

static size_t kafka_events, kafka_producers;
static bool kafka_appends, kafka_takes;
static int64_t kafka_from_us, kafka_cpu_us;
static uv_timer_t kafka_timer;

static void on_kafka_turn(uv_timer_t *timer)
{
    if ((kafka_appends && (bench_left || bench_pending)) ||
        (kafka_takes && mp__probe.taken < kafka_events)) {
        return;
    }
    double us = (double)(mp_clock_mono_us() - kafka_from_us);
    mp__probe_say("bench\t%s%s\t%.0f events/s\t%.2f us CPU/event\t%ld KiB RSS",
                  kafka_appends ? "append" : "", kafka_takes ? "take" : "",
                  (double)kafka_events * 1e6 / us,
                  (double)(cpu_us() - kafka_cpu_us) / (double)kafka_events,
                  mp__probe_rss_kib());
    uv_close((uv_handle_t *)timer, NULL);
    uv_stop(&mp__probe.loop);
}

static void on_kafka_open(void)
{
    kafka_cpu_us = cpu_us();
    kafka_from_us = mp_clock_mono_us();
    bench_left = kafka_appends ? kafka_events : 0;
    for (size_t i = 0; i < kafka_producers && kafka_appends; i++) {
        bench_send();
    }
    uv_timer_init(&mp__probe.loop, &kafka_timer);
    uv_timer_start(&kafka_timer, on_kafka_turn, 1, 1);
}

void mp__probe_bench_kafka(char **argv)
{
    kafka_events = strtoull(argv[0], NULL, 10);
    kafka_producers = strtoull(argv[1], NULL, 10);
    size_t bytes = strtoull(argv[2], NULL, 10);
    kafka_appends = strcmp(argv[3], "take") != 0;
    kafka_takes = strcmp(argv[3], "append") != 0;
    char *event = mp__probe_event(bytes);
    bench_event = (struct mp_str){event, bytes};
    mp__probe.quiet = true;
    mp__probe.at_once = MP_OUTCOME_SETTLE;
    mp__probe.on_open = on_kafka_open;
    uv_run(&mp__probe.loop, UV_RUN_DEFAULT);
    free(event);
    mp_queue_close(mp__probe.queue, mp__probe_on_closed, NULL);
    uv_run(&mp__probe.loop, UV_RUN_DEFAULT);
}
