/* SPDX-License-Identifier: MIT */
#include "head.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int mp__refuse(struct mp__refusal *refusal, int status, const char *slug,
               const char *format, ...)
{
    refusal->status = status;
    refusal->slug = slug;
    va_list args;
    va_start(args, format);
    vsnprintf(refusal->detail, sizeof(refusal->detail), format, args);
    va_end(args);
    return MP_EINVAL;
}

static int refuse_syntax(struct mp__refusal *refusal, const char *detail)
{
    return mp__refuse(refusal, 400, "malformed-request", "%s", detail);
}

/* 1: token; 2: also in a field value. */
static const unsigned char BYTES[256] = {
    ['\t'] = 2,        [' '] = 2, ['!'] = 3,         ['"'] = 2,  ['#'] = 3,
    ['$'] = 3,         ['%'] = 3, ['&'] = 3,         ['\''] = 3, ['('] = 2,
    [')'] = 2,         ['*'] = 3, ['+'] = 3,         [','] = 2,  ['-'] = 3,
    ['.'] = 3,         ['/'] = 2, ['0' ... '9'] = 3, [':'] = 2,  [';'] = 2,
    ['<'] = 2,         ['='] = 2, ['>'] = 2,         ['?'] = 2,  ['@'] = 2,
    ['A' ... 'Z'] = 3, ['['] = 2, ['\\'] = 2,        [']'] = 2,  ['^'] = 3,
    ['_'] = 3,         ['`'] = 3, ['a' ... 'z'] = 3, ['{'] = 2,  ['|'] = 3,
    ['}'] = 2,         ['~'] = 3, [128 ... 255] = 2,
};

bool mp__is_token_byte(char byte)
{
    return BYTES[(unsigned char)byte] & 1;
}

bool mp__is_value_byte(char byte)
{
    return BYTES[(unsigned char)byte] & 2;
}

struct mp_str mp__slice(const char *data, struct mp__span span)
{
    return (struct mp_str){data + span.at, span.length};
}

void mp__head_reset(struct mp__head *head)
{
    *head = (struct mp__head){.fields = head->fields};
}

static int read_version(const char *text, size_t length, uint8_t *minor,
                        struct mp__refusal *refusal)
{
    if (length != 8 || memcmp(text, "HTTP/", 5) != 0 || text[6] != '.' || text[5] < '0' ||
        text[5] > '9' || text[7] < '0' || text[7] > '9') {
        return refuse_syntax(refusal, "the request line does not end in an HTTP version");
    }
    if (text[5] != '1' || text[7] > '1') {
        return mp__refuse(refusal, 505, "version-not-supported",
                          "only HTTP/1.1 and HTTP/1.0 are spoken here");
    }
    *minor = (uint8_t)(text[7] - '0');
    return MP_OK;
}

/* method SP request-target SP HTTP-version */
static int read_request_line(struct mp__head *head, const char *data, size_t from,
                             size_t to, struct mp__refusal *refusal)
{
    size_t at = from;
    while (at < to && mp__is_token_byte(data[at])) {
        at++;
    }
    if (at == from || at == to || data[at] != ' ') {
        return refuse_syntax(refusal, "the request line does not begin with a method");
    }
    size_t target = at + 1;
    size_t end = target;
    while (end < to && data[end] > ' ' && data[end] < 0x7f) {
        end++;
    }
    if (end == target || end == to || data[end] != ' ') {
        return refuse_syntax(
            refusal, "the request line is not method, target and version with one space");
    }
    /* HTTP/2's preface is a request of another protocol, not a version of this one. */
    if (at - from == 3 && memcmp(data + from, "PRI", 3) == 0) {
        return refuse_syntax(refusal, "HTTP/2 is not spoken here");
    }
    head->method_name = (struct mp__span){(uint32_t)from, (uint32_t)(at - from)};
    head->target = (struct mp__span){(uint32_t)target, (uint32_t)(end - target)};
    head->has_line = true;
    return read_version(data + end + 1, to - end - 1, &head->minor, refusal);
}

