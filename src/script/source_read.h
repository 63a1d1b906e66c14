/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

#include "moonpost/buf.h"

/* A light reading of Lua that knows comments and strings: names and quoted texts. */

struct mp__reader {
    const char *at, *end;
    unsigned line; /* of `at`, from 1 */
    int braces;    /* how deep in { */
    int blocks;    /* how deep in function, if, do, repeat */
};
struct mp__word {
    struct mp_str text; /* of a quoted one what stands between; no data: the end */
    bool is_quoted;
};
/* The next one; `at` is behind it then. */
struct mp__word mp__reader_word(struct mp__reader *reader);
