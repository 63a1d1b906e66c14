/* SPDX-License-Identifier: MIT */
/* A log of records, read by a loop that turns every millisecond, and partners that take
 * so many at a time for so long.
 *   OPTION: ms, backlog, rate (arrivals a second after it), read (the most a
 * millisecond), window (the most unfinished), burst_ms (answers come together), most_out,
 *           returns (1: spilled ones come back when due), seed
 *   GROUP:
 * name:lanes=N:share=N:at_once=N:takes_ms=N[:bytes=N][:stall_from=MS:stall_to=MS]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lanes_probe.h"

#define GROUPS 8

static struct {
    int64_t ms, backlog, rate, read, window, burst_ms, most_out, returns, seed;
} option = {.ms = 5000, .read = 100, .window = 6 * 8192, .burst_ms = 1, .seed = 1};

struct group {
    char name[32];
    int64_t lanes, share, at_once, takes_ms, bytes, stall_from, stall_to;
    int64_t read, finished, spilled, trips, spilled_by, lag_ms, last_ms, most_waiting;
    int64_t first_due_ms, last_due_ms;
};
struct list {
    struct mp__played *first, *last;
};
struct lane {
    struct mp_record record;
    struct group *group;
    struct list queued, running;
    int64_t running_count;
    bool listed;
};

static struct group groups[GROUPS];
static int group_count;
static struct lane *lane_table;
static int lane_count, active_count;
static int *active; /* lanes that have something in the partner's hands */
static struct list *due_table;
static struct mp__kafka_lanes lanes;
static int64_t now_ms, log_read, unfinished, stall_ms, worst_stall_ms, read_all_ms = -1;
static uint64_t random_state;

static void push(struct list *list, struct mp__played *one)
{
    one->next = NULL;
    *(list->last ? &list->last->next : &list->first) = one;
    list->last = one;
}

static struct mp__played *pop(struct list *list)
{
    struct mp__played *one = list->first;
    if (one) {
        list->first = one->next;
        list->last = list->first ? list->last : NULL;
    }
    return one;
}

static uint64_t draw(uint64_t below)
{
    random_state = random_state * 6364136223846793005U + 1442695040888963407U;
    return (random_state >> 33) % below;
}

static void give(void *arg, struct mp__kafka_item *item)
{
    (void)arg;
    struct mp__played *one = (struct mp__played *)item;
    struct lane *lane = &lane_table[one->lane];
    item->record = NULL;
    if (!one->spilled && now_ms - one->at_ms > lane->group->lag_ms) {
        lane->group->lag_ms = now_ms - one->at_ms;
    }
    lane->group->last_ms = one->spilled ? lane->group->last_ms : now_ms;
    push(&lane->queued, one);
    if (!lane->listed) {
        lane->listed = true;
        active[active_count++] = one->lane;
    }
}

static void spill(void *arg, struct mp__kafka_item *item, enum mp__kafka_spill why,
                  int64_t due_ms)
{
    (void)arg, (void)why;
    struct mp__played *one = (struct mp__played *)item;
    struct group *group = lane_table[one->lane].group;
    group->trips++;
    group->spilled += !one->spilled;
    group->spilled_by = now_ms;
    group->first_due_ms = group->trips == 1 ? due_ms - now_ms : group->first_due_ms;
    group->last_due_ms = due_ms - now_ms;
    one->spilled = true;
    unfinished--;
    if (option.returns && due_ms < option.ms) {
        push(&due_table[due_ms], one);
    } else {
        free(one);
    }
}

static void put(struct mp__played *one)
{
    one->item.record = &lane_table[one->lane].record;
    unfinished++;
    mp__kafka_lanes_put(&lanes, &one->item);
}

static int draw_lane(void)
{
    int64_t shares = 0;
    for (int i = 0; i < group_count; i++) {
        shares += groups[i].share;
    }
    int64_t at = (int64_t)draw((uint64_t)shares);
    int lane = 0;
    for (int i = 0; i < group_count; i++) {
        if (at < groups[i].share) {
            return lane + (int)draw((uint64_t)groups[i].lanes);
        }
        at -= groups[i].share;
        lane += (int)groups[i].lanes;
    }
    return 0;
}

static bool reads_on(void)
{
    return unfinished < option.window && mp__kafka_lanes_want_more(&lanes);
}

static void read_log(void)
{
    struct mp__played *one;
    while ((one = pop(&due_table[now_ms]))) {
        put(one);
    }
    int64_t there = option.backlog + now_ms * option.rate / 1000;
    int64_t most = option.read;
    while (log_read < there && most > 0) {
        if (!reads_on()) {
            mp__kafka_lanes_flush(&lanes);
            if (!reads_on()) {
                break;
            }
        }
        one = calloc(1, sizeof(*one));
        one->lane = draw_lane();
        struct group *group = lane_table[one->lane].group;
        one->item.size_bytes = (size_t)group->bytes;
        one->at_ms = log_read < option.backlog
                         ? 0
                         : (log_read - option.backlog) * 1000 / option.rate;
        group->read++;
        log_read++;
        most--;
        put(one);
    }
    stall_ms = log_read < there && most == option.read ? stall_ms + 1 : 0;
    worst_stall_ms = stall_ms > worst_stall_ms ? stall_ms : worst_stall_ms;
    if (log_read >= option.backlog && read_all_ms < 0) {
        read_all_ms = now_ms;
    }
}

static bool is_stalled(const struct group *group)
{
    return now_ms >= group->stall_from && now_ms < group->stall_to;
}

