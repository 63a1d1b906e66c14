/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "kafka_lane.h"

void mp__kafka_lanes_init(struct mp__kafka_lanes *lanes,
                          const struct mp__kafka_lanes_owner *owner)
{
    *lanes = (struct mp__kafka_lanes){.owner = *owner};
}

void mp__kafka_lanes_fini(struct mp__kafka_lanes *lanes)
{
    mp__names_fini(&lanes->lanes);
    mp__names_fini(&lanes->partners);
}

struct mp__kafka_partner *mp__kafka_partner_of(struct mp__kafka_lanes *lanes,
                                               struct mp_str name)
{
    struct mp__kafka_partner *partner = mp__names_find(&lanes->partners, name);
    return partner ? partner : mp__names_add(&lanes->partners, name, sizeof(*partner));
}

/* A hold that has lapsed is no reason to stay; one for ever is. */
void mp__kafka_partner_forget(struct mp__kafka_lanes *lanes,
                              struct mp__kafka_partner *partner)
{
    if (!partner->lanes && partner->depth == 0 &&
        partner->hold_until_ms <= lanes->now_wall_ms) {
        mp__names_remove(&lanes->partners, &partner->name);
    }
}

static struct mp__kafka_lane *lane_of(struct mp__kafka_lanes *lanes, struct mp_str name,
                                      struct mp_str partner_name)
{
    struct mp__kafka_lane *lane = mp__names_find(&lanes->lanes, name);
    if (lane) {
        return lane;
    }
    struct mp__kafka_partner *partner = mp__kafka_partner_of(lanes, partner_name);
    if (!partner) {
        return NULL;
    }
    lane = mp__names_add(&lanes->lanes, name, sizeof(*lane));
    if (!lane) {
        mp__kafka_partner_forget(lanes, partner);
        return NULL;
    }
    lane->partner = partner;
    lane->next_of_partner = partner->lanes;
    if (partner->lanes) {
        partner->lanes->previous_of_partner = lane;
    }
    partner->lanes = lane;
    lane->idle_ms = lanes->now_ms;
    lane->rate.counted_ms = lanes->now_ms;
    mp__kafka_links_push(&lanes->idle, &lane->work);
    return lane;
}

void mp__kafka_lane_free(struct mp__kafka_lanes *lanes, struct mp__kafka_lane *lane)
{
    struct mp__kafka_partner *partner = lane->partner;
    *(lane->previous_of_partner ? &lane->previous_of_partner->next_of_partner
                                : &partner->lanes) = lane->next_of_partner;
    if (lane->next_of_partner) {
        lane->next_of_partner->previous_of_partner = lane->previous_of_partner;
    }
    mp__kafka_links_remove(&lane->work);
    mp__kafka_links_remove(&lane->ring);
    mp__names_remove(&lanes->lanes, &lane->name);
    mp__kafka_partner_forget(lanes, partner);
}

/* --- what is out */

static bool is_crowded(const struct mp__kafka_lanes *lanes)
{
    return lanes->out_bytes >= MP__KAFKA_OUT_BYTES ||
           (lanes->most_out > 0 && lanes->out >= lanes->most_out);
}

size_t mp__kafka_lane_most(const struct mp__kafka_lanes *lanes,
                           const struct mp__kafka_lane *lane)
{
    return is_crowded(lanes) ? MP__KAFKA_LANE_SURE : mp__kafka_lane_own_most(lanes, lane);
}

static void place(struct mp__kafka_lanes *lanes, struct mp__kafka_lane *lane)
{
    if (lane->waiting == 0 || lane->out >= mp__kafka_lane_own_most(lanes, lane)) {
        mp__kafka_links_remove(&lane->ring);
        return;
    }
    bool has_room = lane->out < mp__kafka_lane_most(lanes, lane);
    if (lane->ring.in == &lanes->starved && has_room && lane->out < MP__KAFKA_LANE_SURE) {
        mp__kafka_links_remove(&lane->ring);
    }
    if (!lane->ring.in) {
        mp__kafka_links_push(has_room ? &lanes->ready : &lanes->starved, &lane->ring);
    }
}

void mp__kafka_lane_changed(struct mp__kafka_lanes *lanes, struct mp__kafka_lane *lane)
{
    bool is_full = lane->waiting > 0 || lane->out >= mp__kafka_lane_own_most(lanes, lane);
    bool works = lane->waiting > 0 || lane->out > 0;
    if (is_full != lane->rate.is_full || works != lane->rate.works) {
        mp__kafka_rate_roll(&lane->rate, lanes->now_ms);
        lane->full_ms = is_full != lane->rate.is_full ? lanes->now_ms : lane->full_ms;
        lane->rate.is_full = is_full;
        lane->rate.works = works;
    }
    place(lanes, lane);
}

