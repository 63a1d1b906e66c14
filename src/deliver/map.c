/* SPDX-License-Identifier: MIT */
#include "map.h"

#include <stdlib.h>

#define CAPACITY_MIN 16u

uint64_t mp__hash(struct mp_str key)
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < key.length; i++) {
        hash = (hash ^ (unsigned char)key.data[i]) * 1099511628211u;
    }
    /* FNV's low bits are its weakest, and they choose both bucket and worker. */
    return hash ^ (hash >> 29);
}

void mp__map_fini(struct mp__map *map)
{
    free(map->buckets);
    *map = (struct mp__map){0};
}

struct mp__map_node *mp__map_find(const struct mp__map *map, struct mp_str key,
                                  uint64_t hash)
{
    if (map->capacity == 0) {
        return NULL;
    }
    struct mp__map_node *node = map->buckets[hash & (map->capacity - 1)];
    while (node && (node->hash != hash || !mp_str_equal(node->key, key))) {
        node = node->next;
    }
    return node;
}

static int rehash(struct mp__map *map, size_t capacity)
{
    struct mp__map_node **buckets = calloc(capacity, sizeof(*buckets));
    if (!buckets) {
        return MP_ENOMEM;
    }
    for (size_t i = 0; i < map->capacity; i++) {
        struct mp__map_node *node = map->buckets[i];
        while (node) {
            struct mp__map_node *next = node->next;
            struct mp__map_node **bucket = &buckets[node->hash & (capacity - 1)];
            node->next = *bucket;
            *bucket = node;
            node = next;
        }
    }
    free(map->buckets);
    map->buckets = buckets;
    map->capacity = capacity;
    return MP_OK;
}

int mp__map_add(struct mp__map *map, struct mp__map_node *node)
{
    if (map->count >= map->capacity) {
        int status = rehash(map, map->capacity ? map->capacity * 2 : CAPACITY_MIN);
        if (status != MP_OK && map->capacity == 0) {
            return status; /* a table that is too small still works */
        }
    }
    node->hash = mp__hash(node->key);
    struct mp__map_node **bucket = &map->buckets[node->hash & (map->capacity - 1)];
    node->next = *bucket;
    *bucket = node;
    map->count++;
    return MP_OK;
}

void mp__map_remove(struct mp__map *map, struct mp__map_node *node)
{
    struct mp__map_node **link = &map->buckets[node->hash & (map->capacity - 1)];
    while (*link != node) {
        link = &(*link)->next;
    }
    *link = node->next;
    map->count--;
}

void mp__map_each(struct mp__map *map, void (*each)(void *arg, struct mp__map_node *node),
                  void *arg)
{
    for (size_t i = 0; i < map->capacity; i++) {
        struct mp__map_node *node = map->buckets[i];
        while (node) {
            struct mp__map_node *next = node->next;
            each(arg, node);
            node = next;
        }
    }
}
