/* SPDX-License-Identifier: MIT */
#include "moonpost/clock.h"

#include <stdatomic.h>
#include <time.h>

static _Atomic int64_t shift_ms;

static int64_t now_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t mp_clock_wall_ms(void)
{
    return now_us(CLOCK_REALTIME) / 1000 +
           atomic_load_explicit(&shift_ms, memory_order_relaxed);
}

int64_t mp_clock_mono_ms(void)
{
    return now_us(CLOCK_MONOTONIC) / 1000;
}

int64_t mp_clock_mono_us(void)
{
    return now_us(CLOCK_MONOTONIC);
}

int64_t mp_clock_cpu_us(void)
{
    return now_us(CLOCK_THREAD_CPUTIME_ID);
}

void mp_clock_shift_wall(int64_t by_ms)
{
    atomic_store_explicit(&shift_ms, by_ms, memory_order_relaxed);
}

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit duration_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {"", 1000},
};
static const struct unit size_units[] = {
    {"GiB", 1 << 30},
    {"MiB", 1 << 20},
    {"KiB", 1 << 10},
    {"", 1},
};
#define COUNT(array)    (sizeof(array) / sizeof((array)[0]))
#define DURATION_MAX_MS (INT64_C(3653) * 86400000) /* ten years */

static int parse_with_unit(struct mp_str text, const struct unit *units, size_t count,
                           int64_t *out)
{
    int64_t number = 0;
    size_t at = 0;
    for (; at < text.length && text.data[at] >= '0' && text.data[at] <= '9'; at++) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, text.data[at] - '0', &number)) {
            return MP_EINVAL;
        }
    }
    if (at == 0) {
        return MP_EINVAL;
    }
    struct mp_str rest = {text.data + at, text.length - at};
    for (size_t i = 0; i < count; i++) {
        if (mp_str_is(rest, units[i].name)) {
            return __builtin_mul_overflow(number, units[i].factor, out) ? MP_EINVAL
                                                                        : MP_OK;
        }
    }
    return MP_EINVAL;
}

int mp_duration_parse(struct mp_str text, int64_t *out_ms)
{
    int64_t ms;
    int status = parse_with_unit(text, duration_units, COUNT(duration_units), &ms);
    if (status != MP_OK || ms > DURATION_MAX_MS) {
        return MP_EINVAL;
    }
    *out_ms = ms;
    return MP_OK;
}

int mp_duration_write(struct mp_buf *out, int64_t ms)
{
    if (ms == 0) {
        return mp_buf_append_text(out, "0s");
    }
    const struct unit *unit = duration_units;
    while (ms % unit->factor != 0) {
        unit++; /* ends at "ms", which divides everything */
    }
    size_t before = out->length;
    int status = mp_buf_append_int(out, ms / unit->factor);
    if (status == MP_OK) {
        status = mp_buf_append_text(out, unit->name);
    }
    if (status != MP_OK) {
        out->length = before;
    }
    return status;
}

int mp_size_parse(struct mp_str text, uint64_t *out_bytes)
{
    int64_t bytes;
    int status = parse_with_unit(text, size_units, COUNT(size_units), &bytes);
    if (status == MP_OK) {
        *out_bytes = (uint64_t)bytes;
    }
    return status;
}

int mp_rate_parse(struct mp_str text, double *out_per_second)
{
    static const struct {
        char unit;
        double seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}};
    double count = 0;
    size_t i = 0;
    for (; i < text.length && text.data[i] >= '0' && text.data[i] <= '9'; i++) {
        count = count * 10 + (text.data[i] - '0');
    }
    if (i == 0 || i > 9 || count < 1 || i + 2 != text.length || text.data[i] != '/') {
        return MP_EINVAL;
    }
    for (size_t u = 0; u < sizeof(units) / sizeof(*units); u++) {
        if (text.data[i + 1] == units[u].unit) {
            *out_per_second = count / units[u].seconds;
            return MP_OK;
        }
    }
    return MP_EINVAL;
}
