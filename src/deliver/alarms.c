/* SPDX-License-Identifier: MIT */
#include "alarms.h"

#include <stdlib.h>

#include "lane.h"

int mp__alarms_reserve(struct mp__alarms *alarms, size_t lanes)
{
    if (lanes <= alarms->capacity) {
        return MP_OK;
    }
    size_t capacity = alarms->capacity ? alarms->capacity * 2 : 16;
    capacity = capacity < lanes ? lanes : capacity;
    struct mp__lane **heap = realloc(alarms->heap, capacity * sizeof(struct mp__lane *));
    if (!heap) {
        return MP_ENOMEM;
    }
    alarms->heap = heap;
    alarms->capacity = capacity;
    return MP_OK;
}

void mp__alarms_fini(struct mp__alarms *alarms)
{
    free(alarms->heap);
}

/* A lane's place is counted from 1, so that 0 says that it has none. */
static void put_at(struct mp__alarms *alarms, struct mp__lane *lane, size_t place)
{
    alarms->heap[place - 1] = lane;
    lane->alarm_at = place;
}

static void rise(struct mp__alarms *alarms, struct mp__lane *lane, size_t place)
{
    while (place > 1 && alarms->heap[place / 2 - 1]->alarm_us > lane->alarm_us) {
        put_at(alarms, alarms->heap[place / 2 - 1], place);
        place /= 2;
    }
    put_at(alarms, lane, place);
}

static void sink(struct mp__alarms *alarms, struct mp__lane *lane, size_t place)
{
    for (;;) {
        size_t child = place * 2;
        if (child < alarms->count &&
            alarms->heap[child]->alarm_us < alarms->heap[child - 1]->alarm_us) {
            child++;
        }
        if (child > alarms->count ||
            alarms->heap[child - 1]->alarm_us >= lane->alarm_us) {
            break;
        }
        put_at(alarms, alarms->heap[child - 1], place);
        place = child;
    }
    put_at(alarms, lane, place);
}

static void take_out(struct mp__alarms *alarms, struct mp__lane *lane)
{
    size_t place = lane->alarm_at;
    struct mp__lane *last = alarms->heap[--alarms->count];
    lane->alarm_at = 0;
    if (last != lane) {
        sink(alarms, last, place);
        rise(alarms, last, last->alarm_at);
    }
}

void mp__alarm_set(struct mp__alarms *alarms, struct mp__lane *lane, int64_t at_us)
{
    if (lane->alarm_at > 0) {
        if (lane->alarm_us == at_us) {
            return;
        }
        take_out(alarms, lane);
    }
    if (at_us != INT64_MAX) {
        lane->alarm_us = at_us;
        rise(alarms, lane, ++alarms->count);
    }
}

int64_t mp__alarms_next_us(const struct mp__alarms *alarms)
{
    return alarms->count > 0 ? alarms->heap[0]->alarm_us : INT64_MAX;
}

struct mp__lane *mp__alarms_ring(struct mp__alarms *alarms, int64_t now_us)
{
    if (mp__alarms_next_us(alarms) > now_us || alarms->count == 0) {
        return NULL;
    }
    struct mp__lane *lane = alarms->heap[0];
    take_out(alarms, lane);
    return lane;
}
