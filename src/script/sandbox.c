/* SPDX-License-Identifier: MIT */
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#include "moonpost/id.h"
#include "values.h"

/* The globals of a script: an allow list, locked. The table that a script sees is empty;
 * reads fall through to the real one, and from there to an error, so that a misspelt name
 * is told. */

static const char *const base_names[] = {"assert", "error",  "ipairs",   "select",
                                         "type",   "unpack", "tonumber", NULL};
static const char *const string_names[] = {"byte",    "char", "len",   "lower", "rep",
                                           "reverse", "sub",  "upper", NULL};
static const char *const table_names[] = {"concat", "maxn", "remove", NULL};
static const char *const math_names[] = {
    "abs",   "acos", "asin",  "atan",   "atan2", "ceil", "cos",   "cosh", "deg",  "exp",
    "floor", "fmod", "frexp", "huge",   "ldexp", "log",  "log10", "max",  "min",  "modf",
    "pi",    "pow",  "rad",   "random", "sin",   "sinh", "sqrt",  "tan",  "tanh", NULL};
static const char *const bit_names[] = {"arshift", "band",   "bnot", "bor", "bswap",
                                        "bxor",    "lshift", "rol",  "ror", "rshift",
                                        "tobit",   "tohex",  NULL};
static const luaL_Reg own_base[] = {{"pcall", mp__pcall},
                                    {"xpcall", mp__xpcall},
                                    {"tostring", mp__tostring},
                                    {"secret", mp__secret_new},
                                    {NULL, NULL}};
static int insert(lua_State *lua);
static const luaL_Reg own_table[] = {{"insert", insert}, {NULL, NULL}};
/* Told apart from a misspelt name: they exist in Lua. And what is meant, where there is
 * something. */
static const char *const absent[][2] = {
    {"io", NULL},
    {"os", "time.now(), time.format(…)"},
    {"ffi", NULL},
    {"debug", NULL},
    {"load", NULL},
    {"loadstring", NULL},
    {"dofile", "require \"x\", which is lib/x.lua"},
    {"jit", NULL},
    {"package", NULL},
    {"loadfile", "require \"x\", which is lib/x.lua"},
    {"coroutine", NULL},
    {"getfenv", NULL},
    {"setfenv", NULL},
    {"rawget", NULL},
    {"rawset", NULL},
    {"rawequal", NULL},
    {"print", "log(…)"},
    {"newproxy", NULL},
    {"getmetatable", NULL},
    {"setmetatable", NULL},
    {"collectgarbage", NULL},
    {"module", NULL},
    {"_G", NULL},
    {"_VERSION", NULL},
};

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Levenshtein's distance of two short words. */
static size_t distance(struct mp_str a, struct mp_str b)
{
    size_t row[33];
    for (size_t j = 0; j <= b.length; j++) {
        row[j] = j;
    }
    for (size_t i = 0; i < a.length; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < b.length; j++) {
            size_t changed = diagonal + (a.data[i] != b.data[j]);
            diagonal = row[j + 1];
            row[j + 1] = smaller(changed, smaller(row[j], row[j + 1]) + 1);
        }
    }
    return row[b.length];
}

const char *mp__near_miss(struct mp_str name, const char *const *known)
{
    const char *best = NULL;
    size_t least = 3;
    for (; name.length <= 32 && *known; known++) {
        struct mp_str each = mp_str_of(*known);
        size_t apart = each.length <= 32 ? distance(name, each) : least;
        if (apart < least && apart < each.length && apart < name.length) {
            least = apart;
            best = *known;
        }
    }
    return best;
}

/* The stock one walks down to any place it is told, for seconds. */
static int insert(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    int end = (int)lua_objlen(lua, 1) + 1;
    int count = lua_gettop(lua);
    if (count != 2 && count != 3) {
        return luaL_error(lua, "wrong number of arguments to 'insert'");
    }
    double place = count == 3 ? luaL_checknumber(lua, 2) : end;
    if (!(place >= 1 && place <= end)) {
        return luaL_argerror(lua, 2, "position out of bounds");
    }
    for (int i = end; i > (int)place; i--) {
        if (i % 4096 == 0) {
            mp__budget_check(mp__state_of(lua));
        }
        lua_rawgeti(lua, 1, i - 1);
        lua_rawseti(lua, 1, i);
    }
    lua_rawseti(lua, 1, (int)place);
    return 0;
}

static int is_less(lua_State *lua)
{
    mp__budget_check(mp__state_of(lua));
    lua_pushboolean(lua, lua_lessthan(lua, 1, 2));
    return 1;
}

