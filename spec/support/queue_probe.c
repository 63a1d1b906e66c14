/* SPDX-License-Identifier: MIT */
/* Drives a queue for the specs: a command a line on stdin, what happens a line on stdout,
 * words apart by tabs.  mp_queue_probe FOLDER [WINDOW_MS]  |  mp_queue_probe --bench
 * FOLDER … */
#include <inttypes.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include "moonpost/clock.h"
#include "moonpost/engine.h"
#include "moonpost/id.h"

#define WORDS 16

static uv_loop_t loop;
static struct mp_queue *queue;
static struct mp_record_list hand;
static enum mp_outcome_kind at_once; /* what is done with what is taken; NONE: kept */
static bool quiet;
static size_t taken, fullest;

/* A disk that fails on command: SQLite's own way to it, but for what is to fail. */
static int (*open_well)(sqlite3_vfs *, const char *, sqlite3_file *, int, int *);
static struct way {
    sqlite3_io_methods failing; /* first: a file knows its way by it */
    const sqlite3_io_methods *well;
} ways[4]; /* the database and its logs have different ones */
static atomic_int pass_reads, fail_reads, fail_syncs; /* so many from now on */

static bool fails(atomic_int *left)
{
    return *left > 0 && atomic_fetch_sub(left, 1) > 0;
}

static const sqlite3_io_methods *well(const sqlite3_file *file)
{
    return ((const struct way *)(const void *)file->pMethods)->well;
}

static int read_or_fail(sqlite3_file *file, void *to, int bytes, sqlite3_int64 at)
{
    return !fails(&pass_reads) && fails(&fail_reads)
               ? SQLITE_IOERR_READ
               : well(file)->xRead(file, to, bytes, at);
}

static int sync_or_fail(sqlite3_file *file, int flags)
{
    return fails(&fail_syncs) ? SQLITE_IOERR_FSYNC : well(file)->xSync(file, flags);
}

static int open_failing(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                        int *out)
{
    int code = open_well(vfs, name, file, flags, out);
    struct way *way = ways;
    while (way->well && way->well != file->pMethods) {
        way++;
    }
    if (code == SQLITE_OK) {
        way->well = file->pMethods;
        way->failing = *way->well;
        way->failing.xRead = read_or_fail;
        way->failing.xSync = sync_or_fail;
        file->pMethods = &way->failing;
    }
    return code;
}

static void put_between(void)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    open_well = vfs->xOpen;
    vfs->xOpen = open_failing;
}

static void say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
}

static void resolve_hand(void)
{
    struct mp_record_list done = hand;
    hand = (struct mp_record_list){0};
    for (struct mp_record *record = done.head; record; record = record->next) {
        record->outcome.kind = at_once;
        if (at_once == MP_OUTCOME_BURY) {
            record->outcome.reason = strdup("at once");
        }
    }
    mp_queue_resolve(queue, &done);
}

static void check_held(const struct mp_record_list *records);

static void on_take(void *arg, struct mp_record_list *records)
{
    (void)arg;
    check_held(records);
    for (struct mp_record *r = records->head; r && !quiet; r = r->next) {
        say("take\t%.*s\t%.*s\t%.*s\t%u\t%u\t%u\t%" PRId64 "\t%.*s", (int)r->id.length,
            r->id.data, (int)r->partner.length, r->partner.data, (int)r->lane.length,
            r->lane.data, r->attempts, r->replays, (unsigned)r->last_status,
            mp_clock_wall_ms() - r->due_ms,
            r->event.length < 200 ? (int)r->event.length : 0, r->event.data);
    }
    taken += records->count;
    mp_record_list_append(&hand, records);
    fullest = hand.count > fullest ? hand.count : fullest;
    if (at_once != MP_OUTCOME_NONE) {
        resolve_hand();
    }
}

static void on_pause(void *arg, const struct mp_pause *pause)
{
    (void)arg;
    say("pause\t%s\t%d\t%s\t%" PRId64, pause->name, (int)pause->kind, pause->reason,
        pause->since_ms);
}

