/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moonpost/buf.h"

/* A text as it reads once one way of writing bytes otherwise is undone, and where each
 * byte of it stood. */

enum mp__writing {
    MP__WRITING_PERCENT,   /* %41 */
    MP__WRITING_FORM,      /* %41, and + for a space */
    MP__WRITING_BACKSLASH, /* of JSON strings and most languages': \" \n A */
    MP__WRITING_REFERENCE, /* of XML and HTML: &amp; &#65; */
    MP__WRITING_COUNT
};

struct mp__reading {
    char *bytes;
    uint32_t
        *from; /* length + 1 of them: where each byte's writing begins, then the end */
    size_t length;
};

/* True when `text` has something of that writing and was read; the caller frees it.
 * `from` of the text itself, or NULL: it is the first. A writing that the text's end cuts
 * reads as nothing. `*status` is MP_ENOMEM when there was no memory. */
bool mp__reading_make(enum mp__writing writing, struct mp_str text, const uint32_t *from,
                      struct mp__reading *out, int *status);
void mp__reading_free(struct mp__reading *reading);

/* Other spellings of a value, as those write it who say that they do not know it. */
enum mp__spelling {
    MP__SPELLING_HEX,
    MP__SPELLING_HEX_UPPER,
    MP__SPELLING_LOWER,
    MP__SPELLING_UPPER,
    MP__SPELLING_COUNT
};
MP_MUST_CHECK int mp__spelling_write(enum mp__spelling spelling, struct mp_str value,
                                     struct mp_buf *out);
