/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "secrets_hide.h"
#include "secrets_needles.h"

/* Looks for secrets in what others say. A table of the needles' first four bytes turns
 * away nearly every place of a text at the cost of one look; texts that write bytes
 * otherwise (percent-encoded, in a JSON string, in HTML, also one inside another) are
 * read and looked through once more. */

#define CUT_BYTES 8 /* a value that a text's end cuts is hidden from here on */
#define DEPTH_MAX 2 /* writings one inside another */

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
static size_t match(const struct mp__needle *needle, const char *at, size_t left)
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
    for (size_t at = 0; at + MP__KEY_BYTES <= text.length; at++) {
        uint32_t hash = mp__needle_hash(text.data + at);
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
    if (!secrets->hider || secrets->hider->count == 0 || text.length < MP__KEY_BYTES) {
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
    size_t length = mp_str_fit(mp_buf_str(&shown), size - 1);
    if (length > 0) {
        memcpy(text, shown.data, length);
        text[length] = '\0';
    }
    mp_buf_fini(&shown);
}
