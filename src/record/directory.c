/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "moonpost/record.h"

/* Sorted by name: ten thousand partners are fourteen comparisons, and the order of
 * subscribers comes for nothing. */
struct entry {
    struct mp_str name;
    struct mp_str *patterns;
    size_t count;
};

struct mp_directory {
    struct entry **entries;
    size_t count, capacity;
};

int mp_directory_new(struct mp_directory **out)
{
    *out = calloc(1, sizeof(**out));
    return *out ? MP_OK : MP_ENOMEM;
}

void mp_directory_free(struct mp_directory *directory)
{
    if (!directory) {
        return;
    }
    for (size_t i = 0; i < directory->count; i++) {
        free(directory->entries[i]);
    }
    free(directory->entries);
    free(directory);
}

static int compare(struct mp_str a, struct mp_str b)
{
    size_t shorter = a.length < b.length ? a.length : b.length;
    int order = shorter > 0 ? memcmp(a.data, b.data, shorter) : 0;
    return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

/* Where `name` is, or would be. */
static size_t place_of(const struct mp_directory *directory, struct mp_str name,
                       bool *found)
{
    size_t low = 0;
    size_t high = directory->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare(directory->entries[middle]->name, name);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *found = false;
    return low;
}

static struct mp_str keep(char **at, struct mp_str text)
{
    struct mp_str copy = {*at, text.length};
    if (text.length > 0) {
        memcpy(*at, text.data, text.length);
        *at += text.length;
    }
    return copy;
}

static struct entry *entry_new(struct mp_str partner, const struct mp_str *patterns,
                               size_t count)
{
    size_t bytes = sizeof(struct entry) + count * sizeof(struct mp_str) + partner.length;
    for (size_t i = 0; i < count; i++) {
        bytes += patterns[i].length;
    }
    struct entry *entry = malloc(bytes);
    if (!entry) {
        return NULL;
    }
    entry->patterns = (struct mp_str *)(entry + 1);
    entry->count = count;
    char *at = (char *)(entry->patterns + count);
    entry->name = keep(&at, partner);
    for (size_t i = 0; i < count; i++) {
        entry->patterns[i] = keep(&at, patterns[i]);
    }
    return entry;
}

static int reserve(struct mp_directory *directory)
{
    if (directory->count < directory->capacity) {
        return MP_OK;
    }
    size_t capacity = directory->capacity ? directory->capacity * 2 : 16;
    struct entry **entries = realloc(directory->entries, capacity * sizeof(*entries));
    if (!entries) {
        return MP_ENOMEM;
    }
    directory->entries = entries;
    directory->capacity = capacity;
    return MP_OK;
}

int mp_directory_set(struct mp_directory *directory, struct mp_str partner,
                     const struct mp_str *patterns, size_t count)
{
    bool found;
    size_t place = place_of(directory, partner, &found);
    if (!found && reserve(directory) != MP_OK) {
        return MP_ENOMEM;
    }
    struct entry *entry = entry_new(partner, patterns, count);
    if (!entry) {
        return MP_ENOMEM;
    }
    struct entry **at = directory->entries + place;
    if (found) {
        free(*at);
    } else {
        memmove(at + 1, at, (directory->count - place) * sizeof(struct entry *));
        directory->count++;
    }
    *at = entry;
    return MP_OK;
}

void mp_directory_remove(struct mp_directory *directory, struct mp_str partner)
{
    bool found;
    size_t place = place_of(directory, partner, &found);
    if (!found) {
        return;
    }
    struct entry **at = directory->entries + place;
    free(*at);
    directory->count--;
    memmove(at, at + 1, (directory->count - place) * sizeof(struct entry *));
}

bool mp_directory_has(const struct mp_directory *directory, struct mp_str partner)
{
    bool found;
    place_of(directory, partner, &found);
    return found;
}

/* Goes back to the last star only, so that a pattern of stars costs no more than the
 * product of the two lengths. */
static bool matches(struct mp_str pattern, struct mp_str type)
{
    size_t p = 0;
    size_t t = 0;
    size_t star = SIZE_MAX;
    size_t tried = 0;
    while (t < type.length) {
        if (p < pattern.length && pattern.data[p] == '*') {
            star = p++;
            tried = t;
        } else if (p < pattern.length && pattern.data[p] == type.data[t]) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++tried;
        } else {
            return false;
        }
    }
    while (p < pattern.length && pattern.data[p] == '*') {
        p++;
    }
    return p == pattern.length;
}

static bool subscribes(const struct entry *entry, struct mp_str type)
{
    for (size_t i = 0; i < entry->count; i++) {
        struct mp_str pattern = entry->patterns[i];
        if (mp_str_is(pattern, "*") || (type.length > 0 && matches(pattern, type))) {
            return true;
        }
    }
    return false;
}

void mp_directory_subscribers(const struct mp_directory *directory, struct mp_str type,
                              void (*each)(void *arg, struct mp_str partner), void *arg)
{
    for (size_t i = 0; i < directory->count; i++) {
        if (subscribes(directory->entries[i], type)) {
            each(arg, directory->entries[i]->name);
        }
    }
}