/* The stock one compares by itself, without end in sight, when it is given no function.
 */
static int sort(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    lua_settop(lua, 2);
    if (lua_isnil(lua, 2)) {
        lua_pushcfunction(lua, is_less);
        lua_replace(lua, 2);
    }
    luaL_checktype(lua, 2, LUA_TFUNCTION);
    lua_pushvalue(lua, lua_upvalueindex(1));
    lua_insert(lua, 1);
    lua_call(lua, 2, 0);
    return 0;
}

static int refuse_write(lua_State *lua)
{
    return luaL_error(lua, "Moonpost's own tables are read-only");
}

static const char *const suggestions[] = {
    "assert",   "error",   "ipairs",  "next",     "pairs",   "select",  "type",  "unpack",
    "tonumber", "pcall",   "xpcall",  "tostring", "secret",  "string",  "table", "math",
    "bit",      "json",    "get",     "num",      "as_sent", "by",      "text",  "number",
    "hashed",   "xml",     "literal", "items",    "hmac",    "sha256",  "sha1",  "md5",
    "base64",   "hex",     "basic",   "webhook",  "time",    "decimal", "uuid",  "uri",
    "log",      "require", NULL};

static int read_unknown(lua_State *lua)
{
    struct mp_str name = {"?", 1};
    if (lua_type(lua, 2) == LUA_TSTRING) {
        name = mp__str_at(lua, 2);
    }
    for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
        const char *instead = absent[i][1];
        if (mp_str_is(name, absent[i][0])) {
            return luaL_error(lua, "`%s` is not available to scripts%s%s", name.data,
                              instead ? ": write " : "", instead ? instead : "");
        }
    }
    const char *near = mp__near_miss(name, suggestions);
    if (near) {
        return luaL_error(lua, "unknown global `%s`: did you mean `%s`?", name.data,
                          near);
    }
    return luaL_error(lua, "unknown global `%s`: write local %s = … above it", name.data,
                      name.data);
}

/* While the script loads it may name globals of its own; ours stay ours. */
static int write_global(lua_State *lua)
{
    struct mp_script_state *state = mp__state_of(lua);
    struct mp_str name = {"?", 1};
    if (lua_type(lua, 2) == LUA_TSTRING) {
        name = mp__str_at(lua, 2);
    }
    for (const char *const *each = suggestions; *each; each++) {
        if (mp_str_is(name, *each)) {
            return luaL_error(lua, "`%s` is Moonpost's own: write local %s = …",
                              name.data, name.data);
        }
    }
    if (!state->is_loading) {
        return luaL_error(
            lua,
            "global `%s` is read-only after load: write local %s = … above the "
            "return",
            name.data, name.data);
    }
    lua_pushvalue(lua, 2);
    lua_pushvalue(lua, 3);
    lua_rawset(lua, lua_upvalueindex(1));
    return 0;
}

static void copy_names(lua_State *lua, int from, int to, const char *const *names)
{
    for (; *names; names++) {
        lua_getfield(lua, from, *names);
        lua_setfield(lua, to, *names);
    }
}

static void set_functions(lua_State *lua, int to, const luaL_Reg *functions)
{
    for (; functions->name; functions++) {
        lua_pushcfunction(lua, functions->func);
        lua_setfield(lua, to, functions->name);
    }
}

/* Pops a table, pushes an empty one that reads through to it and cannot be written. */
static void lock(lua_State *lua)
{
    lua_newtable(lua);
    lua_newtable(lua);
    lua_pushvalue(lua, -3);
    lua_setfield(lua, -2, "__index");
    lua_pushcfunction(lua, refuse_write);
    lua_setfield(lua, -2, "__newindex");
    lua_pushboolean(lua, 0);
    lua_setfield(lua, -2, "__metatable");
    lua_setmetatable(lua, -2);
    lua_remove(lua, -2);
}

