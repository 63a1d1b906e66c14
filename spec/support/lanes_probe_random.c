/* SPDX-License-Identifier: MIT */
/* Does at random what an owner may, also from inside give and spill, and compares the
 * lanes with a plain list of each. Prints what was done, or dies saying what is wrong. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lanes_probe.h"

#define LANES        12
#define ITEMS        6000
#define SHARED_LANES 6 /* of one partner */

enum state { FREE, WAITING, OUT };

static struct mp__kafka_lanes lanes;
static struct mp__played items[ITEMS];
static enum state states[ITEMS];
static int out[ITEMS], out_count;
static struct mp_record records[LANES];
static int queues[LANES][ITEMS], lengths[LANES], outs[LANES];
static int64_t holds[LANES], partner_hold, now_ms, steps_done;
static int64_t put_count, gives, finishes, parks, forgets, spills[3], sweeps;
static unsigned seed;
static int depth;
static const size_t sizes[] = {100, 1000, 100000, 600000};

static unsigned draw(unsigned below)
{
    return (unsigned)rand_r(&seed) % below;
}

__attribute__((format(printf, 2, 3))) static void check(bool good, const char *format,
                                                        ...)
{
    if (good) {
        return;
    }
    va_list args;
    va_start(args, format);
    printf("wrong\tstep %" PRId64 ": ", steps_done);
    vprintf(format, args);
    putchar('\n');
    va_end(args);
    fflush(stdout);
    abort();
}

static int number_of(const struct mp__kafka_item *item)
{
    return (int)((const struct mp__played *)item - items);
}

static int64_t held_until(int lane)
{
    int64_t until_ms = holds[lane];
    until_ms = lane < SHARED_LANES && partner_hold > until_ms ? partner_hold : until_ms;
    return until_ms > now_ms ? until_ms : 0;
}

static void list_remove(int lane, int at)
{
    lengths[lane]--;
    memmove(&queues[lane][at], &queues[lane][at + 1],
            (size_t)(lengths[lane] - at) * sizeof(int));
}

static void out_remove(int number)
{
    int at = 0;
    while (out[at] != number) {
        at++;
    }
    out[at] = out[--out_count];
    outs[items[number].lane]--;
}

static void put_one(void)
{
    int number = (int)draw(ITEMS);
    if (states[number] != FREE) {
        return;
    }
    struct mp__played *one = &items[number];
    memset(one, 0, sizeof(*one));
    one->lane = (int)draw(draw(3) == 0 ? LANES : 2);
    one->item.record = &records[one->lane];
    one->item.size_bytes = sizes[draw(draw(8) == 0 ? 4 : 2)];
    states[number] = WAITING;
    queues[one->lane][lengths[one->lane]++] = number;
    put_count++;
    mp__kafka_lanes_put(&lanes, &one->item);
}

static void forget_one(void)
{
    int number = (int)draw(ITEMS);
    struct mp__played *one = &items[number];
    if (states[number] == WAITING) {
        for (int i = 0; i < lengths[one->lane]; i++) {
            if (queues[one->lane][i] == number) {
                list_remove(one->lane, i);
                break;
            }
        }
    } else if (states[number] == OUT) {
        out_remove(number);
    }
    forgets += states[number] != FREE;
    states[number] = FREE;
    mp__kafka_lanes_forget(&lanes, &one->item);
}

static void finish_one(void)
{
    if (out_count == 0) {
        return;
    }
    int number = out[draw((unsigned)out_count)];
    out_remove(number);
    states[number] = FREE;
    finishes++;
    mp__kafka_lanes_finished(&lanes, &items[number].item);
}

static void from_inside(void)
{
    if (depth > 2 || draw(4) > 0) {
        return;
    }
    depth++;
    switch (draw(3)) {
    case 0:
        put_one();
        break;
    case 1:
        forget_one();
        break;
    default:
        finish_one();
        break;
    }
    depth--;
}

static void give(void *arg, struct mp__kafka_item *item)
{
    (void)arg;
    int number = number_of(item);
    int lane = items[number].lane;
    check(states[number] == WAITING, "%d was given and did not wait", number);
    check(queues[lane][0] == number, "%d was given out of turn", number);
    check(held_until(lane) == 0, "%d was given and its lane is held", number);
    check(outs[lane] < MP__KAFKA_LANE_RECORDS, "lane %d has too many out", lane);
    list_remove(lane, 0);
    states[number] = OUT;
    out[out_count++] = number;
    outs[lane]++;
    gives++;
    item->record = NULL;
    from_inside();
}

static void spill(void *arg, struct mp__kafka_item *item, enum mp__kafka_spill why,
                  int64_t due_ms)
{
    (void)arg;
    int number = number_of(item);
    int lane = items[number].lane;
    int64_t until_ms = held_until(lane);
    check(states[number] == WAITING, "%d was spilled and did not wait", number);
    check(due_ms >= now_ms + MP__KAFKA_SPILL_MIN_MS &&
              due_ms <= now_ms + MP__KAFKA_SPILL_MAX_MS,
          "%d is due in %" PRId64, number, due_ms - now_ms);
    check(why == (until_ms == 0           ? MP__KAFKA_SLOW
                  : until_ms == INT64_MAX ? MP__KAFKA_PAUSED
                                          : MP__KAFKA_BREAKER),
          "%d was spilled for %d", number, (int)why);
    int at = why == MP__KAFKA_SLOW ? lengths[lane] - 1 : 0;
    check(queues[lane][at] == number, "%d was spilled out of turn", number);
    list_remove(lane, at);
    states[number] = FREE;
    spills[why]++;
    memset(&items[number].item, 0xa5, sizeof(items[number].item)); /* as if freed */
    items[number].item.lane = NULL;
    from_inside();
}

