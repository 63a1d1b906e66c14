/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka_dead_index.h"
#include "moonpost/id.h"

/* Pages of the index. Of the same last_ms the one that was stored last comes first. */

#define HASH_DIGITS                                                                      \
    18 /* of a cursor's second number; what is before them is stored_ms                  \
        */
#define HASH_MASK ((UINT64_C(1) << 59) - 1)

static bool read_digits(struct mp_str text, size_t from, size_t count, uint64_t *out)
{
    uint64_t value = 0;
    for (size_t i = from; i < from + count; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    }
    *out = value;
    return true;
}

bool mp__dead_cursor_read(struct mp_str text, struct mp__dead_cursor *cursor)
{
    if (text.length == 0) {
        *cursor = (struct mp__dead_cursor){INT64_MAX, INT64_MAX, UINT64_MAX};
        return true;
    }
    const char *point = memchr(text.data, '.', text.length);
    size_t before = point ? (size_t)(point - text.data) : 0;
    size_t behind = point ? text.length - before - 1 : 0;
    if (before == 0 || before > 18 || behind == 0 || behind > MP__DEAD_CURSOR_DIGITS) {
        return false;
    }
    size_t stored = behind > HASH_DIGITS ? behind - HASH_DIGITS : 0;
    uint64_t last_ms, stored_ms;
    if (!read_digits(text, 0, before, &last_ms) ||
        !read_digits(text, before + 1, stored, &stored_ms) ||
        !read_digits(text, before + 1 + stored, behind - stored, &cursor->hash)) {
        return false;
    }
    cursor->last_ms = (int64_t)last_ms;
    cursor->stored_ms = (int64_t)stored_ms;
    return true;
}

void mp__dead_cursor_write(const struct mp__dead_entry *entry, char out[64])
{
    snprintf(out, 64, "%" PRId64 ".%" PRId64 "%018" PRIu64, entry->last_ms,
             entry->stored_ms, entry->delivery[0] & HASH_MASK);
}

static int compare(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

/* Above 0: `a` is newer. */
static int compare_to_cursor(const struct mp__dead_entry *a,
                             const struct mp__dead_cursor *b)
{
    uint64_t hash = a->delivery[0] & HASH_MASK;
    int order = compare(a->last_ms, b->last_ms);
    order = order ? order : compare(a->stored_ms, b->stored_ms);
    return order ? order : (hash > b->hash) - (hash < b->hash);
}

static int compare_entries(const struct mp__dead_entry *a, const struct mp__dead_entry *b)
{
    struct mp__dead_cursor other = {b->last_ms, b->stored_ms, b->delivery[0] & HASH_MASK};
    return compare_to_cursor(a, &other);
}

static int newest_first(const void *a, const void *b)
{
    return compare_entries(b, a);
}

/* --- a heap with the oldest of the page on top, to be thrown out first */

static void swap(struct mp__dead_entry *a, struct mp__dead_entry *b)
{
    struct mp__dead_entry kept = *a;
    *a = *b;
    *b = kept;
}

static void sift_down(struct mp__dead_entry *heap, size_t count)
{
    for (size_t at = 0, child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && compare_entries(&heap[child + 1], &heap[child]) < 0) {
            child++;
        }
        if (compare_entries(&heap[at], &heap[child]) <= 0) {
            return;
        }
        swap(&heap[at], &heap[child]);
    }
}

static void sift_up(struct mp__dead_entry *heap, size_t at)
{
    while (at > 0 && compare_entries(&heap[at], &heap[(at - 1) / 2]) < 0) {
        swap(&heap[at], &heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

size_t mp__dead_index_page(const struct mp__dead_index *index, struct mp_str partner,
                           const struct mp__dead_cursor *cursor, size_t limit,
                           struct mp__dead_entry *out, bool *has_more)
{
    uint8_t digest[MP_SHA256_BYTES];
    uint64_t hash;
    size_t count = 0;
    mp_sha256(partner, digest);
    memcpy(&hash, digest, sizeof(hash));
    *has_more = false;
    for (size_t i = 0; i < index->count; i++) {
        const struct mp__dead_entry *entry = &index->entries[i];
        if ((partner.length > 0 && entry->partner != hash) ||
            compare_to_cursor(entry, cursor) >= 0 ||
            (count == limit && *has_more && compare_entries(entry, &out[0]) <= 0) ||
            !mp__dead_index_is_last(index, entry)) {
            continue;
        }
        if (count < limit) {
            out[count] = *entry;
            sift_up(out, count++);
            continue;
        }
        *has_more = true;
        if (compare_entries(entry, &out[0]) > 0) {
            out[0] = *entry;
            sift_down(out, count);
        }
    }
    qsort(out, count, sizeof(*out), newest_first);
    return count;
}
