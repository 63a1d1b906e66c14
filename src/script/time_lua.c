/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "moonpost/clock.h"
#include "tools.h"

/* Time for scripts: a moment is a number of seconds since 1970, with a fraction. */

#define FIRST_S -62167219200.0 /* the years that have four digits */
#define LAST_S  253402300799.999
#define FROM_MS 1e11 /* numbers from here on are milliseconds */

static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                   "Thursday", "Friday", "Saturday"};
static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};

/* The same through a whole call, so that what is signed and what is sent agree. */
static int now(lua_State *lua)
{
    struct mp_script_state *state = mp__state_of(lua);
    if (state->context) {
        lua_pushnumber(lua, (double)state->context->now_ms / 1000);
        return 1;
    }
    if (state->load_ms == 0) {
        state->load_ms = mp_clock_wall_ms();
    }
    lua_pushnumber(lua, (double)state->load_ms / 1000);
    return 1;
}

static bool read_number(double number, double *seconds)
{
    *seconds = number >= FROM_MS ? number / 1000 : number;
    return number >= 0 && *seconds <= LAST_S; /* not of NaN */
}

static int parse(lua_State *lua)
{
    int type = lua_type(lua, 1);
    int64_t ms;
    double seconds;
    lua_settop(lua, 1);
    if (mp__secret_at(mp__state_of(lua), 1)) {
        return luaL_error(lua, "time.parse(v): v is a secret: pass a string or a number");
    }
    if (type == LUA_TNUMBER && read_number(lua_tonumber(lua, 1), &seconds)) {
        lua_pushnumber(lua, seconds);
    } else if (type == LUA_TSTRING && mp_time_read(mp__str_at(lua, 1), &ms) == MP_OK) {
        lua_pushnumber(lua, (double)ms / 1000);
    } else {
        lua_pushnil(lua);
    }
    return 1;
}

struct format {
    lua_State *lua;
    struct tm tm; /* of the zone asked for */
    int64_t seconds;
    int ms;
    int offset_minutes;
    bool is_utc;
    struct mp_buf *out;
};

static void put_text(struct format *format, const char *text, size_t most)
{
    mp__check_status(format->lua, mp_buf_append(format->out, text, strnlen(text, most)));
}

static void put_number(struct format *format, int64_t number, int width, char pad)
{
    char text[24];
    snprintf(text, sizeof(text), pad == '0' ? "%0*lld" : "%*lld", pad ? width : 0,
             (long long)number);
    put_text(format, text, sizeof(text));
}

static void put_offset(struct format *format, const char *colon)
{
    char text[16];
    int minutes =
        format->offset_minutes < 0 ? -format->offset_minutes : format->offset_minutes;
    snprintf(text, sizeof(text), "%c%02d%s%02d", format->offset_minutes < 0 ? '-' : '+',
             minutes / 60, colon, minutes % 60);
    put_text(format, text, sizeof(text));
}

static bool put_all(struct format *format, const char *letters);

static bool put_name(struct format *format, char letter)
{
    const struct tm *tm = &format->tm;
    switch (letter) {
    case 'a':
        put_text(format, days[tm->tm_wday], 3);
        return true;
    case 'A':
        put_text(format, days[tm->tm_wday], 16);
        return true;
    case 'b':
        put_text(format, months[tm->tm_mon], 3);
        return true;
    case 'B':
        put_text(format, months[tm->tm_mon], 16);
        return true;
    case 'p':
        put_text(format, tm->tm_hour < 12 ? "AM" : "PM", 2);
        return true;
    case 'z':
        put_offset(format, "");
        return true;
    case 'Z':
        if (format->is_utc) {
            put_text(format, "UTC", 3);
        } else {
            put_offset(format, ":");
        }
        return true;
    case 'F':
        return put_all(format, "Y-m-d");
    case 'T':
        return put_all(format, "H:M:S");
    case '%':
        put_text(format, "%", 1);
        return true;
    default:
        return false;
    }
}

/* `pad` is 0 when the letter has a minus before it. */
static bool put_letter(struct format *format, char letter, bool is_short)
{
    const struct tm *tm = &format->tm;
    const struct {
        char letter, pad;
        int width;
        int64_t number;
    } numbers[] = {{'Y', '0', 4, tm->tm_year + 1900},
                   {'m', '0', 2, tm->tm_mon + 1},
                   {'d', '0', 2, tm->tm_mday},
                   {'e', ' ', 2, tm->tm_mday},
                   {'H', '0', 2, tm->tm_hour},
                   {'I', '0', 2, tm->tm_hour % 12 == 0 ? 12 : tm->tm_hour % 12},
                   {'M', '0', 2, tm->tm_min},
                   {'S', '0', 2, tm->tm_sec},
                   {'L', '0', 3, format->ms},
                   {'y', '0', 2, (tm->tm_year + 1900) % 100},
                   {'j', '0', 3, tm->tm_yday + 1},
                   {'s', '0', 1, format->seconds}};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        if (numbers[i].letter == letter) {
            put_number(format, numbers[i].number, numbers[i].width,
                       is_short ? '\0' : numbers[i].pad);
            return true;
        }
    }
    return !is_short && put_name(format, letter);
}

