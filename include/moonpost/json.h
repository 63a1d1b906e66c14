/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "moonpost/buf.h"

/* JSON (RFC 8259) as it came: text is checked once, then read as raw tokens, so that
 * numbers and strings leave as they were sent. Nothing here allocates but what appends to
 * a buffer; no call recurses on the C stack deeper than `depth_max`. */

enum mp_json_kind {
    MP_JSON_NONE, /* not there */
    MP_JSON_NULL,
    MP_JSON_FALSE,
    MP_JSON_TRUE,
    MP_JSON_NUMBER,
    MP_JSON_STRING,
    MP_JSON_ARRAY,
    MP_JSON_OBJECT
};

/* Where a text stops being JSON: offset from 0, line and column (in bytes) from 1. */
struct mp_json_fault {
    size_t offset;
    unsigned line;
    unsigned column;
    const char *reason; /* static: "a comma or ] was expected" */
};

#define MP_JSON_DEPTH_DEFAULT 128
#define MP_JSON_DEPTH_CEILING 16384 /* the most that depth_max can ask for */

/* Checks that `text` is one JSON value, white space around it allowed, and nothing else:
 * RFC 8259 to the letter, UTF-8 checked (no overlongs, no surrogates, no BOM). Containers
 * may nest `depth_max` deep (`[[]]` is 2). MP_OK, MP_EINVAL, or MP_ELIMIT (nested too
 * deep); `fault` (may be NULL) says where. On success `value` (may be NULL) is the raw
 * token without the white space around it. */
MP_MUST_CHECK int mp_json_check(struct mp_str text, unsigned depth_max,
                                struct mp_str *value, struct mp_json_fault *fault);

/* All below take text that mp_json_check has passed; anything else is undefined. */

/* By the first byte. An empty slice is MP_JSON_NONE. */
enum mp_json_kind mp_json_kind(struct mp_str raw);

/* A walk over an array's items or an object's members, in order, duplicates included. */
struct mp_json_iter {
    const char *at;
    const char *end;
    bool is_object;
};
void mp_json_iter_init(struct mp_json_iter *iter, struct mp_str raw);
/* False at the end. `key` is the raw string token with its quotes (empty for arrays; may
 * be NULL); `value` the raw token. */
bool mp_json_iter_next(struct mp_json_iter *iter, struct mp_str *key,
                       struct mp_str *value);

/* One member of an object by its unescaped key: the last one of that name. False: not
 * there. */
bool mp_json_member(struct mp_str object, struct mp_str key, struct mp_str *value);

/* A dotted path ("user.email", "items.0.id"): lists count from 0, a key that has the dots
 * itself wins over reaching inside, at every level. It reaches 32 levels deep. False: not
 * there. */
bool mp_json_path(struct mp_str value, struct mp_str path, struct mp_str *found);

/* The members of one object, to be found by path at once where many are looked up. Holds
 * no copy of the text. NULL: no object, or out of memory. */
struct mp_json_index;
struct mp_json_index *mp_json_index_new(struct mp_str object);
void mp_json_index_free(struct mp_json_index *index);
/* As mp_json_path of that object. */
bool mp_json_index_path(struct mp_json_index *index, struct mp_str path,
                        struct mp_str *found);

/* True when the raw string token, unescaped, is `text`. Allocates nothing. */
bool mp_json_string_is(struct mp_str raw, struct mp_str text);

/* Appends the unescaped bytes of a raw string token. \u0000 gives a NUL byte; a lone
 * surrogate gives U+FFFD. */
MP_MUST_CHECK int mp_json_unescape(struct mp_str raw, struct mp_buf *out);

/* Appends `text` as a JSON string with its quotes. Invalid UTF-8 becomes U+FFFD; `/` is
 * not escaped. Text that is not JSON may be given. */
MP_MUST_CHECK int mp_json_write_string(struct mp_buf *out, struct mp_str text);
/* The same without the quotes: for a text that is put together from pieces. */
MP_MUST_CHECK int mp_json_write_escaped(struct mp_buf *out, struct mp_str text);