static void on_ready(void *arg, const char *why)
{
    (void)arg;
    say("ready\t%s", why ? why : "yes");
}

/* --- random: what an owner may do, in any order, told line by line */

static const char *const random_lanes[] = {"l1", "l2", "l3"};
static bool random_held[3];
static unsigned random_seed;
static uv_timer_t random_timer;

static unsigned draw(unsigned below)
{
    return (unsigned)rand_r(&random_seed) % below;
}

static void resolve_at_random(void)
{
    static const char *const names[] = {"", "settle", "retry", "bury", "park"};
    struct mp_record_list kept = {0};
    struct mp_record_list done = {0};
    struct mp_record *record;
    while ((record = mp_record_list_pop(&hand))) {
        unsigned what = draw(10);
        if (what >= 7) {
            mp_record_list_push(&kept, record);
            continue;
        }
        record->outcome.kind = what < 3   ? MP_OUTCOME_SETTLE
                               : what < 5 ? MP_OUTCOME_PARK
                                          : MP_OUTCOME_RETRY;
        record->outcome.due_ms = mp_clock_wall_ms() + draw(20) - 5;
        say("%s\t%.*s", names[record->outcome.kind], (int)record->id.length,
            record->id.data);
        mp_record_list_push(&done, record);
    }
    hand = kept;
    mp_queue_resolve(queue, &done);
}

static void on_random(uv_timer_t *timer)
{
    unsigned lane = draw(3);
    if (draw(4) == 0) {
        random_held[lane] = !random_held[lane];
        struct mp_str name = mp_str_of(random_lanes[lane]);
        if (random_held[lane]) {
            mp_queue_hold(queue, name, INT64_MAX);
        } else {
            mp_queue_release(queue, name);
        }
    }
    resolve_at_random();
    if (mp_queue_waiting(queue, mp_str_of("")) == 0) {
        uv_close((uv_handle_t *)timer, NULL);
        say("random\tdone");
    }
}

static void check_held(const struct mp_record_list *records)
{
    for (const struct mp_record *r = records->head; r; r = r->next) {
        for (size_t i = 0; i < 3; i++) {
            if (random_held[i] && mp_str_is(r->lane, random_lanes[i])) {
                say("error\t%s is held and was given a record", random_lanes[i]);
            }
        }
    }
}

/* random SEED: until nothing waits */
static void do_random(const char *seed)
{
    random_seed = (unsigned)atoi(seed);
    uv_timer_init(&loop, &random_timer);
    uv_timer_start(&random_timer, on_random, 1, 1);
}

struct request {
    struct mp_append append;
    char tag[64];
    char answer[256];
};

static void on_done(struct mp_append *append, int status, const char *why)
{
    struct request *request = append->arg;
    struct mp_str before = mp_buf_str(&append->answer_before);
    say("done\t%s\t%s\t%s\t%.*s", request->tag, mp_status_name(status), why ? why : "",
        (int)before.length, before.data ? before.data : "");
    mp_buf_fini(&append->answer_before);
    mp_record_list_free(&append->records);
    free(request);
}

static struct request *request_new(const char *tag)
{
    struct request *request = calloc(1, sizeof(*request));
    snprintf(request->tag, sizeof(request->tag), "%s", tag);
    request->append.done = on_done;
    request->append.arg = request;
    return request;
}

static void add(struct request *request, const char *lane, const char *id,
                struct mp_str event)
{
    struct mp_record draft = {.occurred_ms = -1, .first_ms = mp_clock_wall_ms()};
    struct mp_record *record;
    draft.id = mp_str_of(id);
    draft.lane = mp_str_of(lane);
    draft.partner = draft.lane;
    const char *space = strchr(lane, ' ');
    draft.partner.length = space ? (size_t)(space - lane) : draft.lane.length;
    draft.event = event;
    draft.due_ms = draft.first_ms;
    draft.type = mp_str_of("order.paid");
    draft.endpoint_url = mp_str_of(space ? "https://x.example/{id}" : "");
    if (mp_record_new(&draft, &record) != MP_OK) {
        abort();
    }
    mp_record_list_push(&request->append.records, record);
}