static void take_back(struct mp__kafka_lanes *lanes, struct mp__kafka_item *item)
{
    item->lane->out--;
    lanes->out--;
    lanes->out_bytes -= item->size_bytes;
}

/* --- what waits */

static void link_before(struct mp__kafka_lanes *lanes, struct mp__kafka_item *item,
                        struct mp__kafka_item *next)
{
    struct mp__kafka_lane *lane = item->lane;
    item->next = next;
    item->previous = next ? next->previous : lane->tail;
    *(item->previous ? &item->previous->next : &lane->head) = item;
    *(next ? &next->previous : &lane->tail) = item;
    item->waits = true;
    lane->waiting++;
    lanes->waiting++;
    lanes->waiting_bytes += item->size_bytes;
    lanes->waiting_slow += lane->is_slow;
}

static void unlink_waiting(struct mp__kafka_lanes *lanes, struct mp__kafka_item *item)
{
    struct mp__kafka_lane *lane = item->lane;
    *(item->previous ? &item->previous->next : &lane->head) = item->next;
    *(item->next ? &item->next->previous : &lane->tail) = item->previous;
    item->next = item->previous = NULL;
    item->waits = false;
    lane->waiting--;
    lanes->waiting--;
    lanes->waiting_bytes -= item->size_bytes;
    lanes->waiting_slow -= lane->is_slow;
}

void mp__kafka_lane_set_slow(struct mp__kafka_lanes *lanes, struct mp__kafka_lane *lane,
                             bool is_slow)
{
    if (lane->is_slow != is_slow) {
        lanes->waiting_slow += is_slow ? lane->waiting : 0 - lane->waiting;
        lane->is_slow = is_slow;
    }
}

static void leave_lane(struct mp__kafka_item *item)
{
    item->lane->partner->count--;
    item->lane = NULL;
}

void mp__kafka_lane_spill(struct mp__kafka_lanes *lanes, struct mp__kafka_item *item,
                          enum mp__kafka_spill why, int64_t due_ms)
{
    struct mp__kafka_lane *lane = item->lane;
    unlink_waiting(lanes, item);
    leave_lane(item);
    mp__kafka_lane_changed(lanes, lane);
    lanes->owner.spill(lanes->owner.arg, item, why, due_ms);
}

int64_t mp__kafka_lane_held_until(const struct mp__kafka_lanes *lanes,
                                  const struct mp__kafka_lane *lane)
{
    int64_t until_ms = lane->hold_until_ms > lane->partner->hold_until_ms
                           ? lane->hold_until_ms
                           : lane->partner->hold_until_ms;
    return until_ms > lanes->now_wall_ms ? until_ms : 0;
}

/* Reads the head anew each time: the owner may put and forget meanwhile. */
static void spill_if_held(struct mp__kafka_lanes *lanes, struct mp__kafka_lane *lane)
{
    int64_t until_ms;
    while (lane->head && (until_ms = mp__kafka_lane_held_until(lanes, lane)) > 0) {
        bool is_pause = until_ms == INT64_MAX;
        int64_t least_ms = lanes->now_wall_ms + MP__KAFKA_SPILL_MIN_MS;
        int64_t most_ms = lanes->now_wall_ms + MP__KAFKA_SPILL_MAX_MS;
        int64_t due_ms = until_ms < least_ms ? least_ms : until_ms;
        mp__kafka_lane_spill(lanes, lane->head,
                             is_pause ? MP__KAFKA_PAUSED : MP__KAFKA_BREAKER,
                             due_ms > most_ms ? most_ms : due_ms);
    }
}

static void review_arrival(struct mp__kafka_lanes *lanes, struct mp__kafka_lane *lane)
{
    mp__kafka_lane_changed(lanes, lane);
    spill_if_held(lanes, lane);
    if (lane->is_slow) {
        mp__kafka_lane_trim(lanes, lane);
    }
}

void mp__kafka_lanes_put(struct mp__kafka_lanes *lanes, struct mp__kafka_item *item)
{
    item->came_ms = lanes->now_ms;
    item->lane = lane_of(lanes, item->record->lane, item->record->partner);
    struct mp__kafka_lane *lane = item->lane;
    if (!lane) {
        lanes->owner.spill(lanes->owner.arg, item, MP__KAFKA_SLOW,
                           lanes->now_wall_ms + MP__KAFKA_SPILL_MIN_MS);
        return;
    }
    if (lane->work.in != &lanes->busy) {
        mp__kafka_links_remove(&lane->work);
        mp__kafka_links_push(&lanes->busy, &lane->work);
    }
    lane->partner->count++;
    link_before(lanes, item, NULL);
    review_arrival(lanes, lane);
}

