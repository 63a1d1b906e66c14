/* SPDX-License-Identifier: MIT */
#include <llhttp.h>
#include <string.h>

#include "head.h"

static int refuse_syntax(struct mp__refusal *refusal, const char *detail)
{
    return mp__refuse(refusal, 400, "malformed-request", "%s", detail);
}

static const struct {
    const char *name;
    size_t length;
    bool is_single; /* more than one is refused: which would count? */
} KNOWN[MP__KNOWN] = {
    [MP__HOST] = {"host", 4, true},
    [MP__CONTENT_LENGTH] = {"content-length", 14, true},
    [MP__TRANSFER_ENCODING] = {"transfer-encoding", 17, true},
    [MP__EXPECT] = {"expect", 6, true},
    [MP__CONTENT_TYPE] = {"content-type", 12, true},
    [MP__CONTENT_ENCODING] = {"content-encoding", 16, false},
    [MP__AUTHORIZATION] = {"authorization", 13, true},
    [MP__IDEMPOTENCY_KEY] = {"idempotency-key", 15, true},
};

struct mp_str mp__known(const struct mp__head *head, const char *data,
                        enum mp__known known)
{
    if (head->known_count[known] == 0) {
        return (struct mp_str){NULL, 0};
    }
    return mp__slice(data, head->fields[head->known_at[known]].value);
}

static int find_known(struct mp__head *head, const char *data,
                      struct mp__refusal *refusal)
{
    for (size_t i = 0; i < head->field_count; i++) {
        struct mp_str name = mp__slice(data, head->fields[i].name);
        if (name.length > 3 && (name.data[0] | 0x20) == 'c' &&
            (name.data[1] | 0x20) == 'e' && name.data[2] == '-') {
            head->has_ce = true;
        }
        for (int known = 0; known < MP__KNOWN; known++) {
            struct mp_str wanted = {KNOWN[known].name, KNOWN[known].length};
            if (name.length != wanted.length || !mp_str_equal_nocase(name, wanted)) {
                continue;
            }
            if (head->known_count[known]++ == 0) {
                head->known_at[known] = (uint32_t)i;
            } else if (KNOWN[known].is_single) {
                return mp__refuse(refusal, 400, "malformed-request",
                                  "the field %s stands more than once",
                                  KNOWN[known].name);
            }
        }
    }
    return MP_OK;
}

/* A bare length, no list, no sign, no more than fits (RFC 9112 section 6.2). */
static int read_content_length(struct mp__head *head, struct mp_str value,
                               struct mp__refusal *refusal)
{
    if (value.length == 0 || value.length > 18) {
        return refuse_syntax(refusal, "Content-Length is not a number that can be meant");
    }
    for (size_t i = 0; i < value.length; i++) {
        if (value.data[i] < '0' || value.data[i] > '9') {
            return refuse_syntax(refusal, "Content-Length is not a number");
        }
        head->content_length =
            head->content_length * 10 + (uint64_t)(value.data[i] - '0');
    }
    return MP_OK;
}

static bool ends_in_nocase(struct mp_str text, const char *end)
{
    size_t length = strlen(end);
    return text.length >= length &&
           mp_str_equal_nocase((struct mp_str){text.data + text.length - length, length},
                               (struct mp_str){end, length});
}

static bool list_has_chunked_before_last(struct mp_str list)
{
    struct mp_str chunked = mp_str_of("chunked");
    for (size_t from = 0; from < list.length;) {
        const char *comma = memchr(list.data + from, ',', list.length - from);
        if (!comma) {
            return false;
        }
        struct mp_str item = {list.data + from, (size_t)(comma - list.data) - from};
        while (item.length && (item.data[0] == ' ' || item.data[0] == '\t')) {
            item.data++;
            item.length--;
        }
        while (item.length && (item.data[item.length - 1] == ' ' ||
                               item.data[item.length - 1] == '\t')) {
            item.length--;
        }
        if (mp_str_equal_nocase(item, chunked)) {
            return true;
        }
        from = (size_t)(comma - list.data) + 1;
    }
    return false;
}

/* RFC 9112 section 6.1: chunked alone is understood. */
static int read_transfer_encoding(struct mp__head *head, struct mp_str value,
                                  struct mp__refusal *refusal)
{
    if (head->minor == 0) {
        return refuse_syntax(refusal, "HTTP/1.0 has no Transfer-Encoding");
    }
    if (head->known_count[MP__CONTENT_LENGTH]) {
        return refuse_syntax(refusal,
                             "both Transfer-Encoding and Content-Length are there");
    }
    for (size_t i = 0; i < value.length; i++) {
        if (!mp__is_token_byte(value.data[i]) && !strchr(", \t", value.data[i])) {
            return refuse_syntax(refusal, "Transfer-Encoding is not a list of codings");
        }
    }
    if (mp_str_equal_nocase(value, mp_str_of("chunked"))) {
        head->is_chunked = true;
        return MP_OK;
    }
    if (value.length == 0 || list_has_chunked_before_last(value)) {
        return refuse_syntax(refusal, "chunked is not the last transfer coding");
    }
    return mp__refuse(refusal, 501, "unknown-transfer-coding",
                      ends_in_nocase(value, "chunked")
                          ? "no transfer coding but chunked is known"
                          : "the transfer coding is not known");
}

