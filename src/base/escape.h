/* SPDX-License-Identifier: MIT */
#pragma once

#include "json_text.h"

/* How a value's characters are written where it stands. */
enum mp__place {
    /* Those that percent-encode come first. */
    MP__PLACE_UNRESERVED, /* RFC 6570 "U" */
    MP__PLACE_RESERVED,   /* RFC 6570 "U+R": percent-encoded triplets stay */
    MP__PLACE_FORM,       /* application/x-www-form-urlencoded */
    MP__PLACE_JSON,       /* inside a JSON string */
    MP__PLACE_XML,        /* in an element's text or an attribute */
    MP__PLACE_PLAIN
};

/* Appends the text as its place wants it. On failure, what was appended so far is left to
 * the caller to undo. */
int mp__escape(enum mp__place place, struct mp__text text, struct mp_buf *out);

/* The text's first `count` characters, as RFC 6570 section 2.4.1 counts them: where
 * triplets stay, those of one character count as one. */
struct mp__text mp__text_prefix(struct mp__text text, size_t count, bool triplets);
