/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "moonpost/id.h"
#include "secrets_hide.h"

/* One written character: what it says, and how many bytes it takes. */
struct unit {
    char bytes[4];
    size_t count, taken;
};

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void say(struct unit *unit, uint32_t code)
{
    unsigned char *to = (unsigned char *)unit->bytes;
    if (code < 0x80) {
        unit->count = 1;
        to[0] = (unsigned char)code;
    } else if (code < 0x800) {
        unit->count = 2;
        to[0] = (unsigned char)(0xC0 | code >> 6);
        to[1] = (unsigned char)(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        unit->count = 3;
        to[0] = (unsigned char)(0xE0 | code >> 12);
        to[1] = (unsigned char)(0x80 | (code >> 6 & 0x3F));
        to[2] = (unsigned char)(0x80 | (code & 0x3F));
    } else {
        unit->count = 4;
        to[0] = (unsigned char)(0xF0 | (code >> 18 & 0x07));
        to[1] = (unsigned char)(0x80 | (code >> 12 & 0x3F));
        to[2] = (unsigned char)(0x80 | (code >> 6 & 0x3F));
        to[3] = (unsigned char)(0x80 | (code & 0x3F));
    }
}

/* Up to `most` digits from `at` on; how many there are. */
static size_t read_hex(struct mp_str text, size_t at, size_t most, uint32_t *code)
{
    size_t count = 0;
    *code = 0;
    while (count < most && at + count < text.length) {
        int digit = hex_value(text.data[at + count]);
        if (digit < 0) {
            break;
        }
        *code = *code << 4 | (uint32_t)digit;
        count++;
    }
    return count;
}

/* `count` digits behind `before` bytes, or as many as the text's end leaves. */
static bool read_fixed(struct mp_str text, size_t at, size_t before, size_t count,
                       struct unit *unit)
{
    uint32_t code;
    size_t digits = read_hex(text, at + before, count, &code);
    unit->taken = before + digits;
    if (digits < count) {
        return at + before + digits >= text.length;
    }
    if (count == 2) {
        unit->bytes[0] = (char)code;
        unit->count = 1;
    } else {
        say(unit, code);
    }
    return true;
}

static bool read_pair(struct mp_str text, size_t at, struct unit *unit)
{
    uint32_t high, low;
    read_hex(text, at + 2, 4, &high);
    if (high < 0xD800 || high > 0xDBFF || text.length - at < 12 ||
        text.data[at + 6] != '\\' || text.data[at + 7] != 'u' ||
        read_hex(text, at + 8, 4, &low) < 4 || low < 0xDC00 || low > 0xDFFF) {
        return false;
    }
    say(unit, 0x10000 + ((high & 0x3FF) << 10) + (low & 0x3FF));
    unit->taken = 12;
    return true;
}

static bool read_backslash(struct mp_str text, size_t at, struct unit *unit)
{
    static const char names[] = "nrtbf\"\\/'";
    static const char meant[] = "\n\r\t\b\f\"\\/'";
    if (at + 1 >= text.length) {
        unit->taken = 1;
        return true;
    }
    char c = text.data[at + 1];
    if (c == 'u') {
        return read_pair(text, at, unit) || read_fixed(text, at, 2, 4, unit);
    }
    if (c == 'x') {
        return read_fixed(text, at, 2, 2, unit);
    }
    const char *place = memchr(names, c, sizeof(names) - 1);
    if (!place) {
        return false;
    }
    unit->bytes[0] = meant[place - names];
    unit->count = 1;
    unit->taken = 2;
    return true;
}

static bool read_number(struct mp_str text, size_t at, struct unit *unit)
{
    size_t place = at + 2;
    bool is_hex = place < text.length && (text.data[place] | 0x20) == 'x';
    uint32_t code = 0;
    if (is_hex) {
        place += 1 + read_hex(text, place + 1, 6, &code);
    } else {
        for (; place < text.length && place < at + 9 && text.data[place] >= '0' &&
               text.data[place] <= '9';
             place++) {
            code = code * 10 + (uint32_t)(text.data[place] - '0');
        }
    }
    unit->taken = place - at;
    if (place >= text.length) {
        return true;
    }
    if (text.data[place] != ';' || place == at + 2 || code > 0x10FFFF) {
        return false;
    }
    unit->taken++;
    say(unit, code);
    return true;
}

static bool read_reference(struct mp_str text, size_t at, struct unit *unit)
{
    static const struct {
        const char *name;
        char meant;
    } names[] = {
        {"amp;", '&'}, {"lt;", '<'}, {"gt;", '>'}, {"quot;", '"'}, {"apos;", '\''}};
    if (at + 1 < text.length && text.data[at + 1] == '#') {
        return read_number(text, at, unit);
    }
    size_t left = text.length - at - 1;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t length = strlen(names[i].name);
        size_t shared = left < length ? left : length;
        if (strncmp(text.data + at + 1, names[i].name, shared) == 0) {
            unit->taken = 1 + shared;
            unit->bytes[0] = names[i].meant;
            unit->count = shared == length;
            return true;
        }
    }
    return false;
}

