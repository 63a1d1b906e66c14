/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "kafka_lane.h"

#define TENTH_MS  100
#define SECOND_MS 1000

/* What happens on the edge of two is of the first, as the time until then is. */
static int64_t tenth_of(int64_t now_ms)
{
    return (now_ms - 1) / TENTH_MS;
}

void mp__kafka_lanes_at(struct mp__kafka_lanes *lanes, int64_t mono_ms, int64_t wall_ms)
{
    lanes->now_wall_ms = wall_ms;
    if (mono_ms <= lanes->now_ms) {
        return;
    }
    lanes->now_ms = mono_ms;
    int64_t tenth = tenth_of(mono_ms);
    for (int i = 0; i < MP__KAFKA_TENTHS && lanes->tenth < tenth; i++) {
        uint32_t *slot = &lanes->finished[++lanes->tenth % MP__KAFKA_TENTHS];
        lanes->finished_sum -= *slot;
        *slot = 0;
    }
    lanes->tenth = tenth; /* all slots are empty when it was further off */
}

bool mp__kafka_lanes_want_more(const struct mp__kafka_lanes *lanes)
{
    size_t waiting = lanes->waiting - lanes->waiting_slow;
    return waiting < MP__KAFKA_AHEAD ||
           waiting * SECOND_MS <= lanes->finished_sum * (MP__KAFKA_HOLD_MS / 2);
}

/* --- one lane's rate */

static void turn_to(struct mp__kafka_rate *rate, int64_t tenth)
{
    for (int i = 0; i < MP__KAFKA_TENTHS && rate->tenth < tenth; i++) {
        size_t slot = (size_t)(++rate->tenth % MP__KAFKA_TENTHS);
        rate->finished_sum -= rate->finished[slot];
        rate->full_sum -= rate->full_ms[slot];
        rate->finished[slot] = 0;
        rate->full_ms[slot] = 0;
    }
    rate->tenth = tenth;
}

static void count_long(struct mp__kafka_rate *rate, int64_t ms)
{
    rate->long_ms[rate->long_at] += (uint32_t)(ms < SECOND_MS ? ms : SECOND_MS);
    if (rate->long_ms[rate->long_at] >= MP__KAFKA_LONG_MS) {
        rate->long_at = (uint8_t)((rate->long_at + 1) % MP__KAFKA_LONG);
        rate->long_ms[rate->long_at] = 0;
        rate->long_finished[rate->long_at] = 0;
    }
}

/* Counts the time since the last call, all of which it was full or not. */
void mp__kafka_rate_roll(struct mp__kafka_rate *rate, int64_t now_ms)
{
    int64_t from_ms = rate->counted_ms;
    if (from_ms >= now_ms) {
        return;
    }
    rate->counted_ms = now_ms;
    if (rate->works) {
        count_long(rate, now_ms - from_ms);
    }
    if (rate->is_full) {
        from_ms = now_ms - from_ms > SECOND_MS ? now_ms - SECOND_MS : from_ms;
        while (from_ms < now_ms) {
            int64_t tenth = from_ms / TENTH_MS;
            int64_t end_ms = (tenth + 1) * TENTH_MS;
            end_ms = end_ms < now_ms ? end_ms : now_ms;
            turn_to(rate, tenth);
            uint8_t *full_ms = &rate->full_ms[tenth % MP__KAFKA_TENTHS];
            *full_ms = (uint8_t)(*full_ms + (end_ms - from_ms));
            rate->full_sum += (uint32_t)(end_ms - from_ms);
            from_ms = end_ms;
        }
    }
    turn_to(rate, tenth_of(now_ms));
}

void mp__kafka_rate_finished(struct mp__kafka_rate *rate, int64_t now_ms)
{
    if (rate->is_full) {
        mp__kafka_rate_roll(rate, now_ms);
        rate->finished[rate->tenth % MP__KAFKA_TENTHS]++;
        rate->finished_sum++;
    }
    rate->long_finished[rate->long_at]++;
}

static double long_per_ms(const struct mp__kafka_rate *rate)
{
    uint32_t finished = 0, ms = 0;
    for (size_t i = 0; i < MP__KAFKA_LONG; i++) {
        finished += rate->long_finished[i];
        ms += rate->long_ms[i];
    }
    return ms > 0 ? (double)finished / ms : 0;
}

/* --- what is spilled for it */

/* One after the other at the lane's rate, also the first of them: those that would all be
 * due at the earliest time would come back as the bunch that was too much before. */
static int64_t due_at_rate(struct mp__kafka_lanes *lanes, struct mp__kafka_lane *lane)
{
    const int64_t least_us = (int64_t)MP__KAFKA_SPILL_MIN_MS * 1000;
    const int64_t most_us = (int64_t)MP__KAFKA_SPILL_MAX_MS * 1000;
    if (lane->per_ms <= 0) {
        return lanes->now_wall_ms + MP__KAFKA_SPILL_MAX_MS;
    }
    double step_us = 1000 / lane->per_ms;
    int64_t now_us = lanes->now_ms * 1000;
    int64_t due_us =
        lane->due_us + (step_us < (double)most_us ? (int64_t)step_us : most_us);
    due_us = due_us < now_us + least_us ? now_us + least_us : due_us;
    due_us = due_us > now_us + most_us ? now_us + most_us : due_us;
    lane->due_us = due_us;
    return lanes->now_wall_ms + (due_us - now_us + 999) / 1000;
}

