/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moonpost/json.h"
#include "values.h"

/* Tables are read raw and no script code runs meanwhile, so a key's bytes stay where they
 * are until the work is done. */

static int compare(const struct mp_str *a, const struct mp_str *b)
{
    size_t shorter = a->length < b->length ? a->length : b->length;
    int order = shorter > 0 ? memcmp(a->data, b->data, shorter) : 0;
    return order != 0 ? order : (a->length > b->length) - (a->length < b->length);
}

static void sift(struct mp_str *keys, size_t at, size_t count)
{
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && compare(&keys[child + 1], &keys[child]) > 0) {
            child++;
        }
        if (compare(&keys[at], &keys[child]) >= 0) {
            return;
        }
        struct mp_str lesser = keys[at];
        keys[at] = keys[child];
        keys[child] = lesser;
    }
}

/* A heap sort: the library's may hold memory of its own when the budget ends it. */
static void sort_keys(struct mp_script_state *state, struct mp_str *keys, size_t count)
{
    for (size_t i = count / 2; i-- > 0;) {
        sift(keys, i, count);
    }
    for (size_t left = count; left-- > 1;) {
        mp__budget_check(state);
        struct mp_str last = keys[0];
        keys[0] = keys[left];
        keys[left] = last;
        sift(keys, 0, left);
    }
}

struct census {
    size_t names, places, others;
    double highest;
};

static struct census count_keys(lua_State *lua, int table)
{
    struct census census = {0};
    for (lua_pushnil(lua); lua_next(lua, table) != 0; lua_pop(lua, 1)) {
        double place = lua_type(lua, -2) == LUA_TNUMBER ? lua_tonumber(lua, -2) : 0;
        if (lua_type(lua, -2) == LUA_TSTRING) {
            census.names++;
        } else if (place >= 1 && place <= 1e9 && floor(place) >= place) {
            census.places++;
            census.highest = place > census.highest ? place : census.highest;
        } else {
            census.others++;
        }
    }
    return census;
}

static bool is_marked_list(struct mp_script_state *state, int table)
{
    if (!lua_getmetatable(state->lua, table)) {
        return false;
    }
    mp__push_kept(state, MP__KEPT_LIST);
    bool marked = lua_rawequal(state->lua, -1, -2);
    lua_pop(state->lua, 2);
    return marked;
}

static void collect_keys(lua_State *lua, int table, struct mp__shape *shape)
{
    shape->keys = lua_newuserdata(lua, shape->count * sizeof(struct mp_str));
    size_t at = 0;
    for (lua_pushnil(lua); lua_next(lua, table) != 0; lua_pop(lua, 1)) {
        shape->keys[at++] = mp__str_at(lua, -2);
    }
    sort_keys(mp__state_of(lua), shape->keys, shape->count);
}

struct mp__shape mp__push_shape(struct mp_script_state *state, int index)
{
    lua_State *lua = state->lua;
    luaL_checkstack(lua, 8, "a table is nested too deep");
    mp__force(state, index);
    struct census census = count_keys(lua, index);
    struct mp__shape shape = {.kind = MP__SHAPE_OBJECT, .count = census.names};
    if (census.others > 0) {
        shape.kind = MP__SHAPE_KEYS;
    } else if (census.names > 0 && census.places > 0) {
        shape.kind = MP__SHAPE_MIXED;
    } else if (census.places > 0 && (double)census.places < census.highest) {
        shape.kind = MP__SHAPE_HOLES;
    } else if (census.places > 0 || (census.names == 0 && is_marked_list(state, index))) {
        shape.kind = MP__SHAPE_LIST;
        shape.count = census.places;
    } else if (census.names > 0) {
        collect_keys(lua, index, &shape);
        return shape;
    }
    lua_pushnil(lua);
    return shape;
}

const char *mp__shape_fault(enum mp__shape_kind kind)
{
    switch (kind) {
    case MP__SHAPE_MIXED:
        return "mixes list items and names: keep to one of the two";
    case MP__SHAPE_HOLES:
        return "is a list with holes: write json.null in them";
    case MP__SHAPE_KEYS:
        return "has a key that is no string: write [\"1\"]";
    case MP__SHAPE_LIST:
    case MP__SHAPE_OBJECT:
        break;
    }
    return NULL;
}

void mp__write_number(lua_State *lua, double number, struct mp_buf *out)
{
    if (!isfinite(number)) {
        luaL_error(lua, "JSON has no %s", isnan(number) ? "NaN" : "infinity");
    }
    if (fabs(number) < 1e15 && floor(number) >= number &&
        !(number == 0 && signbit(number))) {
        mp__check_status(lua, mp_buf_append_int(out, (int64_t)number));
        return;
    }
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, number);
        if (!(strtod(text, NULL) < number) && !(strtod(text, NULL) > number)) {
            break;
        }
    }
    mp__check_status(lua, mp_buf_append_text(out, text));
}

static void write_value(struct mp_script_state *state, int index, struct mp_buf *out,
                        unsigned depth);

static void write_list(struct mp_script_state *state, int table, size_t count,
                       struct mp_buf *out, unsigned depth)
{
    lua_State *lua = state->lua;
    mp__check_status(lua, mp_buf_append_char(out, '['));
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            mp__check_status(lua, mp_buf_append_char(out, ','));
        }
        lua_rawgeti(lua, table, (int)i + 1);
        write_value(state, lua_gettop(lua), out, depth);
        lua_pop(lua, 1);
    }
    mp__check_status(lua, mp_buf_append_char(out, ']'));
}

