/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "moonpost/clock.h"

#define DAY_MS   86400000
#define FIRST_MS INT64_C(-62167219200000) /* 0000-01-01 */
#define LAST_MS  INT64_C(253402300799999) /* the end of 9999: years have four digits */

/* Proleptic Gregorian, as RFC 3339 counts. The year begins in March here, so that the
 * leap day is its last. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void date_of(int64_t days, int64_t *year, int64_t *month, int64_t *day)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t of_era = z - era * 146097;
    int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * y + y / 4 - y / 100);
    int64_t m = (5 * of_year + 2) / 153;
    *day = of_year - (153 * m + 2) / 5 + 1;
    *month = m < 10 ? m + 3 : m - 9;
    *year = y + era * 400 + (*month <= 2 ? 1 : 0);
}

static char *put(char *at, int64_t number, int digits, char after)
{
    for (int i = digits - 1; i >= 0; i--) {
        at[i] = (char)('0' + number % 10);
        number /= 10;
    }
    at[digits] = after;
    return at + digits + 1;
}

void mp_time_format(int64_t wall_ms, char out[MP_TIME_BYTES])
{
    int64_t ms = wall_ms < FIRST_MS ? FIRST_MS : wall_ms > LAST_MS ? LAST_MS : wall_ms;
    int64_t days = ms / DAY_MS - (ms % DAY_MS < 0 ? 1 : 0);
    int64_t rest = ms - days * DAY_MS;
    int64_t year;
    int64_t month;
    int64_t day;
    date_of(days, &year, &month, &day);
    char *at = put(out, year, 4, '-');
    at = put(at, month, 2, '-');
    at = put(at, day, 2, 'T');
    at = put(at, rest / 3600000, 2, ':');
    at = put(at, rest / 60000 % 60, 2, ':');
    at = put(at, rest / 1000 % 60, 2, '.');
    at = put(at, rest % 1000, 3, 'Z');
    *at = '\0';
}

/* Reads left to right; `bad` stays set once anything did not fit. */
struct reader {
    const char *at;
    const char *end;
    bool bad;
};

static int64_t read_digits(struct reader *reader, int count)
{
    int64_t number = 0;
    for (int i = 0; i < count; i++) {
        if (reader->at == reader->end || *reader->at < '0' || *reader->at > '9') {
            reader->bad = true;
            return 0;
        }
        number = number * 10 + (*reader->at++ - '0');
    }
    return number;
}

static void read_text(struct reader *reader, const char *text)
{
    size_t length = strlen(text);
    if ((size_t)(reader->end - reader->at) < length ||
        memcmp(reader->at, text, length) != 0) {
        reader->bad = true;
        return;
    }
    reader->at += length;
}

static bool accept(struct reader *reader, const char *any_of)
{
    if (reader->at < reader->end && *reader->at && strchr(any_of, *reader->at)) {
        reader->at++;
        return true;
    }
    return false;
}

static int read_name(struct reader *reader, const char *const *names, int count)
{
    for (int i = 0; i < count; i++) {
        size_t length = strlen(names[i]);
        if ((size_t)(reader->end - reader->at) >= length &&
            memcmp(reader->at, names[i], length) == 0) {
            reader->at += length;
            return i;
        }
    }
    reader->bad = true;
    return 0;
}

struct moment {
    int64_t year, month, day, hour, minute, second, ms, offset_minutes;
};

static int moment_ms(const struct reader *reader, const struct moment *m, int64_t *out)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (reader->bad || reader->at != reader->end || m->month < 1 || m->month > 12) {
        return MP_EINVAL;
    }
    bool leap = (m->year % 4 == 0 && m->year % 100 != 0) || m->year % 400 == 0;
    int64_t longest = lengths[m->month - 1] + (leap && m->month == 2 ? 1 : 0);
    /* Second 60 is a leap second: RFC 3339 section 5.6 and RFC 9110 section 5.6.7 have
     * it. */
    if (m->day < 1 || m->day > longest || m->hour > 23 || m->minute > 59 ||
        m->second > 60) {
        return MP_EINVAL;
    }
    int64_t minutes = m->hour * 60 + m->minute - m->offset_minutes;
    *out = days_of(m->year, m->month, m->day) * DAY_MS + minutes * 60000 +
           m->second * 1000 + m->ms;
    return MP_OK;
}

static void read_clock(struct reader *reader, struct moment *m)
{
    m->hour = read_digits(reader, 2);
    read_text(reader, ":");
    m->minute = read_digits(reader, 2);
    read_text(reader, ":");
    m->second = read_digits(reader, 2);
}

static void read_fraction(struct reader *reader, struct moment *m)
{
    if (!accept(reader, ".")) {
        return;
    }
    m->ms = read_digits(reader, 1) * 100;
    for (int64_t scale = 10; accept(reader, "0123456789"); scale /= 10) {
        m->ms += (reader->at[-1] - '0') * scale;
    }
}

static void read_offset(struct reader *reader, struct moment *m)
{
    if (accept(reader, "Zz")) {
        return;
    }
    int64_t sign = accept(reader, "+") ? 1 : -1;
    if (sign < 0) {
        read_text(reader, "-");
    }
    int64_t hours = read_digits(reader, 2);
    read_text(reader, ":");
    int64_t minutes = read_digits(reader, 2);
    reader->bad = reader->bad || hours > 23 || minutes > 59;
    m->offset_minutes = sign * (hours * 60 + minutes);
}

