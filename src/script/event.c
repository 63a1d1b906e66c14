/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "moonpost/json.h"
#include "values.h"

/* What a hook is told of its delivery, and what it asks of the event. */

#define SMALL_EVENT_BYTES 2048

static void set_text(lua_State *lua, const char *key, struct mp_str text)
{
    if (text.length > 0) {
        mp__push_str(lua, text);
        lua_setfield(lua, -2, key);
    }
}

static void set_seconds(lua_State *lua, const char *key, int64_t ms)
{
    if (ms >= 0) {
        lua_pushnumber(lua, (double)ms / 1000);
        lua_setfield(lua, -2, key);
    }
}

static void push_previous(lua_State *lua, const struct mp_record *record)
{
    lua_createtable(lua, 0, 2);
    if (record->last_status > 0) {
        lua_pushinteger(lua, record->last_status);
        lua_setfield(lua, -2, "status");
    }
    set_text(lua, "verdict",
             mp_str_of(mp_verdict_name((enum mp_verdict_kind)record->last_verdict)));
}

static void push_ids(lua_State *lua, const struct mp_context *context)
{
    lua_createtable(lua, (int)context->member_count, 0);
    for (size_t i = 0; i < context->member_count; i++) {
        mp__push_str(lua, context->members[i]->id);
        lua_rawseti(lua, -2, (int)i + 1);
    }
}

void mp__fill_context(struct mp_script_state *state)
{
    lua_State *lua = state->lua;
    const struct mp_context *context = state->context;
    const struct mp_record *record = context->record;
    set_text(lua, "id", context->members ? context->batch_id : record->id);
    if (context->members) {
        push_ids(lua, context);
        lua_setfield(lua, -2, "ids");
    }
    set_text(lua, "partner", record->partner);
    set_text(lua, "type", record->type);
    set_text(lua, "source", record->source);
    set_text(lua, "subject", record->subject);
    lua_pushinteger(lua, (lua_Integer)context->attempt);
    lua_setfield(lua, -2, "attempt");
    lua_pushboolean(lua, context->last);
    lua_setfield(lua, -2, "last");
    set_seconds(lua, "received_at", record->first_ms);
    set_seconds(lua, "occurred_at", record->occurred_ms);
    if (record->endpoint_url.length > 0) {
        lua_createtable(lua, 0, 2);
        set_text(lua, "method", record->endpoint_method);
        set_text(lua, "url", record->endpoint_url);
        lua_setfield(lua, -2, "endpoint");
    }
    if (record->attempts > 0) {
        push_previous(lua, record);
        lua_setfield(lua, -2, "previous");
    }
}

static bool place_of(struct mp_str text, int *place)
{
    if (text.length == 0 || text.length > 9 || (text.length > 1 && text.data[0] == '0')) {
        return false;
    }
    *place = 0;
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        *place = *place * 10 + (text.data[i] - '0');
    }
    return true;
}

/* Pushes one member, or nil. Lists count from 0, as in templates. */
static bool push_member(lua_State *lua, int table, struct mp_str name)
{
    mp__push_str(lua, name);
    lua_rawget(lua, table);
    int place;
    if (lua_isnil(lua, -1) && place_of(name, &place)) {
        lua_pop(lua, 1);
        lua_rawgeti(lua, table, place + 1);
    }
    if (lua_isnil(lua, -1)) {
        lua_pop(lua, 1);
        return false;
    }
    return true;
}

/* As mp_json_path: the longest key first. Pushes what it found and nothing else. In a
 * table that holds itself under many keys the ways grow without end. */
static bool push_path(lua_State *lua, int table, struct mp_str path)
{
    mp__budget_check(mp__state_of(lua));
    if (!lua_istable(lua, table) || !lua_checkstack(lua, 4)) {
        return false;
    }
    if (push_member(lua, table, path)) {
        return true;
    }
    for (size_t i = path.length; i-- > 0;) {
        if (path.data[i] != '.' ||
            !push_member(lua, table, (struct mp_str){path.data, i})) {
            continue;
        }
        struct mp_str rest = {path.data + i + 1, path.length - i - 1};
        int inside = lua_gettop(lua);
        if (push_path(lua, inside, rest)) {
            lua_remove(lua, inside);
            return true;
        }
        lua_settop(lua, inside - 1);
    }
    return false;
}

/* Of an event that nobody has read yet one value alone is made, while looking it up costs
 * less than making all. */
static bool push_from_text(struct mp_script_state *state, struct mp_str path)
{
    struct mp_str event = state->context->record->event, raw;
    if (!mp_json_path(event, path, &raw) || mp_json_kind(raw) == MP_JSON_NULL) {
        return false;
    }
    mp__push_json(state, raw);
    return true;
}

static bool push_got(lua_State *lua)
{
    struct mp_script_state *state = mp__state_of(lua);
    lua_settop(lua, 2);
    if (lua_type(lua, 2) != LUA_TSTRING || lua_objlen(lua, 2) > 1024) {
        return false;
    }
    if (mp__is_lazy_event(state, 1) &&
        state->context->record->event.length <= SMALL_EVENT_BYTES) {
        return push_from_text(state, mp__str_at(lua, 2));
    }
    mp__force(state, 1);
    return push_path(lua, 1, mp__str_at(lua, 2)) && !mp__is_null(lua, -1);
}

static int get(lua_State *lua)
{
    if (!push_got(lua)) {
        lua_pushnil(lua);
    }
    return 1;
}

static bool is_decimal(struct mp_str text)
{
    bool has_digit = false;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        has_digit = has_digit || (c >= '0' && c <= '9');
        if (c == '\0' || !strchr("0123456789+-.eE \t\r\n", c)) {
            return false;
        }
    }
    return has_digit;
}

static int num(lua_State *lua)
{
    bool is_number = push_got(lua);
    if (is_number && lua_type(lua, -1) == LUA_TSTRING) {
        is_number = is_decimal(mp__str_at(lua, -1)) && lua_isnumber(lua, -1);
    } else if (is_number) {
        is_number = lua_type(lua, -1) == LUA_TNUMBER;
    }
    if (is_number) {
        lua_pushnumber(lua, lua_tonumber(lua, -1));
    } else {
        lua_pushnil(lua);
    }
    return 1;
}

static int as_sent(lua_State *lua)
{
    struct mp_script_state *state = mp__state_of(lua);
    struct mp_str path = {0}, raw;
    luaL_checkany(lua, 1);
    path.data = luaL_optlstring(lua, 2, NULL, &path.length);
    if (!state->context) {
        return luaL_error(
            lua, "as_sent works in functions and hooks, where there is an event");
    }
    if (!path.data) {
        mp__push_str(lua, state->context->record->event);
        return 1;
    }
    if (path.length > 1024 || !mp_json_path(state->context->record->event, path, &raw)) {
        lua_pushnil(lua);
        return 1;
    }
    if (mp_json_kind(raw) != MP_JSON_STRING) {
        mp__push_str(lua, raw);
        return 1;
    }
    mp_buf_reset(&state->scratch);
    mp__check_status(lua, mp_json_unescape(raw, &state->scratch));
    mp__push_str(lua, mp_buf_str(&state->scratch));
    return 1;
}

const luaL_Reg mp__event_functions[] = {
    {"get", get}, {"num", num}, {"as_sent", as_sent}, {NULL, NULL}};
