/* SPDX-License-Identifier: MIT */
#include "batch.h"

#include <stdlib.h>
#include <string.h>

/* Lists. */

static void push(struct mp__batches *list, struct mp__batch *batch)
{
    batch->next = NULL;
    batch->prev = list->tail;
    *(list->tail ? &list->tail->next : &list->head) = batch;
    list->tail = batch;
}

static void push_front(struct mp__batches *list, struct mp__batch *batch)
{
    batch->prev = NULL;
    batch->next = list->head;
    *(list->head ? &list->head->prev : &list->tail) = batch;
    list->head = batch;
}

static void unlink_from(struct mp__batches *list, struct mp__batch *batch)
{
    *(batch->prev ? &batch->prev->next : &list->head) = batch->next;
    *(batch->next ? &batch->next->prev : &list->tail) = batch->prev;
}

/* One batch. */

static struct mp__batch *batch_new(struct mp_str key)
{
    struct mp__batch *batch = calloc(1, sizeof(*batch) + key.length + 1);
    if (batch && key.length > 0) {
        memcpy(batch->key, key.data, key.length);
    }
    if (batch) {
        batch->node.key = (struct mp_str){batch->key, key.length};
    }
    return batch;
}

void mp__batch_free(struct mp__batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        mp_buf_fini(&batch->items[i].wire);
        mp_buf_fini(&batch->items[i].shown);
    }
    free(batch->members);
    free(batch->items);
    free(batch->verdicts);
    free(batch);
}

static int make_room(struct mp__batch *batch, size_t count)
{
    if (count <= batch->capacity) {
        return MP_OK;
    }
    size_t capacity = batch->capacity ? batch->capacity * 2 : 4;
    capacity = capacity < count ? count : capacity;
    struct mp_record **members = realloc(batch->members, capacity * sizeof(*members));
    if (members) {
        batch->members = members;
    }
    struct mp_item *items = realloc(batch->items, capacity * sizeof(*items));
    if (items) {
        batch->items = items;
    }
    if (!members || !items) {
        return MP_ENOMEM;
    }
    batch->capacity = capacity;
    return MP_OK;
}

static void add(struct mp__batch *batch, struct mp_record *record, struct mp_item *item)
{
    batch->members[batch->count] = record;
    batch->items[batch->count++] = *item;
    batch->bytes += item->wire.length;
}

void mp__batch_remove(struct mp__batch *batch, size_t index)
{
    size_t after = --batch->count - index;
    batch->bytes -= batch->items[index].wire.length;
    mp_buf_fini(&batch->items[index].wire);
    mp_buf_fini(&batch->items[index].shown);
    memmove(&batch->members[index], &batch->members[index + 1],
            after * sizeof(*batch->members));
    memmove(&batch->items[index], &batch->items[index + 1],
            after * sizeof(*batch->items));
}

int mp__batch_reserve(struct mp__batch *batch)
{
    if (!batch->verdicts) {
        batch->verdicts = calloc(batch->count, sizeof(*batch->verdicts));
    }
    return batch->verdicts ? MP_OK : MP_ENOMEM;
}

struct mp_str mp__batch_id(const struct mp__batch *batch)
{
    return batch->count == 1 && batch->members[0] ? batch->members[0]->id
                                                  : mp_str_of(batch->id);
}

uint32_t mp__batch_attempts(const struct mp__batch *batch)
{
    uint32_t most = 0;
    for (size_t i = 0; i < batch->count; i++) {
        const struct mp_record *record = batch->members[i];
        most = record && record->attempts > most ? record->attempts : most;
    }
    return most;
}

/* Gathering. */

static void close_group(struct mp__groups *groups, struct mp__batch *batch)
{
    mp__map_remove(&groups->by_key, &batch->node);
    unlink_from(&groups->gathering, batch);
    mp_id_new(batch->id);
    push(&groups->ready, batch);
    groups->ready_count++;
    groups->gathering_records -= batch->count;
}

static struct mp__batch *open_group(struct mp__groups *groups, struct mp_str key)
{
    struct mp__batch *batch = batch_new(key);
    if (!batch || make_room(batch, 1) != MP_OK ||
        mp__map_add(&groups->by_key, &batch->node) != MP_OK) {
        if (batch) {
            mp__batch_free(batch);
        }
        return NULL;
    }
    push(&groups->gathering, batch);
    return batch;
}

