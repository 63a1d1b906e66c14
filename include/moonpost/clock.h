/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

#include "moonpost/buf.h"

/* Time. Wall time for due times and people, monotonic time for waits. The durations and
 * sizes that flags, the environment and scripts share: `30`, `30s`, `5m`, `2h`, `7d`,
 * `250ms`; `1MiB`, `64KiB`, `2GiB`, `1000`. */

int64_t mp_clock_wall_ms(void); /* since 1970-01-01 UTC */
int64_t mp_clock_mono_ms(void);
int64_t mp_clock_mono_us(void);
int64_t mp_clock_cpu_us(void); /* of this thread: a busy machine makes nobody look slow */

/* For specs: shifts what mp_clock_wall_ms answers by so much, in this process. */
void mp_clock_shift_wall(int64_t by_ms);

/* A bare number is seconds. MP_EINVAL: malformed, negative, or past 10 years. */
MP_MUST_CHECK int mp_duration_parse(struct mp_str text, int64_t *out_ms);
/* The shortest exact form: 90000 gives "90s", 120000 "2m", 1500 "1500ms". */
MP_MUST_CHECK int mp_duration_write(struct mp_buf *out, int64_t ms);
/* A bare number is bytes; KiB, MiB, GiB. MP_EINVAL otherwise. */
MP_MUST_CHECK int mp_size_parse(struct mp_str text, uint64_t *out_bytes);

/* "500/s", "10/m", "100/h", a whole number from 1: events a second. MP_EINVAL otherwise.
 */
MP_MUST_CHECK int mp_rate_parse(struct mp_str text, double *out_per_second);

/* RFC 3339 in UTC with milliseconds: 2026-11-23T22:04:19.123Z (24 bytes and a NUL). */
#define MP_TIME_BYTES 25
void mp_time_format(int64_t wall_ms, char out[MP_TIME_BYTES]);
/* RFC 3339, any offset, fraction optional. MP_EINVAL otherwise. */
MP_MUST_CHECK int mp_time_parse(struct mp_str text, int64_t *out_wall_ms);
/* RFC 9110 section 5.6.7: IMF-fixdate, and the two obsolete forms. MP_EINVAL otherwise.
 */
MP_MUST_CHECK int mp_http_date_parse(struct mp_str text, int64_t *out_wall_ms);
/* A moment as events write it: RFC 3339, an HTTP date, or a number of seconds or (from
 * 10^11 on) milliseconds since 1970, with or without a fraction. MP_EINVAL otherwise. */
MP_MUST_CHECK int mp_time_read(struct mp_str text, int64_t *out_wall_ms);
