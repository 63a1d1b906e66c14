/* SPDX-License-Identifier: MIT */
#pragma once

#include "state.h"

/* Lua's patterns (reference manual 5.1, section 5.4.1), with every step counted: what the
 * stock ones do in C cannot be interrupted. A pattern may hold NUL bytes. */

#define MP__CAPTURES_MAX 32
#define MP__STEPS_MAX    10000000 /* of one call of find, match or gsub */

struct mp__capture {
    const char *start;
    ptrdiff_t length; /* or one of the two below */
};
enum { MP__CAPTURE_OPEN = -1, MP__CAPTURE_PLACE = -2 };

struct mp__matcher {
    struct mp_script_state *state;
    const char *subject, *subject_end;
    const char *pattern_end;
    uint64_t steps, look_at; /* the budget is looked at past so many */
    unsigned nesting;
    int level;
    struct mp__capture captures[MP__CAPTURES_MAX];
};

/* Counts work; throws past the budgets. Work of a byte each, as of a copy, is a step for
 * every MP__BYTES_A_STEP. */
void mp__match_charge(struct mp__matcher *matcher, uint64_t steps);
#define MP__BYTES_A_STEP 8
/* Where the match of `pattern` at `at` ends; NULL: there is none. Throws for a malformed
 * pattern, and past the budgets. */
const char *mp__match(struct mp__matcher *matcher, const char *at, const char *pattern);
