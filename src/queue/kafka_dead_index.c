/* SPDX-License-Identifier: MIT */
#include "kafka_dead_index.h"

#include <stdlib.h>
#include <string.h>

#include "moonpost/id.h"

#define NONE SIZE_MAX

static void hash_parts(const struct mp_str *parts, size_t count, uint64_t out[2])
{
    uint8_t digest[MP_SHA256_BYTES];
    mp_sha256_of(parts, count, digest);
    memcpy(out, digest, 2 * sizeof(uint64_t));
}

static uint64_t hash_of(struct mp_str text)
{
    uint64_t hash[2];
    hash_parts(&text, 1, hash);
    return hash[0];
}

static uint64_t malformed_partner(void)
{
    return hash_of(mp_str_of("-"));
}

/* A partner's name has no slash, so no two deliveries are of one text. */
static void hash_key(const struct mp__dead_key *key, struct mp__dead_entry *entry)
{
    struct mp_str parts[] = {key->partner, mp_str_of("/"), key->id};
    hash_parts(parts, 3, entry->delivery);
    entry->replays = key->replays;
}

/* --- a table of places, found by the delivery's hash: one after another is looked at */

static size_t home_of(const struct mp__dead_index *index, const struct mp__dead_entry *of)
{
    return (size_t)of->delivery[0] & (index->slot_count - 1);
}

static bool is_same(const struct mp__dead_entry *a, const struct mp__dead_entry *b)
{
    return a->delivery[0] == b->delivery[0] && a->delivery[1] == b->delivery[1];
}

bool mp__dead_entry_is_of(const struct mp__dead_entry *entry,
                          const struct mp__dead_key *key)
{
    struct mp__dead_entry other = {.replays = 0};
    hash_key(key, &other);
    return entry->replays == other.replays && is_same(entry, &other);
}

static size_t find_slot(const struct mp__dead_index *index,
                        const struct mp__dead_entry *of)
{
    if (index->slot_count == 0) {
        return NONE;
    }
    size_t mask = index->slot_count - 1;
    for (size_t at = home_of(index, of); index->slots[at]; at = (at + 1) & mask) {
        const struct mp__dead_entry *entry = &index->entries[index->slots[at] - 1];
        if (entry->replays == of->replays && is_same(entry, of)) {
            return at;
        }
    }
    return NONE;
}

static void put_slot(struct mp__dead_index *index, size_t place)
{
    size_t mask = index->slot_count - 1;
    size_t at = home_of(index, &index->entries[place]);
    while (index->slots[at]) {
        at = (at + 1) & mask;
    }
    index->slots[at] = (uint32_t)place + 1;
}

/* Moves what follows back into the gap: nothing marks what was removed. */
static void free_slot(struct mp__dead_index *index, size_t gap)
{
    size_t mask = index->slot_count - 1;
    for (size_t at = (gap + 1) & mask; index->slots[at]; at = (at + 1) & mask) {
        size_t home = home_of(index, &index->entries[index->slots[at] - 1]);
        if (((at - home) & mask) >= ((at - gap) & mask)) {
            index->slots[gap] = index->slots[at];
            gap = at;
        }
    }
    index->slots[gap] = 0;
}

static int grow(struct mp__dead_index *index)
{
    size_t capacity = index->capacity ? index->capacity * 2 : 256;
    if (capacity >= UINT32_MAX) {
        return MP_ENOMEM;
    }
    struct mp__dead_entry *entries = realloc(index->entries, capacity * sizeof(*entries));
    if (!entries) {
        return MP_ENOMEM;
    }
    index->entries = entries;
    uint32_t *slots = calloc(capacity * 2, sizeof(*slots));
    if (!slots) {
        return MP_ENOMEM;
    }
    free(index->slots);
    index->slots = slots;
    index->slot_count = capacity * 2;
    index->capacity = capacity;
    for (size_t i = 0; i < index->count; i++) {
        put_slot(index, i);
    }
    return MP_OK;
}

