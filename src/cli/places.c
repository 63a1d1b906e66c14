/* SPDX-License-Identifier: MIT */
#include "places.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool mp__path(char out[MP__PATH_BYTES], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(out, MP__PATH_BYTES, format, args);
    va_end(args);
    if (length < 0 || length >= MP__PATH_BYTES) {
        errno = ENAMETOOLONG;
        return false;
    }
    return true;
}

bool mp__folder(char out[MP__PATH_BYTES], const char *named)
{
    const char *plain = mp__plain_path(named);
    size_t length = strlen(plain);
    while (length > 1 && plain[length - 1] == '/') {
        length--;
    }
    return mp__path(out, "%.*s", length < INT_MAX ? (int)length : INT_MAX, plain);
}

void mp__words_add(struct mp__words *words, const char *text)
{
    char **more = realloc(words->items, (words->count + 2) * sizeof(*more));
    char *copy = strdup(text);
    words->items = more ? more : words->items;
    if (!more || !copy) {
        free(copy);
        words->failed = true;
        return;
    }
    words->items[words->count++] = copy;
    words->items[words->count] = NULL;
}

void mp__words_fini(struct mp__words *words)
{
    for (size_t i = 0; i < words->count; i++) {
        free(words->items[i]);
    }
    free(words->items);
    *words = (struct mp__words){0};
}

/* The folder of the program, and the one above it. */
static bool find_self(char folder[MP__PATH_BYTES], char prefix[MP__PATH_BYTES])
{
    ssize_t length = readlink("/proc/self/exe", folder, MP__PATH_BYTES - 1);
    folder[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(folder, '/');
    if (!slash) {
        return false;
    }
    *slash = '\0';
    slash = strrchr(folder, '/');
    return mp__path(prefix, "%.*s", slash ? (int)(slash - folder) : 0, folder);
}

static bool is_complete(const struct mp__places *places)
{
    char module[MP__PATH_BYTES];
    return mp__path(module, "%s/moonpost/testing.lua", places->modules) &&
           access(module, R_OK) == 0 && access(places->library, R_OK) == 0;
}

int mp__places_find(struct mp__places *places, struct mp_error *err)
{
    char folder[MP__PATH_BYTES] = "", prefix[MP__PATH_BYTES] = "";
    bool is_there = find_self(folder, prefix);
    if (is_there && mp__path(places->modules, "%s/lua", folder) &&
        mp__path(places->library, "%s/libmp_testing.so", folder) && is_complete(places)) {
        return MP_OK;
    }
    if (is_there && mp__path(places->modules, "%s/share/lua/5.1", prefix) &&
        mp__path(places->library, "%s/lib/moonpost/libmp_testing.so", prefix) &&
        is_complete(places)) {
        return MP_OK;
    }
    return mp_error_set(err, MP_ENOTFOUND,
                        "could not find moonpost.testing: it is neither in %s/share and "
                        "%s/lib nor in %s: install Moonpost with cmake --install",
                        prefix, prefix, folder);
}
