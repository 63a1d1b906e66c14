/* SPDX-License-Identifier: MIT */
#include "kafka_tracker.h"

#include <stdlib.h>
#include <string.h>

#define WORD_BITS  64
#define FIRST_BITS 1024

static size_t word_at(const struct mp__tracker *tracker, int64_t offset)
{
    return ((uint64_t)offset / WORD_BITS) & (tracker->bit_count / WORD_BITS - 1);
}

static unsigned bit_in(int64_t offset)
{
    return (unsigned)((uint64_t)offset % WORD_BITS);
}

/* Bits low to high of a word, `high` not included. */
static uint64_t mask_of(unsigned low, unsigned high)
{
    uint64_t below = high == WORD_BITS ? UINT64_MAX : (UINT64_C(1) << high) - 1;
    return below & (UINT64_MAX << low);
}

void mp__tracker_reset(struct mp__tracker *tracker, int64_t mark)
{
    if (tracker->bits) {
        memset(tracker->bits, 0, tracker->bit_count / 8);
    }
    tracker->mark = tracker->next = tracker->read = tracker->top = mark;
    tracker->open = 0;
    tracker->changed = false;
}

void mp__tracker_init(struct mp__tracker *tracker, int64_t mark)
{
    *tracker = (struct mp__tracker){.bits = NULL};
    mp__tracker_reset(tracker, mark);
}

void mp__tracker_fini(struct mp__tracker *tracker)
{
    free(tracker->bits);
    *tracker = (struct mp__tracker){.bits = NULL};
}

/* How far the word of `from` is in use: to its end, or to `to`. */
static int64_t word_end(int64_t from, int64_t to)
{
    int64_t end = from - bit_in(from) + WORD_BITS;
    return end < to ? end : to;
}

static uint64_t range_mask(int64_t from, int64_t end)
{
    unsigned low = bit_in(from);
    return mask_of(low, low + (unsigned)(end - from));
}

static void set_range(struct mp__tracker *tracker, int64_t from, int64_t to)
{
    for (int64_t end; from < to; from = end) {
        end = word_end(from, to);
        tracker->bits[word_at(tracker, from)] |= range_mask(from, end);
    }
}

static void clear_range(struct mp__tracker *tracker, int64_t from, int64_t to)
{
    for (int64_t end; from < to; from = end) {
        end = word_end(from, to);
        tracker->bits[word_at(tracker, from)] &= ~range_mask(from, end);
    }
}

/* Makes the ring hold `offset`, which is less than the span beyond the mark. */
static int make_room(struct mp__tracker *tracker, int64_t offset)
{
    uint64_t need = (uint64_t)(offset - tracker->mark) + 1;
    if (need <= tracker->bit_count) {
        return MP_OK;
    }
    struct mp__tracker larger = *tracker;
    larger.bit_count = larger.bit_count ? larger.bit_count : FIRST_BITS;
    while (larger.bit_count < need) {
        larger.bit_count *= 2;
    }
    larger.bits = calloc(larger.bit_count / WORD_BITS, sizeof(*larger.bits));
    if (!larger.bits) {
        return MP_ENOMEM;
    }
    /* In a ring that is full its first and last word may be one: only the bits that are
     * meant may be copied. */
    for (int64_t at = tracker->mark, end; at < tracker->top; at = end) {
        end = word_end(at, tracker->top);
        larger.bits[word_at(&larger, at)] |=
            tracker->bits[word_at(tracker, at)] & range_mask(at, end);
    }
    free(tracker->bits);
    *tracker = larger;
    return MP_OK;
}

static void lift(struct mp__tracker *tracker)
{
    tracker->top = tracker->top < tracker->mark ? tracker->mark : tracker->top;
    tracker->next = tracker->next < tracker->mark ? tracker->mark : tracker->next;
}

/* Over all that is done from the mark on, a word at a time; leaves zeros behind. */
static void advance(struct mp__tracker *tracker)
{
    while (tracker->mark < tracker->top) {
        unsigned low = bit_in(tracker->mark);
        uint64_t *word = &tracker->bits[word_at(tracker, tracker->mark)];
        uint64_t open = ~(*word >> low);
        unsigned count = open ? (unsigned)__builtin_ctzll(open) : WORD_BITS;
        *word &= ~mask_of(low, low + count);
        tracker->mark += count;
        if (low + count < WORD_BITS) {
            break;
        }
    }
    lift(tracker);
}

/* All from the mark to `offset` do not exist. */
static void skip_to(struct mp__tracker *tracker, int64_t offset)
{
    int64_t used = tracker->top < offset ? tracker->top : offset;
    clear_range(tracker, tracker->mark, used);
    tracker->mark = offset;
    lift(tracker);
    advance(tracker);
    tracker->changed = true;
}

bool mp__tracker_is_done(const struct mp__tracker *tracker, int64_t offset)
{
    return offset < tracker->mark ||
           (offset < tracker->top &&
            tracker->bits[word_at(tracker, offset)] >> bit_in(offset) & 1);
}

