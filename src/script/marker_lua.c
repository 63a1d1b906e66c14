/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "marker.h"

/* A marker is a userdatum with its kind; what it was called with is its environment, a
 * table that no script can reach. */

struct marker {
    enum mp__marker_kind kind;
};

static const char *const names[] = {"text",    "number",      "hashed", "xml",
                                    "literal", "json.string", "by",     "items"};

const char *mp__marker_name(enum mp__marker_kind kind)
{
    return names[kind];
}

enum mp__marker_kind mp__marker_at(struct mp_script_state *state, int index)
{
    lua_State *lua = state->lua;
    if (lua_type(lua, index) != LUA_TUSERDATA || !lua_getmetatable(lua, index)) {
        return MP__MARKER_NONE;
    }
    mp__push_kept(state, MP__KEPT_MARKER);
    bool is_marker = lua_rawequal(lua, -1, -2);
    lua_pop(lua, 2);
    const struct marker *marker = is_marker ? lua_touserdata(lua, index) : NULL;
    return marker ? marker->kind : MP__MARKER_NONE;
}

void mp__marker_push(struct mp_script_state *state, int index, int argument)
{
    lua_getfenv(state->lua, index);
    lua_rawgeti(state->lua, -1, argument);
    lua_remove(state->lua, -2);
}

/* Puts the top `arguments` values into a new marker and pushes that. */
static void push_new(struct mp_script_state *state, enum mp__marker_kind kind,
                     int arguments)
{
    lua_State *lua = state->lua;
    lua_createtable(lua, arguments, 0);
    lua_insert(lua, -1 - arguments);
    for (int i = arguments; i > 0; i--) {
        lua_rawseti(lua, -1 - i, i);
    }
    struct marker *marker = lua_newuserdata(lua, sizeof(*marker));
    marker->kind = kind;
    mp__push_kept(state, MP__KEPT_MARKER);
    lua_setmetatable(lua, -2);
    lua_insert(lua, -2);
    lua_setfenv(lua, -2);
}

static void check_loading(struct mp_script_state *state, enum mp__marker_kind kind)
{
    if (!state->is_loading) {
        luaL_error(state->lua,
                   "`%s` is for the table that the script returns: in a function, return "
                   "the value itself",
                   names[kind]);
    }
}

static const char *given(lua_State *lua)
{
    return lua_isnoneornil(lua, 1) ? "nothing"
                                   : lua_pushfstring(lua, "a %s", luaL_typename(lua, 1));
}

static int of_text(lua_State *lua, enum mp__marker_kind kind)
{
    struct mp_script_state *state = mp__state_of(lua);
    check_loading(state, kind);
    enum mp__marker_kind inner = mp__marker_at(state, 1);
    if (inner == MP__MARKER_BY) {
        return luaL_error(
            lua, "`%s` around `by`: mark each of its results, by(…, { a = %s \"…\" })",
            names[kind], names[kind]);
    }
    if (inner != MP__MARKER_NONE) {
        return luaL_error(lua, "`%s` around `%s`: keep one of the two", names[kind],
                          names[inner]);
    }
    if (lua_type(lua, 1) != LUA_TSTRING && !mp__secret_at(state, 1)) {
        return luaL_error(lua, "`%s` was given %s: write a string, %s \"{name}\"",
                          names[kind], given(lua), names[kind]);
    }
    if (lua_gettop(lua) > 1) {
        return luaL_error(lua, "`%s` takes one string: join them with ..", names[kind]);
    }
    push_new(state, kind, 1);
    return 1;
}

static int text(lua_State *lua)
{
    return of_text(lua, MP__MARKER_TEXT);
}

static int number(lua_State *lua)
{
    return of_text(lua, MP__MARKER_NUMBER);
}

static int hashed(lua_State *lua)
{
    return of_text(lua, MP__MARKER_HASHED);
}

static int xml(lua_State *lua)
{
    return of_text(lua, MP__MARKER_XML);
}

static int literal(lua_State *lua)
{
    return of_text(lua, MP__MARKER_LITERAL);
}

static int json_string(lua_State *lua)
{
    struct mp_script_state *state = mp__state_of(lua);
    check_loading(state, MP__MARKER_STRING);
    if (!lua_istable(lua, 1) || lua_gettop(lua) > 1) {
        return luaL_error(lua,
                          "`json.string` takes one table: json.string { a = \"{a}\" }");
    }
    push_new(state, MP__MARKER_STRING, 1);
    return 1;
}