static void park_one(void)
{
    if (out_count == 0) {
        return;
    }
    int number = out[draw((unsigned)out_count)];
    int lane = items[number].lane;
    out_remove(number);
    states[number] = WAITING;
    memmove(&queues[lane][1], &queues[lane][0], (size_t)lengths[lane]++ * sizeof(int));
    queues[lane][0] = number;
    parks++;
    items[number].item.record = &records[lane];
    mp__kafka_lanes_parked(&lanes, &items[number].item);
}

static bool take_some(void *arg, struct mp__kafka_item *item)
{
    int number = number_of(item);
    int lane = items[number].lane;
    if (number % 7 != *(int *)arg) {
        return false;
    }
    int at = 0;
    while (queues[lane][at] != number) {
        at++;
    }
    list_remove(lane, at);
    states[number] = FREE;
    sweeps++;
    return true;
}

static void hold_one(void)
{
    int lane = (int)draw(LANES);
    bool whole = draw(6) == 0;
    struct mp_str name = whole ? mp_str_of("postback") : records[lane].lane;
    int64_t *hold = whole ? &partner_hold : &holds[lane];
    if (*hold > now_ms || draw(3) > 0) {
        *hold = 0;
        mp__kafka_lanes_release(&lanes, name);
    } else {
        *hold = draw(2) == 0 ? INT64_MAX : now_ms + draw(2000);
        mp__kafka_lanes_hold(&lanes, name, *hold);
    }
}

static void compare(void)
{
    size_t waiting = 0, waiting_bytes = 0, out_bytes = 0;
    uint64_t of_partner = 0;
    for (int lane = 0; lane < LANES; lane++) {
        waiting += (size_t)lengths[lane];
        of_partner += lane < SHARED_LANES ? (uint64_t)(lengths[lane] + outs[lane]) : 0;
        for (int i = 0; i < lengths[lane]; i++) {
            waiting_bytes += items[queues[lane][i]].item.size_bytes;
        }
        check(held_until(lane) == 0 || lengths[lane] == 0, "lane %d is held, and waits",
              lane);
    }
    for (int i = 0; i < out_count; i++) {
        out_bytes += items[out[i]].item.size_bytes;
    }
    check(lanes.waiting == waiting && lanes.waiting_bytes == waiting_bytes,
          "%zu wait, not %zu", lanes.waiting, waiting);
    check(lanes.out == (size_t)out_count && lanes.out_bytes == out_bytes,
          "%zu are out, not %d", lanes.out, out_count);
    check(mp__kafka_lanes_count(&lanes, mp_str_of("postback")) == of_partner,
          "the partner's count is wrong");
    check(mp__kafka_lanes_count(&lanes, mp_str_of("")) == waiting + (size_t)out_count,
          "the count is wrong");
    check(lanes.waiting_slow <= lanes.waiting, "more wait slowly than wait");
}

static void check_given(void)
{
    for (int lane = 0; lane < LANES; lane++) {
        check(lengths[lane] == 0 || outs[lane] >= MP__KAFKA_LANE_SURE,
              "lane %d was left with room", lane);
    }
}

static void step(void)
{
    unsigned what = draw(100);
    if (what < 12) {
        for (unsigned n = draw(400); n > 0; n--) {
            put_one();
        }
    } else if (what < 40) {
        for (unsigned n = draw(100); n > 0; n--) {
            finish_one();
        }
    } else if (what < 50) {
        park_one();
    } else if (what < 60) {
        forget_one();
    } else if (what < 64) {
        hold_one();
    } else if (what < 65) {
        int rest = (int)draw(7);
        mp__kafka_lanes_sweep(&lanes, take_some, &rest);
    } else if (what < 90) {
        mp__kafka_lanes_flush(&lanes);
        if (draw(4) == 0) {
            depth = 9; /* nothing from inside: what is left can be told */
            mp__kafka_lanes_flush(&lanes);
            depth = 0;
            check_given();
        }
    } else {
        now_ms += draw(60) == 0 ? draw(15000) : draw(120);
        mp__kafka_lanes_at(&lanes, now_ms, now_ms);
        if (draw(2) == 0) {
            mp__kafka_lanes_tick(&lanes);
        }
    }
}

int mp__play_random(int count, char **word)
{
    seed = count > 0 ? (unsigned)atoi(word[0]) : 1;
    int64_t steps = count > 1 ? atoll(word[1]) : 10000;
    for (int i = 0; i < LANES; i++) {
        mp__play_name(&records[i], i, i < SHARED_LANES);
    }
    struct mp__kafka_lanes_owner owner = {.give = give, .spill = spill};
    mp__kafka_lanes_init(&lanes, &owner);
    for (; steps_done < steps; steps_done++) {
        step();
        compare();
    }
    int64_t accounted = finishes + forgets + sweeps + spills[0] + spills[1] + spills[2] +
                        (int64_t)lanes.waiting + (int64_t)lanes.out;
    check(put_count == accounted, "%" PRId64 " were put, %" PRId64 " accounted for",
          put_count, accounted);
    printf("random\tputs=%" PRId64 "\tgiven=%" PRId64 "\tfinished=%" PRId64
           "\tparked=%" PRId64 "\tforgotten=%" PRId64 "\tswept=%" PRId64
           "\tpaused=%" PRId64 "\tbreaker=%" PRId64 "\tslow=%" PRId64 "\n",
           put_count, gives, finishes, parks, forgets, sweeps, spills[0], spills[1],
           spills[2]);
    mp__kafka_lanes_fini(&lanes);
    for (int i = 0; i < LANES; i++) {
        free((void *)records[i].lane.data);
    }
    return 0;
}
