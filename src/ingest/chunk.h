/* SPDX-License-Identifier: MIT */
#pragma once

#include "head.h"

/* The chunked transfer coding (RFC 9112 section 7.1), to the letter. Extensions are read
 * and ignored, trailer fields are read and dropped. */

/* How much framing (sizes, extensions, trailers) may exceed the data it frames. */
#define MP__CHUNK_OVERHEAD_MAX ((size_t)64 * 1024)

struct mp__chunks {
    int state;
    unsigned digits;
    uint64_t left; /* of this chunk's data */
    size_t overhead;
};

/* Decodes into `body`, whose ceiling is the body's limit. MP_OK: the body is whole, and
 * `*used` bytes of `data` were its; MP_EAGAIN: all of `data` was used, more is needed;
 * MP_EINVAL. */
MP_MUST_CHECK int mp__chunks_read(struct mp__chunks *chunks, const char *data,
                                  size_t length, size_t *used, struct mp_buf *body,
                                  struct mp__refusal *refusal);
