/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "values.h"

/* The request as a hook sees it. `method`, `url` and `headers` lie in the table; `query`
 * and `body` are made when first asked for and belong to the call under way: kept beside
 * it, so that a table assigned to `body` is read back as its bytes. */

const char *const mp__request_fields[] = {"method",  "url",  "query",
                                          "headers", "body", NULL};

static bool is_now(struct mp_script_state *state, int index)
{
    mp__push_kept(state, MP__KEPT_NOW_REQUEST);
    bool same = lua_rawequal(state->lua, -1, index);
    lua_pop(state->lua, 1);
    return same;
}

static void forget(struct mp_script_state *state, enum mp__kept which)
{
    lua_pushboolean(state->lua, 0);
    mp__keep(state, which);
}

static void push_headers(struct mp_script_state *state, const struct mp_request *request)
{
    lua_State *lua = state->lua;
    lua_newtable(lua);
    mp__keep(state, MP__KEPT_SPELLING);
    lua_createtable(lua, 0, (int)request->header_count);
    for (size_t i = 0; i < request->header_count; i++) {
        mp__push_str(lua, mp_header_name(request, i));
        mp__lower(lua, lua_gettop(lua));
        lua_remove(lua, -2);
        mp__push_hidden(state, mp_header_value(request, i), mp_header_shown(request, i));
        lua_rawset(lua, -3);
    }
    mp__push_kept(state, MP__KEPT_HEADERS);
    lua_setmetatable(lua, -2);
}

void mp__push_request(struct mp_script_state *state, const struct mp_request *request)
{
    lua_State *lua = state->lua;
    lua_createtable(lua, 0, 4);
    lua_pushstring(lua, request->method);
    lua_setfield(lua, -2, "method");
    mp__push_hidden(state, mp_buf_str(&request->url), mp_request_url_shown(request));
    lua_setfield(lua, -2, "url");
    mp__push_kept(state, MP__KEPT_REQUEST);
    lua_setmetatable(lua, -2);
    lua_pushvalue(lua, -1);
    mp__keep(state, MP__KEPT_NOW_REQUEST);
    forget(state, MP__KEPT_SPELLING);
    forget(state, MP__KEPT_NOW_BODY);
    forget(state, MP__KEPT_NOW_QUERY);
    state->request = request;
    state->body_is_set = state->headers_are_seen = false;
}

static void push_body(struct mp_script_state *state)
{
    lua_State *lua = state->lua;
    mp__push_kept(state, MP__KEPT_NOW_BODY);
    if (lua_isboolean(lua, -1)) {
        lua_pop(lua, 1);
        struct mp_str body = mp_request_body(state->request);
        mp__push_hidden(state, body, mp_buf_str(&state->request->body_shown));
        lua_pushvalue(lua, -1);
        mp__keep(state, MP__KEPT_NOW_BODY);
    }
}

/* Read twice: `now` is the hook's to change, `old` says what it changed. */
static void push_query(struct mp_script_state *state)
{
    lua_State *lua = state->lua;
    mp__push_kept(state, MP__KEPT_NOW_QUERY);
    if (lua_istable(lua, -1)) {
        return;
    }
    lua_pop(lua, 1);
    struct mp_str url = mp_buf_str(&state->request->url);
    struct mp_str shown = mp_request_url_shown(state->request);
    mp__query_read(state, url, shown);
    int old = lua_gettop(lua);
    lua_newtable(lua); /* a copy, so that hidden values are the same objects */
    for (lua_pushnil(lua); lua_next(lua, old) != 0;) {
        lua_pushvalue(lua, -2);
        lua_insert(lua, -2);
        lua_rawset(lua, old + 1);
    }
    lua_pushvalue(lua, old);
    mp__keep(state, MP__KEPT_OLD_QUERY);
    lua_pushvalue(lua, -1);
    mp__keep(state, MP__KEPT_NOW_QUERY);
    lua_remove(lua, old);
}

