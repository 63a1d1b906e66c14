/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "embedded_lanes.h"

/* A binary heap; a lane knows its place, counted from 1. */

int mp__wakes_reserve(struct mp__wakes *wakes, size_t lanes)
{
    if (lanes <= wakes->capacity) {
        return MP_OK;
    }
    size_t capacity = wakes->capacity ? wakes->capacity * 2 : 64;
    capacity = capacity < lanes ? lanes : capacity;
    struct mp__lane **heap = realloc(wakes->heap, capacity * sizeof(*heap));
    if (!heap) {
        return MP_ENOMEM;
    }
    wakes->heap = heap;
    wakes->capacity = capacity;
    return MP_OK;
}

static void set(struct mp__wakes *wakes, size_t at, struct mp__lane *lane)
{
    wakes->heap[at - 1] = lane;
    lane->wake_at = at;
}

static struct mp__lane *get(const struct mp__wakes *wakes, size_t at)
{
    return wakes->heap[at - 1];
}

static void sink(struct mp__wakes *wakes, size_t at, struct mp__lane *lane)
{
    for (;;) {
        size_t child = at * 2;
        if (child > wakes->count) {
            break;
        }
        if (child < wakes->count &&
            get(wakes, child + 1)->wake_ms < get(wakes, child)->wake_ms) {
            child++;
        }
        if (get(wakes, child)->wake_ms >= lane->wake_ms) {
            break;
        }
        set(wakes, at, get(wakes, child));
        at = child;
    }
    set(wakes, at, lane);
}

static size_t rise(struct mp__wakes *wakes, size_t at, const struct mp__lane *lane)
{
    while (at > 1 && get(wakes, at / 2)->wake_ms > lane->wake_ms) {
        set(wakes, at, get(wakes, at / 2));
        at /= 2;
    }
    return at;
}

void mp__wakes_put(struct mp__wakes *wakes, struct mp__lane *lane, int64_t at_ms)
{
    mp__wakes_remove(wakes, lane);
    lane->wake_ms = at_ms;
    wakes->count++;
    set(wakes, rise(wakes, wakes->count, lane), lane);
}

void mp__wakes_remove(struct mp__wakes *wakes, struct mp__lane *lane)
{
    size_t at = lane->wake_at;
    if (at == 0) {
        return;
    }
    lane->wake_at = 0;
    struct mp__lane *last = get(wakes, wakes->count);
    wakes->count--;
    if (last != lane) {
        sink(wakes, rise(wakes, at, last), last);
    }
}
