/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>
#include <string.h>

#include "secrets_table.h"

/* What is looked for in texts: a needle is a value, a long line of one, a url's path or a
 * long part of it, or any of these in base64, in hex, or in letters of one case. */

#define MP__KEY_BYTES 4
#define MP__HASH_BITS 16

struct mp__needle {
    struct mp_str bytes;
    uint32_t entry;
    uint32_t hash; /* of the first MP__KEY_BYTES */
};

struct mp__hider {
    uint64_t seen[(1 << MP__HASH_BITS) / 64]; /* hashes */
    struct mp__needle *needles;               /* by hash */
    size_t count, capacity;
    bool has_space;
    void *blocks; /* of spellings; each begins with a pointer to the next */
};

static inline uint32_t mp__needle_hash(const char *at)
{
    uint32_t key;
    memcpy(&key, at, MP__KEY_BYTES);
    return key * 2654435769u >> (32 - MP__HASH_BITS);
}
