/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moonpost/json.h"
#include "values.h"

const char mp__null = 0;

void mp__push_null(lua_State *lua)
{
    lua_pushlightuserdata(lua, (void *)&mp__null);
}

bool mp__is_null(lua_State *lua, int index)
{
    return lua_islightuserdata(lua, index) && lua_touserdata(lua, index) == &mp__null;
}

void mp__push_str(lua_State *lua, struct mp_str text)
{
    lua_pushlstring(lua, text.data ? text.data : "", text.length);
}

struct mp_str mp__str_at(lua_State *lua, int index)
{
    struct mp_str text = {"", 0};
    const char *data = lua_tolstring(lua, index, &text.length);
    text.data = data ? data : "";
    return text;
}

bool mp__str_begins(struct mp_str text, const char *prefix)
{
    size_t length = strlen(prefix);
    return text.length >= length && memcmp(text.data, prefix, length) == 0;
}

void mp__check_status(lua_State *lua, int status)
{
    if (status == MP_ELIMIT) {
        luaL_error(lua, "the text has more than 16 MiB");
    } else if (status != MP_OK) {
        luaL_error(lua, "%s", mp_status_text(status));
    }
}

/* A number's digits without sign, point, exponent and outer zeros. Its value is
 * `digits` * 10^`exponent`; false when they are over 14 or the exponent is absurd. */
static bool read_digits(struct mp_str raw, int64_t *digits, long *exponent)
{
    const char *at = raw.data + (raw.data[0] == '-');
    const char *end = raw.data + raw.length;
    int64_t value = 0;
    unsigned count = 0;
    long zeros = 0, shift = 0;
    bool fraction = false;
    for (; at < end && *at != 'e' && *at != 'E'; at++) {
        if (*at == '.') {
            fraction = true;
            continue;
        }
        shift -= fraction;
        if (*at == '0') {
            zeros++;
            continue;
        }
        for (; zeros > 0; zeros--) {
            if (count > 0 && ++count > 14) {
                return false;
            }
            value *= 10;
        }
        if (++count > 14) {
            return false;
        }
        value = value * 10 + (*at - '0');
    }
    long power = at < end && end - at < 12 ? strtol(at + 1, NULL, 10) : 0;
    if (at < end && end - at >= 12) {
        return false;
    }
    *digits = value;
    *exponent = shift + zeros + power;
    return value == 0 || labs(*exponent) < 290;
}

/* As a number only when %.14g gives the same value back; else its digits as text. */
static void push_number(lua_State *lua, struct mp_str raw)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    int64_t digits;
    long exponent;
    if (!read_digits(raw, &digits, &exponent)) {
        mp__push_str(lua, raw);
        return;
    }
    double value = (double)digits;
    if (digits != 0 && exponent != 0) {
        if (labs(exponent) <= 22) { /* both exact, so the result is rounded once */
            value = exponent > 0 ? value * powers[exponent] : value / powers[-exponent];
        } else {
            char text[48];
            snprintf(text, sizeof(text), "%llde%ld", (long long)digits, exponent);
            value = strtod(text, NULL);
        }
    }
    lua_pushnumber(lua, raw.data[0] == '-' ? -value : value);
}

/* Reads text that has been checked; one pass, so that nesting costs nothing more. */
struct json_reader {
    struct mp_script_state *state;
    const char *at, *end;
};

static void skip_space(struct json_reader *reader)
{
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\n' ||
                                        *reader->at == '\r' || *reader->at == '\t')) {
        reader->at++;
    }
}

static void push_string(struct json_reader *reader)
{
    const char *start = ++reader->at;
    bool has_escape = false;
    while (*reader->at != '"') {
        has_escape = has_escape || *reader->at == '\\';
        reader->at += *reader->at == '\\' ? 2 : 1;
    }
    struct mp_str inner = {start, (size_t)(reader->at - start)};
    reader->at++;
    if (has_escape) {
        struct mp_buf *text = &reader->state->scratch;
        mp_buf_reset(text);
        mp__check_status(
            reader->state->lua,
            mp_json_unescape((struct mp_str){start - 1, inner.length + 2}, text));
        inner = mp_buf_str(text);
    }
    mp__push_str(reader->state->lua, inner);
}

static void push_value(struct json_reader *reader);

static bool next_item(struct json_reader *reader, char close)
{
    skip_space(reader);
    if (*reader->at == ',') {
        reader->at++;
        skip_space(reader);
    }
    if (*reader->at == close) {
        reader->at++;
        return false;
    }
    return true;
}

/* Into the table on top. */
static void fill_object(struct json_reader *reader)
{
    lua_State *lua = reader->state->lua;
    for (reader->at++; next_item(reader, '}');) {
        push_string(reader);
        skip_space(reader);
        reader->at++; /* the colon */
        skip_space(reader);
        push_value(reader);
        if (mp__is_null(lua, -1)) {
            lua_pop(lua, 1);
            lua_pushnil(lua); /* the last of equal keys wins, also when it is null */
        }
        lua_rawset(lua, -3);
    }
}

static void push_object(struct json_reader *reader)
{
    lua_createtable(reader->state->lua, 0, 4);
    fill_object(reader);
}

static void push_list(struct json_reader *reader)
{
    lua_State *lua = reader->state->lua;
    lua_newtable(lua);
    int count = 0;
    for (reader->at++; next_item(reader, ']');) {
        push_value(reader);
        lua_rawseti(lua, -2, ++count);
    }
    if (count == 0) {
        mp__push_kept(reader->state, MP__KEPT_LIST);
        lua_setmetatable(lua, -2);
    }
}

static void push_scalar(struct json_reader *reader)
{
    lua_State *lua = reader->state->lua;
    const char *start = reader->at;
    while (reader->at < reader->end && !strchr(" \n\r\t,]}", *reader->at)) {
        reader->at++;
    }
    switch (*start) {
    case 'n':
        mp__push_null(lua);
        break;
    case 't':
    case 'f':
        lua_pushboolean(lua, *start == 't');
        break;
    default:
        push_number(lua, (struct mp_str){start, (size_t)(reader->at - start)});
    }
}

static void push_value(struct json_reader *reader)
{
    mp__budget_check(reader->state);
    luaL_checkstack(reader->state->lua, 6, "JSON is nested too deep for a script");
    switch (*reader->at) {
    case '{':
        push_object(reader);
        break;
    case '[':
        push_list(reader);
        break;
    case '"':
        push_string(reader);
        break;
    default:
        push_scalar(reader);
    }
}

void mp__push_json(struct mp_script_state *state, struct mp_str raw)
{
    struct json_reader reader = {state, raw.data, raw.data + raw.length};
    skip_space(&reader);
    push_value(&reader);
}

void mp__fill_json(struct mp_script_state *state, struct mp_str raw)
{
    struct json_reader reader = {state, raw.data, raw.data + raw.length};
    skip_space(&reader);
    if (*reader.at == '{') {
        fill_object(&reader);
    }
}