static void play_partner(struct lane *lane)
{
    struct group *group = lane->group;
    while (now_ms % option.burst_ms == 0 && !is_stalled(group) && lane->running.first &&
           lane->running.first->at_ms <= now_ms) {
        struct mp__played *one = pop(&lane->running);
        lane->running_count--;
        group->finished++;
        unfinished--;
        mp__kafka_lanes_finished(&lanes, &one->item);
        free(one);
    }
    while (lane->queued.first && lane->running_count < group->at_once) {
        struct mp__played *one = pop(&lane->queued);
        one->at_ms = now_ms + group->takes_ms;
        lane->running_count++;
        push(&lane->running, one);
    }
}

static void play_partners(void)
{
    for (int i = 0; i < active_count;) {
        struct lane *lane = &lane_table[active[i]];
        play_partner(lane);
        if (lane->running_count == 0 && !lane->queued.first) {
            lane->listed = false;
            active[i] = active[--active_count];
        } else {
            i++;
        }
    }
}

static bool set(const char *text, const char *name, int64_t *to)
{
    size_t length = strlen(name);
    if (strncmp(text, name, length) != 0 || text[length] != '=') {
        return false;
    }
    *to = atoll(text + length + 1);
    return true;
}

static void read_group(char *text)
{
    struct group *group = &groups[group_count++];
    group->lanes = group->share = 1;
    group->bytes = 1000;
    char *rest = NULL;
    snprintf(group->name, sizeof(group->name), "%s", strtok_r(text, ":", &rest));
    char *at;
    while ((at = strtok_r(NULL, ":", &rest))) {
        if (!set(at, "lanes", &group->lanes) && !set(at, "share", &group->share) &&
            !set(at, "at_once", &group->at_once) &&
            !set(at, "takes_ms", &group->takes_ms) && !set(at, "bytes", &group->bytes) &&
            !set(at, "stall_from", &group->stall_from) &&
            !set(at, "stall_to", &group->stall_to)) {
            fprintf(stderr, "unknown: %s\n", at);
            exit(2);
        }
    }
    lane_count += (int)group->lanes;
}

static void read_words(int count, char **word)
{
    for (int i = 0; i < count; i++) {
        if (strchr(word[i], ':')) {
            read_group(word[i]);
        } else if (!set(word[i], "ms", &option.ms) &&
                   !set(word[i], "backlog", &option.backlog) &&
                   !set(word[i], "rate", &option.rate) &&
                   !set(word[i], "read", &option.read) &&
                   !set(word[i], "window", &option.window) &&
                   !set(word[i], "burst_ms", &option.burst_ms) &&
                   !set(word[i], "most_out", &option.most_out) &&
                   !set(word[i], "returns", &option.returns) &&
                   !set(word[i], "seed", &option.seed)) {
            fprintf(stderr, "unknown: %s\n", word[i]);
            exit(2);
        }
    }
}

static void make_lanes(void)
{
    lane_table = calloc((size_t)lane_count, sizeof(*lane_table));
    active = calloc((size_t)lane_count, sizeof(*active));
    due_table = calloc((size_t)option.ms, sizeof(*due_table));
    int at = 0;
    for (int i = 0; i < group_count; i++) {
        for (int n = 0; n < groups[i].lanes; n++, at++) {
            mp__play_name(&lane_table[at].record, at, false);
            lane_table[at].group = &groups[i];
        }
    }
    random_state = (uint64_t)option.seed;
    struct mp__kafka_lanes_owner owner = {.give = give, .spill = spill};
    mp__kafka_lanes_init(&lanes, &owner);
    lanes.most_out = (size_t)option.most_out;
}

static bool drop(void *arg, struct mp__kafka_item *item)
{
    (void)arg;
    free(item);
    return true;
}

static void end(void)
{
    mp__kafka_lanes_sweep(&lanes, drop, NULL);
    mp__kafka_lanes_fini(&lanes);
    struct mp__played *one;
    for (int64_t at = 0; at < option.ms; at++) {
        while ((one = pop(&due_table[at]))) {
            free(one);
        }
    }
    for (int i = 0; i < lane_count; i++) {
        while ((one = pop(&lane_table[i].queued)) ||
               (one = pop(&lane_table[i].running))) {
            free(one);
        }
        free((void *)lane_table[i].record.lane.data);
    }
    free(lane_table);
    free(active);
    free(due_table);
}

int mp__play_simulation(int count, char **word)
{
    read_words(count, word);
    make_lanes();
    for (now_ms = 0; now_ms < option.ms; now_ms++) {
        mp__kafka_lanes_at(&lanes, now_ms, now_ms);
        play_partners();
        read_log();
        if (now_ms % 100 == 0) {
            mp__kafka_lanes_tick(&lanes);
        }
        mp__kafka_lanes_flush(&lanes);
    }
    printf("all\tread=%" PRId64 "\tbacklog_read_ms=%" PRId64 "\tstall_ms=%" PRId64
           "\twaiting=%zu\tout=%zu\n",
           log_read, read_all_ms, worst_stall_ms, lanes.waiting, lanes.out);
    for (int i = 0; i < group_count; i++) {
        const struct group *g = &groups[i];
        printf("%s\tread=%" PRId64 "\tfinished=%" PRId64 "\tspilled=%" PRId64
               "\ttrips=%" PRId64 "\tlag_ms=%" PRId64 "\tlast_ms=%" PRId64
               "\tspilled_by=%" PRId64 "\tfirst_due_ms=%" PRId64 "\tlast_due_ms=%" PRId64
               "\n",
               g->name, g->read, g->finished, g->spilled, g->trips, g->lag_ms, g->last_ms,
               g->spilled_by, g->first_due_ms, g->last_due_ms);
    }
    end();
    return 0;
}
