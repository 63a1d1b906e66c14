/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "embedded_names.h"

static uint32_t hash_of(struct mp_str text)
{
    uint32_t hash = 2166136261U; /* FNV-1a */
    for (size_t i = 0; i < text.length; i++) {
        hash = (hash ^ (unsigned char)text.data[i]) * 16777619U;
    }
    return hash;
}

static void grow_buckets(struct mp__names *names)
{
    size_t count = names->bucket_count ? names->bucket_count * 2 : 64;
    struct mp__name **buckets = calloc(count, sizeof(struct mp__name *));
    if (!buckets) {
        return; /* longer chains are no failure */
    }
    for (size_t i = 0; i < names->bucket_count; i++) {
        struct mp__name *name = names->buckets[i];
        while (name) {
            struct mp__name *next = name->next;
            name->next = buckets[name->hash & (count - 1)];
            buckets[name->hash & (count - 1)] = name;
            name = next;
        }
    }
    free(names->buckets);
    names->buckets = buckets;
    names->bucket_count = count;
}

void *mp__names_find(const struct mp__names *names, struct mp_str text)
{
    if (names->bucket_count == 0) {
        return NULL;
    }
    uint32_t hash = hash_of(text);
    struct mp__name *name = names->buckets[hash & (names->bucket_count - 1)];
    while (name && (name->hash != hash || !mp_str_equal(name->text, text))) {
        name = name->next;
    }
    return name;
}

void *mp__names_add(struct mp__names *names, struct mp_str text, size_t bytes)
{
    if (names->count >= names->bucket_count) {
        grow_buckets(names);
    }
    struct mp__name *name = names->bucket_count ? calloc(1, bytes + text.length) : NULL;
    if (!name) {
        return NULL;
    }
    char *copy = (char *)name + bytes;
    if (text.length > 0) {
        memcpy(copy, text.data, text.length);
    }
    name->text = (struct mp_str){copy, text.length};
    name->hash = hash_of(text);
    struct mp__name **bucket = &names->buckets[name->hash & (names->bucket_count - 1)];
    name->next = *bucket;
    *bucket = name;
    names->count++;
    return name;
}

void mp__names_remove(struct mp__names *names, struct mp__name *name)
{
    struct mp__name **at = &names->buckets[name->hash & (names->bucket_count - 1)];
    while (*at != name) {
        at = &(*at)->next;
    }
    *at = name->next;
    names->count--;
    free(name);
}

void mp__names_fini(struct mp__names *names)
{
    for (size_t i = 0; i < names->bucket_count; i++) {
        while (names->buckets[i]) {
            mp__names_remove(names, names->buckets[i]);
        }
    }
    free(names->buckets);
    *names = (struct mp__names){0};
}

static size_t slot_of(const struct mp__claims *claims, uint64_t number)
{
    return (size_t)((number * 0x9e3779b97f4a7c15U) >> 20) & (claims->slot_count - 1);
}

static void put(struct mp__claims *claims, uint64_t number)
{
    size_t slot = slot_of(claims, number);
    while (claims->slots[slot] != 0) {
        slot = (slot + 1) & (claims->slot_count - 1);
    }
    claims->slots[slot] = number;
}

static int grow_slots(struct mp__claims *claims)
{
    struct mp__claims grown = {.count = claims->count};
    grown.slot_count = claims->slot_count ? claims->slot_count * 2 : 1024;
    grown.slots = calloc(grown.slot_count, sizeof(uint64_t));
    if (!grown.slots) {
        return MP_ENOMEM;
    }
    for (size_t i = 0; i < claims->slot_count; i++) {
        if (claims->slots[i] != 0) {
            put(&grown, claims->slots[i]);
        }
    }
    free(claims->slots);
    *claims = grown;
    return MP_OK;
}

int mp__claims_add(struct mp__claims *claims, uint64_t number)
{
    if (claims->count * 2 >= claims->slot_count && grow_slots(claims) != MP_OK) {
        return MP_ENOMEM;
    }
    put(claims, number);
    claims->count++;
    return MP_OK;
}

static size_t find(const struct mp__claims *claims, uint64_t number)
{
    if (claims->slot_count == 0) {
        return SIZE_MAX;
    }
    size_t slot = slot_of(claims, number);
    while (claims->slots[slot] != 0) {
        if (claims->slots[slot] == number) {
            return slot;
        }
        slot = (slot + 1) & (claims->slot_count - 1);
    }
    return SIZE_MAX;
}

bool mp__claims_has(const struct mp__claims *claims, uint64_t number)
{
    return find(claims, number) != SIZE_MAX;
}

/* Moves what follows back into the gap, so that no marks of removed ones pile up. */
void mp__claims_remove(struct mp__claims *claims, uint64_t number)
{
    size_t gap = find(claims, number);
    if (gap == SIZE_MAX) {
        return;
    }
    size_t mask = claims->slot_count - 1;
    for (size_t at = (gap + 1) & mask; claims->slots[at] != 0; at = (at + 1) & mask) {
        size_t home = slot_of(claims, claims->slots[at]);
        if (((at - home) & mask) >= ((at - gap) & mask)) {
            claims->slots[gap] = claims->slots[at];
            gap = at;
        }
    }
    claims->slots[gap] = 0;
    claims->count--;
}
