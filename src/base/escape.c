/* SPDX-License-Identifier: MIT */
#include "escape.h"

#include "moonpost/json.h"
#include "moonpost/template.h"

#define UNRESERVED 1
#define RESERVED   2
#define FORM       4
#define HEX        8
#define U_F        (UNRESERVED | FORM)
#define U_F_X      (UNRESERVED | FORM | HEX)

/* RFC 3986 section 2.2 and 2.3; what a form leaves alone (URL standard, section 5.2). */
static const uint8_t classes[256] = {
    ['0'] = U_F_X,
    ['1'] = U_F_X,
    ['2'] = U_F_X,
    ['3'] = U_F_X,
    ['4'] = U_F_X,
    ['5'] = U_F_X,
    ['6'] = U_F_X,
    ['7'] = U_F_X,
    ['8'] = U_F_X,
    ['9'] = U_F_X,
    ['A'] = U_F_X,
    ['B'] = U_F_X,
    ['C'] = U_F_X,
    ['D'] = U_F_X,
    ['E'] = U_F_X,
    ['F'] = U_F_X,
    ['a'] = U_F_X,
    ['b'] = U_F_X,
    ['c'] = U_F_X,
    ['d'] = U_F_X,
    ['e'] = U_F_X,
    ['f'] = U_F_X,
    ['G'] = U_F,
    ['H'] = U_F,
    ['I'] = U_F,
    ['J'] = U_F,
    ['K'] = U_F,
    ['L'] = U_F,
    ['M'] = U_F,
    ['N'] = U_F,
    ['O'] = U_F,
    ['P'] = U_F,
    ['Q'] = U_F,
    ['R'] = U_F,
    ['S'] = U_F,
    ['T'] = U_F,
    ['U'] = U_F,
    ['V'] = U_F,
    ['W'] = U_F,
    ['X'] = U_F,
    ['Y'] = U_F,
    ['Z'] = U_F,
    ['g'] = U_F,
    ['h'] = U_F,
    ['i'] = U_F,
    ['j'] = U_F,
    ['k'] = U_F,
    ['l'] = U_F,
    ['m'] = U_F,
    ['n'] = U_F,
    ['o'] = U_F,
    ['p'] = U_F,
    ['q'] = U_F,
    ['r'] = U_F,
    ['s'] = U_F,
    ['t'] = U_F,
    ['u'] = U_F,
    ['v'] = U_F,
    ['w'] = U_F,
    ['x'] = U_F,
    ['y'] = U_F,
    ['z'] = U_F,
    ['-'] = U_F,
    ['.'] = U_F,
    ['_'] = U_F,
    ['~'] = UNRESERVED,
    ['*'] = RESERVED | FORM,
    [':'] = RESERVED,
    ['/'] = RESERVED,
    ['?'] = RESERVED,
    ['#'] = RESERVED,
    ['['] = RESERVED,
    [']'] = RESERVED,
    ['@'] = RESERVED,
    ['!'] = RESERVED,
    ['$'] = RESERVED,
    ['&'] = RESERVED,
    ['\''] = RESERVED,
    ['('] = RESERVED,
    [')'] = RESERVED,
    ['+'] = RESERVED,
    [','] = RESERVED,
    [';'] = RESERVED,
    ['='] = RESERVED,
};

static const uint8_t allowed_in[] = {
    [MP__PLACE_UNRESERVED] = UNRESERVED,
    [MP__PLACE_RESERVED] = UNRESERVED | RESERVED,
    [MP__PLACE_FORM] = FORM,
};

/* Encoded bytes gather here, so that the buffer is asked once for many. */
struct stage {
    struct mp_buf *out;
    int status;
    size_t used;
    char bytes[240];
};

#define STAGE_ROOM 12 /* the longest that one character becomes */

static void flush(struct stage *stage)
{
    if (stage->status == MP_OK) {
        stage->status = mp_buf_append(stage->out, stage->bytes, stage->used);
    }
    stage->used = 0;
}

static void put_byte(struct stage *stage, enum mp__place place, uint8_t allowed,
                     char byte)
{
    static const char hex[] = "0123456789ABCDEF";
    unsigned char c = (unsigned char)byte;
    if (classes[c] & allowed) {
        stage->bytes[stage->used++] = byte;
    } else if (c == ' ' && place == MP__PLACE_FORM) {
        stage->bytes[stage->used++] = '+';
    } else {
        stage->bytes[stage->used++] = '%';
        stage->bytes[stage->used++] = hex[c >> 4];
        stage->bytes[stage->used++] = hex[c & 15];
    }
}

static bool is_hex(char byte)
{
    return (classes[(unsigned char)byte] & HEX) != 0;
}

/* Reads the rest of a triplet, `%` being read already. Nothing is consumed when it is
 * none. */
static bool take_triplet(struct mp__text *text, char digits[2])
{
    struct mp__text ahead = *text;
    char piece[4];
    for (int i = 0; i < 2; i++) {
        if (mp__text_next(&ahead, piece) != 1 || !is_hex(piece[0])) {
            return false;
        }
        digits[i] = piece[0];
    }
    *text = ahead;
    return true;
}