static void send_request(struct request *request)
{
    int status = mp_queue_append(queue, &request->append);
    if (status != MP_OK) {
        say("done\t%s\t%s\trefused\t", request->tag, mp_status_name(status));
        mp_record_list_free(&request->append.records);
        free(request);
    }
}

/* append TAG LANE ID[,ID…] EVENT [KEY BODY ANSWER] */
static void do_append(char **word, int count)
{
    struct request *request = request_new(word[1]);
    char *rest = word[3];
    for (char *id = strtok_r(NULL, ",", &rest); id; id = strtok_r(NULL, ",", &rest)) {
        add(request, word[2], id, mp_str_of(word[4]));
    }
    if (count > 7) {
        request->append.has_key = true;
        mp_sha256(mp_str_of(word[5]), request->append.key);
        mp_sha256(mp_str_of(word[6]), request->append.body);
        snprintf(request->answer, sizeof(request->answer), "%s", word[7]);
        request->append.answer = mp_str_of(request->answer);
    }
    send_request(request);
}

/* many TAG LANE PREFIX COUNT BYTES: one append of COUNT records, PREFIX1 to PREFIXn */
static void do_many(char **word)
{
    struct request *request = request_new(word[1]);
    size_t bytes = strtoull(word[5], NULL, 10);
    char *event = malloc(bytes + 1);
    memset(event, 'x', bytes + 1);
    long count = strtol(word[4], NULL, 10);
    for (long i = 1; i <= count; i++) {
        char id[128];
        snprintf(id, sizeof(id), "%s%ld", word[3], i);
        add(request, word[2], id, (struct mp_str){event, bytes});
    }
    free(event);
    send_request(request);
}

static struct mp_record *from_hand(const char *id)
{
    struct mp_record_list rest = {0};
    struct mp_record *found = NULL;
    struct mp_record *record;
    while ((record = mp_record_list_pop(&hand))) {
        if (!found && mp_str_is(record->id, id)) {
            found = record;
        } else {
            mp_record_list_push(&rest, record);
        }
    }
    hand = rest;
    return found;
}

/* settle|park|retry|bury ID [DELAY_MS | REASON] [STATUS] */
static void do_resolve(char **word, int count, enum mp_outcome_kind kind)
{
    struct mp_record *record = from_hand(word[1]);
    if (!record) {
        say("error\t%s is not in hand", word[1]);
        return;
    }
    record->outcome.kind = kind;
    if (kind == MP_OUTCOME_RETRY) {
        record->attempts++;
        record->last_status = 503;
        record->last_ms = mp_clock_wall_ms();
        record->outcome.due_ms = record->last_ms + strtoll(word[2], NULL, 10);
    } else if (kind == MP_OUTCOME_BURY) {
        record->attempts++;
        record->last_status = count > 3 ? (uint16_t)atoi(word[3]) : 0;
        record->last_ms = count > 4 ? strtoll(word[4], NULL, 10) : mp_clock_wall_ms();
        record->outcome.reason = strdup(word[2]);
    }
    struct mp_record_list list = {0};
    mp_record_list_push(&list, record);
    mp_queue_resolve(queue, &list);
}

/* retryall DELAY_MS SPREAD_MS: the whole hand */
static void do_retry_all(char **word)
{
    int64_t delay_ms = strtoll(word[1], NULL, 10);
    int64_t spread_ms = strtoll(word[2], NULL, 10);
    int64_t now_ms = mp_clock_wall_ms();
    int64_t at = 0;
    struct mp_record_list list = hand;
    hand = (struct mp_record_list){0};
    for (struct mp_record *record = list.head; record; record = record->next) {
        record->attempts++;
        record->outcome.kind = MP_OUTCOME_RETRY;
        record->outcome.due_ms = now_ms + delay_ms + (spread_ms ? at++ % spread_ms : 0);
    }
    mp_queue_resolve(queue, &list);
}

