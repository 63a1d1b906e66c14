/* SPDX-License-Identifier: MIT */
/* Drives a queue for the specs: a command a line on stdin, what happens a line on stdout,
 * words apart by tabs.
 *   mp_queue_probe FOLDER [WINDOW_MS]
 *   mp_queue_probe --kafka BOOTSTRAP PREFIX [name=value …]
 *   mp_queue_probe --bench FOLDER EVENTS PRODUCERS BYTES settle|keep
 *   mp_queue_probe --bench-kafka EVENTS PRODUCERS BYTES append|take|both BOOTSTRAP PREFIX
 *                  [name=value …] */
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moonpost/clock.h"
#include "queue_probe.h"

struct mp__probe mp__probe;

void mp__probe_say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
}

void mp__probe_resolve_hand(void)
{
    struct mp_record_list done = mp__probe.hand;
    mp__probe.hand = (struct mp_record_list){0};
    for (struct mp_record *record = done.head; record; record = record->next) {
        record->outcome.kind = mp__probe.at_once;
        if (mp__probe.at_once == MP_OUTCOME_BURY) {
            record->outcome.reason = strdup("at once");
        }
    }
    mp_queue_resolve(mp__probe.queue, &done);
}

static void on_take(void *arg, struct mp_record_list *records)
{
    (void)arg;
    mp__probe_check_held(records);
    for (struct mp_record *r = records->head; r && !mp__probe.quiet; r = r->next) {
        mp__probe_say("take\t%.*s\t%.*s\t%.*s\t%u\t%u\t%u\t%" PRId64 "\t%.*s",
                      (int)r->id.length, r->id.data, (int)r->partner.length,
                      r->partner.data, (int)r->lane.length, r->lane.data, r->attempts,
                      r->replays, (unsigned)r->last_status,
                      mp_clock_wall_ms() - r->due_ms,
                      r->event.length < 200 ? (int)r->event.length : 0, r->event.data);
    }
    mp__probe.taken += records->count;
    mp_record_list_append(&mp__probe.hand, records);
    mp__probe.fullest = mp__probe.hand.count > mp__probe.fullest ? mp__probe.hand.count
                                                                 : mp__probe.fullest;
    if (mp__probe.at_once != MP_OUTCOME_NONE) {
        mp__probe_resolve_hand();
    }
}

static void on_pause(void *arg, const struct mp_pause *pause)
{
    (void)arg;
    mp__probe_say("pause\t%s\t%d\t%s\t%" PRId64, pause->name, (int)pause->kind,
                  pause->reason, pause->since_ms);
}

static void on_ready(void *arg, const char *why)
{
    (void)arg;
    mp__probe_say("ready\t%s", why ? why : "yes");
    mp__probe_kafka_ready(why);
}

void mp__probe_on_closed(void *arg)
{
    (void)arg;
    mp__probe_say("closed");
    mp__probe.queue = NULL;
    uv_stop(&mp__probe.loop);
}

static void run_line(char *line)
{
    char *word[MP__PROBE_WORDS];
    int count = 0;
    for (char *at = line; at && count < MP__PROBE_WORDS;) {
        word[count++] = at;
        at = strchr(at, '\t');
        if (at) {
            *at++ = '\0';
        }
    }
    mp__probe_run(word, count);
}

static char input[1 << 20];
static size_t input_length;

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)handle;
    (void)suggested;
    *buf = uv_buf_init(input + input_length, (unsigned)(sizeof(input) - input_length));
}

static void on_input(uv_stream_t *stream, ssize_t length, const uv_buf_t *buf)
{
    (void)buf;
    if (length < 0) {
        uv_read_stop(stream);
        if (mp__probe.queue) {
            mp_queue_close(mp__probe.queue, mp__probe_on_closed, NULL);
        }
        return;
    }
    input_length += (size_t)length;
    char *from = input;
    char *end;
    while ((end = memchr(from, '\n', input_length - (size_t)(from - input)))) {
        *end = '\0';
        run_line(from);
        from = end + 1;
    }
    input_length -= (size_t)(from - input);
    memmove(input, from, input_length);
}

static const struct mp_queue_owner owner = {
    .on_take = on_take, .on_pause = on_pause, .on_ready = on_ready};

/* The first word that is not the engine's; NULL: it could not be opened. */
static char **open_queue(int argc, char **argv, struct mp_error *err)
{
    bool benching = strncmp(argv[1], "--bench", 7) == 0;
    if (strcmp(argv[1], "--kafka") == 0 && argc > 3) {
        return mp__probe_open_kafka(&owner, true, argv + 2, argc - 2, err) ? NULL : argv;
    }
    if (strcmp(argv[1], "--bench-kafka") == 0 && argc > 7) {
        bool delivers = strcmp(argv[5], "append") != 0;
        return mp__probe_open_kafka(&owner, delivers, argv + 6, argc - 6, err) ? NULL
                                                                               : argv + 2;
    }
    struct mp_queue_embedded_config config = {
        .folder = argv[benching ? 2 : 1],
        .idempotency_window_ms = argc > 2 && !benching ? atoll(argv[2]) : 86400000,
        .owner = owner,
    };
    mp__probe_put_disk_between();
    if (mp_queue_open_embedded(&mp__probe.loop, &config, &mp__probe.queue, err) !=
        MP_OK) {
        return NULL;
    }
    mp__probe_say("open");
    return argv + 3;
}

static void listen_to_input(void)
{
    uv_pipe_t in;
    uv_pipe_init(&mp__probe.loop, &in, 0);
    uv_pipe_open(&in, 0);
    uv_read_start((uv_stream_t *)&in, on_room, on_input);
    uv_run(&mp__probe.loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&in, NULL);
    uv_run(&mp__probe.loop, UV_RUN_DEFAULT);
}

int main(int argc, char **argv)
{
    struct mp_error err;
    if (argc < 2) {
        return 2;
    }
    signal(SIGXFSZ, SIG_IGN); /* a file that may grow no further is an error of write */
    uv_loop_init(&mp__probe.loop);
    char **rest = open_queue(argc, argv, &err);
    if (!rest) {
        mp__probe_say("failed\t%s\t%s", mp_status_name(err.status), err.text);
        uv_loop_close(&mp__probe.loop);
        return 1;
    }
    if (strcmp(argv[1], "--bench") == 0) {
        mp__probe_bench(rest);
    } else if (strcmp(argv[1], "--bench-kafka") == 0) {
        mp__probe_bench_kafka(rest);
    } else {
        listen_to_input();
    }
    mp_record_list_free(&mp__probe.hand);
    return uv_loop_close(&mp__probe.loop) == 0 ? 0 : 3;
}
