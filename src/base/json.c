/* SPDX-License-Identifier: MIT */
#include "moonpost/json.h"

#include "json_text.h"

struct checker {
    const char *at;
    const char *end;
    const char *reason;
    unsigned depth;
    unsigned depth_max;
    bool too_deep;
    /* One bit a level: set for an object. Only levels that were entered are read. */
    uint64_t objects[MP_JSON_DEPTH_CEILING / 64];
};

static bool fail(struct checker *c, const char *reason)
{
    c->reason = reason;
    return false;
}

static bool is_digit(const struct checker *c)
{
    return c->at < c->end && *c->at >= '0' && *c->at <= '9';
}

static bool is_hex(char byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f') ||
           (byte >= 'A' && byte <= 'F');
}

static bool check_escape(struct checker *c)
{
    c->at++;
    if (c->at == c->end) {
        return fail(c, "the string is not closed");
    }
    switch (*c->at) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        c->at++;
        return true;
    case 'u':
        c->at++;
        for (int i = 0; i < 4; i++) {
            if (c->at == c->end || !is_hex(*c->at)) {
                return fail(c, "four hex digits were expected after \\u");
            }
            c->at++;
        }
        return true;
    default:
        return fail(c, "an escape that JSON does not have");
    }
}

/* At the opening quote. */
static bool check_string(struct checker *c)
{
    c->at++;
    for (;;) {
        c->at = mp__json_scan(c->at, c->end, true);
        if (c->at == c->end) {
            return fail(c, "the string is not closed");
        }
        unsigned char byte = (unsigned char)*c->at;
        if (byte == '"') {
            c->at++;
            return true;
        }
        if (byte == '\\') {
            if (!check_escape(c)) {
                return false;
            }
        } else if (byte < 0x20) {
            return fail(c, "a control character in a string must be escaped");
        } else {
            /* One such character is seldom alone: the scan would stop at each. */
            do {
                size_t length = mp__utf8_length(c->at, c->end);
                if (length == 0) {
                    return fail(c, "not valid UTF-8");
                }
                c->at += length;
            } while (c->at < c->end && (unsigned char)*c->at >= 0x80);
        }
    }
}

static bool check_digits(struct checker *c, const char *reason)
{
    if (!is_digit(c)) {
        return fail(c, reason);
    }
    while (is_digit(c)) {
        c->at++;
    }
    return true;
}

static bool check_number(struct checker *c)
{
    if (*c->at == '-') {
        c->at++;
    }
    if (c->at < c->end && *c->at == '0') {
        c->at++;
        if (is_digit(c)) {
            return fail(c, "a number may not begin with 0");
        }
    } else if (!check_digits(c, "a digit was expected after -")) {
        return false;
    }
    if (c->at < c->end && *c->at == '.') {
        c->at++;
        if (!check_digits(c, "a digit was expected after the decimal point")) {
            return false;
        }
    }
    if (c->at < c->end && (*c->at == 'e' || *c->at == 'E')) {
        c->at++;
        if (c->at < c->end && (*c->at == '+' || *c->at == '-')) {
            c->at++;
        }
        return check_digits(c, "a digit was expected in the exponent");
    }
    return true;
}

static bool check_word(struct checker *c, const char *word, size_t length)
{
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, word, length) != 0) {
        return fail(c, "a value was expected");
    }
    c->at += length;
    return true;
}

static bool check_scalar(struct checker *c)
{
    switch (*c->at) {
    case '"':
        return check_string(c);
    case 't':
        return check_word(c, "true", 4);
    case 'f':
        return check_word(c, "false", 5);
    case 'n':
        return check_word(c, "null", 4);
    default:
        if (*c->at == '-' || is_digit(c)) {
            return check_number(c);
        }
        return fail(c, *c->at == ']' || *c->at == '}' || *c->at == ','
                           ? "a value was expected before this"
                           : "a value was expected");
    }
}

static void skip_space(struct checker *c)
{
    c->at = mp__json_skip_space(c->at, c->end);
}

static bool in_object(const struct checker *c)
{
    unsigned level = c->depth - 1;
    return (c->objects[level / 64] >> (level % 64) & 1) != 0;
}