static void on_page(void *arg, int status, const char *why, struct mp_dead_page *page)
{
    (void)arg;
    for (size_t i = 0; page && i < page->count; i++) {
        const struct mp_record *r = page->items[i].record;
        say("letter\t%.*s\t%.*s\t%s\t%u\t%u\t%" PRId64 "\t%u\t%.*s", (int)r->id.length,
            r->id.data, (int)r->partner.length, r->partner.data, page->items[i].reason,
            r->attempts, (unsigned)r->last_status, r->last_ms, r->replays,
            (int)r->event.length, r->event.data ? r->event.data : "");
    }
    say("page\t%s\t%s\t%s", mp_status_name(status), page ? page->next : "",
        why ? why : "");
}

static void on_count(void *arg, int status, const char *why, struct mp_dead_count *count)
{
    (void)arg;
    for (size_t i = 0; i < count->unknown_count; i++) {
        say("unknown\t%.*s", (int)count->unknown[i].length, count->unknown[i].data);
    }
    say("count\t%s\t%" PRIu64 "\t%" PRIu64 "\t%s", mp_status_name(status), count->matched,
        count->done, why ? why : "");
}

/* replay|purge ids|range run|dry ID[,ID…] | PARTNER SINCE UNTIL */
static void do_dead(char **word)
{
    struct mp_str ids[WORDS * 8];
    struct mp_dead_filter filter = {.since_ms = -1, .until_ms = -1};
    if (strcmp(word[1], "ids") == 0) {
        filter.ids = ids;
        char *rest = word[3];
        for (char *id = strtok_r(NULL, ",", &rest); id; id = strtok_r(NULL, ",", &rest)) {
            ids[filter.id_count++] = mp_str_of(id);
        }
    } else {
        filter.partner = mp_str_of(strcmp(word[3], "-") == 0 ? "" : word[3]);
        filter.since_ms = strtoll(word[4], NULL, 10);
        filter.until_ms = strtoll(word[5], NULL, 10);
    }
    bool dry = strcmp(word[2], "dry") == 0;
    int status = strcmp(word[0], "replay") == 0
                     ? mp_queue_dead_replay(queue, &filter, dry, on_count, NULL)
                     : mp_queue_dead_purge(queue, &filter, dry, on_count, NULL);
    if (status != MP_OK) {
        say("count\t%s\t0\t0\trefused", mp_status_name(status));
    }
}

static void do_list(char **word, int count)
{
    struct mp_str partner = mp_str_of(strcmp(word[1], "-") == 0 ? "" : word[1]);
    struct mp_str cursor = mp_str_of(count > 3 ? word[3] : "");
    int status = mp_queue_dead_list(queue, partner, strtoull(word[2], NULL, 10), cursor,
                                    on_page, NULL);
    if (status != MP_OK) {
        say("page\t%s\t\trefused", mp_status_name(status));
    }
}

static void on_closed(void *arg)
{
    (void)arg;
    say("closed");
    queue = NULL;
    uv_stop(&loop);
}

static long rss_kib(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%*s %ld", &pages) != 1) {
        pages = 0;
    }
    if (file) {
        fclose(file);
    }
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void do_pause(char **word)
{
    struct mp_pause pause = {.kind = (enum mp_pause_kind)atoi(word[2]), .since_ms = 1234};
    snprintf(pause.name, sizeof(pause.name), "%s", word[1]);
    snprintf(pause.reason, sizeof(pause.reason), "%s", word[3]);
    say("paused\t%s", mp_status_name(mp_queue_set_pause(queue, &pause)));
}

