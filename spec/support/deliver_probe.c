/* SPDX-License-Identifier: MIT */
/* Drives the delivery room for the specs: a JSON object a line on stdin, what happens a
 * JSON object a line on stderr, the attempt log on stdout. mp_deliver_probe [--allow
 * CIDR] [--workers N] [--tune NAME=VALUE]… [--bench N] PARTNER=FILE…
 * {"op":"send","partner","id","event"[,"attempts","count","lane","endpoint_method","endpoint_url"]}
 * {"op":"script","partner"[,"path"]}  {"op":"pause","name"}  {"op":"resume","name"}
 * {"op":"in_flight","partner"}  {"op":"metrics"}  {"op":"drain","ms"}; the end of stdin
 * closes. */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../../src/deliver/tuning.h"
#include "moonpost/clock.h"
#include "moonpost/json.h"
#include "moonpost/metrics.h"

static uv_loop_t loop;
static uv_pipe_t input;
static struct mp_buf pending;
static struct mp_deliver *deliver;
static struct mp_metrics *metrics;
static struct mp__deliver_tuning tuning;
static int64_t bench_left, bench_out, bench_total;
static char bench_partner[MP_PARTNER_BYTES];
static struct rusage bench_before;
static int64_t bench_began_us;

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "mp_deliver_probe: %s: %s\n", what, why);
    exit(2);
}

static void say(struct mp_buf *line)
{
    if (mp_buf_append_char(line, '\n') != MP_OK ||
        write(2, line->data, line->length) != (ssize_t)line->length) {
        exit(2);
    }
    mp_buf_fini(line);
}

static void put(struct mp_buf *line, const char *text)
{
    if (mp_buf_append_text(line, text) != MP_OK) {
        exit(2);
    }
}

static void put_text(struct mp_buf *line, const char *name, struct mp_str text)
{
    put(line, name);
    if (mp_json_write_string(line, text) != MP_OK) {
        exit(2);
    }
}

static void put_number(struct mp_buf *line, const char *name, int64_t number)
{
    put(line, name);
    if (mp_buf_append_int(line, number) != MP_OK) {
        exit(2);
    }
}

static struct mp_buf line_new(void)
{
    struct mp_buf line;
    mp_buf_init(&line, 16 * 1024 * 1024);
    return line;
}

/* What the room tells. */

static const char *const outcome_names[] = {"none", "settle", "retry", "bury", "park"};

static void tell_outcome(const struct mp_record *record)
{
    struct mp_buf line = line_new();
    put_text(&line, "{\"outcome\":", mp_str_of(outcome_names[record->outcome.kind]));
    put_text(&line, ",\"id\":", record->id);
    put_text(&line, ",\"partner\":", record->partner);
    put_number(&line, ",\"attempts\":", record->attempts);
    put_number(&line, ",\"status\":", record->last_status);
    put_text(&line, ",\"verdict\":",
             mp_str_of(mp_verdict_name((enum mp_verdict_kind)record->last_verdict)));
    if (record->outcome.kind == MP_OUTCOME_RETRY) {
        put_number(&line, ",\"wait_ms\":", record->outcome.due_ms - record->last_ms);
    }
    if (record->outcome.reason) {
        put_text(&line, ",\"reason\":", mp_str_of(record->outcome.reason));
    }
    put(&line, "}");
    say(&line);
}

static void bench_more(void);

