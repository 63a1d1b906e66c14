/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "loader.h"
#include "plan.h"

/* `require` of the files in lib: while the script loads, each once a state. */

#define MODULES_MAX 64
#define NAME_BYTES  64

static const char under_way; /* its address marks a module that is still running */

static bool is_name(struct mp_str name)
{
    for (size_t i = 0; i < name.length; i++) {
        char c = name.data[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
        if (!plain && !(c == '-' && i > 0)) {
            return false;
        }
    }
    return name.length > 0 && name.length <= NAME_BYTES;
}

static _Noreturn void fail(lua_State *lua, const char *name, const char *why)
{
    luaL_error(lua, "could not require \"%s\": %s", name, why);
    __builtin_unreachable();
}

static struct mp_str copy(struct mp_script *script, struct mp_str text)
{
    char *bytes = mp__script_alloc(script, text.length + 1);
    if (bytes && text.length > 0) {
        memcpy(bytes, text.data, text.length);
    }
    return (struct mp_str){bytes, bytes ? text.length : 0};
}

static struct mp__module *find(struct mp__private *own, struct mp_str name, size_t *count)
{
    struct mp__module *module = own->modules;
    for (*count = 0; module && !mp_str_equal(module->name, name); module = module->next) {
        ++*count;
    }
    return module;
}

/* Nothing here throws, so that the buffer is freed. */
static void read_source(struct mp_script *script, struct mp__module *module)
{
    struct mp_buf source;
    struct mp__mark mark;
    struct mp_error err = {0};
    enum mp__file_kind kind = MP__FILE_NONE;
    const char *path = module->path.data;
    mp_buf_init(&source, MP__SOURCE_MAX_BYTES);
    int status = mp__source_look(path, &kind, &mark, &err);
    if (status == MP_OK && kind != MP__FILE_REGULAR) {
        status = mp_error_set(&err, MP_ENOTFOUND, "there is no file %s", path);
    }
    if (status == MP_OK) {
        status = mp__source_read(path, &source, &mark, &err);
    }
    if (status == MP_OK) {
        module->source = copy(script, mp_buf_str(&source));
    } else {
        module->fault = copy(script, mp_str_of(err.text));
    }
    mp_buf_fini(&source);
}

/* Also of a file that is not there: the script asks for it, and loads again when it
 * comes. */
static struct mp__module *add(struct mp_script_state *state, struct mp_str name)
{
    struct mp_script *script = state->script;
    struct mp__private *own = mp__private_of(script);
    char path[PATH_MAX];
    int length =
        snprintf(path, sizeof(path), "%s/%s.lua", own->env.lib_folder, name.data);
    struct mp__module *module = mp__script_alloc(script, sizeof(*module));
    if (!module || length >= PATH_MAX) {
        fail(state->lua, name.data, module ? "its path is too long" : "out of memory");
    }
    module->name = copy(script, name);
    module->path = copy(script, mp_str_of(path));
    if (!module->name.data || !module->path.data) {
        fail(state->lua, name.data, "out of memory");
    }
    struct mp__module **end = &own->modules;
    while (*end) {
        end = &(*end)->next;
    }
    *end = module;
    read_source(script, module);
    return module;
}

static const struct mp__module *get(struct mp_script_state *state, struct mp_str name)
{
    struct mp__private *own = mp__private_of(state->script);
    size_t count;
    struct mp__module *module = find(own, name, &count);
    if (!module && own->has_all_modules) {
        fail(state->lua, name.data, "it was not required when the script loaded");
    }
    if (!module && !own->env.lib_folder) {
        fail(state->lua, name.data, "there is no lib folder beside the script");
    }
    if (!module && count == MODULES_MAX) {
        fail(state->lua, name.data, "a script requires at most 64 modules");
    }
    module = module ? module : add(state, name);
    if (!module->source.data) {
        fail(state->lua, name.data,
             module->fault.data ? module->fault.data : "out of memory");
    }
    return module;
}

static void check_name(lua_State *lua, struct mp_str name)
{
    if (is_name(name)) {
        return;
    }
    luaL_error(
        lua,
        "\"%s\" is no module's name: require \"money\" reads lib/money.lua, and a name "
        "has a-z, 0-9, _ and -",
        name.data);
}

/* Pushes the chunk. */
static void compile(lua_State *lua, const struct mp__module *module)
{
    struct mp_str source = module->source;
    if (source.length > 0 && source.data[0] == LUA_SIGNATURE[0]) {
        luaL_error(lua, "%s: it is bytecode: write Lua text", module->path.data);
    }
    lua_pushfstring(lua, "@%s", module->path.data);
    if (luaL_loadbufferx(lua, source.data, source.length, lua_tostring(lua, -1), "t") !=
        0) {
        lua_error(lua);
    }
    lua_remove(lua, -2);
}

static void set_loaded(lua_State *lua, int loaded, struct mp_str name)
{
    mp__push_str(lua, name);
    lua_insert(lua, -2);
    lua_rawset(lua, loaded);
}

/* Leaves its value on the stack. A module that throws may be required again: a script's
 * pcall may have caught it. */
static void run(struct mp_script_state *state, const struct mp__module *module,
                int loaded)
{
    lua_State *lua = state->lua;
    const struct mp__module *outer = state->requiring;
    compile(lua, module);
    lua_pushlightuserdata(lua, (void *)&under_way);
    set_loaded(lua, loaded, module->name);
    state->requiring = module;
    bool is_good = mp__catch(state, 0, 1);
    state->requiring = outer;
    if (!is_good) {
        lua_pushnil(lua);
        set_loaded(lua, loaded, module->name);
        lua_error(lua);
    }
    if (lua_isnil(lua, -1)) {
        lua_pop(lua, 1);
        lua_pushboolean(lua, 1);
    }
    lua_pushvalue(lua, -1);
    set_loaded(lua, loaded, module->name);
}

static int require(lua_State *lua)
{
    struct mp_script_state *state = mp__state_of(lua);
    struct mp_str name = {0};
    name.data = luaL_checklstring(lua, 1, &name.length);
    check_name(lua, name);
    if (!state->is_loading) {
        return luaL_error(
            lua,
            "require runs while the script loads: write local %s = require \"%s\" "
            "at its top",
            name.data, name.data);
    }
    if (state->kept[MP__KEPT_MODULES] == 0) {
        lua_newtable(lua);
        mp__keep(state, MP__KEPT_MODULES);
    }
    mp__push_kept(state, MP__KEPT_MODULES);
    int loaded = lua_gettop(lua);
    mp__push_str(lua, name);
    lua_rawget(lua, loaded);
    if (lua_touserdata(lua, -1) == &under_way) {
        return luaL_error(
            lua,
            "\"%s\" requires \"%s\", which is still loading: move what both need "
            "into a third module",
            state->requiring ? state->requiring->name.data : "", name.data);
    }
    if (lua_isnil(lua, -1)) {
        run(state, get(state, name), loaded);
    }
    return 1;
}

const luaL_Reg mp__require_functions[] = {{"require", require}, {NULL, NULL}};
