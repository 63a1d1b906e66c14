/* SPDX-License-Identifier: MIT */
#include "secrets_needles.h"

#include <stdlib.h>

#include "moonpost/base64.h"
#include "moonpost/json.h"
#include "moonpost/template.h"
#include "secrets_hide.h"

#define LINE_BYTES  16 /* shorter lines and parts are hidden with the whole value only */
#define INNER_BYTES 8  /* a shorter one in base64, hex or capitals could be anything */

static int add(struct mp__hider *hider, struct mp_str bytes, size_t entry)
{
    if (bytes.length < MP__KEY_BYTES) {
        return MP_OK;
    }
    if (hider->count == hider->capacity) {
        size_t capacity = hider->capacity ? hider->capacity * 2 : 64;
        struct mp__needle *more = realloc(hider->needles, capacity * sizeof(*more));
        if (!more) {
            return MP_ENOMEM;
        }
        hider->needles = more;
        hider->capacity = capacity;
    }
    uint32_t hash = mp__needle_hash(bytes.data);
    hider->needles[hider->count++] = (struct mp__needle){bytes, (uint32_t)entry, hash};
    hider->seen[hash / 64] |= UINT64_C(1) << hash % 64;
    hider->has_space = hider->has_space || memchr(bytes.data, ' ', bytes.length);
    return MP_OK;
}

static int add_lines(struct mp__hider *hider, struct mp_str value, size_t entry)
{
    int status = MP_OK;
    size_t at = 0;
    while (at < value.length && status == MP_OK) {
        const char *start = value.data + at;
        const char *end = memchr(start, '\n', value.length - at);
        size_t length = end ? (size_t)(end - start) : value.length - at;
        at += length + 1;
        length -= length > 0 && start[length - 1] == '\r';
        bool is_rule = length > 5 && memcmp(start, "-----", 5) == 0; /* PEM's */
        if (length >= LINE_BYTES && length < value.length && !is_rule) {
            status = add(hider, (struct mp_str){start, length}, entry);
        }
    }
    return status;
}

/* The text lives as long as the hider. */
static int keep(struct mp__hider *hider, const struct mp_buf *text, struct mp_str *kept)
{
    void **block = malloc(sizeof(void *) + text->length);
    if (!block) {
        return MP_ENOMEM;
    }
    *block = hider->blocks;
    hider->blocks = block;
    memcpy(block + 1, text->data, text->length);
    *kept = (struct mp_str){(char *)(block + 1), text->length};
    return MP_OK;
}

/* What stays the same whatever stands before (`shift` bytes, of a group of three) and
 * behind the value; alone, the whole. */
static int add_encoded(struct mp__hider *hider, const struct mp_buf *encoded,
                       size_t value_bytes, size_t shift, size_t entry)
{
    static const size_t skipped[] = {0, 2, 3};
    struct mp_str text;
    int status = keep(hider, encoded, &text);
    size_t inner_end = (shift + value_bytes) * 8 / 6;
    if (status == MP_OK && shift == 0) {
        size_t padding = 0;
        while (text.data[text.length - 1 - padding] == '=') {
            padding++;
        }
        status = add(hider, text, entry);
        if (padding > 0 && status == MP_OK) {
            text.length -= padding;
            status = add(hider, text, entry);
        }
    }
    if (status == MP_OK && value_bytes >= INNER_BYTES &&
        (shift > 0 || inner_end < text.length)) {
        text = (struct mp_str){text.data + skipped[shift], inner_end - skipped[shift]};
        status = add(hider, text, entry);
    }
    return status;
}

static int add_base64(struct mp__hider *hider, struct mp_str value, size_t entry)
{
    struct mp_buf shifted, encoded;
    mp_buf_init(&shifted, SIZE_MAX);
    mp_buf_init(&encoded, SIZE_MAX);
    int status = MP_OK;
    for (size_t shift = 0; shift < 3 && status == MP_OK; shift++) {
        mp_buf_reset(&shifted);
        status = mp_buf_append(&shifted, "\0\0", shift);
        status = status ? status : mp_buf_append_str(&shifted, value);
        for (int i = 0; i < 2 && status == MP_OK; i++) {
            mp_buf_reset(&encoded);
            status = mp_base64_encode(mp_buf_str(&shifted), i ? MP_BASE64_URL : MP_BASE64,
                                      &encoded);
            bool differs = memchr(encoded.data, '-', encoded.length) ||
                           memchr(encoded.data, '_', encoded.length);
            if (status == MP_OK && (i == 0 || differs)) {
                status = add_encoded(hider, &encoded, value.length, shift, entry);
            }
        }
    }
    mp_buf_fini(&shifted);
    mp_buf_fini(&encoded);
    return status;
}