/* auto settle|bury|keep */
static void do_auto(const char *what)
{
    at_once = strcmp(what, "settle") == 0 ? MP_OUTCOME_SETTLE
              : strcmp(what, "bury") == 0 ? MP_OUTCOME_BURY
                                          : MP_OUTCOME_NONE;
    if (at_once != MP_OUTCOME_NONE) {
        resolve_hand();
    }
}

static void run_command(char **word, int count)
{
    const char *verb = word[0];
    if (strcmp(verb, "append") == 0) {
        do_append(word, count);
    } else if (strcmp(verb, "many") == 0) {
        do_many(word);
    } else if (strcmp(verb, "settle") == 0) {
        do_resolve(word, count, MP_OUTCOME_SETTLE);
    } else if (strcmp(verb, "park") == 0) {
        do_resolve(word, count, MP_OUTCOME_PARK);
    } else if (strcmp(verb, "retry") == 0) {
        do_resolve(word, count, MP_OUTCOME_RETRY);
    } else if (strcmp(verb, "bury") == 0) {
        do_resolve(word, count, MP_OUTCOME_BURY);
    } else if (strcmp(verb, "retryall") == 0) {
        do_retry_all(word);
    } else if (strcmp(verb, "auto") == 0) {
        do_auto(word[1]);
    } else if (strcmp(verb, "random") == 0) {
        do_random(word[1]);
    } else if (strcmp(verb, "quiet") == 0) {
        quiet = true;
    } else if (strcmp(verb, "hold") == 0) {
        int64_t ms = strtoll(word[2], NULL, 10);
        mp_queue_hold(queue, mp_str_of(word[1]),
                      ms < 0 ? INT64_MAX : mp_clock_wall_ms() + ms);
    } else if (strcmp(verb, "release") == 0) {
        mp_queue_release(queue, mp_str_of(word[1]));
    } else if (strcmp(verb, "pause") == 0) {
        do_pause(word);
    } else if (strcmp(verb, "unpause") == 0) {
        say("paused\t%s",
            mp_status_name(mp_queue_clear_pause(queue, mp_str_of(word[1]))));
    } else if (strcmp(verb, "list") == 0) {
        do_list(word, count);
    } else if (strcmp(verb, "show") == 0) {
        if (mp_queue_dead_show(queue, mp_str_of(word[1]), on_page, NULL) != MP_OK) {
            say("page\tEINVAL\t\trefused");
        }
    } else if (strcmp(verb, "replay") == 0 || strcmp(verb, "purge") == 0) {
        do_dead(word);
    } else if (strcmp(verb, "fsize") == 0) {
        struct rlimit limit = {strtoull(word[1], NULL, 10), RLIM_INFINITY};
        limit.rlim_cur = limit.rlim_cur ? limit.rlim_cur : RLIM_INFINITY;
        say("fsize\t%d", setrlimit(RLIMIT_FSIZE, &limit));
    } else if (strcmp(verb, "disk") == 0) { /* disk read|sync TIMES [AFTER]: they fail */
        *(strcmp(word[1], "read") == 0 ? &fail_reads : &fail_syncs) = atoi(word[2]);
        pass_reads = count > 3 ? atoi(word[3]) : 0;
        say("disk\t%s", word[2]);
    } else if (strcmp(verb, "shift") == 0) {
        mp_clock_shift_wall(strtoll(word[1], NULL, 10));
        say("shifted");
    } else if (strcmp(verb, "stat") == 0) {
        const char *name = count > 1 ? word[1] : "";
        say("stat\t%" PRIu64 "\t%zu\t%zu\t%zu\t%ld\t%zu",
            mp_queue_waiting(queue, mp_str_of(name)), hand.count, taken, fullest,
            rss_kib(), hand.bytes);
    } else if (strcmp(verb, "close") == 0) {
        mp_queue_close(queue, on_closed, NULL);
    } else {
        say("error\tno such command: %s", verb);
    }
}

