/* SPDX-License-Identifier: MIT */
/* Drives the delivery room for the specs: a JSON object a line on stdin, what happens a
 * JSON object a line on stderr, the attempt log on stdout. mp_deliver_probe [--allow
 * CIDR] [--workers N] [--tune NAME=VALUE]… [--folder DIR] [--proxy NAME=URL]… [--bench
 * N] PARTNER=FILE…
 * {"op":"send","partner","id","event"[,"attempts","count","lane","endpoint_method","endpoint_url"]}
 * {"op":"script","partner"[,"path"]}  {"op":"pause","name"}  {"op":"resume","name"}
 * {"op":"in_flight","partner"}  {"op":"hold_lookups"}  {"op":"let_lookups"}
 * {"op":"metrics"}  {"op":"recall"}  {"op":"drain","ms"}; the end of stdin closes. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deliver_probe.h"
#include "moonpost/clock.h"

struct mp__probe mp__probe;
static uv_pipe_t input;
static struct mp_buf pending;
static const char *folder;
static struct mp_proxy proxies[8];
static size_t proxy_count;

/* What the room tells. */

static const char *const outcome_names[] = {"none", "settle", "retry", "bury", "park"};

static void tell_outcome(const struct mp_record *record)
{
    struct mp_buf line = mp__probe_line();
    mp__probe_put_text(&line,
                       "{\"outcome\":", mp_str_of(outcome_names[record->outcome.kind]));
    mp__probe_put_text(&line, ",\"id\":", record->id);
    mp__probe_put_text(&line, ",\"partner\":", record->partner);
    mp__probe_put_number(&line, ",\"attempts\":", record->attempts);
    mp__probe_put_number(&line, ",\"status\":", record->last_status);
    mp__probe_put_text(
        &line, ",\"verdict\":",
        mp_str_of(mp_verdict_name((enum mp_verdict_kind)record->last_verdict)));
    if (record->outcome.kind == MP_OUTCOME_RETRY) {
        mp__probe_put_number(&line,
                             ",\"wait_ms\":", record->outcome.due_ms - record->last_ms);
    }
    if (record->outcome.reason) {
        mp__probe_put_text(&line, ",\"reason\":", mp_str_of(record->outcome.reason));
    }
    mp__probe_put(&line, "}");
    mp__probe_say(&line);
}

static void on_outcomes(void *arg, struct mp_record_list *records)
{
    (void)arg;
    if (mp__probe.bench_total > 0) {
        mp__probe.bench_out -= (int64_t)records->count;
        mp_record_list_free(records);
        mp__probe_bench_more();
        return;
    }
    struct mp_record *record;
    while ((record = mp_record_list_pop(records))) {
        tell_outcome(record);
        mp_record_free(record);
    }
}

static void on_hold(void *arg, struct mp_str lane, int64_t until_ms)
{
    (void)arg;
    struct mp_buf line = mp__probe_line();
    mp__probe_put_text(&line, "{\"hold\":", lane);
    mp__probe_put_number(&line, ",\"for_ms\":", until_ms - mp_clock_wall_ms());
    mp__probe_put_number(&line, ",\"until\":", until_ms);
    mp__probe_put(&line, "}");
    mp__probe_say(&line);
}

static void on_pause(void *arg, const struct mp_pause *pause)
{
    static const char *const kinds[] = {"operator", "auth",    "gone",
                                        "script",   "verdict", "file"};
    (void)arg;
    struct mp_buf line = mp__probe_line();
    mp__probe_put_text(&line, "{\"pause\":", mp_str_of(pause->name));
    mp__probe_put_text(&line, ",\"kind\":", mp_str_of(kinds[pause->kind]));
    mp__probe_put_text(&line, ",\"reason\":", mp_str_of(pause->reason));
    mp__probe_put(&line, "}");
    mp__probe_say(&line);
}

static void on_closed(void *arg)
{
    (void)arg;
    if (input.loop && !uv_is_closing((uv_handle_t *)&input)) {
        uv_close((uv_handle_t *)&input, NULL);
    }
}

void mp__probe_on_last_drained(void *arg)
{
    (void)arg;
    mp_deliver_close(mp__probe.deliver, on_closed, NULL);
}

/* What the spec says. */

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    static char bytes[64 * 1024];
    (void)handle;
    (void)size;
    *buf = uv_buf_init(bytes, sizeof bytes);
}

static void on_input(uv_stream_t *stream, ssize_t length, const uv_buf_t *buf)
{
    if (length < 0) {
        uv_close((uv_handle_t *)stream, NULL);
        if (mp__probe.is_drained) {
            mp__probe_on_last_drained(NULL);
        } else {
            mp_deliver_drain(mp__probe.deliver, 0, mp__probe_on_last_drained, NULL);
        }
        return;
    }
    if (mp_buf_append(&pending, buf->base, (size_t)length) != MP_OK) {
        exit(2);
    }
    char *end;
    size_t at = 0;
    while ((end = memchr(pending.data + at, '\n', pending.length - at))) {
        size_t stop = (size_t)(end - pending.data);
        mp__probe_obey((struct mp_str){pending.data + at, stop - at});
        at = stop + 1;
    }
    memmove(pending.data, pending.data + at, pending.length - at);
    pending.length -= at;
}

