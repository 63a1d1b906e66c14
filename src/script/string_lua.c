/* SPDX-License-Identifier: MIT */
#include <lualib.h>
#include <string.h>

#include "pattern.h"
#include "values.h"

/* find, match, gmatch, gsub over our own matcher, and a format that shows no address. */

static struct mp_str check_text(lua_State *lua, int argument)
{
    struct mp_str text = {0};
    text.data = luaL_checklstring(lua, argument, &text.length);
    return text;
}

static struct mp_str check_subject(lua_State *lua)
{
    struct mp_str subject = check_text(lua, 1);
    mp__budget_check(mp__state_of(lua));
    if (subject.length > MP__SUBJECT_BYTES) {
        luaL_error(lua, "a pattern is not matched against more than 1 MiB");
    }
    return subject;
}

static struct mp__matcher new_matcher(lua_State *lua, struct mp_str subject,
                                      struct mp_str pattern)
{
    return (struct mp__matcher){.state = mp__state_of(lua),
                                .subject = subject.data,
                                .subject_end = subject.data + subject.length,
                                .pattern_end = pattern.data + pattern.length};
}

/* One capture; with none in the pattern, index 0 is the whole match. */
static void push_capture(struct mp__matcher *matcher, int index, const char *from,
                         const char *to)
{
    lua_State *lua = matcher->state->lua;
    if (index >= matcher->level) {
        if (index != 0) {
            luaL_error(lua, "invalid capture index");
        }
        lua_pushlstring(lua, from, (size_t)(to - from));
        return;
    }
    const struct mp__capture *capture = &matcher->captures[index];
    if (capture->length == MP__CAPTURE_OPEN) {
        luaL_error(lua, "unfinished capture");
    }
    if (capture->length == MP__CAPTURE_PLACE) {
        lua_pushinteger(lua, capture->start - matcher->subject + 1);
    } else {
        lua_pushlstring(lua, capture->start, (size_t)capture->length);
    }
}

/* All of them; the whole match when there are none and `whole`. How many. */
static int push_captures(struct mp__matcher *matcher, const char *from, const char *to,
                         bool whole)
{
    int count = matcher->level == 0 && whole ? 1 : matcher->level;
    luaL_checkstack(matcher->state->lua, count + 1, "too many captures");
    for (int i = 0; i < count; i++) {
        push_capture(matcher, i, from, to);
    }
    return count;
}

static bool is_plain(struct mp_str pattern)
{
    static const bool magic[256] = {
        ['^'] = true, ['$'] = true, ['*'] = true, ['+'] = true, ['?'] = true,
        ['.'] = true, ['('] = true, ['['] = true, ['%'] = true, ['-'] = true};
    for (size_t i = 0; i < pattern.length; i++) {
        if (magic[(unsigned char)pattern.data[i]]) {
            return false;
        }
    }
    return true;
}

/* From 1, negative from the end, kept inside the subject. */
static size_t start_of(lua_State *lua, struct mp_str subject)
{
    ptrdiff_t start = luaL_optinteger(lua, 3, 1);
    ptrdiff_t length = (ptrdiff_t)subject.length;
    if (start < 0) {
        start += length + 1;
    }
    start = start < 1 ? 0 : start - 1;
    return (size_t)(start < length ? start : length);
}

static int find_plain(lua_State *lua, struct mp_str subject, struct mp_str text,
                      size_t start)
{
    const char *at = subject.data + start;
    if (text.length > 0) {
        at = memmem(at, subject.length - start, text.data, text.length);
    }
    if (!at) {
        lua_pushnil(lua);
        return 1;
    }
    lua_pushinteger(lua, at - subject.data + 1);
    lua_pushinteger(lua, at - subject.data + (ptrdiff_t)text.length);
    return 2;
}