int mp__dead_index_put(struct mp__dead_index *index, const struct mp__dead_key *key,
                       int32_t partition, int64_t offset, int64_t stored_ms,
                       int64_t last_ms)
{
    struct mp__dead_entry entry = {.id = hash_of(key->id),
                                   .partner = hash_of(key->partner),
                                   .last_ms = last_ms,
                                   .stored_ms = stored_ms,
                                   .offset = offset,
                                   .partition = partition};
    hash_key(key, &entry);
    size_t slot = find_slot(index, &entry);
    if (slot != NONE) {
        index->entries[index->slots[slot] - 1] = entry;
        return MP_OK;
    }
    if (index->count == index->capacity && grow(index) != MP_OK) {
        return MP_ENOMEM;
    }
    index->entries[index->count] = entry;
    put_slot(index, index->count++);
    return MP_OK;
}

static void remove_at(struct mp__dead_index *index, size_t slot)
{
    size_t place = index->slots[slot] - 1;
    free_slot(index, slot);
    size_t last = --index->count;
    if (place != last) {
        size_t moved = find_slot(index, &index->entries[last]);
        index->entries[place] = index->entries[last];
        index->slots[moved] = (uint32_t)place + 1;
    }
}

void mp__dead_index_remove(struct mp__dead_index *index, const struct mp__dead_key *key)
{
    struct mp__dead_entry entry = {.replays = 0};
    hash_key(key, &entry);
    size_t slot = find_slot(index, &entry);
    if (slot != NONE) {
        remove_at(index, slot);
    }
}

void mp__dead_index_drop_below(struct mp__dead_index *index, int32_t partition,
                               int64_t low)
{
    for (size_t i = 0; i < index->count;) {
        const struct mp__dead_entry *entry = &index->entries[i];
        if (entry->partition == partition && entry->offset < low) {
            remove_at(index, find_slot(index, entry)); /* another is at its place now */
        } else {
            i++;
        }
    }
}

void mp__dead_index_fini(struct mp__dead_index *index)
{
    free(index->entries);
    free(index->slots);
    *index = (struct mp__dead_index){0};
}

const struct mp__dead_entry *mp__dead_index_find(const struct mp__dead_index *index,
                                                 const struct mp__dead_entry *entry)
{
    size_t slot = find_slot(index, entry);
    return slot == NONE ? NULL : &index->entries[index->slots[slot] - 1];
}

static const struct mp__dead_entry *last_of(const struct mp__dead_index *index,
                                            const struct mp__dead_entry *of)
{
    const struct mp__dead_entry *last = of;
    size_t mask = index->slot_count - 1;
    for (size_t at = home_of(index, of); index->slots[at]; at = (at + 1) & mask) {
        const struct mp__dead_entry *entry = &index->entries[index->slots[at] - 1];
        if (entry->replays > last->replays && is_same(entry, of)) {
            last = entry;
        }
    }
    return last;
}

bool mp__dead_index_is_last(const struct mp__dead_index *index,
                            const struct mp__dead_entry *entry)
{
    return last_of(index, entry) == entry;
}

const struct mp__dead_entry *mp__dead_index_of_id(const struct mp__dead_index *index,
                                                  struct mp_str id)
{
    uint64_t hash = hash_of(id);
    const struct mp__dead_entry *found = NULL;
    for (size_t i = 0; i < index->count; i++) {
        const struct mp__dead_entry *entry = &index->entries[i];
        if (entry->id == hash && (!found || entry->last_ms > found->last_ms) &&
            mp__dead_index_is_last(index, entry)) {
            found = entry;
        }
    }
    return found;
}

/* --- what a replay or a purge is of */

struct wanted {
    uint64_t hash;
    uint32_t at;
};

static int by_hash(const void *a, const void *b)
{
    const struct wanted *first = a;
    const struct wanted *second = b;
    int order = (first->hash > second->hash) - (first->hash < second->hash);
    return order ? order : (first->at > second->at) - (first->at < second->at);
}

