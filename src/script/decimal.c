/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "tools.h"

/* Money on its digits: a double would make 1.005 a little less, and round it down. */

#define DIGITS_MAX 1000
#define ZEROS_MAX  1000

struct reader {
    const char *at, *end;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_digit(const struct reader *reader)
{
    return reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9';
}

static bool accept(struct reader *reader, char c)
{
    if (reader->at < reader->end && *reader->at == c) {
        reader->at++;
        return true;
    }
    return false;
}

/* Zeros before the first digit that counts only move the point. */
static bool read_digits(struct reader *reader, struct mp__decimal *out, bool fraction)
{
    bool any = false;
    for (; is_digit(reader); reader->at++) {
        any = true;
        out->exponent -= fraction;
        if (out->count == 0 && *reader->at == '0') {
            continue;
        }
        if (out->count == DIGITS_MAX) {
            out->count++; /* too many: said by the caller */
            return any;
        }
        if (out->count < DIGITS_MAX) {
            out->digits[out->count++] = (unsigned char)(*reader->at - '0');
        }
    }
    return any;
}

static bool read_exponent(struct reader *reader, struct mp__decimal *out)
{
    if (!accept(reader, 'e') && !accept(reader, 'E')) {
        return true;
    }
    bool negative = accept(reader, '-');
    if (!negative) {
        accept(reader, '+');
    }
    if (!is_digit(reader)) {
        return false;
    }
    long exponent = 0;
    for (; is_digit(reader); reader->at++) {
        exponent = exponent < 100000 ? exponent * 10 + (*reader->at - '0') : exponent;
    }
    out->exponent += negative ? -exponent : exponent;
    return true;
}

static void drop_zeros(struct mp__decimal *number)
{
    while (number->count > 0 && number->digits[number->count - 1] == 0) {
        number->count--;
        number->exponent++;
    }
    if (number->count == 0) {
        number->exponent = 0;
        number->negative = false;
    }
}

bool mp__decimal_read(struct mp_str text, struct mp__decimal *out)
{
    struct reader reader = {text.data, text.data + text.length};
    out->count = 0;
    out->exponent = 0;
    while (reader.at < reader.end && is_space(*reader.at)) {
        reader.at++;
    }
    while (reader.end > reader.at && is_space(reader.end[-1])) {
        reader.end--;
    }
    out->negative = accept(&reader, '-');
    if (!out->negative) {
        accept(&reader, '+');
    }
    bool any = read_digits(&reader, out, false);
    if (accept(&reader, '.')) {
        any = read_digits(&reader, out, true) || any;
    }
    if (!any || out->count > DIGITS_MAX || !read_exponent(&reader, out) ||
        reader.at != reader.end) {
        return false;
    }
    drop_zeros(out);
    return out->exponent >= -(DIGITS_MAX + ZEROS_MAX) && out->exponent <= ZEROS_MAX;
}

void mp__decimal_multiply(const struct mp__decimal *a, const struct mp__decimal *b,
                          struct mp__decimal *out)
{
    out->negative = a->negative != b->negative;
    out->exponent = a->exponent + b->exponent;
    out->count = a->count + b->count;
    memset(out->digits, 0, out->count);
    for (size_t i = a->count; i-- > 0;) {
        unsigned carry = 0;
        for (size_t j = b->count; j-- > 0;) {
            unsigned char *digit = &out->digits[i + j + 1];
            unsigned sum = *digit + carry + (unsigned)a->digits[i] * b->digits[j];
            *digit = (unsigned char)(sum % 10);
            carry = sum / 10;
        }
        out->digits[i] = (unsigned char)carry;
    }
    drop_zeros(out);
}

/* The digits of the number times 10 to `places`, as text; how many. */
static size_t round_digits(const struct mp__decimal *number, long places, char *to)
{
    long shift = number->exponent + places;
    size_t cut = shift < 0 ? (size_t)-shift : 0;
    size_t kept = cut < number->count ? number->count - cut : 0;
    bool up = cut <= number->count && cut > 0 && number->digits[kept] >= 5;
    size_t length = 1;
    to[0] = '0'; /* room to carry into */
    for (size_t i = 0; i < kept; i++) {
        to[length++] = (char)('0' + number->digits[i]);
    }
    for (long i = 0; i < shift && number->count > 0; i++) {
        to[length++] = '0';
    }
    for (size_t i = length; up && i-- > 0;) {
        up = to[i] == '9';
        to[i] = up ? '0' : (char)(to[i] + 1);
    }
    return length;
}

size_t mp__decimal_write(const struct mp__decimal *number, unsigned places,
                         char out[MP__DECIMAL_BYTES])
{
    char text[MP__DECIMAL_BYTES - 200];
    size_t length = round_digits(number, (long)places, text);
    const char *at = text;
    while (length > 1 && *at == '0') {
        at++;
        length--;
    }
    size_t used = 0;
    if (number->negative && !(length == 1 && *at == '0')) {
        out[used++] = '-';
    }
    size_t whole = length > places ? length - places : 0;
    if (whole == 0) {
        out[used++] = '0';
    }
    memcpy(out + used, at, whole);
    used += whole;
    if (places > 0) {
        out[used++] = '.';
    }
    for (size_t i = length; i < places; i++) {
        out[used++] = '0';
    }
    memcpy(out + used, at + whole, length - whole);
    return used + length - whole;
}
