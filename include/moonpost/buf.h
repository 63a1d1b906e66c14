/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moonpost/status.h"

/* Bytes: a borrowed slice, and a growable buffer that is given its ceiling at birth. */

/* A slice of somebody else's bytes; not NUL-terminated. data may be NULL when length is
 * 0. */
struct mp_str {
    const char *data;
    size_t length;
};

/* The bytes of `data[0..length)` are the content. data is NULL until the first append. */
struct mp_buf {
    char *data;
    size_t length;
    size_t capacity;
    size_t max_bytes;
};

struct mp_str mp_str_of(const char *text); /* of a C string; NULL gives the empty slice */
bool mp_str_equal(struct mp_str a, struct mp_str b);
bool mp_str_is(struct mp_str a, const char *text);
/* Below, at or above 0 as a comes before, is, or comes after b: by bytes, then length. */
int mp_str_order(struct mp_str a, struct mp_str b);
/* ASCII letters only, as field names and hosts compare (RFC 9110 section 5.1). */
bool mp_str_equal_nocase(struct mp_str a, struct mp_str b);
/* Without the spaces and tabs around it: OWS of RFC 9110 section 5.6.3. */
struct mp_str mp_str_trim(struct mp_str text);
/* Without the ASCII white space around it. */
struct mp_str mp_str_trim_space(struct mp_str text);

/* How much of it fits into `most` bytes, no character of UTF-8 cut in two. */
size_t mp_str_fit(struct mp_str text, size_t most);

void mp_buf_init(struct mp_buf *buf, size_t max_bytes);
void mp_buf_fini(struct mp_buf *buf);
/* Empties it and keeps the memory for the next use. */
void mp_buf_reset(struct mp_buf *buf);
struct mp_str mp_buf_str(const struct mp_buf *buf);

/* Each returns MP_OK, MP_ELIMIT (past max_bytes) or MP_ENOMEM; on failure the content is
 * unchanged. */
MP_MUST_CHECK int mp_buf_reserve(struct mp_buf *buf, size_t more);
MP_MUST_CHECK int mp_buf_append(struct mp_buf *buf, const void *data, size_t length);
MP_MUST_CHECK int mp_buf_append_str(struct mp_buf *buf, struct mp_str str);
MP_MUST_CHECK int mp_buf_append_text(struct mp_buf *buf, const char *text);
MP_MUST_CHECK int mp_buf_append_char(struct mp_buf *buf, char byte);
MP_MUST_CHECK int mp_buf_printf(struct mp_buf *buf, const char *format, ...)
    MP_PRINTF(2, 3);
/* Decimal digits, without printf: for the hot paths. */
MP_MUST_CHECK int mp_buf_append_int(struct mp_buf *buf, int64_t number);
/* UTF-8 in lower case, as the C.UTF-8 locale has it (without one: its ASCII letters);
 * bytes that are not UTF-8 stay. */
MP_MUST_CHECK int mp_buf_append_lower(struct mp_buf *buf, struct mp_str text);

/* Makes sure a NUL follows the content (not counted in length) and returns data. NULL
 * when it could not be appended. */
const char *mp_buf_cstr(struct mp_buf *buf);