static struct wanted *wanted_of(const struct mp_dead_filter *filter, uint8_t *known,
                                size_t *count)
{
    struct wanted *all = calloc(filter->id_count + 1, sizeof(*all));
    for (size_t i = 0; all && i < filter->id_count; i++) {
        all[i] = (struct wanted){hash_of(filter->ids[i]), (uint32_t)i};
    }
    *count = 0;
    if (all) {
        qsort(all, filter->id_count, sizeof(*all), by_hash);
    }
    for (size_t i = 0; all && i < filter->id_count; i++) {
        if (*count > 0 && all[i].hash == all[*count - 1].hash) {
            known[all[i].at] = MP__DEAD_TWICE;
        } else {
            known[all[i].at] = MP__DEAD_UNKNOWN;
            all[(*count)++] = all[i];
        }
    }
    return all;
}

static const struct wanted *find_wanted(const struct wanted *all, size_t count,
                                        uint64_t hash)
{
    size_t low = 0;
    while (count > low) {
        size_t middle = low + (count - low) / 2;
        if (all[middle].hash == hash) {
            return &all[middle];
        }
        if (all[middle].hash < hash) {
            low = middle + 1;
        } else {
            count = middle;
        }
    }
    return NULL;
}

static bool is_in_range(const struct mp__dead_entry *entry, uint64_t partner,
                        const struct mp_dead_filter *filter)
{
    return (filter->partner.length == 0 || entry->partner == partner) &&
           (filter->since_ms < 0 || entry->last_ms >= filter->since_ms) &&
           (filter->until_ms < 0 || entry->last_ms < filter->until_ms);
}

static int by_place(const void *a, const void *b)
{
    const struct mp__dead_entry *first = &((const struct mp__dead_target *)a)->entry;
    const struct mp__dead_entry *second = &((const struct mp__dead_target *)b)->entry;
    int order =
        (first->partition > second->partition) - (first->partition < second->partition);
    return order ? order
                 : (first->offset > second->offset) - (first->offset < second->offset);
}

static int add_target(struct mp__dead_targets *out, size_t *capacity,
                      const struct mp__dead_target *target)
{
    if (out->count == *capacity) {
        *capacity = *capacity ? *capacity * 2 : 64;
        struct mp__dead_target *items = realloc(out->items, *capacity * sizeof(*items));
        if (!items) {
            return MP_ENOMEM;
        }
        out->items = items;
    }
    out->items[out->count++] = *target;
    out->matched += !target->is_older;
    return MP_OK;
}

int mp__dead_index_select(const struct mp__dead_index *index,
                          const struct mp_dead_filter *filter, bool is_purge,
                          struct mp__dead_targets *out, uint8_t *known)
{
    size_t wanted_count = 0, capacity = 0;
    uint64_t partner = hash_of(filter->partner), malformed = malformed_partner();
    struct wanted *wanted = wanted_of(filter, known, &wanted_count);
    int status = wanted ? MP_OK : MP_ENOMEM;
    *out = (struct mp__dead_targets){0};
    for (size_t i = 0; status == MP_OK && i < index->count; i++) {
        const struct mp__dead_entry *entry = &index->entries[i];
        if (!is_purge && entry->partner == malformed) {
            continue;
        }
        const struct wanted *one =
            filter->ids ? find_wanted(wanted, wanted_count, entry->id) : NULL;
        const struct mp__dead_entry *last = last_of(index, entry);
        if (filter->ids ? !one : !is_in_range(last, partner, filter)) {
            continue;
        }
        struct mp__dead_target target = {.entry = *entry,
                                         .id_at = one ? one->at : UINT32_MAX,
                                         .is_older = last != entry};
        if (one) {
            known[one->at] = MP__DEAD_KNOWN;
        }
        status = add_target(out, &capacity, &target);
    }
    free(wanted);
    if (status != MP_OK) {
        free(out->items);
        *out = (struct mp__dead_targets){0};
    } else if (out->count > 1) {
        qsort(out->items, out->count, sizeof(*out->items), by_place);
    }
    return status;
}
