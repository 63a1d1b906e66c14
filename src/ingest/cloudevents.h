/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

#include "moonpost/ingest.h"

/* CloudEvents 1.0.2, HTTP binding: binary, structured and batch mode. */

/* One event of a request. Slices live until the next one. */
struct mp__item {
    uint64_t index;      /* from 0 */
    unsigned line;       /* NDJSON: the line it is on; 0: not told */
    struct mp_str event; /* a JSON object, its own bytes */
    struct mp_str type, source, subject, id, partition_key;
    int64_t occurred_ms; /* -1: not told */
};

/* What is wrong with an item: answered as 422. */
struct mp__item_fault {
    char detail[256];
};

/* The attributes of the ce- fields. The event is the body. */
MP_MUST_CHECK int mp__cloudevent_binary(const struct mp_call *call, struct mp_buf *text,
                                        struct mp__item *item,
                                        struct mp__item_fault *fault);
/* `object` is checked JSON: the envelope. */
MP_MUST_CHECK int mp__cloudevent_structured(struct mp_str object, struct mp_buf *text,
                                            struct mp__item *item,
                                            struct mp__item_fault *fault);
/* The unescaped text of a raw string token: a slice of it, or of `text`, which must have
 * room for raw.length more (so that it does not move). */
struct mp_str mp__text_of(struct mp_str raw, struct mp_buf *text);
/* The ce- fields that make up an event, for the digest of an Idempotency-Key. */
#define MP__CE_ATTRIBUTES 7
struct mp_str mp__ce_field(const struct mp_call *call, unsigned index);
