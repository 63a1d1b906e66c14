/* SPDX-License-Identifier: MIT */
#include "moonpost/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 128

struct mp_str mp_str_of(const char *text)
{
    struct mp_str str = {text, text ? strlen(text) : 0};
    return str;
}

bool mp_str_equal(struct mp_str a, struct mp_str b)
{
    return a.length == b.length &&
           (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

bool mp_str_is(struct mp_str a, const char *text)
{
    return mp_str_equal(a, mp_str_of(text));
}

static unsigned char lower(char byte)
{
    unsigned char c = (unsigned char)byte;
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c;
}

bool mp_str_equal_nocase(struct mp_str a, struct mp_str b)
{
    if (a.length != b.length) {
        return false;
    }
    for (size_t i = 0; i < a.length; i++) {
        if (lower(a.data[i]) != lower(b.data[i])) {
            return false;
        }
    }
    return true;
}

int mp_str_order(struct mp_str a, struct mp_str b)
{
    size_t shorter = a.length < b.length ? a.length : b.length;
    int order = shorter > 0 ? memcmp(a.data, b.data, shorter) : 0;
    return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

static bool is_one_of(char byte, const char *bytes)
{
    return byte != '\0' && strchr(bytes, byte) != NULL;
}

static struct mp_str trim(struct mp_str text, const char *bytes)
{
    while (text.length > 0 && is_one_of(text.data[0], bytes)) {
        text.data++;
        text.length--;
    }
    while (text.length > 0 && is_one_of(text.data[text.length - 1], bytes)) {
        text.length--;
    }
    return text;
}

struct mp_str mp_str_trim(struct mp_str text)
{
    return trim(text, " \t");
}

struct mp_str mp_str_trim_space(struct mp_str text)
{
    return trim(text, " \t\n\v\f\r");
}

size_t mp_str_fit(struct mp_str text, size_t most)
{
    size_t length = text.length < most ? text.length : most;
    while (length < text.length && length > 0 &&
           ((unsigned char)text.data[length] & 0xC0) == 0x80) {
        length--;
    }
    return length;
}

void mp_buf_init(struct mp_buf *buf, size_t max_bytes)
{
    /* One byte stays for the NUL of mp_buf_cstr. */
    size_t max = max_bytes < SIZE_MAX / 2 ? max_bytes : SIZE_MAX / 2;
    *buf = (struct mp_buf){.max_bytes = max};
}

void mp_buf_fini(struct mp_buf *buf)
{
    free(buf->data);
    *buf = (struct mp_buf){.max_bytes = buf->max_bytes};
}

void mp_buf_reset(struct mp_buf *buf)
{
    buf->length = 0;
}

struct mp_str mp_buf_str(const struct mp_buf *buf)
{
    struct mp_str str = {buf->data, buf->length};
    return str;
}

static int grow(struct mp_buf *buf, size_t needed)
{
    size_t capacity = buf->capacity ? buf->capacity : FIRST_CAPACITY;
    while (capacity < needed) {
        capacity *= 2;
    }
    if (capacity > buf->max_bytes + 1) {
        capacity = buf->max_bytes + 1;
    }
    char *data = realloc(buf->data, capacity);
    if (!data) {
        return MP_ENOMEM;
    }
    buf->data = data;
    buf->capacity = capacity;
    return MP_OK;
}

int mp_buf_reserve(struct mp_buf *buf, size_t more)
{
    if (buf->length > buf->max_bytes || more > buf->max_bytes - buf->length) {
        return MP_ELIMIT;
    }
    size_t needed = buf->length + more;
    return needed > buf->capacity ? grow(buf, needed) : MP_OK;
}

int mp_buf_append(struct mp_buf *buf, const void *data, size_t length)
{
    if (length == 0) {
        return MP_OK;
    }
    int status = mp_buf_reserve(buf, length);
    if (status == MP_OK) {
        memcpy(buf->data + buf->length, data, length);
        buf->length += length;
    }
    return status;
}

int mp_buf_append_str(struct mp_buf *buf, struct mp_str str)
{
    return mp_buf_append(buf, str.data, str.length);
}

int mp_buf_append_text(struct mp_buf *buf, const char *text)
{
    return mp_buf_append(buf, text, strlen(text));
}

int mp_buf_append_char(struct mp_buf *buf, char byte)
{
    return mp_buf_append(buf, &byte, 1);
}

int mp_buf_printf(struct mp_buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    int status = length < 0 ? MP_EINVAL : mp_buf_reserve(buf, (size_t)length);
    if (status == MP_OK && length > 0 && buf->capacity - buf->length <= (size_t)length) {
        status = grow(buf, buf->length + (size_t)length + 1); /* vsnprintf writes a NUL */
    }
    if (status == MP_OK && length > 0) {
        vsnprintf(buf->data + buf->length, (size_t)length + 1, format, again);
        buf->length += (size_t)length;
    }
    va_end(again);
    return status;
}

int mp_buf_append_int(struct mp_buf *buf, int64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0) {
        digits[--at] = '-';
    }
    return mp_buf_append(buf, digits + at, sizeof(digits) - at);
}

const char *mp_buf_cstr(struct mp_buf *buf)
{
    if (buf->capacity <= buf->length && grow(buf, buf->length + 1) != MP_OK) {
        return NULL;
    }
    buf->data[buf->length] = '\0';
    return buf->data;
}
