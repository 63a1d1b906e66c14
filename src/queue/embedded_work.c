/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "embedded.h"

/* What one turn of the loop, or several, want of the storage thread. */

void mp__work_add(struct mp__work *work, struct mp__op *op)
{
    op->next = NULL;
    if (work->tail) {
        work->tail->next = op;
    } else {
        work->head = op;
    }
    work->tail = op;
}

void mp__work_settle(struct mp__work *work, struct mp_record *record)
{
    if (work->settled_count == work->settled_capacity) {
        size_t capacity = work->settled_capacity ? work->settled_capacity * 2 : 256;
        uint64_t *grown = realloc(work->settled, capacity * sizeof(uint64_t));
        if (!grown) {
            /* The record itself says it as well, and takes no new memory. */
            mp_record_list_push(&work->changed, record);
            return;
        }
        work->settled = grown;
        work->settled_capacity = capacity;
    }
    work->settled[work->settled_count++] = record->seq;
    mp_record_free(record);
}

static bool take_settled(struct mp__work *to, struct mp__work *from)
{
    size_t count = to->settled_count + from->settled_count;
    if (to->settled_count == 0 && from->settled_count > 0) {
        uint64_t *settled = to->settled;
        size_t capacity = to->settled_capacity;
        to->settled = from->settled;
        to->settled_capacity = from->settled_capacity;
        from->settled = settled;
        from->settled_capacity = capacity;
    } else if (from->settled_count > 0) {
        if (count > to->settled_capacity) {
            uint64_t *grown = realloc(to->settled, 2 * count * sizeof(uint64_t));
            if (!grown) {
                return false;
            }
            to->settled = grown;
            to->settled_capacity = 2 * count;
        }
        memcpy(to->settled + to->settled_count, from->settled,
               from->settled_count * sizeof(uint64_t));
    }
    to->settled_count = count;
    from->settled_count = 0;
    return true;
}

void mp__work_move(struct mp__work *to, struct mp__work *from)
{
    if (!take_settled(to, from)) {
        return; /* out of memory: all of it stays where it is, in its order, until later
                 */
    }
    mp_record_list_append(&to->changed, &from->changed);
    if (from->head) {
        if (to->tail) {
            to->tail->next = from->head;
        } else {
            to->head = from->head;
        }
        to->tail = from->tail;
        from->head = from->tail = NULL;
    }
}
