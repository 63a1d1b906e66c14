/* SPDX-License-Identifier: MIT */
#pragma once

#include "tools.h"

/* Where this program's own files lie: under the prefix it was installed to, or in the
 * tree it was built in. */
struct mp__places {
    char modules[4096]; /* the folder for LUA_PATH */
    char library[4096]; /* libmp_testing.so */
};
/* MP_ENOTFOUND with `err`: this installation has none. */
MP_MUST_CHECK int mp__places_find(struct mp__places *places, struct mp_error *err);

/* A program of that name in PATH. False: there is none. */
bool mp__program_find(const char *name, char path[4096]);