/* One character that is not simply copied. */
static void put_next(struct stage *stage, enum mp__place place, struct mp__text *text)
{
    char piece[4];
    char digits[2];
    size_t length = mp__text_next(text, piece);
    if (piece[0] == '%' && place == MP__PLACE_RESERVED && take_triplet(text, digits)) {
        stage->bytes[stage->used++] = '%';
        stage->bytes[stage->used++] = digits[0];
        stage->bytes[stage->used++] = digits[1];
        return;
    }
    for (size_t i = 0; i < length; i++) {
        put_byte(stage, place, allowed_in[place], piece[i]);
    }
}

static int percent_encode(enum mp__place place, struct mp__text text, struct mp_buf *out)
{
    struct stage stage; /* its bytes are written before they are read */
    stage.out = out;
    stage.status = MP_OK;
    stage.used = 0;
    const uint8_t allowed = allowed_in[place];
    while (text.at < text.end && stage.status == MP_OK) {
        if (stage.used > sizeof(stage.bytes) - STAGE_ROOM) {
            flush(&stage);
        }
        if (classes[(unsigned char)*text.at] & allowed) {
            stage.bytes[stage.used++] = *text.at++;
        } else {
            put_next(&stage, place, &text);
        }
    }
    flush(&stage);
    return stage.status;
}

/* What stands in XML for a character; NULL: itself. A parser makes a space or a line feed
 * of white space that is not written as a reference. */
static const char *xml_reference(const char piece[4], size_t length)
{
    static const char replacement[] = "\xEF\xBF\xBD";
    unsigned char c = (unsigned char)piece[0];
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    case '\t':
        return "&#9;";
    case '\n':
        return "&#10;";
    case '\r':
        return "&#13;";
    default:
        break;
    }
    bool is_noncharacter =
        length == 3 && memcmp(piece, "\xEF\xBF", 2) == 0 && (piece[2] & 0x3E) == 0x3E;
    return c < 0x20 || (length == 1 && c >= 0x80) || is_noncharacter ? replacement : NULL;
}

static int write_character(enum mp__place place, const char piece[4], size_t length,
                           struct mp_buf *out)
{
    struct mp_str str = {piece, length};
    if (place == MP__PLACE_JSON) {
        return mp_json_write_escaped(out, str);
    }
    const char *reference = place == MP__PLACE_XML ? xml_reference(piece, length) : NULL;
    return reference ? mp_buf_append_text(out, reference) : mp_buf_append_str(out, str);
}

static int write_characters(enum mp__place place, struct mp__text text,
                            struct mp_buf *out)
{
    int status = MP_OK;
    char piece[4];
    for (size_t n = mp__text_next(&text, piece); n > 0 && status == MP_OK;
         n = mp__text_next(&text, piece)) {
        status = write_character(place, piece, n, out);
    }
    return status;
}

int mp__escape(enum mp__place place, struct mp__text text, struct mp_buf *out)
{
    if (place < MP__PLACE_JSON) {
        return percent_encode(place, text, out);
    }
    struct mp_str raw = {text.at, (size_t)(text.end - text.at)};
    if (raw.length == 0) {
        return MP_OK;
    }
    if (place == MP__PLACE_XML) {
        return write_characters(place, text, out);
    }
    /* Without a backslash, a checked string's content is the same escaped and not. */
    if (text.escaped && memchr(raw.data, '\\', raw.length)) {
        return write_characters(place, text, out);
    }
    bool as_it_is = place == MP__PLACE_PLAIN || text.escaped;
    return as_it_is ? mp_buf_append_str(out, raw) : mp_json_write_escaped(out, raw);
}

static bool is_continuation(const char digits[2])
{
    /* 0x80 to 0xBF: the second and later bytes of a UTF-8 character. */
    char high = digits[0];
    return high == '8' || high == '9' || high == 'A' || high == 'B' || high == 'a' ||
           high == 'b';
}

struct mp__text mp__text_prefix(struct mp__text text, size_t count, bool triplets)
{
    struct mp__text rest = text;
    char piece[4];
    char digits[2];
    size_t taken = 0;
    bool in_triplets = false;
    for (;;) {
        struct mp__text before = rest;
        if (mp__text_next(&rest, piece) == 0) {
            return text;
        }
        bool triplet = triplets && piece[0] == '%' && take_triplet(&rest, digits);
        bool joins = triplet && in_triplets && is_continuation(digits);
        in_triplets = triplet && (joins || digits[0] >= 'C');
        if (!joins && taken++ == count) {
            text.end = before.at;
            return text;
        }
    }
}

static int escape_whole(enum mp__place place, struct mp_str text, struct mp_buf *out)
{
    if (text.length == 0) {
        return MP_OK;
    }
    size_t before = out->length;
    struct mp__text whole = {text.data, text.data + text.length, false};
    int status = mp__escape(place, whole, out);
    if (status != MP_OK) {
        out->length = before;
    }
    return status;
}

int mp_percent_encode(struct mp_str text, struct mp_buf *out)
{
    return escape_whole(MP__PLACE_UNRESERVED, text, out);
}

int mp_form_encode(struct mp_str text, struct mp_buf *out)
{
    return escape_whole(MP__PLACE_FORM, text, out);
}

int mp_xml_escape(struct mp_str text, struct mp_buf *out)
{
    return escape_whole(MP__PLACE_XML, text, out);
}
