/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "moonpost/clock.h"
#include "queue_probe.h"

/* The table of commands, and those that are small or about records in hand. */

static struct mp_record *from_hand(const char *id)
{
    struct mp_record_list rest = {0};
    struct mp_record *found = NULL;
    struct mp_record *record;
    while ((record = mp_record_list_pop(&mp__probe.hand))) {
        if (!found && mp_str_is(record->id, id)) {
            found = record;
        } else {
            mp_record_list_push(&rest, record);
        }
    }
    mp__probe.hand = rest;
    return found;
}

static enum mp_outcome_kind kind_of(const char *verb)
{
    return strcmp(verb, "settle") == 0  ? MP_OUTCOME_SETTLE
           : strcmp(verb, "park") == 0  ? MP_OUTCOME_PARK
           : strcmp(verb, "retry") == 0 ? MP_OUTCOME_RETRY
                                        : MP_OUTCOME_BURY;
}

/* settle|park|retry|bury ID [DELAY_MS | REASON] [STATUS] */
static void do_resolve(char **word, int count)
{
    enum mp_outcome_kind kind = kind_of(word[0]);
    struct mp_record *record = from_hand(word[1]);
    if (!record) {
        mp__probe_say("error\t%s is not in hand", word[1]);
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
    mp_queue_resolve(mp__probe.queue, &list);
}

/* retryall DELAY_MS SPREAD_MS: the whole hand */
static void do_retry_all(char **word, int count)
{
    (void)count;
    int64_t delay_ms = strtoll(word[1], NULL, 10);
    int64_t spread_ms = strtoll(word[2], NULL, 10);
    int64_t now_ms = mp_clock_wall_ms();
    int64_t at = 0;
    struct mp_record_list list = mp__probe.hand;
    mp__probe.hand = (struct mp_record_list){0};
    mp__probe_say("retried\t%zu", list.count);
    for (struct mp_record *record = list.head; record; record = record->next) {
        record->attempts++;
        record->outcome.kind = MP_OUTCOME_RETRY;
        record->outcome.due_ms = now_ms + delay_ms + (spread_ms ? at++ % spread_ms : 0);
    }
    mp_queue_resolve(mp__probe.queue, &list);
}

/* auto settle|bury|keep */
static void do_auto(char **word, int count)
{
    const char *what = word[1];
    (void)count;
    mp__probe.at_once = strcmp(what, "settle") == 0 ? MP_OUTCOME_SETTLE
                        : strcmp(what, "bury") == 0 ? MP_OUTCOME_BURY
                                                    : MP_OUTCOME_NONE;
    if (mp__probe.at_once != MP_OUTCOME_NONE) {
        mp__probe_resolve_hand();
    }
}

static void do_quiet(char **word, int count)
{
    (void)word;
    (void)count;
    mp__probe.quiet = true;
}

/* hold LANE MS; below 0: for ever */
static void do_hold(char **word, int count)
{
    int64_t ms = strtoll(word[2], NULL, 10);
    (void)count;
    mp_queue_hold(mp__probe.queue, mp_str_of(word[1]),
                  ms < 0 ? INT64_MAX : mp_clock_wall_ms() + ms);
}

static void do_release(char **word, int count)
{
    (void)count;
    mp_queue_release(mp__probe.queue, mp_str_of(word[1]));
}

static void do_depth(char **word, int count)
{
    (void)count;
    mp_queue_set_depth(mp__probe.queue, mp_str_of(word[1]), (size_t)atoll(word[2]));
}

static void do_pause(char **word, int count)
{
    (void)count;
    struct mp_pause pause = {.kind = (enum mp_pause_kind)atoi(word[2]), .since_ms = 1234};
    snprintf(pause.name, sizeof(pause.name), "%s", word[1]);
    snprintf(pause.reason, sizeof(pause.reason), "%s", word[3]);
    mp__probe_say("paused\t%s",
                  mp_status_name(mp_queue_set_pause(mp__probe.queue, &pause)));
}

static void do_unpause(char **word, int count)
{
    (void)count;
    mp__probe_say("paused\t%s", mp_status_name(mp_queue_clear_pause(mp__probe.queue,
                                                                    mp_str_of(word[1]))));
}

/* fsize BYTES: no file may grow further; 0: any may */
static void do_fsize(char **word, int count)
{
    struct rlimit limit = {strtoull(word[1], NULL, 10), RLIM_INFINITY};
    (void)count;
    limit.rlim_cur = limit.rlim_cur ? limit.rlim_cur : RLIM_INFINITY;
    mp__probe_say("fsize\t%d", setrlimit(RLIMIT_FSIZE, &limit));
}

static void do_shift(char **word, int count)
{
    (void)count;
    mp_clock_shift_wall(strtoll(word[1], NULL, 10));
    mp__probe_say("shifted");
}

long mp__probe_rss_kib(void)
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

static void do_stat(char **word, int count)
{
    const char *name = count > 1 ? word[1] : "";
    mp__probe_say("stat\t%" PRIu64 "\t%zu\t%zu\t%zu\t%ld\t%zu",
                  mp_queue_waiting(mp__probe.queue, mp_str_of(name)),
                  mp__probe.hand.count, mp__probe.taken, mp__probe.fullest,
                  mp__probe_rss_kib(), mp__probe.hand.bytes);
}

static void do_close(char **word, int count)
{
    (void)word;
    (void)count;
    mp_queue_close(mp__probe.queue, mp__probe_on_closed, NULL);
}

static const struct {
    const char *verb;
    void (*run)(char **word, int count);
} commands[] = {
    {"append", mp__probe_append},
    {"many", mp__probe_many},
    {"settle", do_resolve},
    {"park", do_resolve},
    {"retry", do_resolve},
    {"bury", do_resolve},
    {"retryall", do_retry_all},
    {"auto", do_auto},
    {"random", mp__probe_random},
    {"begin", mp__probe_begin},
    {"lag", mp__probe_lag},
    {"quiet", do_quiet},
    {"hold", do_hold},
    {"release", do_release},
    {"depth", do_depth},
    {"pause", do_pause},
    {"unpause", do_unpause},
    {"list", mp__probe_list},
    {"show", mp__probe_show},
    {"replay", mp__probe_dead},
    {"purge", mp__probe_dead},
    {"fsize", do_fsize},
    {"disk", mp__probe_disk},
    {"shift", do_shift},
    {"stat", do_stat},
    {"close", do_close},
};

void mp__probe_run(char **word, int count)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
        if (strcmp(word[0], commands[i].verb) == 0) {
            commands[i].run(word, count);
            return;
        }
    }
    mp__probe_say("error\tno such command: %s", word[0]);
}