static void on_outcomes(void *arg, struct mp_record_list *records)
{
    (void)arg;
    if (bench_total > 0) {
        bench_out -= (int64_t)records->count;
        mp_record_list_free(records);
        bench_more();
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
    struct mp_buf line = line_new();
    put_text(&line, "{\"hold\":", lane);
    put_number(&line, ",\"for_ms\":", until_ms - mp_clock_wall_ms());
    put_number(&line, ",\"until\":", until_ms);
    put(&line, "}");
    say(&line);
}

static void on_pause(void *arg, const struct mp_pause *pause)
{
    static const char *const kinds[] = {"operator", "auth",    "gone",
                                        "script",   "verdict", "file"};
    (void)arg;
    struct mp_buf line = line_new();
    put_text(&line, "{\"pause\":", mp_str_of(pause->name));
    put_text(&line, ",\"kind\":", mp_str_of(kinds[pause->kind]));
    put_text(&line, ",\"reason\":", mp_str_of(pause->reason));
    put(&line, "}");
    say(&line);
}

static void on_closed(void *arg)
{
    (void)arg;
    if (input.loop && !uv_is_closing((uv_handle_t *)&input)) {
        uv_close((uv_handle_t *)&input, NULL);
    }
}

static bool is_drained;

static void on_drained(void *arg)
{
    (void)arg;
    is_drained = true;
    struct mp_buf line = line_new();
    put(&line, "{\"drained\":true}");
    say(&line);
}

static void on_last_drained(void *arg)
{
    (void)arg;
    mp_deliver_close(deliver, on_closed, NULL);
}

/* What the spec says. */

static struct mp_str member(struct mp_str object, const char *key)
{
    struct mp_str value = {0};
    (void)mp_json_member(object, mp_str_of(key), &value);
    return value;
}

/* Lives until the process ends. */
static struct mp_str text_of(struct mp_str object, const char *key)
{
    struct mp_buf text;
    struct mp_str raw = member(object, key);
    mp_buf_init(&text, 1024 * 1024);
    if (mp_json_kind(raw) != MP_JSON_STRING || mp_json_unescape(raw, &text) != MP_OK) {
        return (struct mp_str){"", 0};
    }
    struct mp_str copy = {strndup(text.data ? text.data : "", text.length), text.length};
    mp_buf_fini(&text);
    return copy;
}

static int64_t number_of(struct mp_str object, const char *key, int64_t fallback)
{
    struct mp_str raw = member(object, key);
    return raw.length > 0 ? strtoll(raw.data, NULL, 10) : fallback;
}

static void free_text(struct mp_str text)
{
    if (text.length > 0) {
        free((void *)(uintptr_t)text.data);
    }
}

static void send_records(struct mp_str command)
{
    struct mp_record_list list = {0};
    struct mp_str partner = text_of(command, "partner"), id = text_of(command, "id");
    struct mp_str lane = text_of(command, "lane");
    struct mp_str method = text_of(command, "endpoint_method");
    struct mp_str url = text_of(command, "endpoint_url");
    int64_t count = number_of(command, "count", 1);
    for (int64_t i = 1; i <= count; i++) {
        char numbered[160];
        snprintf(numbered, sizeof numbered, count > 1 ? "%.*s%" PRId64 : "%.*s",
                 (int)id.length, id.data, i);
        struct mp_record draft = {
            .id = mp_str_of(numbered),
            .partner = partner,
            .lane = lane,
            .event = member(command, "event"),
            .endpoint_method = method,
            .endpoint_url = url,
            .attempts = (uint32_t)number_of(command, "attempts", 0),
            .first_ms = mp_clock_wall_ms(),
            .occurred_ms = -1,
        };
        struct mp_record *record;
        if (mp_record_new(&draft, &record) != MP_OK) {
            fail("record", "out of memory");
        }
        mp_record_list_push(&list, record);
    }
    mp_deliver_take(deliver, &list);
    struct mp_str texts[] = {partner, id, lane, method, url};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        free_text(texts[i]);
    }
}

static void load_script(struct mp_str partner, const char *path)
{
    static char source[1 << 20];
    FILE *file = fopen(path, "r");
    if (!file) {
        fail(path, "could not be read");
    }
    size_t length = fread(source, 1, sizeof source, file);
    fclose(file);
    struct mp_script *script;
    struct mp_error err;
    if (mp_script_load(partner, (struct mp_str){source, length}, path, &script, &err) !=
        MP_OK) {
        fail(path, err.text);
    }
    mp_deliver_set_script(deliver, partner, script);
    mp_script_unref(script);
}