static void write_object(struct mp_script_state *state, int table,
                         const struct mp__shape *shape, struct mp_buf *out,
                         unsigned depth)
{
    lua_State *lua = state->lua;
    mp__check_status(lua, mp_buf_append_char(out, '{'));
    for (size_t i = 0; i < shape->count; i++) {
        if (i > 0) {
            mp__check_status(lua, mp_buf_append_char(out, ','));
        }
        mp__check_status(lua, mp_json_write_string(out, shape->keys[i]));
        mp__check_status(lua, mp_buf_append_char(out, ':'));
        mp__push_str(lua, shape->keys[i]);
        lua_rawget(lua, table);
        write_value(state, lua_gettop(lua), out, depth);
        lua_pop(lua, 1);
    }
    mp__check_status(lua, mp_buf_append_char(out, '}'));
}

static void write_table(struct mp_script_state *state, int table, struct mp_buf *out,
                        unsigned depth)
{
    lua_State *lua = state->lua;
    if (depth == 0) {
        luaL_error(lua, "tables are nested over %d deep, or one is inside itself",
                   MP__JSON_DEPTH);
    }
    struct mp__shape shape = mp__push_shape(state, table);
    const char *fault = mp__shape_fault(shape.kind);
    if (fault) {
        luaL_error(lua, "a table for JSON %s", fault);
    }
    if (shape.kind == MP__SHAPE_LIST) {
        write_list(state, table, shape.count, out, depth - 1);
    } else {
        write_object(state, table, &shape, out, depth - 1);
    }
    lua_pop(lua, 1);
}

static bool write_raw(struct mp_script_state *state, int index, struct mp_buf *out)
{
    lua_State *lua = state->lua;
    if (!lua_getmetatable(lua, index)) {
        return false;
    }
    mp__push_kept(state, MP__KEPT_RAW);
    bool is_raw = lua_rawequal(lua, -1, -2);
    lua_pop(lua, 2);
    if (is_raw) {
        struct mp_str text = {lua_touserdata(lua, index), lua_objlen(lua, index)};
        mp__check_status(lua, mp_buf_append_str(out, text));
    }
    return is_raw;
}

static void write_value(struct mp_script_state *state, int index, struct mp_buf *out,
                        unsigned depth)
{
    lua_State *lua = state->lua;
    mp__budget_check(state);
    switch (lua_type(lua, index)) {
    case LUA_TNIL:
        mp__check_status(lua, mp_buf_append_text(out, "null"));
        return;
    case LUA_TBOOLEAN:
        mp__check_status(
            lua, mp_buf_append_text(out, lua_toboolean(lua, index) ? "true" : "false"));
        return;
    case LUA_TNUMBER:
        mp__write_number(lua, lua_tonumber(lua, index), out);
        return;
    case LUA_TSTRING:
        mp__check_status(lua, mp_json_write_string(out, mp__str_at(lua, index)));
        return;
    case LUA_TTABLE:
        write_table(state, index, out, depth);
        return;
    default:
        break;
    }
    if (mp__is_null(lua, index)) {
        mp__check_status(lua, mp_buf_append_text(out, "null"));
    } else if (lua_type(lua, index) != LUA_TUSERDATA || !write_raw(state, index, out)) {
        luaL_error(lua, "a %s cannot be JSON",
                   mp__secret_at(state, index) ? "secret" : luaL_typename(lua, index));
    }
}

void mp__write_json(struct mp_script_state *state, int index, struct mp_buf *out)
{
    write_value(state, index, out, MP__JSON_DEPTH);
}

/* json.encode, json.decode, json.raw. */
static int encode(lua_State *lua)
{
    struct mp_script_state *state = mp__state_of(lua);
    luaL_checkany(lua, 1);
    mp_buf_reset(&state->scratch);
    mp__write_json(state, 1, &state->scratch);
    mp__push_str(lua, mp_buf_str(&state->scratch));
    return 1;
}

static int decode(lua_State *lua)
{
    struct mp_str text = {0};
    text.data = luaL_checklstring(lua, 1, &text.length);
    struct mp_json_fault fault;
    if (mp_json_check(text, MP__JSON_DEPTH, NULL, &fault) != MP_OK) {
        lua_pushnil(lua);
        lua_pushfstring(lua, "could not decode JSON: line %d, column %d: %s",
                        (int)fault.line, (int)fault.column, fault.reason);
        return 2;
    }
    mp__push_json(mp__state_of(lua), text);
    return 1;
}

static int raw(lua_State *lua)
{
    struct mp_str text = {0}, value = {0};
    text.data = luaL_checklstring(lua, 1, &text.length);
    struct mp_json_fault fault;
    if (mp_json_check(text, MP__JSON_DEPTH, &value, &fault) != MP_OK) {
        return luaL_error(lua, "json.raw was given what is not JSON: column %d: %s",
                          (int)fault.column, fault.reason);
    }
    memcpy(lua_newuserdata(lua, value.length), value.data, value.length);
    mp__push_kept(mp__state_of(lua), MP__KEPT_RAW);
    lua_setmetatable(lua, -2);
    return 1;
}

const luaL_Reg mp__json_functions[] = {
    {"encode", encode}, {"decode", decode}, {"raw", raw}, {NULL, NULL}};

static void keep_locked(struct mp_script_state *state, enum mp__kept which)
{
    lua_newtable(state->lua);
    lua_pushboolean(state->lua, 0);
    lua_setfield(state->lua, -2, "__metatable");
    mp__keep(state, which);
}

void mp__json_open(struct mp_script_state *state)
{
    keep_locked(state, MP__KEPT_LIST);
    keep_locked(state, MP__KEPT_RAW);
}