static bool read_unit(enum mp__writing writing, struct mp_str text, size_t at,
                      struct unit *unit)
{
    char c = text.data[at];
    *unit = (struct unit){.taken = 1};
    switch (writing) {
    case MP__WRITING_FORM:
        if (c == '+') {
            unit->bytes[0] = ' ';
            unit->count = 1;
            return true;
        }
        return c == '%' && read_fixed(text, at, 1, 2, unit);
    case MP__WRITING_PERCENT:
        return c == '%' && read_fixed(text, at, 1, 2, unit);
    case MP__WRITING_BACKSLASH:
        return c == '\\' && read_backslash(text, at, unit);
    case MP__WRITING_REFERENCE:
        return c == '&' && read_reference(text, at, unit);
    case MP__WRITING_COUNT:
        break;
    }
    return false;
}

/* Where something of that writing may begin next; the text's length: nowhere. */
static size_t next_mark(enum mp__writing writing, struct mp_str text, size_t at)
{
    static const char marks[MP__WRITING_COUNT] = {'%', '+', '\\', '&'};
    if (writing == MP__WRITING_FORM) {
        while (at < text.length && text.data[at] != '+' && text.data[at] != '%') {
            at++;
        }
        return at;
    }
    const char *found = at < text.length
                            ? memchr(text.data + at, marks[writing], text.length - at)
                            : NULL;
    return found ? (size_t)(found - text.data) : text.length;
}

static void keep(struct mp__reading *out, const char *bytes, size_t count, size_t at,
                 bool is_one, const uint32_t *from)
{
    for (size_t i = 0; i < count; i++) {
        size_t place = is_one ? at : at + i;
        out->bytes[out->length] = bytes[i];
        out->from[out->length++] = from ? from[place] : (uint32_t)place;
    }
}

static bool read_all(enum mp__writing writing, struct mp_str text, const uint32_t *from,
                     struct mp__reading *out)
{
    bool has_read = false;
    size_t at = 0;
    while (at < text.length) {
        size_t mark = next_mark(writing, text, at);
        keep(out, text.data + at, mark - at, at, false, from);
        struct unit unit;
        if (mark == text.length) {
            break;
        }
        if (read_unit(writing, text, mark, &unit)) {
            keep(out, unit.bytes, unit.count, mark, true, from);
            has_read = true;
        } else {
            unit.taken = 1;
            keep(out, text.data + mark, 1, mark, true, from);
        }
        at = mark + unit.taken;
    }
    out->from[out->length] = from ? from[text.length] : (uint32_t)text.length;
    return has_read;
}

bool mp__reading_make(enum mp__writing writing, struct mp_str text, const uint32_t *from,
                      struct mp__reading *out, int *status)
{
    *out = (struct mp__reading){0};
    if (next_mark(writing, text, 0) == text.length) {
        return false;
    }
    /* No writing is shorter than what it says. */
    out->from = malloc((text.length + 1) * (sizeof(*out->from) + 1));
    if (!out->from) {
        *status = MP_ENOMEM;
        return false;
    }
    out->bytes = (char *)(out->from + text.length + 1);
    if (!read_all(writing, text, from, out)) {
        mp__reading_free(out);
        return false;
    }
    return true;
}

void mp__reading_free(struct mp__reading *reading)
{
    free(reading->from);
}

static char in_case(char c, bool is_upper)
{
    bool is_letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
    return (char)(!is_letter ? c : is_upper ? c & ~0x20 : c | 0x20);
}

int mp__spelling_write(enum mp__spelling spelling, struct mp_str value,
                       struct mp_buf *out)
{
    bool is_hex = spelling == MP__SPELLING_HEX || spelling == MP__SPELLING_HEX_UPPER;
    bool is_upper = spelling == MP__SPELLING_UPPER || spelling == MP__SPELLING_HEX_UPPER;
    size_t before = out->length;
    int status = is_hex ? mp_buf_reserve(out, value.length * 2 + 1)
                        : mp_buf_append_str(out, value);
    if (status == MP_OK && is_hex) {
        mp_hex((const uint8_t *)value.data, value.length, out->data + before);
        out->length += value.length * 2;
    }
    for (size_t i = before; status == MP_OK && i < out->length; i++) {
        out->data[i] = in_case(out->data[i], is_upper);
    }
    return status;
}