static void set_script(struct mp_str command)
{
    struct mp_str partner = text_of(command, "partner");
    struct mp_str path = text_of(command, "path");
    if (path.length > 0) {
        load_script(partner, path.data);
    } else {
        mp_deliver_set_script(deliver, partner, NULL);
    }
    free_text(partner);
    free_text(path);
}

static void tell_in_flight(struct mp_str command)
{
    struct mp_buf line = line_new();
    struct mp_str partner = text_of(command, "partner");
    put_number(&line, "{\"in_flight\":", (int64_t)mp_deliver_in_flight(deliver, partner));
    put(&line, "}");
    say(&line);
    free_text(partner);
}

static void tell_metrics(void)
{
    struct mp_buf line = line_new(), text = line_new();
    if (mp_metrics_write(metrics, &text) != MP_OK) {
        exit(2);
    }
    put_text(&line, "{\"metrics\":", mp_buf_str(&text));
    put(&line, "}");
    say(&line);
    mp_buf_fini(&text);
}

static void obey(struct mp_str command)
{
    struct mp_str op = text_of(command, "op"), name = text_of(command, "name");
    if (mp_str_is(op, "send")) {
        send_records(command);
    } else if (mp_str_is(op, "script")) {
        set_script(command);
    } else if (mp_str_is(op, "pause")) {
        mp_deliver_pause(deliver, name);
    } else if (mp_str_is(op, "resume")) {
        mp_deliver_resume(deliver, name);
    } else if (mp_str_is(op, "in_flight")) {
        tell_in_flight(command);
    } else if (mp_str_is(op, "metrics")) {
        tell_metrics();
    } else if (mp_str_is(op, "drain")) {
        mp_deliver_drain(deliver, mp_clock_mono_ms() + number_of(command, "ms", 0),
                         on_drained, NULL);
    } else {
        fail("unknown op", op.data);
    }
    free_text(op);
    free_text(name);
}

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
        if (is_drained) {
            on_last_drained(NULL);
        } else {
            mp_deliver_drain(deliver, 0, on_last_drained, NULL);
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
        obey((struct mp_str){pending.data + at, stop - at});
        at = stop + 1;
    }
    memmove(pending.data, pending.data + at, pending.length - at);
    pending.length -= at;
}

/* Bench: records of one partner, as many at once as a lane's window holds. */

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static void bench_report(void)
{
    struct rusage now;
    getrusage(RUSAGE_SELF, &now);
    double user = seconds(now.ru_utime) - seconds(bench_before.ru_utime);
    double system = seconds(now.ru_stime) - seconds(bench_before.ru_stime);
    double wall = (double)(mp_clock_mono_us() - bench_began_us) / 1e6;
    double total = (double)bench_total;
    printf("%.0f deliveries, %.0f/s, CPU %.2f us each (user %.2f, system %.2f)\n", total,
           total / wall, (user + system) * 1e6 / total, user * 1e6 / total,
           system * 1e6 / total);
    fflush(stdout);
}

static void bench_more(void)
{
    struct mp_record_list list = {0};
    while (bench_left > 0 && bench_out < 256) {
        struct mp_record draft = {
            .id = mp_str_of("01890a5d-ac96-774b-bcce-b302099a8057"),
            .partner = mp_str_of(bench_partner),
            .event = mp_str_of(
                "{\"click_id\":\"c-1234567890\",\"payout\":1.50,\"geo\":\"DE\"}"),
            .first_ms = mp_clock_wall_ms(),
            .occurred_ms = -1,
        };
        struct mp_record *record;
        if (mp_record_new(&draft, &record) != MP_OK) {
            exit(2);
        }
        mp_record_list_push(&list, record);
        bench_left--;
        bench_out++;
    }
    if (list.count > 0) {
        mp_deliver_take(deliver, &list);
    } else if (bench_left == 0 && bench_out == 0) {
        bench_report();
        mp_deliver_drain(deliver, 0, on_last_drained, NULL);
    }
}

