/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "moonpost/base64.h"
#include "secrets_hide.h"
#include "secrets_table.h"

/* Looks for secrets in what others say. A needle is a value, a long line of one, or a
 * value in base64, in hex, or in letters of one case. A table of the needles' first four
 * bytes turns away nearly every place of a text at the cost of one look; texts that write
 * bytes otherwise (percent-encoded, in a JSON string, in HTML, also one inside another)
 * are read and looked through once more. */

#define KEY_BYTES   4
#define HASH_BITS   16
#define LINE_BYTES  16 /* shorter lines are hidden with the whole value only */
#define INNER_BYTES 8  /* a shorter one in base64, hex or capitals could be anything */
#define CUT_BYTES   8  /* a value that a text's end cuts is hidden from here on */
#define DEPTH_MAX   2  /* writings one inside another */

struct needle {
    struct mp_str bytes;
    uint32_t entry;
    uint32_t hash;
};

struct mp__hider {
    uint64_t seen[(1 << HASH_BITS) / 64];
    struct needle *needles; /* by hash */
    size_t count, capacity;
    bool has_space;
    void *blocks; /* of base64; each begins with a pointer to the next */
};

static uint32_t hash_of(const char *at)
{
    uint32_t key;
    memcpy(&key, at, KEY_BYTES);
    return key * 2654435769u >> (32 - HASH_BITS);
}

