/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moonpost/engine.h"
#include "moonpost/ingest.h"
#include "moonpost/json.h"
#include "moonpost/metrics.h"

/* The ingest server with a queue in memory. It prints "listening HOST:PORT", then each
 * record that was appended as a JSON line. Its API echoes what reached it; under
 * /api/later in a later turn. */

struct remembered {
    uint8_t key[32], body[32];
    struct mp_buf answer;
};
struct fake_queue {
    struct mp_queue queue;
    uv_timer_t timer;
    struct mp_append *waiting[16384];
    size_t count;
    struct remembered remembered[64];
    size_t remembered_count;
    int refuses, fails; /* a status, or MP_OK */
    bool halves;        /* of a request that fails, every second record is stored */
    uint64_t delay_ms;
    bool is_silent;
};

static struct fake_queue fake;
static const char *not_ready;
static struct mp_ingest *ingest;
static uv_signal_t on_term;
static uv_timer_t later;
static struct mp_call *later_calls[64];
static size_t later_count;

static void print_member(struct mp_buf *line, const char *name, struct mp_str value)
{
    if (mp_buf_printf(line, "%s\"%s\":", line->length > 1 ? "," : "", name) ||
        mp_json_write_string(line, value)) {
        abort();
    }
}

static void print_record(const struct mp_record *record)
{
    struct mp_buf line;
    mp_buf_init(&line, SIZE_MAX);
    if (mp_buf_append_char(&line, '{')) {
        abort();
    }
    print_member(&line, "id", record->id);
    print_member(&line, "partner", record->partner);
    print_member(&line, "lane", record->lane);
    print_member(&line, "event", record->event);
    print_member(&line, "type", record->type);
    print_member(&line, "source", record->source);
    print_member(&line, "subject", record->subject);
    print_member(&line, "event_id", record->event_id);
    print_member(&line, "partition_key", record->partition_key);
    print_member(&line, "method", record->endpoint_method);
    print_member(&line, "url", record->endpoint_url);
    if (mp_buf_printf(&line, ",\"occurred_ms\":%lld}\n",
                      (long long)record->occurred_ms)) {
        abort();
    }
    fwrite(line.data, 1, line.length, stdout);
    mp_buf_fini(&line);
}

static int remember(struct mp_append *append)
{
    for (size_t i = 0; i < fake.remembered_count; i++) {
        struct remembered *one = &fake.remembered[i];
        if (memcmp(one->key, append->key, 32) != 0) {
            continue;
        }
        if (memcmp(one->body, append->body, 32) != 0) {
            return MP_ECONFLICT;
        }
        mp_buf_init(&append->answer_before, SIZE_MAX);
        return mp_buf_append_str(&append->answer_before, mp_buf_str(&one->answer))
                   ? MP_ENOMEM
                   : MP_EDUPLICATE;
    }
    struct remembered *one = &fake.remembered[fake.remembered_count++ % 64];
    memcpy(one->key, append->key, 32);
    memcpy(one->body, append->body, 32);
    mp_buf_init(&one->answer, SIZE_MAX);
    return mp_buf_append_str(&one->answer, append->answer);
}

static void finish(struct mp_append *append)
{
    size_t count = append->records.count;
    int status = fake.fails;
    if (status == MP_OK && append->has_key) {
        status = remember(append);
    }
    for (struct mp_record *record; (record = mp_record_list_pop(&append->records));) {
        if (status == MP_OK && !fake.is_silent) {
            print_record(record);
        }
        mp_record_free(record);
    }
    fflush(stdout);
    static bool stored[64];
    if (status != MP_OK && fake.halves && count > 1 && count <= 64) {
        for (size_t i = 1; i < count; i += 2) {
            stored[i] = true;
        }
        append->stored = stored;
        append->stored_count = count / 2;
    }
    append->done(append, status,
                 status == MP_OK ? NULL : "the fake queue was told to fail");
}

static void on_turn(uv_timer_t *timer)
{
    (void)timer;
    static struct mp_append *now[16384];
    size_t count = fake.count;
    memcpy(now, fake.waiting, count * sizeof(now[0]));
    fake.count = 0;
    for (size_t i = 0; i < count; i++) {
        finish(now[i]);
    }
}

static int append(struct mp_queue *queue, struct mp_append *what)
{
    (void)queue;
    if (fake.refuses != MP_OK) {
        return fake.refuses;
    }
    if (fake.count == 16384) {
        return MP_EAGAIN;
    }
    fake.waiting[fake.count++] = what;
    if (!uv_is_active((uv_handle_t *)&fake.timer)) {
        uv_timer_start(&fake.timer, on_turn, fake.delay_ms, 0);
    }
    return MP_OK;
}

static const struct mp_queue_ops OPS = {.append = append};

static void echo(struct mp_call *call)
{
    struct mp_buf out, x;
    mp_buf_init(&out, SIZE_MAX);
    mp_buf_init(&x, SIZE_MAX);
    bool has_x = mp_call_query(call, "x", &x);
    if (mp_buf_append_char(&out, '{')) {
        abort();
    }
    print_member(&out, "method", mp_call_method(call));
    print_member(&out, "path", mp_call_path(call));
    print_member(&out, "body", mp_call_body(call));
    print_member(&out, "agent", mp_call_header(call, "user-AGENT"));
    if (has_x) {
        print_member(&out, "x", mp_buf_str(&x));
    }
    if (mp_buf_append_char(&out, '}')) {
        abort();
    }
    mp_call_respond(call, 200, "application/json", "X-Echo: 1\r\n", mp_buf_str(&out));
    mp_buf_fini(&out);
    mp_buf_fini(&x);
}

