/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moonpost/buf.h"
#include "moonpost/status.h"

/* Things found by name, and claims found by number. In embedded_names.c. */
struct mp__name {
    struct mp__name *next;
    struct mp_str text; /* lies behind the struct it is in */
    uint32_t hash;
};
struct mp__names {
    struct mp__name **buckets;
    size_t bucket_count, count;
};
/* A new one of `bytes` bytes (zeroed) with its name; NULL: out of memory. */
void *mp__names_add(struct mp__names *names, struct mp_str text, size_t bytes);
void *mp__names_find(const struct mp__names *names, struct mp_str text);
void mp__names_remove(struct mp__names *names, struct mp__name *name); /* frees it */
void mp__names_fini(struct mp__names *names);

struct mp__claims {
    uint64_t *slots; /* 0: free */
    size_t slot_count, count;
};
MP_MUST_CHECK int mp__claims_add(struct mp__claims *claims, uint64_t number);
bool mp__claims_has(const struct mp__claims *claims, uint64_t number);
void mp__claims_remove(struct mp__claims *claims, uint64_t number);
