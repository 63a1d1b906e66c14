/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "kafka.h"

/* Items: what was read and is not done. Counted as a whole, and by partner. */

static struct mp__kafka_tally *tally_of(struct mp__kafka *engine, struct mp_str partner)
{
    struct mp__kafka_tally *tally = mp__names_find(&engine->tallies, partner);
    return tally ? tally : mp__names_add(&engine->tallies, partner, sizeof(*tally));
}

struct mp__kafka_item *mp__kafka_item_new(struct mp__kafka *engine,
                                          struct mp__kafka_partition *partition,
                                          int64_t offset, struct mp_record *record)
{
    struct mp__kafka_item *item = calloc(1, sizeof(*item));
    if (!item) {
        mp_record_free(record);
        return NULL;
    }
    item->partition = partition;
    item->assignment = partition->assignment;
    item->epoch = partition->epoch;
    item->offset = offset;
    item->record = record;
    item->size_bytes = sizeof(*item);
    if (record) {
        item->size_bytes += record->size_bytes;
        item->tally = tally_of(engine, record->partner);
    }
    if (item->tally) {
        item->tally->count++;
    }
    item->live_next = engine->items;
    if (engine->items) {
        engine->items->live_previous = item;
    }
    engine->items = item;
    engine->live++;
    engine->live_bytes += item->size_bytes;
    return item;
}

void mp__kafka_item_free(struct mp__kafka *engine, struct mp__kafka_item *item)
{
    engine->live--;
    engine->live_bytes -= item->size_bytes;
    if (item->tally && --item->tally->count == 0) {
        mp__names_remove(&engine->tallies, &item->tally->name);
    }
    if (item->live_previous) {
        item->live_previous->live_next = item->live_next;
    } else {
        engine->items = item->live_next;
    }
    if (item->live_next) {
        item->live_next->live_previous = item->live_previous;
    }
    mp_record_free(item->record);
    free(item);
}
