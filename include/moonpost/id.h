/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moonpost/buf.h"

/* Ids of deliveries (RFC 9562), and the digest that names generations and keys. */

#define MP_ID_BYTES     37 /* 36 characters and a NUL */
#define MP_SHA256_BYTES 32

/* UUIDv7 of this moment, lower case. Ids made on one thread sort in the order they were
 * made. Any thread. */
void mp_id_new(char out[MP_ID_BYTES]);

/* UUIDv8 from SHA-256 over (key, partner, index, event), each with its length before it:
 * every node computes the same. */
void mp_id_of_key(struct mp_str key, struct mp_str partner, uint64_t index,
                  struct mp_str event, char out[MP_ID_BYTES]);

void mp_sha256(struct mp_str data, uint8_t out[MP_SHA256_BYTES]);
/* Of several pieces, one after another. */
void mp_sha256_of(const struct mp_str *parts, size_t count, uint8_t out[MP_SHA256_BYTES]);
/* Lower-case hex of `length` bytes and a NUL: out has room for 2 * length + 1. */
void mp_hex(const uint8_t *bytes, size_t length, char *out);

/* Time depends on the lengths only, never on where they differ. */
bool mp_equal_constant_time(struct mp_str a, struct mp_str b);
/* Bytes from the kernel; a uniform double in [0, 1) for jitter. Any thread. */
void mp_random_bytes(void *out, size_t length);
double mp_random_unit(void);