static void run_line(char *line)
{
    char *word[WORDS];
    int count = 0;
    for (char *at = line; at && count < WORDS;) {
        word[count++] = at;
        at = strchr(at, '\t');
        if (at) {
            *at++ = '\0';
        }
    }
    run_command(word, count);
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
        if (queue) {
            mp_queue_close(queue, on_closed, NULL);
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

/* --- bench: closed-loop producers, everything taken is settled */

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
    struct request *request = calloc(1, sizeof(*request));
    char id[MP_ID_BYTES];
    mp_id_new(id);
    add(request, lanes[bench_left % 8], id, bench_event);
    request->append.done = on_bench_done;
    bench_left--;
    bench_pending++;
    if (mp_queue_append(queue, &request->append) != MP_OK) {
        abort();
    }
}

static void on_bench_turn(uv_prepare_t *check)
{
    if (bench_left == 0 && bench_pending == 0 &&
        mp_queue_waiting(queue, mp_str_of("")) == bench_waiting) {
        uv_prepare_stop(check);
        uv_close((uv_handle_t *)check, NULL);
        uv_stop(&loop);
    }
}

static int64_t cpu_us(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000 + use.ru_utime.tv_usec +
           use.ru_stime.tv_usec;
}

/* EVENTS PRODUCERS BYTES settle|keep */
static void bench(char **argv)
{
    size_t events = strtoull(argv[0], NULL, 10);
    size_t producers = strtoull(argv[1], NULL, 10);
    size_t bytes = strtoull(argv[2], NULL, 10);
    char *event = malloc(bytes);
    memset(event, 'x', bytes);
    bench_event = (struct mp_str){event, bytes};
    bench_left = events;
    quiet = true;
    at_once = strcmp(argv[3], "settle") == 0 ? MP_OUTCOME_SETTLE : MP_OUTCOME_NONE;
    bench_waiting = mp_queue_waiting(queue, mp_str_of(""));
    bench_waiting += at_once == MP_OUTCOME_SETTLE ? 0 : events;
    uv_prepare_t check;
    uv_prepare_init(&loop, &check);
    uv_prepare_start(&check, on_bench_turn);
    int64_t cpu = cpu_us();
    int64_t from = mp_clock_mono_us();
    for (size_t i = 0; i < producers; i++) {
        bench_send();
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    double us = (double)(mp_clock_mono_us() - from);
    say("bench\t%.0f events/s\t%.2f us CPU/event\t%ld KiB RSS", (double)events * 1e6 / us,
        (double)(cpu_us() - cpu) / (double)events, rss_kib());
    free(event);
    mp_queue_close(queue, on_closed, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
}

int main(int argc, char **argv)
{
    bool benching = argc > 1 && strcmp(argv[1], "--bench") == 0;
    int at = benching ? 2 : 1;
    if (argc <= at) {
        return 2;
    }
    signal(SIGXFSZ, SIG_IGN); /* a file that may grow no further is an error of write */
    struct mp_error err;
    struct mp_queue_embedded_config config = {
        .folder = argv[at],
        .idempotency_window_ms =
            argc > at + 1 && !benching ? atoll(argv[at + 1]) : 86400000,
        .owner = {.on_take = on_take, .on_pause = on_pause, .on_ready = on_ready},
    };
    uv_loop_init(&loop);
    put_between();
    if (mp_queue_open_embedded(&loop, &config, &queue, &err) != MP_OK) {
        say("failed\t%s\t%s", mp_status_name(err.status), err.text);
        uv_loop_close(&loop);
        return 1;
    }
    say("open");
    if (benching) {
        bench(argv + 3);
    } else {
        uv_pipe_t in;
        uv_pipe_init(&loop, &in, 0);
        uv_pipe_open(&in, 0);
        uv_read_start((uv_stream_t *)&in, on_room, on_input);
        uv_run(&loop, UV_RUN_DEFAULT);
        uv_close((uv_handle_t *)&in, NULL);
        uv_run(&loop, UV_RUN_DEFAULT);
    }
    mp_record_list_free(&hand);
    return uv_loop_close(&loop) == 0 ? 0 : 3;
}