static void on_later(uv_timer_t *timer)
{
    (void)timer;
    size_t count = later_count;
    later_count = 0;
    for (size_t i = 0; i < count; i++) {
        echo(later_calls[i]);
    }
}

static void on_api(void *arg, struct mp_call *call)
{
    (void)arg;
    if (mp_str_is(mp_call_path(call), "/api/later") && later_count < 64) {
        later_calls[later_count++] = call;
        uv_timer_start(&later, on_later, 30, 0);
    } else {
        echo(call);
    }
}

static const char *why_not_ready(void *arg)
{
    (void)arg;
    return not_ready;
}

static void on_ingest_closed(void *arg)
{
    (void)arg;
    printf("closed\n");
    fflush(stdout);
    uv_close((uv_handle_t *)&fake.timer, NULL);
    uv_close((uv_handle_t *)&later, NULL);
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    uv_close((uv_handle_t *)handle, NULL);
    mp_ingest_close(ingest, on_ingest_closed, NULL);
}

static int status_named(const char *name)
{
#define X(status, value, text)                                                           \
    if (strcmp(name, #status) == 0) {                                                    \
        return value;                                                                    \
    }
    MP_STATUS_MAP(X)
#undef X
    return MP_OK;
}

static bool read_limit(struct mp_ingest_limits *limits, const char *name,
                       const char *value)
{
    struct {
        const char *name;
        int64_t *at;
    } all[] = {
        {"--header-timeout", &limits->header_timeout_ms},
        {"--body-timeout", &limits->body_timeout_ms},
        {"--idle-timeout", &limits->idle_timeout_ms},
        {"--header-limit", &limits->header_bytes},
        {"--header-count", &limits->header_count},
        {"--body-limit", &limits->body_bytes},
        {"--connections", &limits->connections},
        {"--json-depth", &limits->json_depth},
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (strcmp(name, all[i].name) == 0) {
            *all[i].at = atoll(value);
            return true;
        }
    }
    return false;
}

static void read_option(struct mp_ingest_config *config, const char *name,
                        const char *value)
{
    if (read_limit(&config->limits, name, value)) {
        return;
    }
    if (strcmp(name, "--listen") == 0) {
        config->listen = value;
    } else if (strcmp(name, "--ingest-rate") == 0) {
        config->rate = value;
    } else if (strcmp(name, "--ingest-tokens") == 0) {
        config->ingest_token_file = value;
    } else if (strcmp(name, "--api-tokens") == 0) {
        config->api_token_file = value;
    } else if (strcmp(name, "--no-auth") == 0) {
        config->no_auth = strcmp(value, "yes") == 0;
    } else if (strcmp(name, "--refuse") == 0) {
        fake.refuses = status_named(value);
    } else if (strcmp(name, "--fail") == 0) {
        fake.fails = status_named(value);
    } else if (strcmp(name, "--halves") == 0) {
        fake.halves = strcmp(value, "yes") == 0;
    } else if (strcmp(name, "--delay") == 0) {
        fake.delay_ms = (uint64_t)atoll(value);
    } else if (strcmp(name, "--silent") == 0) {
        fake.is_silent = strcmp(value, "yes") == 0;
    } else if (strcmp(name, "--not-ready") == 0) {
        not_ready = value;
    }
}

static void fill(struct mp_directory *directory, bool has_postback)
{
    struct mp_str conversions = mp_str_of("conversion.*"), all = mp_str_of("*");
    if (mp_directory_set(directory, mp_str_of("acme"), &conversions, 1) ||
        mp_directory_set(directory, mp_str_of("globex"), &all, 1) ||
        mp_directory_set(directory, mp_str_of("initech"), NULL, 0) ||
        (has_postback && mp_directory_set(directory, mp_str_of("postback"), &all, 1))) {
        abort();
    }
}

int main(int argc, char **argv)
{
    struct mp_directory *directory = NULL;
    struct mp_metrics *metrics = NULL;
    struct mp_error err = {0};
    bool has_postback = true;
    struct mp_ingest_config config = {
        .listen = "127.0.0.1:0",
        .limits = {10000, 30000, 75000, 16384, 100, 1048576, 10000, 128},
        .api = on_api,
        .not_ready = why_not_ready,
    };
    for (int i = 1; i + 1 < argc; i += 2) {
        read_option(&config, argv[i], argv[i + 1]);
        has_postback = has_postback && strcmp(argv[i], "--no-postback") != 0;
    }
    uv_loop_t *loop = uv_default_loop();
    if (mp_directory_new(&directory) || mp_metrics_new(&metrics)) {
        return 1;
    }
    fill(directory, has_postback);
    fake.queue.ops = &OPS;
    config.queue = &fake.queue;
    config.takes_events = true;
    config.directory = directory;
    config.metrics = metrics;
    uv_timer_init(loop, &fake.timer);
    uv_timer_init(loop, &later);
    int status = mp_ingest_start(loop, &config, &ingest, &err);
    if (status != MP_OK) {
        printf("refused %s %s\n", mp_status_name(status), err.text);
        uv_close((uv_handle_t *)&fake.timer, NULL);
        uv_close((uv_handle_t *)&later, NULL);
    } else {
        uv_signal_init(loop, &on_term);
        uv_signal_start(&on_term, on_signal, SIGTERM);
        printf("listening %s\n", mp_ingest_address(ingest));
    }
    fflush(stdout);
    uv_run(loop, UV_RUN_DEFAULT);
    for (size_t i = 0; i < fake.remembered_count && i < 64; i++) {
        mp_buf_fini(&fake.remembered[i].answer);
    }
    mp_directory_free(directory);
    mp_metrics_free(metrics);
    uv_loop_close(loop);
    return status == MP_OK ? 0 : 1;
}
