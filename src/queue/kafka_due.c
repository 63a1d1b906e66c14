/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "kafka_group_parts.h"

/* A binary heap by ready_ms, the first at 0. */

int mp__kafka_due_put(struct mp__kafka_due *due, int64_t ready_ms,
                      struct mp__kafka_item *item)
{
    if (due->count == due->capacity) {
        size_t capacity = due->capacity ? due->capacity * 2 : 4;
        struct mp__kafka_due_entry *grown =
            realloc(due->heap, capacity * sizeof(*due->heap));
        if (!grown) {
            return MP_ENOMEM;
        }
        due->heap = grown;
        due->capacity = capacity;
    }
    size_t at = due->count++;
    for (size_t parent; at > 0; at = parent) {
        parent = (at - 1) / 2;
        if (due->heap[parent].ready_ms <= ready_ms) {
            break;
        }
        due->heap[at] = due->heap[parent];
    }
    due->heap[at] = (struct mp__kafka_due_entry){ready_ms, item};
    return MP_OK;
}

struct mp__kafka_item *mp__kafka_due_take(struct mp__kafka_due *due, int64_t now_ms)
{
    if (due->count == 0 || due->heap[0].ready_ms > now_ms) {
        return NULL;
    }
    struct mp__kafka_item *item = due->heap[0].item;
    struct mp__kafka_due_entry last = due->heap[--due->count];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < due->count; at = child) {
        if (child + 1 < due->count &&
            due->heap[child + 1].ready_ms < due->heap[child].ready_ms) {
            child++;
        }
        if (due->heap[child].ready_ms >= last.ready_ms) {
            break;
        }
        due->heap[at] = due->heap[child];
    }
    due->heap[at] = last;
    return item;
}

void mp__kafka_due_fini(struct mp__kafka_due *due)
{
    free(due->heap);
    *due = (struct mp__kafka_due){0};
}