static bool enter(struct checker *c, bool is_object)
{
    if (c->depth == c->depth_max) {
        c->too_deep = true;
        return fail(c, "nested too deep");
    }
    uint64_t bit = UINT64_C(1) << (c->depth % 64);
    uint64_t *word = &c->objects[c->depth / 64];
    *word = is_object ? *word | bit : *word & ~bit;
    c->depth++;
    c->at++;
    return true;
}

/* A member's name and its colon. */
static bool check_key(struct checker *c)
{
    skip_space(c);
    if (c->at == c->end || *c->at != '"') {
        return fail(c, "a string was expected for the member's name");
    }
    if (!check_string(c)) {
        return false;
    }
    skip_space(c);
    if (c->at == c->end || *c->at != ':') {
        return fail(c, "a colon was expected");
    }
    c->at++;
    return true;
}

/* After a value: closes what ends here. Returns true when another value must follow or
 * all is closed (depth 0). */
static bool after_value(struct checker *c)
{
    while (c->depth > 0) {
        skip_space(c);
        bool is_object = in_object(c);
        char byte = c->at < c->end ? *c->at : '\0';
        if (byte == ',') {
            c->at++;
            return !is_object || check_key(c);
        }
        if (byte != (is_object ? '}' : ']')) {
            return fail(c, is_object ? "a comma or } was expected"
                                     : "a comma or ] was expected");
        }
        c->at++;
        c->depth--;
    }
    return true;
}

/* Opens a container. `*empty` says that it closed at once, and so is a whole value. */
static bool check_open(struct checker *c, bool *empty)
{
    bool is_object = *c->at == '{';
    if (!enter(c, is_object)) {
        return false;
    }
    skip_space(c);
    *empty = c->at < c->end && *c->at == (is_object ? '}' : ']');
    if (*empty) {
        c->at++;
        c->depth--;
        return true;
    }
    return !is_object || check_key(c);
}

static bool check_value(struct checker *c)
{
    do {
        skip_space(c);
        if (c->at == c->end) {
            return fail(c, "the text ends where a value was expected");
        }
        if (*c->at == '{' || *c->at == '[') {
            bool empty;
            if (!check_open(c, &empty)) {
                return false;
            }
            if (!empty) {
                continue;
            }
        } else if (!check_scalar(c)) {
            return false;
        }
        if (!after_value(c)) {
            return false;
        }
    } while (c->depth > 0);
    return true;
}

static void locate(struct mp_str text, size_t offset, const char *reason,
                   struct mp_json_fault *fault)
{
    *fault = (struct mp_json_fault){.offset = offset, .line = 1, .reason = reason};
    size_t line_start = 0;
    for (size_t i = 0; i < offset; i++) {
        if (text.data[i] == '\n') {
            fault->line++;
            line_start = i + 1;
        }
    }
    fault->column = (unsigned)(offset - line_start + 1);
}

int mp_json_check(struct mp_str text, unsigned depth_max, struct mp_str *value,
                  struct mp_json_fault *fault)
{
    static const char nothing[1] = "";
    const char *data = text.data ? text.data : nothing;
    struct checker c; /* not zeroed: the level bits are written before they are read */
    c.at = data;
    c.end = data + text.length;
    c.reason = NULL;
    c.too_deep = false;
    c.depth = 0;
    c.depth_max = depth_max < MP_JSON_DEPTH_CEILING ? depth_max : MP_JSON_DEPTH_CEILING;

    skip_space(&c);
    const char *start = c.at;
    bool ok = check_value(&c);
    const char *stop = c.at;
    if (ok) {
        skip_space(&c);
        ok = c.at == c.end || fail(&c, "nothing may follow the value");
    }
    if (!ok) {
        if (text.length >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0) {
            c.reason = "a byte order mark is not allowed";
        }
        if (fault) {
            locate((struct mp_str){data, text.length}, (size_t)(c.at - data), c.reason,
                   fault);
        }
        return c.too_deep ? MP_ELIMIT : MP_EINVAL;
    }
    if (value) {
        *value = (struct mp_str){start, (size_t)(stop - start)};
    }
    return MP_OK;
}