static int add_copy(struct mp__hider *hider, const struct mp_buf *text, size_t entry)
{
    struct mp_str kept;
    int status = keep(hider, text, &kept);
    return status == MP_OK ? add(hider, kept, entry) : status;
}

static int add_spellings(struct mp__hider *hider, struct mp_str value, size_t entry)
{
    struct mp_buf text;
    int status = MP_OK;
    mp_buf_init(&text, SIZE_MAX);
    for (int i = 0; i < MP__SPELLING_COUNT && status == MP_OK; i++) {
        mp_buf_reset(&text);
        status = mp__spelling_write((enum mp__spelling)i, value, &text);
        if (status == MP_OK && !mp_str_equal(mp_buf_str(&text), value)) {
            status = add_copy(hider, &text, entry);
        }
    }
    mp_buf_fini(&text);
    return status;
}

/* A whole body in base64 or hex has the value as the body had it: percent-encoded, in a
 * form, or in a JSON string; so have oauth2's credentials (RFC 6749 section 2.3.1). */
static int add_within(struct mp__hider *hider, struct mp_str value, size_t entry)
{
    struct mp_buf texts[3];
    int status = MP_OK;
    for (int i = 0; i < 3; i++) {
        mp_buf_init(&texts[i], SIZE_MAX);
    }
    status = mp_percent_encode(value, &texts[0]);
    status = status ? status : mp_form_encode(value, &texts[1]);
    status = status ? status : mp_json_write_string(&texts[2], value);
    for (int i = 0; i < 3 && status == MP_OK; i++) {
        struct mp_str text = mp_buf_str(&texts[i]);
        if (i == 2) {
            text = (struct mp_str){text.data + 1, text.length - 2}; /* without quotes */
        }
        if (!mp_str_equal(text, value)) {
            status = add_base64(hider, text, entry);
            status = status ? status : add_spellings(hider, text, entry);
        }
    }
    for (int i = 0; i < 3; i++) {
        mp_buf_fini(&texts[i]);
    }
    return status;
}

static int add_all(struct mp__hider *hider, struct mp_str value, size_t entry)
{
    int status = add(hider, value, entry);
    status = status ? status : add_base64(hider, value, entry);
    if (status == MP_OK && value.length >= INNER_BYTES) {
        status = add_spellings(hider, value, entry);
        status = status ? status : add_within(hider, value, entry);
    }
    return status;
}

/* Where the path of an absolute url begins; NULL: it is none, or has none. */
static const char *path_of(struct mp_str value)
{
    const char *colon = memmem(value.data, value.length, "://", 3);
    if (!colon || colon - value.data > 8) {
        return NULL;
    }
    const char *host = colon + 3;
    return memchr(host, '/', value.length - (size_t)(host - value.data));
}

/* A secret url is sent as a path, and an error page says which was not found; another
 * names the parameter that was wrong. */
static int add_url_parts(struct mp__hider *hider, struct mp_str value, size_t entry)
{
    const char *path = path_of(value), *end = value.data + value.length;
    int status = MP_OK;
    if (path && end - path >= INNER_BYTES) {
        status = add_all(hider, (struct mp_str){path, (size_t)(end - path)}, entry);
    }
    for (const char *at = path; at && at < end && status == MP_OK;) {
        const char *stop = at;
        while (stop < end && !strchr("/?&=#", *stop)) {
            stop++;
        }
        if (stop - at >= LINE_BYTES) {
            status = add_all(hider, (struct mp_str){at, (size_t)(stop - at)}, entry);
        }
        at = stop + 1;
    }
    return status;
}

static int by_hash(const void *a, const void *b)
{
    uint32_t one = ((const struct mp__needle *)a)->hash,
             two = ((const struct mp__needle *)b)->hash;
    return (one > two) - (one < two);
}

int mp__hider_new(const struct mp_secrets *secrets, struct mp__hider **out)
{
    struct mp__hider *hider = calloc(1, sizeof(*hider));
    int status = hider ? MP_OK : MP_ENOMEM;
    for (size_t i = 0; i < secrets->count && status == MP_OK; i++) {
        struct mp_str value = secrets->entries[i].value;
        if (value.length >= MP__KEY_BYTES) {
            status = add_all(hider, value, i);
            status = status ? status : add_lines(hider, value, i);
            status = status ? status : add_url_parts(hider, value, i);
        }
    }
    if (status != MP_OK) {
        mp__hider_free(hider);
        return status;
    }
    if (hider->count > 1) {
        qsort(hider->needles, hider->count, sizeof(*hider->needles), by_hash);
    }
    *out = hider;
    return MP_OK;
}

void mp__hider_free(struct mp__hider *hider)
{
    if (!hider) {
        return;
    }
    while (hider->blocks) {
        void *next = *(void **)hider->blocks;
        free(hider->blocks);
        hider->blocks = next;
    }
    free(hider->needles);
    free(hider);
}