static void check_cases(lua_State *lua, int table)
{
    size_t count = 0;
    for (lua_pushnil(lua); lua_next(lua, table) != 0; lua_pop(lua, 1)) {
        bool is_number = lua_type(lua, -2) == LUA_TNUMBER;
        if (lua_isboolean(lua, -2)) {
            luaL_error(lua, "`by` has a case that is a boolean: write [\"%s\"]",
                       lua_toboolean(lua, -2) ? "true" : "false");
        }
        if (!is_number && lua_type(lua, -2) != LUA_TSTRING) {
            luaL_error(lua, "`by` has a case that is a %s: cases are strings or numbers",
                       luaL_typename(lua, -2));
        }
        if (is_number && !isfinite(lua_tonumber(lua, -2))) {
            luaL_error(lua, "`by` has a case that is no finite number");
        }
        count++;
    }
    if (count == 0) {
        luaL_error(lua, "`by` has no cases: write by(\"geo\", { DE = \"…\" }, \"…\")");
    }
}

static int by(lua_State *lua)
{
    struct mp_script_state *state = mp__state_of(lua);
    check_loading(state, MP__MARKER_BY);
    if (lua_type(lua, 1) != LUA_TSTRING && !lua_isfunction(lua, 1)) {
        return luaL_error(
            lua,
            "`by` was given %s as its key: write a field's name, by(\"geo\", "
            "{ DE = \"…\" }), or a function",
            given(lua));
    }
    if (!lua_istable(lua, 2)) {
        return luaL_error(
            lua, "`by` takes a key and a table of cases: by(\"geo\", { DE = \"…\" }, "
                 "\"the default\")");
    }
    if (lua_gettop(lua) > 3) {
        return luaL_error(lua, "`by` takes a key, a table of cases and one default");
    }
    check_cases(lua, 2);
    lua_settop(lua, 3);
    push_new(state, MP__MARKER_BY, 3);
    return 1;
}

static int joined(lua_State *lua)
{
    struct mp_script_state *state = mp__state_of(lua);
    enum mp__marker_kind kind = mp__marker_at(state, 1);
    kind = kind == MP__MARKER_NONE ? mp__marker_at(state, 2) : kind;
    if (kind == MP__MARKER_BY) {
        return luaL_error(lua,
                          "`by` cannot be joined with ..: name it in vars, vars = { x = "
                          "by(…) }, and write {x}, or join inside each of its results");
    }
    if (kind == MP__MARKER_ITEMS || kind == MP__MARKER_STRING) {
        return luaL_error(lua,
                          "`%s` cannot be joined with ..: it is a value of its own in "
                          "the body's table",
                          names[kind]);
    }
    return luaL_error(
        lua, "`%s` cannot be joined with ..: write it around the whole, %s(a .. b)",
        names[kind], names[kind]);
}

static int misused(lua_State *lua)
{
    struct mp_script_state *state = mp__state_of(lua);
    enum mp__marker_kind kind = mp__marker_at(state, 1);
    kind = kind == MP__MARKER_NONE ? mp__marker_at(state, 2) : kind;
    return luaL_error(
        lua,
        "`%s` stands for a value of each event, known only at delivery: use a "
        "function to reckon with it",
        kind == MP__MARKER_NONE ? "a marker" : names[kind]);
}

void mp__push_items(struct mp_script_state *state)
{
    static const char *const misuses[] = {
        "__index", "__newindex", "__call", "__len", "__unm", "__add", "__sub",
        "__mul",   "__div",      "__mod",  "__pow", "__lt",  "__le",  NULL};
    lua_State *lua = state->lua;
    lua_newtable(lua);
    for (const char *const *each = misuses; *each; each++) {
        lua_pushcfunction(lua, misused);
        lua_setfield(lua, -2, *each);
    }
    lua_pushcfunction(lua, joined);
    lua_setfield(lua, -2, "__concat");
    lua_pushboolean(lua, 0);
    lua_setfield(lua, -2, "__metatable");
    mp__keep(state, MP__KEPT_MARKER);
    push_new(state, MP__MARKER_ITEMS, 0);
}

const luaL_Reg mp__marker_functions[] = {
    {"by", by},   {"text", text},       {"number", number}, {"hashed", hashed},
    {"xml", xml}, {"literal", literal}, {NULL, NULL}};
const luaL_Reg mp__json_markers[] = {{"string", json_string}, {NULL, NULL}};