int mp__groups_join(struct mp__groups *groups, const struct mp_batch_plan *plan,
                    struct mp_str key, struct mp_record *record, struct mp_item *item,
                    int64_t now_us)
{
    size_t most_bytes = (size_t)plan->bytes;
    struct mp__batch *batch =
        (struct mp__batch *)(void *)mp__map_find(&groups->by_key, key, mp__hash(key));
    if (batch && batch->bytes + item->wire.length > most_bytes) {
        close_group(groups, batch);
        batch = NULL;
    }
    if (!batch) {
        batch = open_group(groups, key);
        if (!batch) {
            return MP_ENOMEM;
        }
        batch->due_us = now_us + plan->wait_ms * 1000;
    } else if (make_room(batch, batch->count + 1) != MP_OK) {
        return MP_ENOMEM;
    }
    add(batch, record, item);
    groups->gathering_records++;
    if (batch->count >= (size_t)plan->size || batch->bytes >= most_bytes) {
        close_group(groups, batch);
    }
    return MP_OK;
}

void mp__groups_close_oldest(struct mp__groups *groups)
{
    if (groups->gathering.head) {
        close_group(groups, groups->gathering.head);
    }
}

void mp__groups_close(struct mp__groups *groups, int64_t due_us)
{
    while (groups->gathering.head && groups->gathering.head->due_us <= due_us) {
        close_group(groups, groups->gathering.head);
    }
}

struct mp__batch *mp__groups_next(struct mp__groups *groups)
{
    struct mp__batch *batch = groups->ready.head;
    if (batch) {
        unlink_from(&groups->ready, batch);
        groups->ready_count--;
    }
    return batch;
}

void mp__groups_put_back(struct mp__groups *groups, struct mp__batch *batch)
{
    push_front(&groups->ready, batch);
    groups->ready_count++;
}

void mp__groups_empty(struct mp__groups *groups, struct mp_record_list *out)
{
    struct mp__batch *batch;
    mp__groups_close(groups, INT64_MAX);
    while ((batch = mp__groups_next(groups))) {
        for (size_t i = 0; i < batch->count; i++) {
            mp_record_list_push(out, batch->members[i]);
        }
        mp__batch_free(batch);
    }
}

void mp__groups_fini(struct mp__groups *groups)
{
    mp__map_fini(&groups->by_key);
}

bool mp__groups_are_empty(const struct mp__groups *groups)
{
    return !groups->gathering.head && !groups->ready.head;
}

/* Halves. */

static size_t count_split(const struct mp__batch *batch)
{
    size_t count = 0;
    for (size_t i = 0; i < batch->count; i++) {
        count += batch->verdicts[i].kind == MP_VERDICT_SPLIT;
    }
    return count;
}

static struct mp__batch *half_new(size_t count)
{
    struct mp__batch *half = batch_new((struct mp_str){0});
    if (half && make_room(half, count) != MP_OK) {
        mp__batch_free(half);
        half = NULL;
    }
    if (half) {
        mp_id_new(half->id);
    }
    return half;
}

static void move_split(struct mp__batch *batch, struct mp__batch *first, size_t most,
                       struct mp__batch *second)
{
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->verdicts[i].kind != MP_VERDICT_SPLIT) {
            continue;
        }
        add(first->count < most ? first : second, batch->members[i], &batch->items[i]);
        batch->members[i] = NULL;
        batch->items[i] = (struct mp_item){0};
    }
}

int mp__groups_split(struct mp__groups *groups, struct mp__batch *batch)
{
    size_t count = count_split(batch);
    size_t most = (count + 1) / 2;
    if (count == 0) {
        return MP_OK;
    }
    struct mp__batch *first = half_new(most);
    struct mp__batch *second = count > most ? half_new(count - most) : NULL;
    if (!first || (count > most && !second)) {
        if (first) {
            mp__batch_free(first);
        }
        return MP_ENOMEM;
    }
    move_split(batch, first, most, second);
    if (second) {
        mp__groups_put_back(groups, second);
    }
    mp__groups_put_back(groups, first);
    return MP_OK;
}
