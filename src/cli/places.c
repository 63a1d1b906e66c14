/* SPDX-License-Identifier: MIT */
#include "places.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_BYTES 4096

static bool join(char out[PATH_BYTES], const char *folder, const char *rest)
{
    return snprintf(out, PATH_BYTES, "%s/%s", folder, rest) < PATH_BYTES &&
           access(out, R_OK) == 0;
}

int mp__places_find(struct mp__places *places, struct mp_error *err)
{
    static const char *const layouts[][2] = {
        {"lua", "libmp_testing.so"}, /* a build's folder */
        {"../share/lua/5.1", "../lib/moonpost/libmp_testing.so"},
    };
    char folder[PATH_BYTES / 2];
    ssize_t length = readlink("/proc/self/exe", folder, sizeof(folder) - 1);
    folder[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(folder, '/');
    if (slash) {
        *slash = '\0';
    }
    for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
        if (join(places->modules, folder, layouts[i][0]) &&
            join(places->library, folder, layouts[i][1])) {
            return MP_OK;
        }
    }
    return mp_error_set(err, MP_ENOTFOUND,
                        "could not find moonpost.testing: neither beside %s/moonpost nor "
                        "in %s/../share and ../lib; install with cmake --install",
                        folder, folder);
}

bool mp__program_find(const char *name, char path[PATH_BYTES])
{
    const char *at = getenv("PATH");
    while (at && *at) {
        int length = (int)strcspn(at, ":");
        if (length > 0 &&
            snprintf(path, PATH_BYTES, "%.*s/%s", length, at, name) < PATH_BYTES &&
            access(path, X_OK) == 0) {
            return true;
        }
        at += length + (at[length] == ':');
    }
    return false;
}
