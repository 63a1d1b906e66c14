/* SPDX-License-Identifier: MIT */
#pragma once

#include "values.h"

/* What the functions that scripts call have in common. Everything runs inside mp__call
 * and throws. */

/* The bytes of the string, number or secret at `index`, in one piece; a secret of several
 * pieces pushes the memory they lie in. Valid while both are on the stack. Throws
 * "<function>: the <what> is a table: pass a string or a secret". */
struct mp_str mp__check_bytes(struct mp_script_state *state, int index,
                              const char *function, const char *what);

/* While the script loads there is no event: throws when the string at `index` holds an
 * expression, which would be taken as it is written. */
void mp__refuse_expression(struct mp_script_state *state, int index,
                           const char *function);

/* What a value that is made from secrets is called: their names, joined by `+`. */
struct mp__label {
    char text[200];
    size_t length;
};
/* Adds those of the value at `index`; nothing unless it is a secret. */
void mp__label_add(struct mp_script_state *state, int index, struct mp__label *label);
void mp__label_add_secret(const struct mp__secret *secret, struct mp__label *label);

/* Pushes `text` as a string, or with a label that is not empty as a secret that shows as
 * [secret <label>]. */
void mp__push_labelled(struct mp_script_state *state, struct mp_str text,
                       const struct mp__label *label);
/* Pushes one piece of a secret: a string, or a secret of its own. */
void mp__push_piece(struct mp_script_state *state, const struct mp__secret *secret,
                    size_t index);

/* Makes one of the two values on top, each a string, number or secret. */
void mp__join(struct mp_script_state *state);

/* decimal.c: `text` times `factor`, rounded on its digits to `places` after the point:
 * half goes away from zero. No double is in the way. False: it is no number, or has more
 * than 1,000 digits or 1,000 zeros. `out` has room for MP__DECIMAL_BYTES. */
#define MP__DECIMAL_PLACES 100
#define MP__DECIMAL_BYTES  8192
struct mp__decimal {
    bool negative;
    size_t count;
    long exponent; /* the number is its digits times 10 to this */
    unsigned char digits[2000];
};
bool mp__decimal_read(struct mp_str text, struct mp__decimal *out);
void mp__decimal_multiply(const struct mp__decimal *a, const struct mp__decimal *b,
                          struct mp__decimal *out);
size_t mp__decimal_write(const struct mp__decimal *number, unsigned places,
                         char out[MP__DECIMAL_BYTES]);

int mp__macros(lua_State *lua); /* uri.macros */
int mp__log(lua_State *lua);
