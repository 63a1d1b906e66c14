/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "moonpost/json.h"
#include "values.h"

/* The verdict hook's view of an answer. */

void mp__lower(lua_State *lua, int index)
{
    struct mp_str text = mp__str_at(lua, index);
    char small[128];
    char *lower =
        text.length <= sizeof(small) ? small : lua_newuserdata(lua, text.length);
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        lower[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    lua_pushlstring(lua, lower, text.length);
    if (lower != small) {
        lua_remove(lua, -2);
    }
}

static void add_field(lua_State *lua, int table, struct mp_str line)
{
    const char *colon = line.length > 0 ? memchr(line.data, ':', line.length) : NULL;
    if (!colon) {
        return;
    }
    mp__push_str(lua, (struct mp_str){line.data, (size_t)(colon - line.data)});
    mp__lower(lua, lua_gettop(lua));
    lua_remove(lua, -2);
    struct mp_str value = mp_str_trim(
        (struct mp_str){colon + 1, line.length - (size_t)(colon - line.data) - 1});
    lua_pushvalue(lua, -1);
    lua_rawget(lua, table);
    if (lua_isnil(lua, -1)) {
        lua_pop(lua, 1);
        mp__push_str(lua, value);
    } else {
        lua_pushliteral(lua, ", ");
        mp__push_str(lua, value);
        lua_concat(lua, 3);
    }
    lua_rawset(lua, table);
}

static void push_headers(struct mp_script_state *state, struct mp_str lines)
{
    lua_State *lua = state->lua;
    lua_newtable(lua);
    int table = lua_gettop(lua);
    while (lines.length > 0) {
        const char *end = memchr(lines.data, '\n', lines.length);
        size_t length = end ? (size_t)(end - lines.data) : lines.length;
        struct mp_str line = {lines.data, length};
        line.length -= length > 0 && lines.data[length - 1] == '\r';
        add_field(lua, table, line);
        size_t used = length + (end ? 1 : 0);
        lines.data += used;
        lines.length -= used;
    }
    mp__push_kept(state, MP__KEPT_HEADERS);
    lua_setmetatable(lua, table);
}

void mp__push_response(struct mp_script_state *state, const struct mp_response *response)
{
    lua_State *lua = state->lua;
    lua_createtable(lua, 0, 8);
    if (response->status > 0) {
        lua_pushinteger(lua, response->status);
        lua_setfield(lua, -2, "status");
    } else if (response->error) {
        lua_pushstring(lua, response->error);
        lua_setfield(lua, -2, "error");
    }
    push_headers(state, response->headers);
    lua_setfield(lua, -2, "headers");
    mp__push_str(lua, response->body);
    lua_setfield(lua, -2, "body");
    lua_pushboolean(lua, response->truncated);
    lua_setfield(lua, -2, "truncated");
    lua_pushnumber(lua, (double)response->duration_ms);
    lua_setfield(lua, -2, "duration_ms");
    mp__push_kept(state, MP__KEPT_RESPONSE);
    lua_setmetatable(lua, -2);
}

/* `json` is made from `body` when it is first asked for, and then stays. */
static int index_response(lua_State *lua)
{
    struct mp_script_state *state = mp__state_of(lua);
    if (!lua_istable(lua, 1) || lua_type(lua, 2) != LUA_TSTRING ||
        !mp_str_is(mp__str_at(lua, 2), "json")) {
        return 0;
    }
    lua_pushliteral(lua, "body");
    lua_rawget(lua, 1);
    if (lua_type(lua, -1) != LUA_TSTRING) {
        return 0;
    }
    struct mp_str body = mp__str_at(lua, -1);
    if (mp_json_check(body, MP__JSON_DEPTH, NULL, NULL) != MP_OK) {
        return 0;
    }
    mp__push_json(state, body);
    if (mp__is_null(lua, -1)) {
        return 0;
    }
    lua_pushliteral(lua, "json");
    lua_pushvalue(lua, -2);
    lua_rawset(lua, 1);
    return 1;
}

static int index_headers(lua_State *lua)
{
    if (!lua_istable(lua, 1) || lua_type(lua, 2) != LUA_TSTRING) {
        return 0;
    }
    mp__lower(lua, 2);
    lua_rawget(lua, 1);
    return 1;
}

/* A field that is not there yet: kept in lower case, its spelling for the wire beside it.
 */
static int newindex_headers(lua_State *lua)
{
    struct mp_script_state *state = mp__state_of(lua);
    luaL_checktype(lua, 1, LUA_TTABLE);
    if (lua_type(lua, 2) != LUA_TSTRING) {
        return luaL_error(lua, "a header's name is a string");
    }
    mp__lower(lua, 2);
    mp__push_kept(state, MP__KEPT_SPELLING);
    if (lua_istable(lua, -1)) {
        lua_pushvalue(lua, -2);
        lua_pushvalue(lua, 2);
        lua_rawset(lua, -3);
    }
    lua_pop(lua, 1);
    lua_pushvalue(lua, 3);
    lua_rawset(lua, 1);
    return 0;
}

void mp__response_open(struct mp_script_state *state)
{
    lua_State *lua = state->lua;
    lua_newtable(lua);
    lua_pushcfunction(lua, index_response);
    lua_setfield(lua, -2, "__index");
    lua_pushboolean(lua, 0);
    lua_setfield(lua, -2, "__metatable");
    mp__keep(state, MP__KEPT_RESPONSE);
    lua_newtable(lua);
    lua_pushcfunction(lua, index_headers);
    lua_setfield(lua, -2, "__index");
    lua_pushcfunction(lua, newindex_headers);
    lua_setfield(lua, -2, "__newindex");
    lua_pushboolean(lua, 0);
    lua_setfield(lua, -2, "__metatable");
    mp__keep(state, MP__KEPT_HEADERS);
}