int mp__tracker_see(struct mp__tracker *tracker, int64_t offset)
{
    if (offset < tracker->read) {
        return MP_EINVAL;
    }
    /* With nothing in hand all that was to be read before it has been. */
    bool is_first = tracker->open == 0;
    if (!is_first && offset - tracker->mark >= MP__TRACKER_SPAN) {
        return MP_ELIMIT;
    }
    if (make_room(tracker, is_first ? tracker->mark : offset) != MP_OK) {
        return MP_ENOMEM;
    }
    if (is_first && offset > tracker->mark) {
        skip_to(tracker, offset);
    }
    int64_t from = tracker->read > tracker->mark ? tracker->read : tracker->mark;
    if (from < offset) {
        set_range(tracker, from, offset);
        tracker->top = tracker->top < offset ? offset : tracker->top;
        tracker->changed = true;
    }
    tracker->read = offset + 1;
    tracker->next = tracker->next < tracker->read ? tracker->read : tracker->next;
    if (mp__tracker_is_done(tracker, offset)) {
        return MP_EDUPLICATE;
    }
    tracker->open++;
    return MP_OK;
}

bool mp__tracker_has_room(const struct mp__tracker *tracker)
{
    return tracker->next - tracker->mark < MP__TRACKER_SPAN;
}

void mp__tracker_done(struct mp__tracker *tracker, int64_t offset)
{
    if (offset - tracker->mark >= MP__TRACKER_SPAN ||
        mp__tracker_is_done(tracker, offset)) {
        return;
    }
    if (offset == tracker->mark && tracker->top == tracker->mark) {
        tracker->mark++;
        lift(tracker);
    } else {
        if (make_room(tracker, offset) != MP_OK) {
            return;
        }
        tracker->bits[word_at(tracker, offset)] |= UINT64_C(1) << bit_in(offset);
        tracker->top = tracker->top <= offset ? offset + 1 : tracker->top;
        if (offset == tracker->mark) {
            advance(tracker);
        }
    }
    if (offset < tracker->read) {
        tracker->open--;
    }
    tracker->changed = true;
}

int mp__tracker_fill(struct mp__tracker *tracker, int64_t from, int64_t to)
{
    if (from >= to) {
        return MP_OK;
    }
    if (to - tracker->mark > MP__TRACKER_SPAN) {
        return MP_ELIMIT;
    }
    if (make_room(tracker, to - 1) != MP_OK) {
        return MP_ENOMEM;
    }
    set_range(tracker, from, to);
    tracker->top = tracker->top < to ? to : tracker->top;
    tracker->changed = true;
    return MP_OK;
}

uint64_t mp__tracker_word(const struct mp__tracker *tracker, int64_t from)
{
    uint64_t word = 0;
    int64_t to = from + WORD_BITS < tracker->top ? from + WORD_BITS : tracker->top;
    for (int64_t at = from, end; at < to; at = end) {
        end = word_end(at, to);
        uint64_t part = tracker->bits[word_at(tracker, at)] & range_mask(at, end);
        word |= part >> bit_in(at) << (at - from);
    }
    return word;
}

int64_t mp__tracker_run_end(const struct mp__tracker *tracker, int64_t from)
{
    uint64_t flip = mp__tracker_word(tracker, from) & 1 ? UINT64_MAX : 0;
    while (from < tracker->top) {
        uint64_t others = mp__tracker_word(tracker, from) ^ flip;
        if (others) {
            from += __builtin_ctzll(others);
            break;
        }
        from += WORD_BITS;
    }
    return from < tracker->top ? from : tracker->top;
}

static size_t count_open(const struct mp__tracker *tracker)
{
    size_t open = 0;
    for (int64_t at = tracker->mark; at < tracker->read; at += WORD_BITS) {
        int64_t rest = tracker->read - at;
        unsigned bits = rest < WORD_BITS ? (unsigned)rest : WORD_BITS;
        uint64_t missing = ~mp__tracker_word(tracker, at) & mask_of(0, bits);
        open += (size_t)__builtin_popcountll(missing);
    }
    return open;
}

void mp__tracker_join(struct mp__tracker *tracker, const struct mp__tracker *other)
{
    if (other->mark > tracker->mark) {
        skip_to(tracker, other->mark);
    }
    int64_t end = other->mark;
    while (end < other->top) {
        int64_t done = mp__tracker_run_end(other, end);
        end = mp__tracker_run_end(other, done);
        done = done < tracker->mark ? tracker->mark : done;
        if (mp__tracker_fill(tracker, done, end) != MP_OK) {
            break;
        }
    }
    advance(tracker);
    tracker->open = count_open(tracker);
}

void mp__tracker_rewind(struct mp__tracker *tracker)
{
    tracker->read = tracker->next = tracker->mark;
    tracker->open = 0;
}