static int find_or_match(lua_State *lua, bool find)
{
    struct mp_str subject = check_subject(lua);
    struct mp_str pattern = check_text(lua, 2);
    size_t start = start_of(lua, subject);
    if (find && (lua_toboolean(lua, 4) || is_plain(pattern))) {
        return find_plain(lua, subject, pattern, start);
    }
    struct mp__matcher matcher = new_matcher(lua, subject, pattern);
    const char *p = pattern.data;
    bool anchored = pattern.length > 0 && *p == '^';
    p += anchored;
    for (const char *at = subject.data + start; at <= matcher.subject_end; at++) {
        matcher.level = 0;
        const char *end = mp__match(&matcher, at, p);
        if (end && find) {
            lua_pushinteger(lua, at - subject.data + 1);
            lua_pushinteger(lua, end - subject.data);
            return 2 + push_captures(&matcher, at, end, false);
        }
        if (end) {
            return push_captures(&matcher, at, end, true);
        }
        if (anchored) {
            break;
        }
    }
    lua_pushnil(lua);
    return 1;
}

static int find(lua_State *lua)
{
    return find_or_match(lua, true);
}

static int match(lua_State *lua)
{
    return find_or_match(lua, false);
}

static int gmatch_next(lua_State *lua)
{
    struct mp_str subject = mp__str_at(lua, lua_upvalueindex(1));
    struct mp_str pattern = mp__str_at(lua, lua_upvalueindex(2));
    struct mp__matcher matcher = new_matcher(lua, subject, pattern);
    const char *at = subject.data + lua_tointeger(lua, lua_upvalueindex(3));
    for (; at <= matcher.subject_end; at++) {
        matcher.level = 0;
        const char *end = mp__match(&matcher, at, pattern.data);
        if (end) {
            lua_pushinteger(lua, end - subject.data + (end == at));
            lua_replace(lua, lua_upvalueindex(3));
            return push_captures(&matcher, at, end, true);
        }
    }
    return 0;
}

static int gmatch(lua_State *lua)
{
    check_subject(lua);
    check_text(lua, 2);
    lua_settop(lua, 2);
    lua_pushinteger(lua, 0);
    lua_pushcclosure(lua, gmatch_next, 3);
    return 1;
}

/* Text that grows in the state's own memory, so that it counts and a throw frees it. */
struct growing {
    lua_State *lua;
    int place; /* of its userdatum */
    char *data;
    size_t length, capacity;
};

static void append(struct growing *text, const char *data, size_t length)
{
    if (length > text->capacity - text->length) {
        size_t capacity = text->capacity * 2 + length;
        char *moved = lua_newuserdata(text->lua, capacity);
        if (text->length > 0) {
            memcpy(moved, text->data, text->length);
        }
        lua_replace(text->lua, text->place);
        text->data = moved;
        text->capacity = capacity;
    }
    if (length > 0) {
        memcpy(text->data + text->length, data, length);
        text->length += length;
    }
}

static void append_top(struct growing *text)
{
    struct mp_str piece = mp__str_at(text->lua, -1);
    append(text, piece.data,
           piece.length); /* may put its memory on top, but not for long */
    lua_pop(text->lua, 1);
}

static void append_template(struct growing *text, struct mp__matcher *matcher,
                            const char *from, const char *to)
{
    struct mp_str replacement = mp__str_at(text->lua, 3);
    mp__match_charge(matcher, replacement.length / MP__BYTES_A_STEP);
    for (size_t i = 0; i < replacement.length; i++) {
        char c = replacement.data[i];
        if (c == '%') {
            i++;
            c = i < replacement.length ? replacement.data[i] : '\0';
            if (c == '0') {
                append(text, from, (size_t)(to - from));
                continue;
            }
            if (c >= '1' && c <= '9') {
                mp__match_charge(matcher, 1);
                push_capture(matcher, c - '1', from, to);
                append_top(text);
                continue;
            }
        }
        append(text, &c, 1);
    }
}

/* nil and false keep what was matched. */
static void append_value(struct growing *text, struct mp__matcher *matcher,
                         const char *from, const char *to)
{
    lua_State *lua = text->lua;
    if (lua_isfunction(lua, 3)) {
        lua_pushvalue(lua, 3);
        lua_call(lua, push_captures(matcher, from, to, true), 1);
    } else {
        push_capture(matcher, 0, from, to);
        lua_rawget(lua, 3);
    }
    if (!lua_toboolean(lua, -1)) {
        lua_pop(lua, 1);
        append(text, from, (size_t)(to - from));
    } else if (lua_type(lua, -1) == LUA_TSTRING || lua_type(lua, -1) == LUA_TNUMBER) {
        append_top(text);
    } else {
        luaL_error(lua, "invalid replacement value (a %s)", luaL_typename(lua, -1));
    }
}

