/* SPDX-License-Identifier: MIT */
#include "json_text.h"
#include "moonpost/json.h"

static bool is_tail(const char *at, const char *end, unsigned char low,
                    unsigned char high)
{
    return at < end && (unsigned char)*at >= low && (unsigned char)*at <= high;
}

size_t mp__utf8_length(const char *at, const char *end)
{
    unsigned char lead = (unsigned char)*at;
    if (lead < 0x80) {
        return 1;
    }
    if (lead < 0xC2 || lead > 0xF4) {
        return 0;
    }
    if (lead < 0xE0) {
        return is_tail(at + 1, end, 0x80, 0xBF) ? 2 : 0;
    }
    if (lead < 0xF0) {
        unsigned char low = lead == 0xE0 ? 0xA0 : 0x80;
        unsigned char high = lead == 0xED ? 0x9F : 0xBF;
        return is_tail(at + 1, end, low, high) && is_tail(at + 2, end, 0x80, 0xBF) ? 3
                                                                                   : 0;
    }
    unsigned char low = lead == 0xF0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xF4 ? 0x8F : 0xBF;
    return is_tail(at + 1, end, low, high) && is_tail(at + 2, end, 0x80, 0xBF) &&
                   is_tail(at + 3, end, 0x80, 0xBF)
               ? 4
               : 0;
}

static unsigned hex_value(char byte)
{
    return byte <= '9' ? (unsigned)(byte - '0') : ((unsigned)byte | 0x20) - 'a' + 10;
}

static uint32_t read_unit(const char *digits)
{
    return hex_value(digits[0]) << 12 | hex_value(digits[1]) << 8 |
           hex_value(digits[2]) << 4 | hex_value(digits[3]);
}

size_t mp__utf8_encode(uint32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xC0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xE0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3F));
        out[2] = (char)(0x80 | (code & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3F));
    out[2] = (char)(0x80 | (code >> 6 & 0x3F));
    out[3] = (char)(0x80 | (code & 0x3F));
    return 4;
}

/* After `\u`. */
static size_t next_unicode(struct mp__text *text, char out[4])
{
    uint32_t code = read_unit(text->at);
    text->at += 4;
    if (code >= 0xD800 && code <= 0xDFFF) {
        bool pair = code < 0xDC00 && text->end - text->at >= 6 && text->at[0] == '\\' &&
                    text->at[1] == 'u';
        uint32_t low = pair ? read_unit(text->at + 2) : 0;
        if (low < 0xDC00 || low > 0xDFFF) {
            return mp__utf8_encode(0xFFFD, out);
        }
        text->at += 6;
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    return mp__utf8_encode(code, out);
}

size_t mp__text_next(struct mp__text *text, char out[4])
{
    if (text->at == text->end) {
        return 0;
    }
    if (text->escaped && *text->at == '\\') {
        char kind = text->at[1];
        text->at += 2;
        switch (kind) {
        case 'u':
            return next_unicode(text, out);
        case 'b':
            out[0] = '\b';
            return 1;
        case 'f':
            out[0] = '\f';
            return 1;
        case 'n':
            out[0] = '\n';
            return 1;
        case 'r':
            out[0] = '\r';
            return 1;
        case 't':
            out[0] = '\t';
            return 1;
        default:
            out[0] = kind;
            return 1;
        }
    }
    size_t length = mp__utf8_length(text->at, text->end);
    length = length ? length : 1;
    memcpy(out, text->at, length);
    text->at += length;
    return length;
}

int mp_json_unescape(struct mp_str raw, struct mp_buf *out)
{
    struct mp__text text = mp__text_of_string(raw);
    size_t before = out->length;
    int status = MP_OK;
    while (status == MP_OK && text.at < text.end) {
        const char *slash = memchr(text.at, '\\', (size_t)(text.end - text.at));
        const char *stop = slash ? slash : text.end;
        status = mp_buf_append(out, text.at, (size_t)(stop - text.at));
        text.at = stop;
        if (slash && status == MP_OK) {
            char piece[4];
            size_t length = mp__text_next(&text, piece);
            status = mp_buf_append(out, piece, length);
        }
    }
    if (status != MP_OK) {
        out->length = before;
    }
    return status;
}

static int write_control(struct mp_buf *out, unsigned char byte)
{
    static const char hex[] = "0123456789abcdef";
    static const char short_forms[32] = {
        ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    if (short_forms[byte]) {
        char text[2] = {'\\', short_forms[byte]};
        return mp_buf_append(out, text, 2);
    }
    char text[6] = {'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]};
    return mp_buf_append(out, text, 6);
}

/* A broken character is replaced once, however many of its bytes arrived (Unicode, U+FFFD
 * substitution of maximal subparts). */
static size_t broken_length(const char *at, const char *end)
{
    for (size_t length = 3; length > 1; length--) {
        if ((size_t)(end - at) < length) {
            continue;
        }
        /* What a last byte or two would complete is a well-formed beginning. */
        char whole[4] = {0, 0, (char)0x80, (char)0x80};
        memcpy(whole, at, length);
        if (mp__utf8_length(whole, whole + 4) > length) {
            return length;
        }
    }
    return 1;
}

/* At a byte that the scan stopped at. */
static int write_special(struct mp_buf *out, const char **at, const char *end)
{
    unsigned char byte = (unsigned char)**at;
    if (byte == '"' || byte == '\\') {
        char pair[2] = {'\\', (char)byte};
        (*at)++;
        return mp_buf_append(out, pair, 2);
    }
    if (byte < 0x20) {
        (*at)++;
        return write_control(out, byte);
    }
    const char *start = *at;
    size_t length = 0;
    while (*at < end && (unsigned char)**at >= 0x80 &&
           (length = mp__utf8_length(*at, end)) != 0) {
        *at += length;
    }
    if (*at > start) {
        return mp_buf_append(out, start, (size_t)(*at - start));
    }
    *at += broken_length(*at, end);
    return mp_buf_append(out, "\xEF\xBF\xBD", 3);
}

int mp_json_write_escaped(struct mp_buf *out, struct mp_str text)
{
    if (text.length == 0) {
        return MP_OK;
    }
    size_t before = out->length;
    const char *at = text.data;
    const char *end = text.data + text.length;
    int status = MP_OK;
    while (at < end && status == MP_OK) {
        const char *stop = mp__json_scan(at, end, true);
        status = mp_buf_append(out, at, (size_t)(stop - at));
        at = stop;
        if (status == MP_OK && at < end) {
            status = write_special(out, &at, end);
        }
    }
    if (status != MP_OK) {
        out->length = before;
    }
    return status;
}

int mp_json_write_string(struct mp_buf *out, struct mp_str text)
{
    size_t before = out->length;
    int status = mp_buf_append_char(out, '"');
    if (status == MP_OK) {
        status = mp_json_write_escaped(out, text);
    }
    if (status == MP_OK) {
        status = mp_buf_append_char(out, '"');
    }
    if (status != MP_OK) {
        out->length = before;
    }
    return status;
}
