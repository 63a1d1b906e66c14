/* SPDX-License-Identifier: MIT */
#pragma once

#include "values.h"

/* Digests and signatures: crypto.c is this room's border with OpenSSL. All of it runs
 * inside mp__call and throws: past the budget, and for what this machine's OpenSSL does
 * not offer. */

enum mp__digest { MP__MD5, MP__SHA1, MP__SHA256, MP__SHA512 };
#define MP__DIGEST_BYTES  64
#define MP__ED25519_SEED  32
#define MP__ED25519_BYTES 64

/* Each returns how many bytes it wrote to `out`. */
size_t mp__digest(struct mp_script_state *state, enum mp__digest which,
                  struct mp_str data, uint8_t out[MP__DIGEST_BYTES]);
/* RFC 2104, over several pieces, one after another. */
size_t mp__hmac(struct mp_script_state *state, enum mp__digest which, struct mp_str key,
                const struct mp_str *parts, size_t count, uint8_t out[MP__DIGEST_BYTES]);

/* RFC 8032. */
void mp__ed25519_public(struct mp_script_state *state, const uint8_t *seed,
                        uint8_t out[MP__ED25519_SEED]);
void mp__ed25519_sign(struct mp_script_state *state, const uint8_t *seed,
                      struct mp_str message, uint8_t out[MP__ED25519_BYTES]);
