/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moonpost/ingest.h"

/* A request's head (RFC 9112 sections 2, 3 and 5), to the letter. Lines are checked as
 * they come, then llhttp reads the whole: what either of the two refuses is refused.
 * Everything found is an offset from the head's first byte, so that the bytes may move.
 */

struct mp__span {
    uint32_t at, length;
};
struct mp__field {
    struct mp__span name, value;
};

/* Why a request is not taken. */
struct mp__refusal {
    int status;
    const char *slug;
    char detail[200];
};
/* Fills it and returns MP_EINVAL. */
int mp__refuse(struct mp__refusal *refusal, int status, const char *slug,
               const char *format, ...) MP_PRINTF(4, 5);

/* Fields that the server itself reads. */
enum mp__known {
    MP__HOST,
    MP__CONTENT_LENGTH,
    MP__TRANSFER_ENCODING,
    MP__EXPECT,
    MP__CONTENT_TYPE,
    MP__CONTENT_ENCODING,
    MP__AUTHORIZATION,
    MP__IDEMPOTENCY_KEY,
    MP__KNOWN
};

enum mp__method { MP__GET, MP__HEAD, MP__POST, MP__OPTIONS, MP__OTHER };

#define MP__REQUEST_LINE_MAX 8192

struct mp__head {
    size_t scanned; /* bytes of whole lines that are checked */
    size_t skipped; /* empty lines before the request line */
    bool has_line;  /* the request line is among them */
    struct mp__span method_name, target;
    struct mp__field *fields; /* room for limits.header_count */
    size_t field_count;
    size_t bytes; /* of the whole head, once MP_OK */

    /* The meaning, once mp__head_understand gave MP_OK. */
    enum mp__method method;
    uint8_t minor; /* HTTP/1.0 or 1.1 */
    bool keep_alive, is_chunked, wants_continue, is_asterisk, has_ce;
    uint64_t content_length;
    struct mp__span host, path, query;
    uint32_t known_count[MP__KNOWN];
    uint32_t known_at[MP__KNOWN]; /* index of the first of that name */
};

/* Empties it and keeps `fields`. */
void mp__head_reset(struct mp__head *head);
/* `data` begins with the head's first byte at every call. MP_OK: it is whole; MP_EAGAIN:
 * more is needed; MP_EINVAL: `refusal`. */
MP_MUST_CHECK int mp__head_read(struct mp__head *head, const char *data, size_t length,
                                const struct mp_ingest_limits *limits,
                                struct mp__refusal *refusal);
/* Of a whole head: method, version, framing, host, target, expectation. MP_OK or
 * MP_EINVAL. */
MP_MUST_CHECK int mp__head_understand(struct mp__head *head, const char *data,
                                      const struct mp_ingest_limits *limits,
                                      struct mp__refusal *refusal);
/* Splits the target and finds the host (RFC 9112 section 3.2 and 3.3). */
MP_MUST_CHECK int mp__target_understand(struct mp__head *head, const char *data,
                                        struct mp__refusal *refusal);

struct mp_str mp__slice(const char *data, struct mp__span span);
/* The value of the first of that name; the empty slice when there is none. */
struct mp_str mp__known(const struct mp__head *head, const char *data,
                        enum mp__known known);

/* RFC 9110 section 5.6.2. */
bool mp__is_token_byte(char byte);
/* What a field value may hold: HTAB, SP, VCHAR, obs-text. */
bool mp__is_value_byte(char byte);
/* `uri-host [ ":" port ]`. */
bool mp__host_is_valid(struct mp_str host);
/* 127.0.0.0/8, [::1] or localhost, any port. */
bool mp__host_is_loopback(struct mp_str host);
