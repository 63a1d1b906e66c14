/* SPDX-License-Identifier: MIT */
#include "moonpost/base64.h"

#include <stdint.h>

static const char alphabets[2][65] = {
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"};

int mp_base64_encode(struct mp_str data, enum mp_base64 alphabet, struct mp_buf *out)
{
    const char *digits = alphabets[alphabet];
    const uint8_t *at = (const uint8_t *)data.data;
    if (data.length == 0) {
        return MP_OK;
    }
    if (data.length > SIZE_MAX / 4 * 3 - 3) {
        return MP_ELIMIT;
    }
    size_t rest = data.length % 3;
    size_t length = (data.length + 2) / 3 * 4;
    if (alphabet == MP_BASE64_URL && rest > 0) {
        length -= 3 - rest;
    }
    int status = mp_buf_reserve(out, length);
    if (status != MP_OK) {
        return status;
    }
    char *to = out->data + out->length;
    for (const uint8_t *end = at + data.length - rest; at < end; at += 3) {
        uint32_t bits = (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];
        *to++ = digits[bits >> 18];
        *to++ = digits[bits >> 12 & 63];
        *to++ = digits[bits >> 6 & 63];
        *to++ = digits[bits & 63];
    }
    if (rest > 0) {
        uint32_t bits = (uint32_t)at[0] << 16 | (rest > 1 ? (uint32_t)at[1] << 8 : 0);
        char last[4] = {digits[bits >> 18], digits[bits >> 12 & 63],
                        rest > 1 ? digits[bits >> 6 & 63] : '=', '='};
        size_t count = alphabet == MP_BASE64_URL ? rest + 1 : 4;
        for (size_t i = 0; i < count; i++) {
            *to++ = last[i];
        }
    }
    out->length += length;
    return MP_OK;
}

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Without the padding, which stands only where it completes a group of four. */
static struct mp_str unpadded(struct mp_str text)
{
    struct mp_str bare = text;
    while (bare.length > 0 && bare.data[bare.length - 1] == '=' &&
           text.length - bare.length < 2) {
        bare.length--;
    }
    return bare.length == text.length || text.length % 4 == 0 ? bare : text;
}

int mp_base64_decode(struct mp_str text, struct mp_buf *out)
{
    struct mp_str bare = unpadded(text);
    size_t before = out->length;
    if (bare.length % 4 == 1) {
        return MP_EINVAL;
    }
    int status = mp_buf_reserve(out, bare.length / 4 * 3 + 2);
    if (status != MP_OK) {
        return status;
    }
    uint32_t bits = 0;
    unsigned held = 0;
    for (size_t i = 0; i < bare.length; i++) {
        int value = value_of(bare.data[i]);
        if (value < 0) {
            out->length = before;
            return MP_EINVAL;
        }
        bits = bits << 6 | (uint32_t)value;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out->data[out->length++] = (char)(bits >> held & 255);
        }
    }
    return MP_OK;
}