static int add(struct mp__hider *hider, struct mp_str bytes, size_t entry)
{
    if (bytes.length < KEY_BYTES) {
        return MP_OK;
    }
    if (hider->count == hider->capacity) {
        size_t capacity = hider->capacity ? hider->capacity * 2 : 64;
        struct needle *more = realloc(hider->needles, capacity * sizeof(*more));
        if (!more) {
            return MP_ENOMEM;
        }
        hider->needles = more;
        hider->capacity = capacity;
    }
    uint32_t hash = hash_of(bytes.data);
    hider->needles[hider->count++] = (struct needle){bytes, (uint32_t)entry, hash};
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

static int by_hash(const void *a, const void *b)
{
    uint32_t one = ((const struct needle *)a)->hash,
             two = ((const struct needle *)b)->hash;
    return (one > two) - (one < two);
}

int mp__hider_new(const struct mp_secrets *secrets, struct mp__hider **out)
{
    struct mp__hider *hider = calloc(1, sizeof(*hider));
    int status = hider ? MP_OK : MP_ENOMEM;
    for (size_t i = 0; i < secrets->count && status == MP_OK; i++) {
        struct mp_str value = secrets->entries[i].value;
        if (value.length >= KEY_BYTES) {
            status = add(hider, value, i);
            status = status ? status : add_lines(hider, value, i);
            status = status ? status : add_base64(hider, value, i);
            if (status == MP_OK && value.length >= INNER_BYTES) {
                status = add_spellings(hider, value, i);
            }
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

/* What was found: from the first byte of the text to the one behind the last. */
struct span {
    uint32_t start, end, length, entry;
};
struct search {
    const struct mp__hider *hider;
    struct span *spans;
    size_t count, capacity;
    int status;
};

static void found(struct search *search, struct span span)
{
    if (search->count == search->capacity) {
        size_t capacity = search->capacity ? search->capacity * 2 : 16;
        struct span *more = realloc(search->spans, capacity * sizeof(*more));
        if (!more) {
            search->status = MP_ENOMEM;
            return;
        }
        search->spans = more;
        search->capacity = capacity;
    }
    search->spans[search->count++] = span;
}

/* How much of the needle stands at the text's end or before; 0: it does not stand there.
 */
static size_t match(const struct needle *needle, const char *at, size_t left)
{
    size_t length = needle->bytes.length;
    if (length > left) {
        length = left >= CUT_BYTES || left * 2 >= length ? left : 0;
    }
    return length > 0 && memcmp(needle->bytes.data, at, length) == 0 ? length : 0;
}

static size_t first_of(const struct mp__hider *hider, uint32_t hash)
{
    size_t low = 0, high = hider->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (hider->needles[middle].hash < hash) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void look_at(struct search *search, struct mp_str text, size_t at, uint32_t hash,
                    const uint32_t *from)
{
    const struct mp__hider *hider = search->hider;
    size_t longest = 0;
    uint32_t entry = 0;
    for (size_t i = first_of(hider, hash);
         i < hider->count && hider->needles[i].hash == hash; i++) {
        size_t length = match(&hider->needles[i], text.data + at, text.length - at);
        if (length > longest) {
            longest = length;
            entry = hider->needles[i].entry;
        }
    }
    if (longest > 0) {
        uint32_t start = from ? from[at] : (uint32_t)at;
        uint32_t end = from ? from[at + longest] : (uint32_t)(at + longest);
        found(search, (struct span){start, end, (uint32_t)longest, entry});
    }
}

static void look_through(struct search *search, struct mp_str text, const uint32_t *from)
{
    const uint64_t *seen = search->hider->seen;
    for (size_t at = 0; at + KEY_BYTES <= text.length; at++) {
        uint32_t hash = hash_of(text.data + at);
        if (seen[hash / 64] >> hash % 64 & 1) {
            look_at(search, text, at, hash, from);
        }
    }
}

static void look_everywhere(struct search *search, struct mp_str text,
                            const uint32_t *from, int depth)
{
    look_through(search, text, from);
    for (int i = 0; i < MP__WRITING_COUNT && depth < DEPTH_MAX; i++) {
        struct mp__reading reading;
        if ((i != MP__WRITING_FORM || search->hider->has_space) &&
            mp__reading_make((enum mp__writing)i, text, from, &reading,
                             &search->status)) {
            look_everywhere(search, (struct mp_str){reading.bytes, reading.length},
                            reading.from, depth + 1);
            mp__reading_free(&reading);
        }
    }
}

static int by_start(const void *a, const void *b)
{
    const struct span *one = a, *two = b;
    if (one->start != two->start) {
        return one->start < two->start ? -1 : 1;
    }
    return (one->length < two->length) - (one->length > two->length);
}

static int write_shown(const struct mp_secrets *secrets, const struct search *search,
                       struct mp_str text, struct mp_buf *out)
{
    size_t at = 0;
    int status = MP_OK;
    for (size_t i = 0; i < search->count && status == MP_OK;) {
        struct span span = search->spans[i++];
        /* Values that overlap go together, under the longest's name: no end of one stays.
         */
        for (; i < search->count && search->spans[i].start < span.end; i++) {
            struct span other = search->spans[i];
            bool is_longer = other.length > span.length;
            span.end = other.end > span.end ? other.end : span.end;
            span.entry = is_longer ? other.entry : span.entry;
            span.length = is_longer ? other.length : span.length;
        }
        status = mp_buf_append(out, text.data + at, span.start - at);
        status = status ? status : mp_buf_append_text(out, "[secret ");
        status =
            status ? status : mp_buf_append_str(out, secrets->entries[span.entry].shown);
        status = status ? status : mp_buf_append_char(out, ']');
        at = span.end;
    }
    return status ? status : mp_buf_append(out, text.data + at, text.length - at);
}

int mp_secrets_hide(const struct mp_secrets *secrets, struct mp_str text,
                    struct mp_buf *out)
{
    if (!secrets->hider || secrets->hider->count == 0 || text.length < KEY_BYTES) {
        return mp_buf_append_str(out, text);
    }
    if (text.length >= UINT32_MAX) {
        return MP_ELIMIT;
    }
    struct search search = {.hider = secrets->hider};
    look_everywhere(&search, text, NULL, 0);
    int status = search.status;
    if (status == MP_OK && search.count == 0) {
        status = mp_buf_append_str(out, text);
    } else if (status == MP_OK) {
        size_t before = out->length;
        qsort(search.spans, search.count, sizeof(*search.spans), by_start);
        status = write_shown(secrets, &search, text, out);
        out->length = status == MP_OK ? out->length : before;
    }
    free(search.spans);
    return status;
}

void mp_secrets_hide_text(const struct mp_secrets *secrets, char *text, size_t size)
{
    struct mp_buf shown;
    mp_buf_init(&shown, SIZE_MAX);
    if (mp_secrets_hide(secrets, mp_str_of(text), &shown) != MP_OK) {
        mp_buf_reset(&shown);
        if (mp_buf_append_text(&shown, "(not shown: out of memory)") != MP_OK) {
            text[0] = '\0';
        }
    }
    size_t length = shown.length < size ? shown.length : size - 1;
    while (length < shown.length && length > 0 &&
           ((unsigned char)shown.data[length] & 0xC0) == 0x80) {
        length--; /* no half a character */
    }
    if (length > 0) {
        memcpy(text, shown.data, length);
        text[length] = '\0';
    }
    mp_buf_fini(&shown);
}
