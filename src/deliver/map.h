/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "moonpost/buf.h"

/* A hash table by text whose nodes are part of what they name. One thread at a time. A
 * zeroed map is empty. */

struct mp__map_node {
    struct mp__map_node *next;
    uint64_t hash;
    struct mp_str key; /* must live as long as the node is in a map */
};

struct mp__map {
    struct mp__map_node **buckets;
    size_t capacity;
    size_t count;
};

uint64_t mp__hash(struct mp_str key); /* FNV-1a */

/* Frees the table; the nodes are their owner's. */
void mp__map_fini(struct mp__map *map);
/* NULL: not there. `hash` is mp__hash(key). */
struct mp__map_node *mp__map_find(const struct mp__map *map, struct mp_str key,
                                  uint64_t hash);
/* The node's key is set and not in the map yet. MP_ENOMEM: not added. */
MP_MUST_CHECK int mp__map_add(struct mp__map *map, struct mp__map_node *node);
void mp__map_remove(struct mp__map *map, struct mp__map_node *node);
/* `each` may remove the node it is given, and no other. */
void mp__map_each(struct mp__map *map, void (*each)(void *arg, struct mp__map_node *node),
                  void *arg);