int mp_time_parse(struct mp_str text, int64_t *out_wall_ms)
{
    struct reader reader = {text.data, text.data + text.length, text.length == 0};
    struct moment m = {0};
    m.year = read_digits(&reader, 4);
    read_text(&reader, "-");
    m.month = read_digits(&reader, 2);
    read_text(&reader, "-");
    m.day = read_digits(&reader, 2);
    if (!accept(&reader, "Tt")) {
        return MP_EINVAL;
    }
    read_clock(&reader, &m);
    read_fraction(&reader, &m);
    read_offset(&reader, &m);
    return moment_ms(&reader, &m, out_wall_ms);
}

static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
/* The long names first: each begins with its short one. */
static const char *const day_names[] = {
    "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
    "Sun",    "Mon",    "Tue",     "Wed",       "Thu",      "Fri",    "Sat"};

static void read_fixdate(struct reader *reader, struct moment *m)
{
    m->day = read_digits(reader, 2);
    read_text(reader, " ");
    m->month = read_name(reader, months, 12) + 1;
    read_text(reader, " ");
    m->year = read_digits(reader, 4);
    read_text(reader, " ");
    read_clock(reader, m);
    read_text(reader, " GMT");
}

static void read_rfc850(struct reader *reader, struct moment *m)
{
    m->day = read_digits(reader, 2);
    read_text(reader, "-");
    m->month = read_name(reader, months, 12) + 1;
    read_text(reader, "-");
    int64_t short_year = read_digits(reader, 2);
    /* Over 50 years ahead means the most recent past year with these digits. */
    int64_t year;
    int64_t month;
    int64_t day;
    date_of(mp_clock_wall_ms() / DAY_MS, &year, &month, &day);
    m->year = year - year % 100 + short_year;
    if (m->year > year + 50) {
        m->year -= 100;
    }
    read_text(reader, " ");
    read_clock(reader, m);
    read_text(reader, " GMT");
}

static void read_asctime(struct reader *reader, struct moment *m)
{
    m->month = read_name(reader, months, 12) + 1;
    read_text(reader, " ");
    m->day = accept(reader, " ") ? read_digits(reader, 1) : read_digits(reader, 2);
    read_text(reader, " ");
    read_clock(reader, m);
    read_text(reader, " ");
    m->year = read_digits(reader, 4);
}

int mp_http_date_parse(struct mp_str text, int64_t *out_wall_ms)
{
    struct reader reader = {text.data, text.data + text.length, text.length == 0};
    struct moment m = {0};
    bool is_short = read_name(&reader, day_names, 14) >= 7;
    if (accept(&reader, ",")) {
        read_text(&reader, " ");
        if (is_short) {
            read_fixdate(&reader, &m);
        } else {
            read_rfc850(&reader, &m);
        }
    } else {
        reader.bad = reader.bad || !is_short;
        read_text(&reader, " ");
        read_asctime(&reader, &m);
    }
    return moment_ms(&reader, &m, out_wall_ms);
}

/* A plain decimal number, `digits` without leading zeros and the place of its point among
 * them. */
struct number {
    char digits[24];
    int count;
    int64_t point;
};

static void read_number_digits(struct reader *reader, struct number *number)
{
    bool any = false, fraction = false;
    for (; reader->at < reader->end; reader->at++) {
        char c = *reader->at;
        if (c == '.' && any && !fraction) {
            fraction = true;
            any = false;
            continue;
        }
        if (c < '0' || c > '9') {
            break;
        }
        any = true;
        bool leads = number->count == 0 && c == '0';
        number->point += fraction ? -(leads ? 1 : 0) : leads ? 0 : 1;
        if (!leads && number->count < (int)sizeof(number->digits)) {
            number->digits[number->count++] = c;
        }
    }
    reader->bad = reader->bad || !any;
}

static void read_exponent(struct reader *reader, struct number *number)
{
    if (!accept(reader, "eE")) {
        return;
    }
    bool negative = accept(reader, "-");
    if (!negative) {
        accept(reader, "+");
    }
    int64_t exponent = read_digits(reader, 1);
    while (exponent < 1000 && accept(reader, "0123456789")) {
        exponent = exponent * 10 + (reader->at[-1] - '0');
    }
    number->point += negative ? -exponent : exponent;
}

/* From 10^11 on, which as seconds would be the year 5138, it is milliseconds. */
static int read_number(struct mp_str text, int64_t *out_wall_ms)
{
    struct reader reader = {text.data, text.data + text.length, text.length == 0};
    struct number number = {.count = 0};
    read_number_digits(&reader, &number);
    read_exponent(&reader, &number);
    if (reader.bad || reader.at != reader.end) {
        return MP_EINVAL;
    }
    int64_t wanted = number.point + (number.point >= 12 ? 0 : 3);
    int64_t ms = 0;
    if (number.count > 0 && wanted > 15) {
        return MP_EINVAL; /* past the year 9999 */
    }
    for (int64_t i = 0; i < wanted; i++) {
        ms = ms * 10 + (i < number.count ? number.digits[i] - '0' : 0);
    }
    if (ms > LAST_MS) {
        return MP_EINVAL;
    }
    *out_wall_ms = ms;
    return MP_OK;
}

int mp_time_read(struct mp_str text, int64_t *out_wall_ms)
{
    if (mp_time_parse(text, out_wall_ms) == MP_OK ||
        mp_http_date_parse(text, out_wall_ms) == MP_OK) {
        return MP_OK;
    }
    return read_number(text, out_wall_ms);
}
