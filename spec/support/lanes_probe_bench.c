/* SPDX-License-Identifier: MIT */
/* What a record costs (put, give, finish), and a tick, in CPU time. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lanes_probe.h"

#define ITEMS 1024

static struct mp__kafka_lanes lanes;
static struct mp__played *given;

static int64_t cpu_us(void)
{
    struct timespec at;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
    return at.tv_sec * 1000000 + at.tv_nsec / 1000;
}

static void give(void *arg, struct mp__kafka_item *item)
{
    (void)arg;
    struct mp__played *one = (struct mp__played *)item;
    one->next = given;
    given = one;
}

static void spill(void *arg, struct mp__kafka_item *item, enum mp__kafka_spill why,
                  int64_t due_ms)
{
    (void)arg, (void)item, (void)why, (void)due_ms;
}

static void bench(int lane_count)
{
    struct mp_record *records = calloc((size_t)lane_count, sizeof(*records));
    struct mp__played *items = calloc(ITEMS, sizeof(*items));
    struct mp__kafka_lanes_owner owner = {.give = give, .spill = spill};
    mp__kafka_lanes_init(&lanes, &owner);
    for (int i = 0; i < lane_count; i++) {
        mp__play_name(&records[i], i, true);
    }
    const int64_t rounds = 4000;
    int64_t tick_us = 0, ticks = 0, now_ms = 0;
    uint32_t lane = 0;
    int64_t from_us = cpu_us();
    for (int64_t round = 0; round < rounds; round++) {
        mp__kafka_lanes_at(&lanes, now_ms, now_ms);
        for (int i = 0; i < ITEMS; i++) {
            lane = lane * 1664525U + 1013904223U;
            items[i].item.record = &records[(lane >> 8) % (uint32_t)lane_count];
            items[i].item.size_bytes = 1000;
            mp__kafka_lanes_put(&lanes, &items[i].item);
        }
        while (lanes.waiting > 0) {
            mp__kafka_lanes_flush(&lanes);
            while (given) {
                struct mp__played *one = given;
                given = one->next;
                mp__kafka_lanes_finished(&lanes, &one->item);
            }
        }
        now_ms += 10;
        if (now_ms % 100 == 0) {
            int64_t tick_from_us = cpu_us();
            mp__kafka_lanes_tick(&lanes);
            tick_us += cpu_us() - tick_from_us;
            ticks++;
        }
    }
    int64_t all_us = cpu_us() - from_us - tick_us;
    printf("bench\tlanes=%d\trecord_ns=%.0f\ttick_us=%.0f\tknown=%zu\n", lane_count,
           1000 * (double)all_us / (double)(rounds * ITEMS),
           (double)tick_us / (double)ticks, lanes.lanes.count);
    mp__kafka_lanes_fini(&lanes);
    for (int i = 0; i < lane_count; i++) {
        free((void *)records[i].lane.data);
    }
    free(records);
    free(items);
}

int mp__play_bench(int count, char **word)
{
    (void)count, (void)word;
    bench(1);
    bench(1000);
    bench(100000);
    return 0;
}
