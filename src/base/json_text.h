/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "moonpost/buf.h"

/* Reading JSON text, shared by the checker, the walkers and the templates. */

/* True for the bytes RFC 8259 calls white space. */
static inline bool mp__json_is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline const char *mp__json_skip_space(const char *at, const char *end)
{
    while (at < end && mp__json_is_space(*at)) {
        at++;
    }
    return at;
}

#define MP__ONES UINT64_C(0x0101010101010101)
#define MP__TOPS UINT64_C(0x8080808080808080)

/* The first byte that needs a look inside a string: `"`, `\`, a control character, and
 * with `beyond_ascii` one of 0x80 and above. Sixteen or eight bytes at a time; gives
 * `end` when there is none. */
static inline const char *mp__json_scan(const char *at, const char *end,
                                        bool beyond_ascii)
{
#ifdef __SSE2__
    while (end - at >= 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i hits = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')),
                                    _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));
        /* A byte is below 0x20 when the smaller of it and 0x1F is itself. */
        hits = _mm_or_si128(
            hits, _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1F)), bytes));
        unsigned found = (unsigned)_mm_movemask_epi8(hits) |
                         (beyond_ascii ? (unsigned)_mm_movemask_epi8(bytes) : 0);
        if (found) {
            return at + __builtin_ctz(found);
        }
        at += 16;
    }
#endif
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    while (end - at >= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        uint64_t quote = word ^ (MP__ONES * '"');
        uint64_t slash = word ^ (MP__ONES * '\\');
        /* A borrow can only mark bytes above a real hit, and the lowest hit is what is
         * used. */
        uint64_t hits = ((quote - MP__ONES) & ~quote) | ((slash - MP__ONES) & ~slash) |
                        ((word - MP__ONES * 0x20) & ~word) | (beyond_ascii ? word : 0);
        hits &= MP__TOPS;
        if (hits) {
            return at + (__builtin_ctzll(hits) >> 3);
        }
        at += 8;
    }
#endif
    while (at < end) {
        unsigned char c = (unsigned char)*at;
        if (c == '"' || c == '\\' || c < 0x20 || (beyond_ascii && c >= 0x80)) {
            break;
        }
        at++;
    }
    return at;
}

/* The length of the UTF-8 character at `at`: 1 to 4, or 0 when it is not one (Unicode,
 * table 3-7: no overlongs, no surrogates, nothing past U+10FFFF). `at < end`. */
size_t mp__utf8_length(const char *at, const char *end);
/* The UTF-8 character of a code point; its length. */
size_t mp__utf8_encode(uint32_t code, char out[4]);

/* Text that is read a character at a time: a checked string token without its quotes
 * (`escaped`), or bytes as they are. */
struct mp__text {
    const char *at;
    const char *end;
    bool escaped;
};

/* The next character in UTF-8, 1 to 4 bytes; 0 at the end. A byte that is not UTF-8 comes
 * alone, as it is; a lone surrogate comes as U+FFFD. */
size_t mp__text_next(struct mp__text *text, char out[4]);

/* The content of a raw string token. */
static inline struct mp__text mp__text_of_string(struct mp_str raw)
{
    struct mp__text text = {raw.data + 1, raw.data + raw.length - 1, true};
    return text;
}
