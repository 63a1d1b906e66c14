/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "moonpost/json.h"

/* Open addressing over an object's members. A key with escapes is found the slow way. */

struct slot {
    uint32_t hash;
    uint32_t key_at, key_length; /* without its quotes; a value's place is never 0 */
    uint32_t value_at, value_length;
};
struct mp_json_index {
    struct mp_str object;
    size_t mask;
    bool has_escapes;
    struct slot slots[];
};

static uint32_t hash_of(struct mp_str key)
{
    uint32_t hash = 2166136261U;
    for (size_t i = 0; i < key.length; i++) {
        hash = (hash ^ (unsigned char)key.data[i]) * 16777619U;
    }
    return hash;
}

static struct slot *find(struct mp_json_index *index, struct mp_str key, uint32_t hash)
{
    for (size_t at = hash & index->mask;; at = (at + 1) & index->mask) {
        struct slot *slot = &index->slots[at];
        struct mp_str found = {index->object.data + slot->key_at, slot->key_length};
        if (slot->value_at == 0 || (slot->hash == hash && mp_str_equal(found, key))) {
            return slot;
        }
    }
}

static size_t count_members(struct mp_str object)
{
    struct mp_json_iter iter;
    struct mp_str key, value;
    size_t count = 0;
    mp_json_iter_init(&iter, object);
    while (mp_json_iter_next(&iter, &key, &value)) {
        count++;
    }
    return count;
}

/* The last of equal keys takes the place. */
static void fill(struct mp_json_index *index)
{
    const char *base = index->object.data;
    struct mp_json_iter iter;
    struct mp_str key, value;
    mp_json_iter_init(&iter, index->object);
    while (mp_json_iter_next(&iter, &key, &value)) {
        struct mp_str inner = {key.data + 1, key.length - 2};
        index->has_escapes = index->has_escapes ||
                             (inner.length > 0 && memchr(inner.data, '\\', inner.length));
        uint32_t hash = hash_of(inner);
        *find(index, inner, hash) =
            (struct slot){hash, (uint32_t)(inner.data - base), (uint32_t)inner.length,
                          (uint32_t)(value.data - base), (uint32_t)value.length};
    }
}

struct mp_json_index *mp_json_index_new(struct mp_str object)
{
    if (mp_json_kind(object) != MP_JSON_OBJECT || object.length >= UINT32_MAX) {
        return NULL;
    }
    size_t count = count_members(object), places = 16;
    while (places < count * 2) {
        places *= 2;
    }
    struct mp_json_index *index =
        calloc(1, sizeof(*index) + places * sizeof(struct slot));
    if (index) {
        index->object = object;
        index->mask = places - 1;
        fill(index);
    }
    return index;
}

void mp_json_index_free(struct mp_json_index *index)
{
    free(index);
}

/* As mp_json_path: the longest key first. */
bool mp_json_index_path(struct mp_json_index *index, struct mp_str path,
                        struct mp_str *found)
{
    if (index->has_escapes) {
        return mp_json_path(index->object, path, found);
    }
    struct mp_str key = path, rest = {"", 0};
    while (true) {
        const struct slot *slot = find(index, key, hash_of(key));
        struct mp_str value = {index->object.data + slot->value_at, slot->value_length};
        if (slot->value_at > 0 && key.length == path.length) {
            *found = value;
            return true;
        }
        if (slot->value_at > 0 && mp_json_path(value, rest, found)) {
            return true;
        }
        const char *dot = key.length > 0 ? memrchr(key.data, '.', key.length) : NULL;
        if (!dot) {
            return false;
        }
        key.length = (size_t)(dot - path.data);
        rest = (struct mp_str){dot + 1, path.length - key.length - 1};
    }
}