static int substitute(lua_State *lua, struct mp_str subject, struct mp_str pattern,
                      double most)
{
    struct growing text = {.lua = lua};
    lua_settop(lua, 4);
    lua_pushnil(lua);
    text.place = 5;
    struct mp__matcher matcher = new_matcher(lua, subject, pattern);
    const char *p = pattern.data;
    bool anchored = pattern.length > 0 && *p == '^';
    p += anchored;
    double count = 0;
    const char *at = subject.data;
    while (count < most) {
        matcher.level = 0;
        const char *end = mp__match(&matcher, at, p);
        if (end) {
            count++;
            if (lua_type(lua, 3) == LUA_TSTRING) {
                append_template(&text, &matcher, at, end);
            } else {
                append_value(&text, &matcher, at, end);
            }
        }
        if (end && end > at) {
            at = end;
        } else if (at < matcher.subject_end) {
            append(&text, at++, 1);
        } else {
            break;
        }
        if (anchored) {
            break;
        }
    }
    append(&text, at, (size_t)(matcher.subject_end - at));
    lua_pushlstring(lua, text.data ? text.data : "", text.length);
    lua_pushnumber(lua, count);
    return 2;
}

static int gsub(lua_State *lua)
{
    struct mp_script_state *state = mp__state_of(lua);
    struct mp_str subject = check_subject(lua);
    struct mp_str pattern = check_text(lua, 2);
    int type = lua_type(lua, 3);
    if (type == LUA_TNUMBER) {
        lua_tostring(lua, 3);
    } else if (type != LUA_TSTRING && type != LUA_TTABLE && type != LUA_TFUNCTION) {
        return luaL_argerror(lua, 3, "string/function/table expected");
    }
    mp__force(state, 3);
    double most = luaL_optnumber(lua, 4, (double)subject.length + 1);
    if (state->gsub_nesting >= MP__GSUB_MAX) {
        return luaL_error(lua, "gsub is nested over %d deep", MP__GSUB_MAX);
    }
    state->gsub_nesting++;
    int results = substitute(lua, subject, pattern, most);
    state->gsub_nesting--;
    return results;
}

static void check_format(lua_State *lua, struct mp_str text)
{
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] != '%') {
            continue;
        }
        i++;
        while (i < text.length && strchr("-+ #0123456789.", text.data[i])) {
            i++;
        }
        if (i < text.length && text.data[i] == 'p') {
            luaL_error(lua, "string.format has no %%p here");
        }
    }
}

/* Values that would be shown with their address are made text first. */
static int format(lua_State *lua)
{
    struct mp_script_state *state = mp__state_of(lua);
    check_format(lua, check_text(lua, 1));
    int count = lua_gettop(lua);
    for (int i = 2; i <= count; i++) {
        int type = lua_type(lua, i);
        if (mp__secret_at(state, i)) {
            return luaL_error(lua, "string.format cannot take a secret: join it with ..");
        }
        if (type == LUA_TTABLE || type == LUA_TFUNCTION || type == LUA_TUSERDATA ||
            type == LUA_TLIGHTUSERDATA) {
            lua_pushstring(lua, mp__is_null(lua, i) ? "null" : luaL_typename(lua, i));
            lua_replace(lua, i);
        }
    }
    lua_pushvalue(lua, lua_upvalueindex(1));
    lua_insert(lua, 1);
    lua_call(lua, count, 1);
    return 1;
}

void mp__push_format(lua_State *lua)
{
    lua_pushcclosure(lua, format, 1);
}

const luaL_Reg mp__string_functions[] = {
    {"find", find}, {"match", match}, {"gmatch", gmatch}, {"gsub", gsub}, {NULL, NULL}};