static void add_library(lua_State *lua, int globals, lua_CFunction open, const char *name,
                        const char *const *names)
{
    lua_pushcfunction(lua, open);
    lua_pushstring(lua, name);
    lua_call(lua, 1, 0);
    lua_getfield(lua, LUA_GLOBALSINDEX, name);
    lua_newtable(lua);
    copy_names(lua, lua_gettop(lua) - 1, lua_gettop(lua), names);
    if (strcmp(name, LUA_STRLIBNAME) == 0) {
        lua_getfield(lua, -2, "format");
        mp__push_format(lua);
        lua_setfield(lua, -2, "format");
        set_functions(lua, lua_gettop(lua), mp__string_functions);
        lua_pushliteral(lua, ""); /* the metatable that all strings share */
        lua_getmetatable(lua, -1);
        lua_pushvalue(lua, -3);
        lua_setfield(lua, -2, "__index");
        lua_pushboolean(lua, 0);
        lua_setfield(lua, -2, "__metatable");
        lua_pop(lua, 2);
    }
    if (strcmp(name, LUA_MATHLIBNAME) == 0) { /* else each state drew the same numbers */
        lua_getfield(lua, -2, "randomseed");
        lua_pushnumber(lua, mp_random_unit());
        lua_call(lua, 1, 0);
    }
    if (strcmp(name, LUA_TABLIBNAME) == 0) {
        lua_getfield(lua, -2, "sort");
        lua_pushcclosure(lua, sort, 1);
        lua_setfield(lua, -2, "sort");
        set_functions(lua, lua_gettop(lua), own_table);
    }
    lua_remove(lua, -2);
    lock(lua);
    lua_setfield(lua, globals, name);
}

static void add_table(lua_State *lua, int globals, const char *name,
                      const luaL_Reg *functions)
{
    lua_newtable(lua);
    set_functions(lua, lua_gettop(lua), functions);
    lock(lua);
    lua_setfield(lua, globals, name);
}

static void add_json(lua_State *lua, int globals)
{
    lua_newtable(lua);
    set_functions(lua, lua_gettop(lua), mp__json_functions);
    set_functions(lua, lua_gettop(lua), mp__json_markers);
    mp__push_null(lua);
    lua_setfield(lua, -2, "null");
    lock(lua);
    lua_setfield(lua, globals, "json");
}

static void add_own(struct mp_script_state *state, int globals)
{
    lua_State *lua = state->lua;
    set_functions(lua, globals, own_base);
    set_functions(lua, globals, mp__event_functions);
    set_functions(lua, globals, mp__marker_functions);
    set_functions(lua, globals, mp__crypto_functions);
    set_functions(lua, globals, mp__require_functions);
    set_functions(lua, globals, mp__tool_functions);
    mp__push_items(state);
    lua_setfield(lua, globals, "items");
    add_json(lua, globals);
    add_table(lua, globals, "hmac", mp__hmac_functions);
    add_table(lua, globals, "webhook", mp__webhook_functions);
    add_table(lua, globals, "time", mp__time_functions);
    add_table(lua, globals, "uri", mp__uri_functions);
}

/* An empty table before `globals`, which becomes the environment of the script. */
static void install(lua_State *lua, int globals)
{
    lua_newtable(lua);
    lua_pushcfunction(lua, read_unknown);
    lua_setfield(lua, -2, "__index");
    lua_pushboolean(lua, 0);
    lua_setfield(lua, -2, "__metatable");
    lua_setmetatable(lua, globals);
    lua_newtable(lua);
    lua_newtable(lua);
    lua_pushvalue(lua, globals);
    lua_setfield(lua, -2, "__index");
    lua_pushvalue(lua, globals);
    lua_pushcclosure(lua, write_global, 1);
    lua_setfield(lua, -2, "__newindex");
    lua_pushboolean(lua, 0);
    lua_setfield(lua, -2, "__metatable");
    lua_setmetatable(lua, -2);
    lua_replace(lua, LUA_GLOBALSINDEX);
    lua_pushnil(lua); /* the stock libraries */
    lua_setfield(lua, LUA_REGISTRYINDEX, "_LOADED");
}

void mp__sandbox_open(struct mp_script_state *state)
{
    lua_State *lua = state->lua;
    lua_newtable(lua);
    int globals = lua_gettop(lua);
    lua_pushcfunction(lua, luaopen_base);
    lua_pushliteral(lua, "");
    lua_call(lua, 1, 0);
    copy_names(lua, LUA_GLOBALSINDEX, globals, base_names);
    mp__lazy_functions(lua, LUA_GLOBALSINDEX, globals);
    add_library(lua, globals, luaopen_string, LUA_STRLIBNAME, string_names);
    add_library(lua, globals, luaopen_table, LUA_TABLIBNAME, table_names);
    add_library(lua, globals, luaopen_math, LUA_MATHLIBNAME, math_names);
    add_library(lua, globals, luaopen_bit, LUA_BITLIBNAME, bit_names);
    add_own(state, globals);
    install(lua, globals);
    lua_settop(lua, 0);
}
