/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "values.h"

/* What a hook left of the request, back into the request. */

/* A table of the hook's own: what it names is assigned to the request's. */
static void merge_returned(struct mp_script_state *state, int from, int to)
{
    lua_State *lua = state->lua;
    mp__force(state, from);
    for (size_t i = 0; mp__request_fields[i]; i++) {
        const char *field = mp__request_fields[i];
        lua_pushstring(lua, field);
        lua_rawget(lua, from);
        if (lua_isnil(lua, -1)) {
            lua_pop(lua, 1);
            continue;
        }
        if (strcmp(field, "body") == 0) {
            mp__assign_body(state);
        } else if (strcmp(field, "query") == 0) {
            mp__assign_query(state);
        } else {
            lua_pushstring(lua, field);
            lua_pushvalue(lua, -2);
            lua_rawset(lua, to);
            state->headers_are_seen =
                state->headers_are_seen || strcmp(field, "headers") == 0;
        }
        lua_pop(lua, 1);
    }
}

static size_t take_method(struct mp_script_state *state, struct mp_request *request)
{
    lua_State *lua = state->lua;
    if (lua_type(lua, -1) != LUA_TSTRING) {
        luaL_error(lua, "request.method is a %s: it is a string", luaL_typename(lua, -1));
    }
    struct mp_str method = mp__str_at(lua, -1);
    if (method.length == 0 || method.length >= sizeof(request->method)) {
        luaL_error(lua, "request.method has %d bytes: 1 to 31 are possible",
                   (int)method.length);
    }
    memcpy(request->method, method.data, method.length);
    request->method[method.length] = '\0';
    return method.length;
}

static int check_method(const struct mp_request *request, size_t length,
                        struct mp_error *err)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)request->method[i];
        if (c == '\r' || c == '\n' || c == '\0') {
            return mp_error_set(err, MP_EDEAD, "the method has a %s",
                                c ? "line break" : "NUL");
        }
        if (c <= ' ' || c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", c)) {
            return mp_error_set(
                err, MP_EDEAD,
                "the method has a byte that no method has (RFC 9110 section "
                "9.1)");
        }
    }
    return MP_OK;
}

/* Text and shown form of the value on top into a pair of buffers. */
static void take_text(struct mp_script_state *state, const char *what,
                      struct mp_buf *text, struct mp_buf *shown)
{
    bool is_secret;
    mp_buf_reset(text);
    mp_buf_reset(shown);
    if (!mp__text_at(state, lua_gettop(state->lua), text, shown, &is_secret)) {
        luaL_error(state->lua, "%s is a %s: it is a string", what,
                   luaL_typename(state->lua, -1));
    }
}

static bool has_secret(struct mp_script_state *state, int table)
{
    lua_State *lua = state->lua;
    for (lua_pushnil(lua); lua_next(lua, table) != 0; lua_pop(lua, 1)) {
        if (mp__secret_at(state, lua_gettop(lua))) {
            lua_pop(lua, 2);
            return true;
        }
    }
    return false;
}

static void take_url(struct mp_script_state *state, struct mp_request *request)
{
    take_text(state, "request.url", &request->url, &request->url_shown);
    lua_State *lua = state->lua;
    mp__push_kept(state, MP__KEPT_NOW_QUERY);
    mp__push_kept(state, MP__KEPT_OLD_QUERY);
    int now = lua_gettop(lua) - 1;
    if (lua_istable(lua, now) && request->url_shown.length == 0 &&
        !has_secret(state, now)) {
        mp__query_write(state, now, now + 1, false, &request->url);
    } else if (lua_istable(lua, now)) {
        mp_buf_reset(&state->shown);
        if (request->url_shown.length == 0) {
            mp__check_status(
                lua, mp_buf_append_str(&request->url_shown, mp_buf_str(&request->url)));
        }
        mp__query_write(state, now, now + 1, false, &request->url);
        mp__query_write(state, now, now + 1, true, &request->url_shown);
        if (mp_str_equal(mp_buf_str(&request->url), mp_buf_str(&request->url_shown))) {
            mp_buf_reset(&request->url_shown);
        }
    }
    lua_settop(lua, now - 1);
}

static void take_body(struct mp_script_state *state, struct mp_request *request)
{
    if (!state->body_is_set) {
        return;
    }
    lua_State *lua = state->lua;
    mp__push_kept(state, MP__KEPT_NOW_BODY);
    request->has_body = !lua_isnil(lua, -1);
    request->body_borrowed = (struct mp_str){0};
    mp_buf_reset(&request->body);
    mp_buf_reset(&request->body_shown);
    if (request->has_body) {
        take_text(state, "request.body", &request->body, &request->body_shown);
    }
    lua_pop(lua, 1);
}

static bool is_unchanged(struct mp_script_state *state, struct mp_request *request,
                         struct mp_str name)
{
    int at = mp_request_find_header(request, name);
    return at >= 0 && lua_type(state->lua, -1) == LUA_TSTRING &&
           mp_str_equal(mp__str_at(state->lua, -1), mp_header_value(request, (size_t)at));
}

