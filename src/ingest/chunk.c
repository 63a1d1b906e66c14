/* SPDX-License-Identifier: MIT */
#include "chunk.h"

enum {
    SIZE, /* zeroed is the beginning */
    SIZE_LF,
    EXT_NAME_FIRST,
    EXT_NAME,
    EXT_VALUE_FIRST,
    EXT_VALUE,
    EXT_QUOTED,
    EXT_ESCAPED,
    EXT_QUOTED_END,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER_FIRST,
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    LAST_LF,
    DONE,
    WRONG
};

static int hex_of(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static int step_size(struct mp__chunks *chunks, char c)
{
    int digit = hex_of(c);
    if (digit >= 0) {
        /* 15 digits cannot overflow; longer ones are zeros before a number, or an attack.
         */
        if (++chunks->digits > 15) {
            return WRONG;
        }
        chunks->left = chunks->left * 16 + (uint64_t)digit;
        return SIZE;
    }
    if (chunks->digits == 0) {
        return WRONG;
    }
    return c == '\r' ? SIZE_LF : c == ';' ? EXT_NAME_FIRST : WRONG;
}

/* chunk-ext = *( ";" token [ "=" ( token / quoted-string ) ] ), without the bad white
 * space. */
static int step_extension(int state, char c)
{
    bool is_end = c == '\r' || c == ';';
    int next = c == '\r' ? SIZE_LF : EXT_NAME_FIRST;
    switch (state) {
    case EXT_NAME_FIRST:
        return mp__is_token_byte(c) ? EXT_NAME : WRONG;
    case EXT_NAME:
        return is_end                 ? next
               : c == '='             ? EXT_VALUE_FIRST
               : mp__is_token_byte(c) ? EXT_NAME
                                      : WRONG;
    case EXT_VALUE_FIRST:
        return c == '"' ? EXT_QUOTED : mp__is_token_byte(c) ? EXT_VALUE : WRONG;
    case EXT_VALUE:
        return is_end ? next : mp__is_token_byte(c) ? EXT_VALUE : WRONG;
    case EXT_QUOTED:
        if (c == '"') {
            return EXT_QUOTED_END;
        }
        return c == '\\' ? EXT_ESCAPED : mp__is_value_byte(c) ? EXT_QUOTED : WRONG;
    case EXT_ESCAPED:
        return mp__is_value_byte(c) ? EXT_QUOTED : WRONG;
    default:
        return is_end ? next : WRONG;
    }
}

static int step_trailer(int state, char c)
{
    switch (state) {
    case TRAILER_FIRST:
        return c == '\r' ? LAST_LF : mp__is_token_byte(c) ? TRAILER_NAME : WRONG;
    case TRAILER_NAME:
        return c == ':' ? TRAILER_VALUE : mp__is_token_byte(c) ? TRAILER_NAME : WRONG;
    case TRAILER_VALUE:
        return c == '\r' ? TRAILER_LF : mp__is_value_byte(c) ? TRAILER_VALUE : WRONG;
    case TRAILER_LF:
        return c == '\n' ? TRAILER_FIRST : WRONG;
    default:
        return c == '\n' ? DONE : WRONG;
    }
}

static int step(struct mp__chunks *chunks, char c)
{
    switch (chunks->state) {
    case SIZE:
        return step_size(chunks, c);
    case SIZE_LF:
        return c != '\n' ? WRONG : chunks->left ? DATA : TRAILER_FIRST;
    case DATA_CR:
        return c == '\r' ? DATA_LF : WRONG;
    case DATA_LF:
        chunks->digits = 0;
        return c == '\n' ? SIZE : WRONG;
    default:
        return chunks->state >= TRAILER_FIRST ? step_trailer(chunks->state, c)
                                              : step_extension(chunks->state, c);
    }
}

/* By its own size, before its bytes come. */
static int check_size(const struct mp__chunks *chunks, const struct mp_buf *body,
                      struct mp__refusal *refusal)
{
    if (chunks->left > body->max_bytes - body->length) {
        return mp__refuse(refusal, 413, "body-too-large",
                          "the body is longer than %zu bytes (--body-limit)",
                          body->max_bytes);
    }
    return MP_OK;
}

static int take_data(struct mp__chunks *chunks, const char *data, size_t length,
                     size_t *at, struct mp_buf *body, struct mp__refusal *refusal)
{
    size_t more = length - *at;
    if (more > chunks->left) {
        more = (size_t)chunks->left;
    }
    if (mp_buf_append(body, data + *at, more) != MP_OK) {
        return mp__refuse(refusal, 503, "out-of-memory",
                          "there is no memory for the body");
    }
    *at += more;
    chunks->left -= more;
    if (chunks->left == 0) {
        chunks->state = DATA_CR;
    }
    return MP_OK;
}

/* One byte of what is not data. */
static int take_framing(struct mp__chunks *chunks, char c, const struct mp_buf *body,
                        struct mp__refusal *refusal)
{
    chunks->state = step(chunks, c);
    if (chunks->state == WRONG) {
        return mp__refuse(refusal, 400, "malformed-chunk",
                          "the chunked body is malformed");
    }
    if (++chunks->overhead > MP__CHUNK_OVERHEAD_MAX + body->length) {
        return mp__refuse(
            refusal, 400, "chunk-overhead",
            "the chunked body is more framing than data (%zu bytes allowed)",
            MP__CHUNK_OVERHEAD_MAX);
    }
    return chunks->state == DATA ? check_size(chunks, body, refusal) : MP_OK;
}

int mp__chunks_read(struct mp__chunks *chunks, const char *data, size_t length,
                    size_t *used, struct mp_buf *body, struct mp__refusal *refusal)
{
    int status = MP_OK;
    for (size_t at = 0; at < length && status == MP_OK;) {
        if (chunks->state == DATA) {
            status = take_data(chunks, data, length, &at, body, refusal);
        } else {
            status = take_framing(chunks, data[at++], body, refusal);
        }
        if (chunks->state == DONE) {
            *used = at;
            return status;
        }
    }
    return status == MP_OK ? MP_EAGAIN : status;
}
