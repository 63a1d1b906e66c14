/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "kafka.h"
#include "kafka_group_parts.h"

static bool is_of(const struct mp__kafka_item *item,
                  const struct mp__kafka_partition *partition)
{
    return item->partition == partition && item->epoch == partition->epoch;
}

static int by_offset(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

/* Without memory for it they stay what they were: what they did counts, and it is done
 * once more. */
void mp__kafka_carry(struct mp__kafka *engine, struct mp__kafka_partition *partition)
{
    size_t count = 0;
    for (const struct mp__kafka_item *at = engine->items; at; at = at->live_next) {
        count += is_of(at, partition);
    }
    partition->carried = count > 0 ? calloc(count, sizeof(*partition->carried)) : NULL;
    if (!partition->carried) {
        return;
    }
    for (struct mp__kafka_item *at = engine->items; at; at = at->live_next) {
        if (is_of(at, partition)) {
            at->assignment = partition->assignment;
            partition->carried[partition->carried_count++] = at->offset;
        }
    }
    partition->live = count;
    qsort(partition->carried, count, sizeof(*partition->carried), by_offset);
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
