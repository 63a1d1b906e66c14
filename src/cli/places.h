/* SPDX-License-Identifier: MIT */
#pragma once

#include "tools.h"

/* Paths, lists of words, and where this program's own files lie. */

#define MP__PATH_BYTES 4096

/* Writes a path. False, with errno: it is too long. */
bool mp__path(char out[MP__PATH_BYTES], const char *format, ...) MP_PRINTF(2, 3);
/* The same of a folder that was named: without "./" before it and slashes behind. */
bool mp__folder(char out[MP__PATH_BYTES], const char *named);

/* Copies of words, ended by NULL. Begins as {0}; `failed`: memory is out. */
struct mp__words {
    char **items;
    size_t count;
    bool failed;
};
void mp__words_add(struct mp__words *words, const char *text);
void mp__words_fini(struct mp__words *words);

/* Under the prefix that the program was installed to, or in the folder it was built in.
 */
struct mp__places {
    char modules[MP__PATH_BYTES]; /* the folder for LUA_PATH */
    char library[MP__PATH_BYTES]; /* libmp_testing.so */
};
/* MP_ENOTFOUND with `err`: this installation has none. */
MP_MUST_CHECK int mp__places_find(struct mp__places *places, struct mp_error *err);

/* Runs these specs in busted, under LuaJIT and with this program's own moonpost.testing;
 * `rest` are words for busted. Blocks. The exit code. */
int mp__busted(const struct mp__words *specs, char **rest, size_t rest_count);
