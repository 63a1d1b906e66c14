/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "kafka.h"
#include "kafka_group_parts.h"

/* Of a partition that is assigned anew, and of the log that it still has. What another
 * process has done meanwhile stays as it is: ours, if it fails, is no retry. */
static bool is_back(const struct mp__kafka_item *item)
{
    const struct mp__kafka_partition *partition = item->partition;
    return partition->is_assigned && item->epoch == partition->epoch &&
           item->assignment != partition->assignment &&
           !mp__tracker_is_done(&partition->tracker, item->offset);
}

static int by_offset(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

/* Without memory for it they stay what they were: what they did counts, and it is done
 * once more. */
static void make_room(struct mp__kafka *engine)
{
    const struct mp__kafka_group *group = &engine->group;
    for (const struct mp__kafka_item *at = engine->items; at; at = at->live_next) {
        at->partition->carried_count += is_back(at);
    }
    for (size_t i = 0; i < group->assigned_count; i++) {
        struct mp__kafka_partition *partition = group->assigned[i];
        if (partition->carried_count > 0) {
            partition->carried =
                calloc(partition->carried_count, sizeof(*partition->carried));
        }
        partition->carried_count = 0;
    }
}

void mp__kafka_carry(struct mp__kafka *engine)
{
    const struct mp__kafka_group *group = &engine->group;
    make_room(engine);
    for (struct mp__kafka_item *at = engine->items; at; at = at->live_next) {
        struct mp__kafka_partition *partition = at->partition;
        if (partition->carried && is_back(at)) {
            at->assignment = partition->assignment;
            partition->carried[partition->carried_count++] = at->offset;
            partition->live++;
        }
    }
    for (size_t i = 0; i < group->assigned_count; i++) {
        struct mp__kafka_partition *partition = group->assigned[i];
        if (partition->carried) {
            qsort(partition->carried, partition->carried_count,
                  sizeof(*partition->carried), by_offset);
        }
    }
}

bool mp__kafka_carry_met(struct mp__kafka_partition *partition, int64_t offset)
{
    if (partition->carried_count == 0) {
        return false;
    }
    int64_t *found = bsearch(&offset, partition->carried, partition->carried_count,
                             sizeof(offset), by_offset);
    if (!found) {
        return false;
    }
    size_t behind = --partition->carried_count - (size_t)(found - partition->carried);
    memmove(found, found + 1, behind * sizeof(*found));
    return true;
}

void mp__kafka_carry_end(struct mp__kafka_partition *partition)
{
    free(partition->carried);
    partition->carried = NULL;
    partition->carried_count = 0;
}