static int index_request(lua_State *lua)
{
    struct mp_script_state *state = mp__state_of(lua);
    if (lua_type(lua, 2) != LUA_TSTRING || !state->request || !is_now(state, 1)) {
        return 0;
    }
    struct mp_str key = mp__str_at(lua, 2);
    if (mp_str_is(key, "body")) {
        push_body(state);
        return 1;
    }
    if (mp_str_is(key, "query")) {
        push_query(state);
        return 1;
    }
    if (mp_str_is(key, "headers") && !state->headers_are_seen) {
        state->headers_are_seen = true;
        push_headers(state, state->request);
        lua_pushvalue(lua, 2);
        lua_pushvalue(lua, -2);
        lua_rawset(lua, 1);
        return 1;
    }
    return 0;
}

/* The value on top, as the bytes that go on the wire: a string or a secret. */
void mp__assign_body(struct mp_script_state *state)
{
    lua_State *lua = state->lua;
    if (lua_istable(lua, -1)) {
        mp_buf_reset(&state->scratch);
        mp__write_json(state, lua_gettop(lua), &state->scratch);
        mp__push_str(lua, mp_buf_str(&state->scratch));
    } else if (lua_type(lua, -1) == LUA_TNUMBER) {
        lua_pushvalue(lua, -1);
        lua_tostring(lua, -1);
    } else if (lua_isnil(lua, -1) ||
               (lua_isboolean(lua, -1) && !lua_toboolean(lua, -1))) {
        lua_pushnil(lua);
    } else if (lua_type(lua, -1) == LUA_TSTRING || mp__secret_at(state, -1)) {
        lua_pushvalue(lua, -1);
    } else {
        luaL_error(lua, "request.body is a %s: it is a string or a table",
                   luaL_typename(lua, -1));
    }
    mp__keep(state, MP__KEPT_NOW_BODY);
    state->body_is_set = true;
}

void mp__assign_query(struct mp_script_state *state)
{
    lua_State *lua = state->lua;
    if (!lua_istable(lua, -1)) {
        luaL_error(lua, "request.query is a %s: it is a table", luaL_typename(lua, -1));
    }
    push_query(state); /* what was there is what the new table is compared with */
    lua_pop(lua, 1);
    mp__force(state, lua_gettop(lua));
    lua_pushvalue(lua, -1);
    mp__keep(state, MP__KEPT_NOW_QUERY);
}

static int newindex_request(lua_State *lua)
{
    struct mp_script_state *state = mp__state_of(lua);
    struct mp_str key = {"", 0};
    if (lua_type(lua, 2) == LUA_TSTRING) {
        key = mp__str_at(lua, 2);
    }
    if (!state->request || !is_now(state, 1)) {
        return luaL_error(lua, "this request is of another call");
    }
    lua_settop(lua, 3);
    if (mp_str_is(key, "body")) {
        mp__assign_body(state);
    } else if (mp_str_is(key, "query")) {
        mp__assign_query(state);
    } else if (mp_str_is(key, "method") || mp_str_is(key, "url") ||
               mp_str_is(key, "headers")) {
        state->headers_are_seen = state->headers_are_seen || mp_str_is(key, "headers");
        lua_rawset(lua, 1);
    } else {
        const char *near = mp__near_miss(key, mp__request_fields);
        return luaL_error(lua, "a request has no `%s`%s%s%s", key.data,
                          near ? ": did you mean `" : "", near ? near : "",
                          near ? "`?" : "");
    }
    return 0;
}

void mp__request_open(struct mp_script_state *state)
{
    static const enum mp__kept places[] = {MP__KEPT_NOW_REQUEST, MP__KEPT_NOW_BODY,
                                           MP__KEPT_NOW_QUERY, MP__KEPT_OLD_QUERY,
                                           MP__KEPT_SPELLING};
    lua_State *lua = state->lua;
    lua_newtable(lua);
    lua_pushcfunction(lua, index_request);
    lua_setfield(lua, -2, "__index");
    lua_pushcfunction(lua, newindex_request);
    lua_setfield(lua, -2, "__newindex");
    lua_pushboolean(lua, 0);
    lua_setfield(lua, -2, "__metatable");
    mp__keep(state, MP__KEPT_REQUEST);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        forget(state, places[i]);
    }
}