static int read_framing(struct mp__head *head, const char *data,
                        const struct mp_ingest_limits *limits,
                        struct mp__refusal *refusal)
{
    int status = MP_OK;
    if (head->known_count[MP__TRANSFER_ENCODING]) {
        status = read_transfer_encoding(
            head, mp__known(head, data, MP__TRANSFER_ENCODING), refusal);
    } else if (head->known_count[MP__CONTENT_LENGTH]) {
        status =
            read_content_length(head, mp__known(head, data, MP__CONTENT_LENGTH), refusal);
    }
    if (status == MP_OK && head->content_length > (uint64_t)limits->body_bytes) {
        return mp__refuse(refusal, 413, "body-too-large",
                          "the body is longer than %lld bytes (--body-limit)",
                          (long long)limits->body_bytes);
    }
    return status;
}

static int on_headers_complete(llhttp_t *parser)
{
    (void)parser;
    return HPE_PAUSED; /* what follows is not the parser's: bodies are framed in chunk.c
                        */
}

static enum mp__method method_of(uint8_t method)
{
    switch (method) {
    case HTTP_GET:
        return MP__GET;
    case HTTP_HEAD:
        return MP__HEAD;
    case HTTP_POST:
        return MP__POST;
    case HTTP_OPTIONS:
        return MP__OPTIONS;
    default:
        return MP__OTHER;
    }
}

/* The second opinion. Its grammar of lines is laxer than ours in the releases that
 * distributions carry (a bare LF ends a line), so it alone would not do. */
static int ask_llhttp(struct mp__head *head, const char *data,
                      struct mp__refusal *refusal)
{
    static llhttp_settings_t settings;
    if (!settings.on_headers_complete) {
        llhttp_settings_init(&settings);
        settings.on_headers_complete = on_headers_complete;
    }
    llhttp_t parser;
    llhttp_init(&parser, HTTP_REQUEST, &settings);
    llhttp_errno_t code =
        llhttp_execute(&parser, data + head->skipped, head->bytes - head->skipped);
    if (code == HPE_INVALID_METHOD || code == HPE_INVALID_CONSTANT) {
        return mp__refuse(refusal, 501, "unknown-method", "the method is not known");
    }
    if (code != HPE_PAUSED) {
        return mp__refuse(refusal, 400, "malformed-request", "%s",
                          llhttp_get_error_reason(&parser));
    }
    if (parser.method == HTTP_CONNECT || parser.method == HTTP_TRACE) {
        return mp__refuse(refusal, 501, "unknown-method",
                          "CONNECT and TRACE are not served");
    }
    bool is_chunked = (parser.flags & F_CHUNKED) != 0;
    if (is_chunked != head->is_chunked ||
        (!is_chunked && parser.content_length != head->content_length)) {
        return refuse_syntax(refusal, "the length of the body is not clear");
    }
    head->method = method_of(parser.method);
    head->keep_alive = llhttp_should_keep_alive(&parser);
    return MP_OK;
}

static int read_expectation(struct mp__head *head, const char *data,
                            struct mp__refusal *refusal)
{
    if (head->known_count[MP__EXPECT] == 0 || head->minor == 0) {
        return MP_OK; /* RFC 9110 section 10.1.1: HTTP/1.0 has no expectations */
    }
    if (!mp_str_equal_nocase(mp__known(head, data, MP__EXPECT),
                             mp_str_of("100-continue"))) {
        return mp__refuse(refusal, 417, "unknown-expectation",
                          "no expectation but 100-continue is known");
    }
    head->wants_continue = head->is_chunked || head->content_length > 0;
    return MP_OK;
}

int mp__head_understand(struct mp__head *head, const char *data,
                        const struct mp_ingest_limits *limits,
                        struct mp__refusal *refusal)
{
    int status = find_known(head, data, refusal);
    if (status == MP_OK) {
        status = read_framing(head, data, limits, refusal);
    }
    if (status == MP_OK) {
        status = ask_llhttp(head, data, refusal);
    }
    if (status == MP_OK) {
        status = mp__target_understand(head, data, refusal);
    }
    return status == MP_OK ? read_expectation(head, data, refusal) : status;
}
