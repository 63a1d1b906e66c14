/* SPDX-License-Identifier: MIT */
#include "values.h"

/* `event` and `ctx` are empty tables that fill themselves when a hook first looks into
 * them: many look into neither, and decoding an event costs more than the rest of a call.
 * One that was kept from an earlier call stays empty. */

static bool is_kept(struct mp_script_state *state, int index, enum mp__kept which)
{
    mp__push_kept(state, which);
    bool same = lua_rawequal(state->lua, -1, index);
    lua_pop(state->lua, 1);
    return same;
}

static bool has_lazy_metatable(struct mp_script_state *state, int index)
{
    lua_State *lua = state->lua;
    if (!lua_istable(lua, index) || !lua_getmetatable(lua, index)) {
        return false;
    }
    bool is_lazy = is_kept(state, lua_gettop(lua), MP__KEPT_LAZY);
    lua_pop(lua, 1);
    return is_lazy;
}

bool mp__is_lazy_event(struct mp_script_state *state, int index)
{
    return state->context && has_lazy_metatable(state, index) &&
           is_kept(state, index, MP__KEPT_NOW_EVENT);
}

void mp__force(struct mp_script_state *state, int index)
{
    lua_State *lua = state->lua;
    if (!has_lazy_metatable(state, index)) {
        return;
    }
    luaL_checkstack(lua, 8, "out of stack");
    lua_pushnil(lua);
    lua_setmetatable(lua, index);
    if (!state->context) {
        return;
    }
    lua_pushvalue(lua, index);
    if (is_kept(state, index, MP__KEPT_NOW_EVENT)) {
        mp__fill_json(state, state->context->record->event);
    } else if (is_kept(state, index, MP__KEPT_NOW_CONTEXT)) {
        mp__fill_context(state);
    }
    lua_pop(lua, 1);
}

static void push(struct mp_script_state *state, enum mp__kept now)
{
    lua_State *lua = state->lua;
    lua_newtable(lua);
    mp__push_kept(state, MP__KEPT_LAZY);
    lua_setmetatable(lua, -2);
    lua_pushvalue(lua, -1);
    mp__keep(state, now);
}

void mp__push_event(struct mp_script_state *state)
{
    push(state, MP__KEPT_NOW_EVENT);
}

void mp__push_context(struct mp_script_state *state)
{
    push(state, MP__KEPT_NOW_CONTEXT);
}

static int index_lazy(lua_State *lua)
{
    mp__force(mp__state_of(lua), 1);
    lua_settop(lua, 2);
    lua_rawget(lua, 1);
    return 1;
}

static int newindex_lazy(lua_State *lua)
{
    mp__force(mp__state_of(lua), 1);
    lua_settop(lua, 3);
    lua_rawset(lua, 1);
    return 0;
}

/* The stock ones, which read raw, behind what fills. */
static int next(lua_State *lua)
{
    mp__force(mp__state_of(lua), 1);
    luaL_checktype(lua, 1, LUA_TTABLE);
    lua_settop(lua, 2);
    if (lua_next(lua, 1) == 0) {
        lua_pushnil(lua);
        return 1;
    }
    return 2;
}

static int pairs(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    mp__force(mp__state_of(lua), 1);
    lua_pushvalue(lua, lua_upvalueindex(1));
    lua_pushvalue(lua, 1);
    lua_pushnil(lua);
    return 3;
}

void mp__lazy_functions(lua_State *lua, int from, int to)
{
    lua_pushcfunction(lua, next);
    lua_setfield(lua, to, "next");
    lua_getfield(lua, from, "next");
    lua_pushcclosure(lua, pairs, 1);
    lua_setfield(lua, to, "pairs");
}

void mp__lazy_open(struct mp_script_state *state)
{
    lua_State *lua = state->lua;
    lua_newtable(lua);
    lua_pushcfunction(lua, index_lazy);
    lua_setfield(lua, -2, "__index");
    lua_pushcfunction(lua, newindex_lazy);
    lua_setfield(lua, -2, "__newindex");
    lua_pushboolean(lua, 0);
    lua_setfield(lua, -2, "__metatable");
    mp__keep(state, MP__KEPT_LAZY);
}