void mp__kafka_lanes_finished(struct mp__kafka_lanes *lanes, struct mp__kafka_item *item)
{
    struct mp__kafka_lane *lane = item->lane;
    if (!lane) {
        return;
    }
    mp__kafka_rate_finished(&lane->rate, lanes->now_ms);
    lane->finish_ms = lanes->now_ms;
    if (!lane->is_slow) {
        lanes->finished[lanes->tenth % MP__KAFKA_TENTHS]++;
        lanes->finished_sum++;
    }
    take_back(lanes, item);
    leave_lane(item);
    mp__kafka_lane_changed(lanes, lane);
}

void mp__kafka_lanes_parked(struct mp__kafka_lanes *lanes, struct mp__kafka_item *item)
{
    struct mp__kafka_lane *lane = item->lane;
    take_back(lanes, item);
    link_before(lanes, item, lane->head);
    review_arrival(lanes, lane);
}

void mp__kafka_lanes_forget(struct mp__kafka_lanes *lanes, struct mp__kafka_item *item)
{
    struct mp__kafka_lane *lane = item->lane;
    if (!lane) {
        return;
    }
    if (item->waits) {
        unlink_waiting(lanes, item);
    } else {
        take_back(lanes, item);
    }
    leave_lane(item);
    mp__kafka_lane_changed(lanes, lane);
}

void mp__kafka_lanes_sweep(struct mp__kafka_lanes *lanes,
                           bool (*each)(void *arg, struct mp__kafka_item *item),
                           void *arg)
{
    for (struct mp__kafka_link *at = lanes->busy.first; at; at = at->next) {
        struct mp__kafka_lane *lane = mp__kafka_lane_of_work(at);
        struct mp__kafka_item *next;
        for (struct mp__kafka_item *item = lane->head; item; item = next) {
            next = item->next;
            /* Out of the lane before it is asked: when it is taken it may be freed. */
            unlink_waiting(lanes, item);
            item->lane = NULL;
            if (each(arg, item)) {
                lane->partner->count--;
            } else {
                item->lane = lane;
                link_before(lanes, item, next);
            }
        }
        mp__kafka_lane_changed(lanes, lane);
    }
}

/* --- holds */

void mp__kafka_lanes_hold(struct mp__kafka_lanes *lanes, struct mp_str name,
                          int64_t until_ms)
{
    /* A lane's name begins with its partner's, and has a space when it is not the same.
     */
    const char *space = name.length > 0 ? memchr(name.data, ' ', name.length) : NULL;
    if (space) {
        struct mp_str partner_name = {name.data, (size_t)(space - name.data)};
        struct mp__kafka_lane *lane = lane_of(lanes, name, partner_name);
        if (lane) {
            lane->hold_until_ms = until_ms;
            spill_if_held(lanes, lane);
        }
        return;
    }
    struct mp__kafka_partner *partner = mp__kafka_partner_of(lanes, name);
    if (!partner) {
        return;
    }
    partner->hold_until_ms = until_ms;
    for (struct mp__kafka_lane *lane = partner->lanes; lane;
         lane = lane->next_of_partner) {
        spill_if_held(lanes, lane);
    }
    mp__kafka_partner_forget(lanes, partner);
}

void mp__kafka_lanes_release(struct mp__kafka_lanes *lanes, struct mp_str name)
{
    struct mp__kafka_lane *lane = mp__names_find(&lanes->lanes, name);
    if (lane) {
        lane->hold_until_ms = 0;
    }
    struct mp__kafka_partner *partner = mp__names_find(&lanes->partners, name);
    if (partner) {
        partner->hold_until_ms = 0;
        mp__kafka_partner_forget(lanes, partner);
    }
}

/* --- giving */

static void give_a_turn(struct mp__kafka_lanes *lanes, struct mp__kafka_lane *lane)
{
    for (int i = 0; i < MP__KAFKA_TURN && lane->head; i++) {
        if (lane->out >= mp__kafka_lane_most(lanes, lane)) {
            break;
        }
        struct mp__kafka_item *item = lane->head;
        unlink_waiting(lanes, item);
        lane->out++;
        lanes->out++;
        lanes->out_bytes += item->size_bytes;
        lanes->owner.give(lanes->owner.arg, item);
    }
    mp__kafka_lane_changed(lanes, lane);
}

void mp__kafka_lanes_flush(struct mp__kafka_lanes *lanes)
{
    for (;;) {
        struct mp__kafka_link *link = lanes->ready.first;
        if (!link && !is_crowded(lanes)) {
            link = lanes->starved.first;
        }
        if (!link) {
            return;
        }
        mp__kafka_links_remove(link);
        give_a_turn(lanes, mp__kafka_lane_of_ring(link));
    }
}

uint64_t mp__kafka_lanes_count(const struct mp__kafka_lanes *lanes, struct mp_str partner)
{
    if (partner.length == 0) {
        return lanes->waiting + lanes->out;
    }
    const struct mp__kafka_partner *found = mp__names_find(&lanes->partners, partner);
    return found ? found->count : 0;
}
