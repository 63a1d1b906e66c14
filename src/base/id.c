/* SPDX-License-Identifier: MIT */
#include "moonpost/id.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "moonpost/clock.h"

#define POOL_BYTES 512

/* Kernel randomness is fetched in pieces: a system call for each id would cost more than
 * the id. */
static _Thread_local struct {
    uint8_t bytes[POOL_BYTES];
    size_t left;
} pool;

static void fill_from_kernel(void *out, size_t length)
{
    uint8_t *at = out;
    while (length > 0) {
        ssize_t got = getrandom(at, length, 0);
        if (got < 0) {
            if (errno == EINTR) {
                continue;
            }
            abort(); /* no kernel we run on lacks it, and a guessable id is worse than
                        none */
        }
        at += got;
        length -= (size_t)got;
    }
}

void mp_random_bytes(void *out, size_t length)
{
    if (length > POOL_BYTES / 4) {
        fill_from_kernel(out, length);
        return;
    }
    if (pool.left < length) {
        fill_from_kernel(pool.bytes, POOL_BYTES);
        pool.left = POOL_BYTES;
    }
    pool.left -= length;
    memcpy(out, pool.bytes + pool.left, length);
    memset(pool.bytes + pool.left, 0, length); /* nobody can be given the same bytes */
}

double mp_random_unit(void)
{
    uint64_t bits;
    mp_random_bytes(&bits, sizeof(bits));
    return (double)(bits >> 11) * 0x1.0p-53;
}

static const char hex_digits[] = "0123456789abcdef";

void mp_hex(const uint8_t *bytes, size_t length, char *out)
{
    for (size_t i = 0; i < length; i++) {
        out[2 * i] = hex_digits[bytes[i] >> 4];
        out[2 * i + 1] = hex_digits[bytes[i] & 15];
    }
    out[2 * length] = '\0';
}

static void write_uuid(const uint8_t bytes[16], char out[MP_ID_BYTES])
{
    char *at = out;
    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *at++ = '-';
        }
        *at++ = hex_digits[bytes[i] >> 4];
        *at++ = hex_digits[bytes[i] & 15];
    }
    *at = '\0';
}

static void put_big_endian(uint64_t number, uint8_t *out)
{
    for (int i = 7; i >= 0; i--) {
        out[i] = (uint8_t)number;
        number >>= 8;
    }
}

/* RFC 9562 section 6.2, method 2: the 74 random bits are a counter that random steps move
 * on while the millisecond is the same or the clock went back. */
static _Thread_local struct {
    uint64_t ms;
    uint64_t high; /* 12 bits */
    uint64_t low;  /* 62 bits */
} last;

#define LOW_MASK ((UINT64_C(1) << 62) - 1)

static void seed_counter(uint64_t ms)
{
    uint64_t random[2];
    mp_random_bytes(random, sizeof(random));
    last.ms = ms;
    last.high = random[0] & 0x7FF; /* the top bit is room to count in */
    last.low = random[1] & LOW_MASK;
}

static void step_counter(void)
{
    uint32_t step;
    mp_random_bytes(&step, sizeof(step));
    last.low += (uint64_t)step + 1;
    if (last.low > LOW_MASK) {
        last.low &= LOW_MASK;
        last.high++;
    }
    if (last.high > 0xFFF) {
        seed_counter(last.ms + 1);
    }
}

void mp_id_new(char out[MP_ID_BYTES])
{
    int64_t wall = mp_clock_wall_ms();
    uint64_t ms = wall < 0 ? 0 : (uint64_t)wall;
    if (ms > last.ms) {
        seed_counter(ms);
    } else {
        step_counter();
    }
    uint8_t bytes[16];
    put_big_endian(last.ms << 16 | 0x7000 | last.high, bytes);
    put_big_endian(UINT64_C(0x8000000000000000) | last.low, bytes + 8);
    write_uuid(bytes, out);
}

void mp_id_of_key(struct mp_str key, struct mp_str partner, uint64_t index,
                  struct mp_str event, char out[MP_ID_BYTES])
{
    uint8_t place[8];
    put_big_endian(index, place);
    const struct mp_str pieces[] = {
        key, partner, {(const char *)place, sizeof(place)}, event};
    uint8_t lengths[4][8];
    struct mp_str parts[8];
    for (size_t i = 0; i < 4; i++) {
        put_big_endian(pieces[i].length, lengths[i]);
        parts[2 * i] = (struct mp_str){(const char *)lengths[i], 8};
        parts[2 * i + 1] = pieces[i];
    }
    uint8_t digest[MP_SHA256_BYTES];
    mp_sha256_of(parts, 8, digest);
    digest[6] = (uint8_t)((digest[6] & 0x0F) | 0x80);
    digest[8] = (uint8_t)((digest[8] & 0x3F) | 0x80);
    write_uuid(digest, out);
}
