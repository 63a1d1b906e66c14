/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <luajit.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"
#include "values.h"

#define SCRATCH_BYTES ((size_t)MP_REQUEST_BODY_MAX)

static void *refuse(struct mp_script_state *state)
{
    state->heap_refused = true;
    if (state->lua) {
        mp__note_line(state);
    }
    return NULL;
}

static void *allocate(void *arg, void *block, size_t old_bytes, size_t new_bytes)
{
    struct mp_script_state *state = arg;
    if (new_bytes == 0) {
        free(block);
        state->heap_bytes -= old_bytes;
        return NULL;
    }
    /* Many small C functions, each done before a hook can fire, have to ask for memory:
     * once the time is spent there is none. */
    if (new_bytes > old_bytes && mp__budget_is_spent(state)) {
        mp__note_line(state);
        return NULL;
    }
    if (new_bytes > old_bytes &&
        new_bytes - old_bytes > MP__HEAP_BYTES - state->heap_bytes) {
        return refuse(state);
    }
    void *moved = realloc(block, new_bytes);
    if (!moved) {
        return refuse(state);
    }
    state->heap_bytes = state->heap_bytes - old_bytes + new_bytes;
    return moved;
}

struct mp_script_state *mp__state_of(lua_State *lua)
{
    void *state;
    lua_getallocf(lua, &state);
    return state;
}

void mp__keep(struct mp_script_state *state, enum mp__kept which)
{
    if (state->kept[which] == 0) {
        lua_pushboolean(state->lua,
                        1); /* luaL_ref of nil would not be a place of its own */
        state->kept[which] = luaL_ref(state->lua, LUA_REGISTRYINDEX);
    }
    lua_rawseti(state->lua, LUA_REGISTRYINDEX, state->kept[which]);
}

void mp__push_kept(struct mp_script_state *state, enum mp__kept which)
{
    lua_rawgeti(state->lua, LUA_REGISTRYINDEX, state->kept[which]);
}

/* In GC64 mode a count hook never fires inside compiled traces: nothing is compiled. */
static void set_up(struct mp_script_state *state, void *arg)
{
    (void)arg;
    lua_State *lua = state->lua;
    luaJIT_setmode(lua, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
    lua_gc(lua, LUA_GCSETPAUSE, 150);
    lua_newtable(lua);
    mp__keep(state, MP__KEPT_FUNCTIONS);
    mp__call_open(state);
    mp__json_open(state);
    mp__secret_open(state);
    mp__response_open(state);
    mp__request_open(state);
    mp__lazy_open(state);
    mp__sandbox_open(state);
}

/* What Lua says where the comma behind an entry is missing tells of a brace instead. */
static bool lacks_comma(struct mp_str why)
{
    static const char before[] = "'}' expected (to close '{' at line ";
    const char *at = memmem(why.data, why.length, before, sizeof(before) - 1);
    const char *near = at ? strstr(at, ") near '") : NULL;
    char next = near ? near[strlen(") near '")] : '\0';
    return isalpha((unsigned char)next) || next == '_' || next == '[' || next == '{';
}

static _Noreturn void fail_syntax(struct mp_script_state *state)
{
    lua_State *lua = state->lua;
    const struct mp_script *script = state->script;
    if (script->source.length > 0 && script->source.data[0] == LUA_SIGNATURE[0]) {
        luaL_error(lua, "%s: it is bytecode: write Lua text", script->path.data);
    }
    if (lacks_comma(mp__str_at(lua, -1))) {
        lua_pushliteral(lua, ": a comma is missing before it");
        lua_concat(lua, 2);
    }
    lua_error(lua);
    __builtin_unreachable();
}

static void load(struct mp_script_state *state, void *arg)
{
    struct mp_script *planned = arg;
    lua_State *lua = state->lua;
    const struct mp_script *script = state->script;
    lua_pushfstring(lua, "@%s", script->path.data);
    if (luaL_loadbufferx(lua, script->source.data, script->source.length,
                         lua_tostring(lua, -1), "t") != 0) {
        fail_syntax(state);
    }
    state->is_loading = true;
    lua_call(lua, 0, 1);
    mp__plan_compile(state, planned);
    state->is_loading = false;
}

static _Atomic int64_t states;

int64_t mp_script_states(void)
{
    return atomic_load_explicit(&states, memory_order_relaxed);
}

static void free_state(struct mp_script_state *state)
{
    atomic_fetch_sub_explicit(&states, 1, memory_order_relaxed);
    if (state->lua) {
        lua_close(state->lua);
    }
    mp_buf_fini(&state->scratch);
    mp_buf_fini(&state->shown);
    free(state);
}

int mp__state_open(struct mp_script *planned, struct mp_script_state **out,
                   struct mp_error *err)
{
    struct mp_script_state *state = calloc(1, sizeof(*state));
    if (!state) {
        return mp_error_set(err, MP_ENOMEM, "could not make a Lua state: out of memory");
    }
    atomic_fetch_add_explicit(&states, 1, memory_order_relaxed);
    mp_buf_init(&state->scratch, SCRATCH_BYTES);
    mp_buf_init(&state->shown, SCRATCH_BYTES);
    state->script = planned;
    state->lua = lua_newstate(allocate, state);
    int status = MP_ENOMEM;
    if (!state->lua) {
        mp_error_set(err, status, "could not make a Lua state: out of memory");
        goto fail;
    }
    status = mp__call_first(state, set_up, NULL, err);
    if (status == MP_OK) {
        status = mp__call(state, load, planned, err);
    }
    if (status != MP_OK) {
        goto fail;
    }
    *out = state;
    return MP_OK;

fail:
    free_state(state);
    return status;
}

int mp_script_state_new(struct mp_script *script, struct mp_script_state **out,
                        struct mp_error *err)
{
    struct mp_script *again =
        mp__script_new(mp_str_of(script->name), script->source, script->path.data,
                       &mp__private_of(script)->env);
    if (!again) {
        return mp_error_set(err, MP_ENOMEM, "could not make a Lua state: out of memory");
    }
    struct mp__private *own = mp__private_of(again);
    own->modules = mp__private_of(script)->modules; /* which outlives it */
    own->has_all_modules = true;
    struct mp_script_state *state;
    int status = mp__state_open(again, &state, err);
    if (status == MP_OK && !mp__plan_same_functions(script, again)) {
        free_state(state);
        status =
            mp_error_set(err, MP_ESCRIPT,
                         "%s: it returned other functions when it ran again: a script "
                         "must return the same table each time",
                         script->path.data);
    }
    if (status == MP_OK) {
        state->script = mp_script_ref(script);
        *out = state;
    }
    mp_script_unref(again);
    return status;
}

void mp_script_state_free(struct mp_script_state *state)
{
    if (state) {
        struct mp_script *script = state->script;
        free_state(state);
        mp_script_unref(script);
    }
}

int64_t mp_script_state_last_us(const struct mp_script_state *state)
{
    return state->last_us;
}
