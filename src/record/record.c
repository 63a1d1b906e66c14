/* SPDX-License-Identifier: MIT */
#include "moonpost/record.h"

#include <stdlib.h>
#include <string.h>

#define SLICES 11

/* One table, so that a slice that is added can be forgotten in one place only. */
static const size_t slice_at[SLICES] = {
    offsetof(struct mp_record, id),
    offsetof(struct mp_record, partner),
    offsetof(struct mp_record, lane),
    offsetof(struct mp_record, event),
    offsetof(struct mp_record, type),
    offsetof(struct mp_record, source),
    offsetof(struct mp_record, subject),
    offsetof(struct mp_record, event_id),
    offsetof(struct mp_record, partition_key),
    offsetof(struct mp_record, endpoint_method),
    offsetof(struct mp_record, endpoint_url),
};

static struct mp_str *slice_of(struct mp_record *record, size_t index)
{
    return (struct mp_str *)(void *)((char *)record + slice_at[index]);
}

static size_t block_bytes(struct mp_record *draft)
{
    size_t bytes = sizeof(*draft);
    for (size_t i = 0; i < SLICES; i++) {
        bytes += slice_of(draft, i)->length;
    }
    return bytes;
}

static void copy_slices(struct mp_record *record)
{
    char *at = (char *)(record + 1);
    for (size_t i = 0; i < SLICES; i++) {
        struct mp_str *slice = slice_of(record, i);
        if (slice->length > 0) {
            memcpy(at, slice->data, slice->length);
            slice->data = at;
            at += slice->length;
        } else {
            slice->data = NULL;
        }
    }
}

int mp_record_new(const struct mp_record *draft, struct mp_record **out)
{
    struct mp_record copy = *draft;
    copy.size_bytes = block_bytes(&copy);
    copy.next = NULL;
    copy.queue_lane = NULL;
    copy.outcome = (struct mp_outcome){.kind = MP_OUTCOME_NONE};
    struct mp_record *record = malloc(copy.size_bytes);
    if (!record) {
        return MP_ENOMEM;
    }
    *record = copy;
    copy_slices(record);
    if (record->lane.length == 0) {
        record->lane = record->partner;
    }
    *out = record;
    return MP_OK;
}

void mp_record_free(struct mp_record *record)
{
    if (record) {
        free(record->outcome.reason);
        free(record);
    }
}

void mp_record_list_push(struct mp_record_list *list, struct mp_record *record)
{
    record->next = NULL;
    if (list->tail) {
        list->tail->next = record;
    } else {
        list->head = record;
    }
    list->tail = record;
    list->count++;
    list->bytes += record->size_bytes;
}

struct mp_record *mp_record_list_pop(struct mp_record_list *list)
{
    struct mp_record *record = list->head;
    if (!record) {
        return NULL;
    }
    list->head = record->next;
    if (!list->head) {
        list->tail = NULL;
    }
    list->count--;
    list->bytes -= record->size_bytes;
    record->next = NULL;
    return record;
}

void mp_record_list_append(struct mp_record_list *to, struct mp_record_list *from)
{
    if (!from->head) {
        return;
    }
    if (to->tail) {
        to->tail->next = from->head;
    } else {
        to->head = from->head;
    }
    to->tail = from->tail;
    to->count += from->count;
    to->bytes += from->bytes;
    *from = (struct mp_record_list){0};
}

void mp_record_list_free(struct mp_record_list *list)
{
    struct mp_record *record;
    while ((record = mp_record_list_pop(list))) {
        mp_record_free(record);
    }
}