static int read_field(struct mp__head *head, const char *data, size_t from, size_t to,
                      const struct mp_ingest_limits *limits, struct mp__refusal *refusal)
{
    size_t at = from;
    while (at < to && mp__is_token_byte(data[at])) {
        at++;
    }
    if (at == from || at == to || data[at] != ':') {
        return refuse_syntax(
            refusal,
            data[from] == ' ' || data[from] == '\t'
                ? "a field line begins with white space (folding is obsolete)"
                : "a field line is not a name, a colon right after it, and a value");
    }
    if (head->field_count >= (size_t)limits->header_count) {
        return mp__refuse(refusal, 431, "too-many-fields",
                          "the request has more than %lld header fields (--header-count)",
                          (long long)limits->header_count);
    }
    size_t value = at + 1;
    for (size_t i = value; i < to; i++) {
        if (!mp__is_value_byte(data[i])) {
            return refuse_syntax(refusal, "a field value holds a control byte");
        }
    }
    size_t end = to;
    while (value < end && (data[value] == ' ' || data[value] == '\t')) {
        value++;
    }
    while (end > value && (data[end - 1] == ' ' || data[end - 1] == '\t')) {
        end--;
    }
    head->fields[head->field_count++] = (struct mp__field){
        .name = {(uint32_t)from, (uint32_t)(at - from)},
        .value = {(uint32_t)value, (uint32_t)(end - value)},
    };
    return MP_OK;
}

/* `to` is where the line's CRLF begins. */
static int read_line(struct mp__head *head, const char *data, size_t from, size_t to,
                     const struct mp_ingest_limits *limits, struct mp__refusal *refusal)
{
    if (head->has_line) {
        return read_field(head, data, from, to, limits, refusal);
    }
    if (to == from) {
        head->skipped =
            to + 2; /* RFC 9112 section 2.2: empty lines before it are ignored */
        return MP_OK;
    }
    return read_request_line(head, data, from, to, refusal);
}

static int check_size(const struct mp__head *head, size_t length,
                      const struct mp_ingest_limits *limits, struct mp__refusal *refusal)
{
    if (!head->has_line && length - head->scanned > MP__REQUEST_LINE_MAX) {
        return mp__refuse(refusal, 414, "request-line-too-long",
                          "the request line is longer than %d bytes",
                          MP__REQUEST_LINE_MAX);
    }
    if (length > (size_t)limits->header_bytes) {
        return mp__refuse(refusal, 431, "header-too-large",
                          "the header section is longer than %lld bytes (--header-limit)",
                          (long long)limits->header_bytes);
    }
    return MP_OK;
}

/* A line that is not whole yet: a CR that no LF follows will never become one. */
static int check_partial(const struct mp__head *head, const char *data, size_t length,
                         const struct mp_ingest_limits *limits,
                         struct mp__refusal *refusal)
{
    const char *from = data + head->scanned;
    size_t left = length - head->scanned;
    const char *cr = memchr(from, '\r', left);
    if (cr && cr + 1 < from + left) {
        return refuse_syntax(refusal, "a CR stands without its LF");
    }
    if (!head->has_line && left > 0 && !cr && !mp__is_token_byte(*from)) {
        return refuse_syntax(refusal, "the request line does not begin with a method");
    }
    int status = check_size(head, length, limits, refusal);
    return status == MP_OK ? MP_EAGAIN : status;
}

int mp__head_read(struct mp__head *head, const char *data, size_t length,
                  const struct mp_ingest_limits *limits, struct mp__refusal *refusal)
{
    for (;;) {
        size_t from = head->scanned;
        const char *lf = memchr(data + from, '\n', length - from);
        if (!lf) {
            return check_partial(head, data, length, limits, refusal);
        }
        size_t end = (size_t)(lf - data);
        if (end == from || data[end - 1] != '\r') {
            return refuse_syntax(refusal, "a line ends in LF without CR");
        }
        size_t to = end - 1;
        if (memchr(data + from, '\r', to - from)) {
            return refuse_syntax(refusal, "a CR stands without its LF");
        }
        int status = check_size(head, end + 1, limits, refusal);
        if (status != MP_OK) {
            return status;
        }
        if (head->has_line && to == from) {
            head->bytes = end + 1;
            return MP_OK;
        }
        status = read_line(head, data, from, to, limits, refusal);
        if (status != MP_OK) {
            return status;
        }
        head->scanned = end + 1;
    }
}
