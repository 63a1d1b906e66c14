/* SPDX-License-Identifier: MIT */
#include "kafka_lane.h"

/* Lanes whose owner gathers batches: deeper than the usual. */

void mp__kafka_lanes_set_depth(struct mp__kafka_lanes *lanes, struct mp_str name,
                               size_t records)
{
    size_t depth = records > MP__KAFKA_LANE_RECORDS ? records : 0;
    struct mp__kafka_partner *partner = depth ? mp__kafka_partner_of(lanes, name)
                                              : mp__names_find(&lanes->partners, name);
    if (!partner) {
        return; /* out of memory, or the usual depth already */
    }
    partner->depth = depth;
    for (struct mp__kafka_lane *lane = partner->lanes; lane;
         lane = lane->next_of_partner) {
        mp__kafka_lane_changed(lanes, lane);
    }
    mp__kafka_partner_forget(lanes, partner);
}

/* One partner's batches are not to fill the windows of all. */
size_t mp__kafka_lane_own_most(const struct mp__kafka_lanes *lanes,
                               const struct mp__kafka_lane *lane)
{
    size_t most = lane->partner->depth;
    if (lane->hangs) {
        return MP__KAFKA_LANE_SURE;
    }
    if (lanes->most_out > 0 && most > lanes->most_out / 2) {
        most = lanes->most_out / 2;
    }
    return most > MP__KAFKA_LANE_RECORDS ? most : MP__KAFKA_LANE_RECORDS;
}

double mp__kafka_lane_assumed_per_ms(const struct mp__kafka_lane *lane)
{
    uint32_t worked_ms = 0;
    for (size_t i = 0; i < MP__KAFKA_LONG; i++) {
        worked_ms += lane->rate.long_ms[i];
    }
    /* It gathers: all that is out may wait for more, and then ends at once. */
    return worked_ms < (MP__KAFKA_LONG - 1) * MP__KAFKA_LONG_MS
               ? (double)lane->partner->depth / MP__KAFKA_SPILL_MIN_MS
               : 0;
}