static void bench(void)
{
    bench_left = bench_total;
    getrusage(RUSAGE_SELF, &bench_before);
    bench_began_us = mp_clock_mono_us();
    bench_more();
}

static void tune(const char *setting)
{
    const char *value = strchr(setting, '=');
    size_t length = value ? (size_t)(value - setting) : 0;
    int64_t number = value ? strtoll(value + 1, NULL, 10) : 0;
#define TUNE(field, type)                                                                \
    if (strncmp(setting, #field, length) == 0 && strlen(#field) == length) {             \
        tuning.field = (type)number;                                                     \
        return;                                                                          \
    }
    TUNE(breaker_open_ms, int64_t)
    TUNE(breaker_open_max_ms, int64_t)
    TUNE(overruns_within_ms, int64_t)
    TUNE(slow_call_us, int64_t)
    TUNE(clean_ms, int64_t)
    TUNE(lane_idle_ms, int64_t)
    TUNE(in_flight_max, unsigned)
    TUNE(lookup_fresh_ms, int64_t)
    TUNE(log_bytes_max, size_t)
    TUNE(log_stop_ms, int64_t)
    fail("unknown tuning", setting);
}

static void start(const char *allow, unsigned workers)
{
    struct mp_egress *egress;
    struct mp_error err;
    if (mp_egress_new(&egress) != MP_OK || mp_metrics_new(&metrics) != MP_OK ||
        (allow && mp_egress_allow(egress, mp_str_of(allow), &err) != MP_OK) ||
        mp_script_watchdog_start() != MP_OK) {
        fail("start", "out of memory");
    }
    struct mp_deliver_config config = {
        .workers = workers,
        .egress = egress,
        .metrics = metrics,
        .version = "0",
        .log_fd = bench_total > 0 ? open("/dev/null", O_WRONLY) : 1,
        .on_outcomes = on_outcomes,
        .on_hold = on_hold,
        .on_pause = on_pause,
    };
    if (mp__deliver_start_tuned(&loop, &config, &tuning, &deliver, &err) != MP_OK) {
        fail("start", err.text);
    }
    uv_run(&loop, UV_RUN_NOWAIT);
    loop.data = egress;
}

static const char *read_options(int argc, char **argv, int *at, unsigned *workers)
{
    const char *allow = NULL;
    *workers = 1;
    tuning = mp__deliver_tuning_default();
    for (*at = 1; *at + 1 < argc && strncmp(argv[*at], "--", 2) == 0; *at += 2) {
        const char *value = argv[*at + 1];
        if (strcmp(argv[*at], "--allow") == 0) {
            allow = value;
        } else if (strcmp(argv[*at], "--workers") == 0) {
            *workers = (unsigned)atoi(value);
        } else if (strcmp(argv[*at], "--bench") == 0) {
            bench_total = atoll(value);
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
    uv_loop_init(&loop);
    start(allow, workers);
    for (; at < argc; at++) {
        char *equals = strchr(argv[at], '=');
        struct mp_str partner = {argv[at], equals ? (size_t)(equals - argv[at]) : 0};
        snprintf(bench_partner, sizeof bench_partner, "%.*s", (int)partner.length,
                 partner.data);
        load_script(partner, equals ? equals + 1 : "");
    }
    if (bench_total > 0) {
        bench();
    } else {
        mp_buf_init(&pending, 64 * 1024 * 1024);
        uv_pipe_init(&loop, &input, 0);
        uv_pipe_open(&input, 0);
        uv_read_start((uv_stream_t *)&input, on_alloc, on_input);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    mp_script_watchdog_stop();
    mp_egress_free(loop.data);
    mp_metrics_free(metrics);
    mp_buf_fini(&pending);
    uv_loop_close(&loop);
    return 0;
}
