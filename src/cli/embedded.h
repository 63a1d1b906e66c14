/* SPDX-License-Identifier: MIT */
#pragma once

#include "moonpost/buf.h"

/* Files of lua/moonpost that are in the program, written by cmake/embed.cmake. Ends with
 * a row without a name. */
struct mp__embedded {
    const char *name; /* "new/partner.lua" */
    struct mp_str text;
};
extern const struct mp__embedded mp__embedded[];