static size_t allowance(const struct mp__kafka_lanes *lanes,
                        const struct mp__kafka_lane *lane)
{
    size_t most = mp__kafka_lane_most(lanes, lane);
    return lane->keep + (lane->out < most ? most - lane->out : 0);
}

void mp__kafka_lane_trim(struct mp__kafka_lanes *lanes, struct mp__kafka_lane *lane)
{
    while (lane->waiting > allowance(lanes, lane)) {
        lane->spill_ms = lanes->now_ms;
        mp__kafka_lane_spill(lanes, lane->tail, MP__KAFKA_SLOW, due_at_rate(lanes, lane));
    }
}

/* --- the tick */

static void measure(struct mp__kafka_lanes *lanes, struct mp__kafka_lane *lane)
{
    const struct mp__kafka_rate *rate = &lane->rate;
    bool finishes = rate->finished_sum > 0;
    lane->per_ms =
        finishes ? (double)rate->finished_sum / rate->full_sum : long_per_ms(rate);
    if (lane->per_ms <= 0) {
        lane->per_ms = mp__kafka_lane_assumed_per_ms(lane);
    }
    double keep = lane->per_ms * MP__KAFKA_HOLD_MS;
    /* One that was fast and hangs now is not to hold half a second of its best days. */
    lane->keep =
        finishes || keep < MP__KAFKA_LANE_SURE ? (size_t)keep : MP__KAFKA_LANE_SURE;
    lane->hangs = lane->per_ms <= 0;
    mp__kafka_lane_changed(lanes, lane);
}

static bool is_full_since(const struct mp__kafka_lanes *lanes,
                          const struct mp__kafka_lane *lane, int64_t since_ms)
{
    return lane->rate.is_full && lanes->now_ms - lane->full_ms >= MP__KAFKA_HOLD_MS &&
           lanes->now_ms - since_ms >= MP__KAFKA_HOLD_MS;
}

/* What waits in a lane that is no longer slow counts again for reading on. */
static bool is_calm(const struct mp__kafka_lanes *lanes,
                    const struct mp__kafka_lane *lane)
{
    return lanes->now_ms - lane->spill_ms >= MP__KAFKA_CALM_MS &&
           (double)lane->waiting <= lane->per_ms * (MP__KAFKA_HOLD_MS / 2);
}

static void review(struct mp__kafka_lanes *lanes, struct mp__kafka_lane *lane)
{
    const struct mp__kafka_rate *rate = &lane->rate;
    mp__kafka_rate_roll(&lane->rate, lanes->now_ms);
    bool is_judged = is_full_since(lanes, lane, lane->full_ms);
    bool is_silent = is_full_since(lanes, lane, lane->finish_ms);
    if (is_judged ||
        (lane->is_slow && rate->finished_sum > 0 && rate->full_sum >= TENTH_MS)) {
        measure(lanes, lane);
    }
    bool is_fast = !is_silent && rate->finished_sum > 0 &&
                   rate->full_sum >= MP__KAFKA_HOLD_MS && lane->keep >= MP__KAFKA_AHEAD;
    bool is_over = is_judged && lane->waiting > allowance(lanes, lane);
    if (is_over || is_silent) {
        mp__kafka_lane_set_slow(lanes, lane, true);
    }
    if (is_over) {
        mp__kafka_lane_trim(lanes, lane);
    }
    if (lane->is_slow && !is_silent && (is_fast || is_calm(lanes, lane))) {
        mp__kafka_lane_set_slow(lanes, lane, false);
    }
}

static void forget_idle(struct mp__kafka_lanes *lanes)
{
    struct mp__kafka_link *link;
    while ((link = lanes->idle.first)) {
        struct mp__kafka_lane *lane = mp__kafka_lane_of_work(link);
        if (lanes->now_ms - lane->idle_ms < MP__KAFKA_IDLE_MS) {
            return;
        }
        if (lane->hold_until_ms <= lanes->now_wall_ms &&
            lane->due_us <= lanes->now_ms * 1000) {
            mp__kafka_lane_free(lanes, lane);
            continue;
        }
        lane->idle_ms = lanes->now_ms;
        mp__kafka_links_remove(link);
        mp__kafka_links_push(&lanes->idle, link);
    }
}

void mp__kafka_lanes_tick(struct mp__kafka_lanes *lanes)
{
    struct mp__kafka_link *next;
    /* Nothing but this takes lanes from the busy ones, so `next` stays good while the
     * owner is called. */
    for (struct mp__kafka_link *at = lanes->busy.first; at; at = next) {
        next = at->next;
        struct mp__kafka_lane *lane = mp__kafka_lane_of_work(at);
        review(lanes, lane);
        if (lane->waiting == 0 && lane->out == 0) {
            lane->idle_ms = lanes->now_ms;
            mp__kafka_links_remove(at);
            mp__kafka_links_push(&lanes->idle, at);
        }
    }
    forget_idle(lanes);
}