static void tune(const char *setting)
{
    const char *value = strchr(setting, '=');
    size_t length = value ? (size_t)(value - setting) : 0;
    int64_t number = value ? strtoll(value + 1, NULL, 10) : 0;
#define TUNE(field, type)                                                                \
    if (strncmp(setting, #field, length) == 0 && strlen(#field) == length) {             \
        mp__probe.tuning.field = (type)number;                                           \
        return;                                                                          \
    }
    TUNE(breaker_open_ms, int64_t)
    TUNE(breaker_open_max_ms, int64_t)
    TUNE(overruns_within_ms, int64_t)
    TUNE(slow_call_us, int64_t)
    TUNE(slow_once_us, int64_t)
    TUNE(clean_ms, int64_t)
    TUNE(lane_idle_ms, int64_t)
    TUNE(lane_bodies_bytes, size_t)
    TUNE(in_flight_max, unsigned)
    TUNE(connect_max_ms, int64_t)
    TUNE(lookup_fresh_ms, int64_t)
    TUNE(lookups_max, unsigned)
    TUNE(token_wait_ms, int64_t)
    TUNE(token_wait_max_ms, int64_t)
    TUNE(token_refused_ms, int64_t)
    TUNE(log_bytes_max, size_t)
    TUNE(log_stop_ms, int64_t)
    mp__probe_fail("unknown tuning", setting);
}

static void start(const char *allow, unsigned workers)
{
    struct mp_egress *egress;
    struct mp_error err;
    if (mp_egress_new(&egress) != MP_OK || mp_metrics_new(&mp__probe.metrics) != MP_OK ||
        (allow && mp_egress_allow(egress, mp_str_of(allow), &err) != MP_OK) ||
        mp_script_watchdog_start() != MP_OK) {
        mp__probe_fail("start", "out of memory");
    }
    struct mp_deliver_config config = {
        .workers = workers,
        .egress = egress,
        .metrics = mp__probe.metrics,
        .version = "0",
        .folder = folder,
        .proxies = proxies,
        .proxy_count = proxy_count,
        .log_fd = mp__probe.bench_total > 0 ? open("/dev/null", O_WRONLY) : 1,
        .on_outcomes = on_outcomes,
        .on_hold = on_hold,
        .on_pause = on_pause,
    };
    if (mp__deliver_start_tuned(&mp__probe.loop, &config, &mp__probe.tuning,
                                &mp__probe.deliver, &err) != MP_OK) {
        mp__probe_fail("start", err.text);
    }
    uv_run(&mp__probe.loop, UV_RUN_NOWAIT);
    mp__probe.loop.data = egress;
}

static void add_proxy(const char *text)
{
    const char *equals = strchr(text, '=');
    if (!equals || proxy_count == sizeof proxies / sizeof *proxies) {
        mp__probe_fail("proxy", text);
    }
    proxies[proxy_count++] =
        (struct mp_proxy){{text, (size_t)(equals - text)}, mp_str_of(equals + 1)};
}

static const char *read_options(int argc, char **argv, int *at, unsigned *workers)
{
    const char *allow = NULL;
    *workers = 1;
    mp__probe.tuning = mp__deliver_tuning_default();
    for (*at = 1; *at + 1 < argc && strncmp(argv[*at], "--", 2) == 0; *at += 2) {
        const char *value = argv[*at + 1];
        if (strcmp(argv[*at], "--allow") == 0) {
            allow = value;
        } else if (strcmp(argv[*at], "--workers") == 0) {
            *workers = (unsigned)atoi(value);
        } else if (strcmp(argv[*at], "--bench") == 0) {
            mp__probe.bench_total = atoll(value);
        } else if (strcmp(argv[*at], "--folder") == 0) {
            folder = value;
        } else if (strcmp(argv[*at], "--proxy") == 0) {
            add_proxy(value);
        } else {
            tune(value);
        }
    }
    return allow;
}

int main(int argc, char **argv)
{
    int at;
    unsigned workers;
    const char *allow = read_options(argc, argv, &at, &workers);
    signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&mp__probe.loop);
    start(allow, workers);
    for (; at < argc; at++) {
        char *equals = strchr(argv[at], '=');
        struct mp_str partner = {argv[at], equals ? (size_t)(equals - argv[at]) : 0};
        snprintf(mp__probe.bench_partner, sizeof mp__probe.bench_partner, "%.*s",
                 (int)partner.length, partner.data);
        mp__probe_load_script(partner, equals ? equals + 1 : "");
    }
    if (mp__probe.bench_total > 0) {
        mp__probe_bench();
    } else {
        mp_buf_init(&pending, 64 * 1024 * 1024);
        uv_pipe_init(&mp__probe.loop, &input, 0);
        uv_pipe_open(&input, 0);
        uv_read_start((uv_stream_t *)&input, on_alloc, on_input);
    }
    uv_run(&mp__probe.loop, UV_RUN_DEFAULT);
    mp_script_watchdog_stop();
    mp_egress_free(mp__probe.loop.data);
    mp_metrics_free(mp__probe.metrics);
    mp_buf_fini(&pending);
    uv_loop_close(&mp__probe.loop);
    return 0;
}