/* The field whose value is on top. */
static int take_header(struct mp_script_state *state, struct mp_request *request,
                       struct mp_str name, struct mp_error *err)
{
    lua_State *lua = state->lua;
    if (is_unchanged(state, request, name)) {
        return MP_OK;
    }
    int at = mp_request_find_header(request, name);
    if (at >= 0) { /* a field that was there keeps its spelling */
        mp__push_str(lua, mp_header_name(request, (size_t)at));
        name = mp__str_at(lua, -1);
        lua_insert(lua, -2);
    }
    if (lua_isboolean(lua, -1) && !lua_toboolean(lua, -1)) {
        mp_request_remove_header(request, name);
        return MP_OK;
    }
    mp_buf_reset(&state->scratch);
    mp_buf_reset(&state->shown);
    bool is_secret;
    if (!mp__text_at(state, lua_gettop(lua), &state->scratch, &state->shown,
                     &is_secret)) {
        luaL_error(
            lua, "request.headers: the value of a field is a %s: it is a string or false",
            luaL_typename(lua, -1));
    }
    struct mp_error why;
    int status = mp_request_set_header(request, name, mp_buf_str(&state->scratch),
                                       mp_buf_str(&state->shown), &why);
    if (status == MP_EINVAL) {
        return mp_error_set(err, MP_EDEAD, "%s", why.text);
    }
    if (status != MP_OK) {
        luaL_error(lua, "%s", why.text);
    }
    return MP_OK;
}

/* In our own table a field that is gone was removed; one of the hook's own adds to what
 * was. */
static void remove_missing(struct mp_script_state *state, int table,
                           struct mp_request *request)
{
    lua_State *lua = state->lua;
    for (size_t i = request->header_count; i-- > 0;) {
        mp__push_str(lua, mp_header_name(request, i));
        mp__lower(lua, lua_gettop(lua));
        lua_rawget(lua, table);
        if (lua_isnil(lua, -1)) {
            mp_request_remove_header(request, mp__str_at(lua, -2));
        }
        lua_pop(lua, 2);
    }
}

static struct mp_str spelling_of(struct mp_script_state *state, struct mp_str name)
{
    lua_State *lua = state->lua; /* what is pushed stays until the caller's settop */
    mp__push_kept(state, MP__KEPT_SPELLING);
    if (lua_istable(lua, -1)) {
        mp__push_str(lua, name);
        lua_rawget(lua, -2);
        if (lua_type(lua, -1) == LUA_TSTRING) {
            return mp__str_at(lua, -1);
        }
    }
    return name;
}

static int take_headers(struct mp_script_state *state, struct mp_request *request,
                        struct mp_error *err)
{
    lua_State *lua = state->lua;
    int table = lua_gettop(lua);
    if (!lua_istable(lua, table)) {
        luaL_error(lua, "request.headers is a %s: it is a table",
                   luaL_typename(lua, table));
    }
    mp__force(state, table);
    if (lua_getmetatable(lua, table)) {
        lua_pop(lua, 1);
        remove_missing(state, table, request);
    }
    struct mp__shape shape = mp__push_shape(state, table);
    if (mp__shape_fault(shape.kind) ||
        (shape.kind == MP__SHAPE_LIST && shape.count > 0)) {
        luaL_error(lua, "request.headers is a table of names");
    }
    if (shape.count > MP_REQUEST_HEADERS_MAX) {
        luaL_error(lua, "request.headers has more than %d fields",
                   MP_REQUEST_HEADERS_MAX);
    }
    int status = MP_OK;
    for (size_t i = 0; i < shape.count && status == MP_OK; i++) {
        struct mp_str name = spelling_of(state, shape.keys[i]);
        mp__push_str(lua, shape.keys[i]);
        lua_rawget(lua, table);
        status = take_header(state, request, name, err);
        lua_settop(lua, table + 1);
    }
    lua_settop(lua, table);
    return status;
}

int mp__take_request(struct mp_script_state *state, int index, struct mp_request *request,
                     struct mp_error *err)
{
    lua_State *lua = state->lua;
    mp__push_kept(state, MP__KEPT_NOW_REQUEST);
    int table = lua_gettop(lua);
    if (!lua_isnil(lua, index) && !lua_rawequal(lua, index, table)) {
        if (!lua_istable(lua, index)) {
            luaL_error(lua, "request returned a %s: return nothing, or a table",
                       luaL_typename(lua, index));
        }
        merge_returned(state, index, table);
    }
    lua_pushliteral(lua, "method");
    lua_rawget(lua, table);
    int status = check_method(request, take_method(state, request), err);
    if (status != MP_OK) {
        return status;
    }
    lua_pushliteral(lua, "url");
    lua_rawget(lua, table);
    take_url(state, request);
    take_body(state, request);
    if (!state->headers_are_seen) {
        return MP_OK;
    }
    lua_pushliteral(lua, "headers");
    lua_rawget(lua, table);
    return take_headers(state, request, err);
}
