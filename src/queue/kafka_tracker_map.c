/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "kafka_tracker.h"

/* The map as text, and back. Runs are short when work ends nearly in order, the bitmap
 * when it ends in none. */

#define RUNS       'r'
#define BITMAP     'b'
#define DIGIT_BITS 6
#define GROUP_BITS 5
#define MORE       (1u << GROUP_BITS)
#define LENGTH_BYTES                                                                     \
    4 /* the most digits that a run's length has: the span is 20 bits                    \
       */

static const char DIGITS[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* -1: none. */
static int digit_of(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static size_t put_length(int64_t length, char out[LENGTH_BYTES])
{
    uint64_t rest = (uint64_t)length - 1;
    size_t bytes = 0;
    while (rest >= MORE) {
        out[bytes++] = DIGITS[MORE | (rest & (MORE - 1))];
        rest >>= GROUP_BITS;
    }
    out[bytes++] = DIGITS[rest];
    return bytes;
}

/* What a form would say within its bytes. */
struct sketch {
    size_t bytes;
    int64_t done;
    bool is_whole;
};

static struct sketch sketch_bitmap(const struct mp__tracker *tracker, size_t max_bytes)
{
    int64_t bits = tracker->top - tracker->mark;
    size_t digits = (size_t)((bits + DIGIT_BITS - 1) / DIGIT_BITS);
    if (digits + 1 <= max_bytes) {
        return (struct sketch){.bytes = digits + 1, .is_whole = true};
    }
    struct sketch sketch = {.bytes = max_bytes};
    bits = (int64_t)(max_bytes - 1) * DIGIT_BITS;
    for (int64_t at = 0; at < bits; at += 64) {
        uint64_t word = mp__tracker_word(tracker, tracker->mark + at);
        if (bits - at < 64) {
            word &= (UINT64_C(1) << (bits - at)) - 1;
        }
        sketch.done += __builtin_popcountll(word);
    }
    return sketch;
}

static int write_bitmap(const struct mp__tracker *tracker, size_t max_bytes,
                        struct mp_buf *out)
{
    size_t keep = out->length;
    int status = mp_buf_append_char(out, BITMAP);
    int64_t at = tracker->mark;
    for (size_t bytes = 1; status == MP_OK && at < tracker->top && bytes < max_bytes;
         bytes++) {
        uint64_t word = mp__tracker_word(tracker, at);
        status = mp_buf_append_char(out, DIGITS[word & 63]);
        at += DIGIT_BITS;
    }
    while (status == MP_OK && out->data[out->length - 1] == DIGITS[0]) {
        out->length--;
    }
    if (status == MP_OK && out->length == keep + 1) {
        out->length = keep;
    }
    return status;
}

/* Runs in pairs, so that the last one is of what is done. `out` NULL: only counts. */
static int walk_runs(const struct mp__tracker *tracker, size_t max_bytes,
                     struct mp_buf *out, struct sketch *sketch)
{
    *sketch = (struct sketch){.bytes = 1};
    int status = out ? mp_buf_append_char(out, RUNS) : MP_OK;
    for (int64_t at = tracker->mark; status == MP_OK && at < tracker->top;) {
        char pair[2 * LENGTH_BYTES];
        int64_t done = mp__tracker_run_end(tracker, at);
        int64_t end = mp__tracker_run_end(tracker, done);
        size_t bytes = put_length(done - at, pair);
        bytes += put_length(end - done, pair + bytes);
        if (sketch->bytes + bytes > max_bytes) {
            return MP_OK;
        }
        status = out ? mp_buf_append(out, pair, bytes) : MP_OK;
        sketch->bytes += bytes;
        sketch->done += end - done;
        at = end;
    }
    sketch->is_whole = true;
    return status;
}

int mp__tracker_write(const struct mp__tracker *tracker, size_t max_bytes,
                      struct mp_buf *out)
{
    if (tracker->top == tracker->mark || max_bytes < 3) {
        return MP_OK;
    }
    struct sketch runs;
    struct sketch bitmap = sketch_bitmap(tracker, max_bytes);
    (void)walk_runs(tracker, max_bytes, NULL, &runs);
    bool by_runs;
    if (runs.is_whole || bitmap.is_whole) {
        by_runs = runs.is_whole && (!bitmap.is_whole || runs.bytes <= bitmap.bytes);
    } else {
        by_runs = runs.done >= bitmap.done;
        if (runs.done == 0 && bitmap.done == 0) {
            return MP_OK;
        }
    }
    size_t keep = out->length;
    int status = by_runs ? walk_runs(tracker, max_bytes, out, &runs)
                         : write_bitmap(tracker, max_bytes, out);
    if (status != MP_OK) {
        out->length = keep;
    }
    return status;
}

/* A run's length at `*at`, moved behind it. 0: none such. */
static int64_t take_length(struct mp_str map, size_t *at)
{
    int64_t length = 0;
    for (unsigned shift = 0; *at < map.length && shift < LENGTH_BYTES * GROUP_BITS;
         shift += GROUP_BITS) {
        int digit = digit_of(map.data[(*at)++]);
        if (digit < 0) {
            return 0;
        }
        length |= (int64_t)((unsigned)digit & (MORE - 1)) << shift;
        if (!((unsigned)digit & MORE)) {
            /* The writer leaves no empty group at the end. */
            return digit == 0 && shift > 0 ? 0 : length + 1;
        }
    }
    return 0;
}

static int read_runs(struct mp__tracker *tracker, struct mp_str map)
{
    int64_t at = tracker->mark;
    for (size_t i = 0; i < map.length;) {
        int64_t open = take_length(map, &i);
        int64_t done = open > 0 ? take_length(map, &i) : 0;
        if (done == 0) {
            return MP_EINVAL;
        }
        int status = mp__tracker_fill(tracker, at + open, at + open + done);
        if (status != MP_OK) {
            return status == MP_ELIMIT ? MP_EINVAL : status;
        }
        at += open + done;
    }
    return MP_OK;
}

static int read_bitmap(struct mp__tracker *tracker, struct mp_str map)
{
    if ((digit_of(map.data[0]) & 1) || map.data[map.length - 1] == DIGITS[0]) {
        return MP_EINVAL;
    }
    int64_t at = tracker->mark;
    for (size_t i = 0; i < map.length; i++, at += DIGIT_BITS) {
        int digit = digit_of(map.data[i]);
        int status = digit < 0 ? MP_EINVAL : MP_OK;
        for (int bit = 0; status == MP_OK && bit < DIGIT_BITS; bit++) {
            if (digit >> bit & 1) {
                status = mp__tracker_fill(tracker, at + bit, at + bit + 1);
            }
        }
        if (status != MP_OK) {
            return status == MP_ELIMIT ? MP_EINVAL : status;
        }
    }
    return MP_OK;
}

int mp__tracker_read(struct mp__tracker *tracker, int64_t mark, struct mp_str map)
{
    mp__tracker_reset(tracker, mark);
    if (map.length == 0) {
        return MP_OK;
    }
    int status = MP_EINVAL;
    struct mp_str rest = {map.data + 1, map.length - 1};
    if (rest.length > 0 && map.data[0] == RUNS) {
        status = read_runs(tracker, rest);
    } else if (rest.length > 0 && map.data[0] == BITMAP) {
        status = read_bitmap(tracker, rest);
    }
    if (status != MP_OK) {
        mp__tracker_reset(tracker, mark);
    }
    tracker->changed = false;
    return status;
}
