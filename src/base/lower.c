/* SPDX-License-Identifier: MIT */
#include <locale.h>
#include <pthread.h>
#include <wctype.h>

#include "json_text.h"
#include "moonpost/buf.h"

/* Made once and kept: what the process's own locale is must not change a hash. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static locale_t utf8;

static void make_locale(void)
{
    utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

static uint32_t decode(const char *at, size_t length)
{
    uint32_t code = (unsigned char)at[0] & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++) {
        code = code << 6 | ((unsigned char)at[i] & 0x3Fu);
    }
    return code;
}

/* `length` 0: the byte there is no character. */
static size_t lower_character(const char *at, size_t length, char out[4])
{
    if (length <= 1) {
        out[0] = (char)(*at >= 'A' && *at <= 'Z' ? *at | 0x20 : *at);
        return 1;
    }
    if (!utf8) {
        memcpy(out, at, length);
        return length;
    }
    wint_t lower = towlower_l((wint_t)decode(at, length), utf8);
    return mp__utf8_encode((uint32_t)lower, out);
}

int mp_buf_append_lower(struct mp_buf *buf, struct mp_str text)
{
    if (text.length == 0) {
        return MP_OK;
    }
    pthread_once(&once, make_locale);
    size_t before = buf->length;
    const char *end = text.data + text.length;
    int status = MP_OK;
    for (const char *at = text.data; at < end && status == MP_OK;) {
        char piece[4];
        size_t length = mp__utf8_length(at, end);
        size_t written = lower_character(at, length, piece);
        status = mp_buf_append(buf, piece, written);
        at += length > 0 ? length : 1;
    }
    if (status != MP_OK) {
        buf->length = before;
    }
    return status;
}