static bool put_all(struct format *format, const char *letters)
{
    for (; *letters; letters++) {
        if (!put_letter(format, *letters, false)) {
            put_text(format, letters, 1);
        }
    }
    return true;
}

static _Noreturn void refuse(struct format *format, const char *at, const char *end)
{
    char letter[2] = {at<end && * at> ' ' && *at < 0x7f ? *at : '\0', '\0'};
    luaL_error(format->lua,
               "time.format: `%%%s` is not known: write %%Y %%m %%d %%H %%M %%S %%L (ms) "
               "%%z %%:z %%Z %%s %%j %%a %%A %%b %%B %%y %%e %%I %%p %%F %%T %%%%, or "
               "%%-d and its like without zeros before it",
               letter);
    __builtin_unreachable();
}

static void put_format(struct format *format, struct mp_str text)
{
    const char *end = text.data + text.length;
    for (const char *at = text.data; at < end; at++) {
        if (*at != '%') {
            mp__check_status(format->lua, mp_buf_append_char(format->out, *at));
            continue;
        }
        at++;
        bool is_short = at < end && *at == '-';
        bool has_colon = at < end && *at == ':';
        at += is_short || has_colon;
        if (at < end && has_colon && *at == 'z') {
            put_offset(format, ":");
        } else if (at >= end || has_colon || !put_letter(format, *at, is_short)) {
            refuse(format, at, end);
        }
    }
}

static int digits(const char *at)
{
    bool good = at[0] >= '0' && at[0] <= '9' && at[1] >= '0' && at[1] <= '9';
    return good ? (at[0] - '0') * 10 + at[1] - '0' : -1;
}

/* "+03:00", "-0530", "Z". */
static int read_offset(lua_State *lua, int index, bool *is_utc)
{
    *is_utc = lua_isnoneornil(lua, index);
    if (*is_utc) {
        return 0;
    }
    struct mp_str text = {"", 0};
    if (lua_type(lua, index) == LUA_TSTRING) {
        text = mp__str_at(lua, index);
    }
    *is_utc = mp_str_is(text, "Z");
    if (*is_utc) {
        return 0;
    }
    size_t colon = text.length == 6 && text.data[3] == ':' ? 1 : 0;
    int hours = -1, minutes = -1;
    if (text.length == 5 + colon && (text.data[0] == '+' || text.data[0] == '-')) {
        hours = digits(text.data + 1);
        minutes = digits(text.data + 3 + colon);
    }
    if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) {
        luaL_error(lua, "time.format: the offset is such as \"+03:00\": names of zones "
                        "are not known");
    }
    return (text.data[0] == '-' ? -1 : 1) * (hours * 60 + minutes);
}

static double moment_at(lua_State *lua, int index)
{
    double seconds = NAN;
    if (lua_type(lua, index) == LUA_TNUMBER) {
        seconds = lua_tonumber(lua, index);
        seconds = seconds >= FROM_MS ? seconds / 1000 : seconds;
    } else if (lua_type(lua, index) == LUA_TSTRING) {
        int64_t ms;
        if (mp_time_read(mp__str_at(lua, index), &ms) == MP_OK) {
            seconds = (double)ms / 1000;
        }
    }
    if (!(seconds >= FIRST_S && seconds <= LAST_S)) {
        luaL_error(lua, "time.format(t, text): t is no time: pass seconds since 1970, "
                        "such as time.now(), or what time.parse can read");
    }
    return seconds;
}

static int format(lua_State *lua)
{
    struct mp_script_state *state = mp__state_of(lua);
    struct format format = {.lua = lua, .out = &state->scratch};
    lua_settop(lua, 3);
    double moment = moment_at(lua, 1);
    if (lua_type(lua, 2) != LUA_TSTRING) {
        return luaL_error(lua,
                          "time.format(t, text): the text is a %s: pass one such as "
                          "\"%%Y-%%m-%%d %%H:%%M:%%S\"",
                          luaL_typename(lua, 2));
    }
    /* A double's error is far below a thousandth of a millisecond. */
    int64_t ms = (int64_t)floor(moment * 1000 + 0.001);
    format.ms = (int)((ms % 1000 + 1000) % 1000);
    format.seconds = (ms - format.ms) / 1000;
    format.offset_minutes = read_offset(lua, 3, &format.is_utc);
    time_t shifted = format.seconds + format.offset_minutes * 60;
    if (!gmtime_r(&shifted, &format.tm)) {
        return luaL_error(lua, "time.format: t is out of range");
    }
    mp_buf_reset(format.out);
    put_format(&format, mp__str_at(lua, 2));
    mp__push_str(lua, mp_buf_str(format.out));
    return 1;
}

const luaL_Reg mp__time_functions[] = {
    {"now", now}, {"parse", parse}, {"format", format}, {NULL, NULL}};
