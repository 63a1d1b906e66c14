/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "moonpost/clock.h"
#include "plan.h"

/* The border with Lua's errors: the only file that calls lua_pcall and lua_cpcall. */

struct entry {
    mp__body body;
    void *arg;
};

static int enter(lua_State *lua)
{
    const struct entry *entry = lua_touserdata(lua, 1);
    lua_settop(lua, 0);
    entry->body(mp__state_of(lua), entry->arg);
    return 0;
}

/* One line, printable, at most `size` - 1 bytes, never half a character. */
static void one_line(const char *from, size_t length, char *to, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < length && used + 1 < size; i++) {
        unsigned char c = (unsigned char)from[i];
        to[used++] = c < ' ' || c == 0x7f ? ' ' : (char)c;
    }
    if (used + 1 == size) {
        while (used > 0 && ((unsigned char)to[used - 1] & 0xC0) == 0x80) {
            used--;
        }
        if (used > 0 && (unsigned char)to[used - 1] >= 0xC0) {
            used--;
        }
    }
    to[used] = '\0';
}

static void describe_table(struct mp_script_state *state, int index)
{
    lua_State *lua = state->lua;
    mp__force(state, index);
    lua_pushliteral(lua, "message");
    lua_rawget(lua, index);
    if (lua_type(lua, -1) != LUA_TSTRING) {
        mp_buf_reset(&state->scratch);
        mp__write_json(state, index, &state->scratch);
        mp__push_str(lua, mp_buf_str(&state->scratch));
    }
    struct mp_str text = mp__str_at(lua, -1);
    one_line(text.data, text.length, state->fault, sizeof(state->fault));
}

/* The script itself wins over what it requires: it is what its author looks at first, and
 * the other's place stands in the error's own text. */
static bool note_frame(struct mp_script_state *state, const lua_Debug *frame)
{
    const struct mp_script *script = state->script;
    const struct mp__module *module = mp__private_of(script)->modules;
    const char *path = frame->source + 1;
    if (frame->currentline <= 0 || frame->source[0] != '@') {
        return false;
    }
    if (strcmp(path, script->path.data) == 0) {
        state->fault_path = script->path.data;
        state->fault_line = (unsigned)frame->currentline;
        return true;
    }
    while (module && strcmp(path, module->path.data) != 0) {
        module = module->next;
    }
    if (module && state->fault_line == 0) {
        state->fault_path = module->path.data;
        state->fault_line = (unsigned)frame->currentline;
    }
    return false;
}

void mp__note_line(struct mp_script_state *state)
{
    lua_Debug frame;
    bool is_done = state->fault_line > 0;
    for (int level = 0;
         !is_done && level < 100 && lua_getstack(state->lua, level, &frame) == 1;
         level++) {
        is_done = lua_getinfo(state->lua, "Sl", &frame) && note_frame(state, &frame);
    }
}

/* Of what it returned: no line of it runs any more, so the function's first. */
static void note_function(struct mp_script_state *state)
{
    lua_Debug function;
    if (state->fault_line > 0 || state->called < 0) {
        return;
    }
    mp__push_kept(state, MP__KEPT_FUNCTIONS);
    lua_rawgeti(state->lua, -1, state->called + 1);
    if (lua_isfunction(state->lua, -1) && lua_getinfo(state->lua, ">S", &function)) {
        function.currentline = function.linedefined;
        note_frame(state, &function);
    }
    lua_settop(state->lua, 0);
}

/* Runs where the error was thrown, so that the line can still be asked for. */
static int on_error(lua_State *lua)
{
    struct mp_script_state *state = mp__state_of(lua);
    mp__note_line(state);
    if (lua_type(lua, 1) == LUA_TSTRING || lua_type(lua, 1) == LUA_TNUMBER) {
        struct mp_str text = mp__str_at(lua, 1);
        one_line(text.data, text.length, state->fault, sizeof(state->fault));
    } else if (lua_istable(lua, 1)) {
        snprintf(state->fault, sizeof(state->fault), "(a table)");
        describe_table(state,
                       1); /* throws for what JSON cannot say: the words above stay */
    } else {
        snprintf(state->fault, sizeof(state->fault), "(an error that is a %s)",
                 luaL_typename(lua, 1));
    }
    return 1;
}

/* Of several calls that share a budget the one that met its end may be the quickest. */
static const char *who_took(const struct mp_script_state *state)
{
    int64_t took_us = mp_clock_mono_us() - state->began_us;
    return state->turn && took_us < MP__BUDGET_MS * 1000 / 2
               ? "the functions of one request"
               : "the call";
}

static bool begins_with(const char *fault, const char *path)
{
    size_t length = strlen(path);
    return strncmp(fault, path, length) == 0 && fault[length] == ':';
}

static int write_error(struct mp_script_state *state, int status, struct mp_error *err)
{
    const char *path = state->script->path.data;
    char place[300] = "";
    note_function(state);
    bool is_own = state->fault_path == path;
    if (state->fault_line > 0) {
        snprintf(place, sizeof(place), "%s%s:%u", is_own ? "" : ": ",
                 is_own ? "" : state->fault_path, state->fault_line);
    }
    if (status == MP_EBUDGET && state->heap_refused) {
        return mp_error_set(err, status,
                            "%s%s: the script needs more than 16 MiB of memory", path,
                            place);
    }
    if (status == MP_EBUDGET) {
        return mp_error_set(err, status,
                            "%s%s: %s took more than %d ms of processor time", path,
                            place, who_took(state), MP__BUDGET_MS);
    }
    if (begins_with(state->fault, path)) {
        return mp_error_set(err, status, "%s", state->fault);
    }
    if (!is_own && state->fault_path && begins_with(state->fault, state->fault_path)) {
        place[0] = '\0';
    }
    return mp_error_set(err, status, "%s%s: %s", path, place, state->fault);
}

/* Where the stack is at its end Lua calls no handler. */
static void take_text(struct mp_script_state *state)
{
    struct mp_str text = {"an error without a text", strlen("an error without a text")};
    if (lua_type(state->lua, -1) == LUA_TSTRING) {
        text = mp__str_at(state->lua, -1);
    }
    one_line(text.data, text.length, state->fault, sizeof(state->fault));
}

/* A script may throw what a partner said, and a partner says what it was sent. */
static int explain(struct mp_script_state *state, int status, struct mp_error *err)
{
    status = write_error(state, status, err);
    if (err && (state->script->has_secrets || state->uses_secrets)) {
        mp_secrets_hide_text(mp_script_secrets(state->script), err->text,
                             sizeof(err->text));
    }
    return status;
}

/* A script may have caught its overrun and returned; it has overrun all the same. */
static int finish(struct mp_script_state *state, int thrown, struct mp_error *err)
{
    bool is_late = mp__budget_is_spent(state);
    /* A string longer than any can be is refused before memory is asked for. */
    state->heap_refused = state->heap_refused || (thrown == LUA_ERRMEM && !is_late);
    bool overran = state->heap_refused || is_late;
    if (thrown != 0 && state->fault[0] == '\0') {
        take_text(state);
    }
    lua_settop(state->lua, 0);
    mp__budget_end(state);
    state->context = NULL;
    state->request = NULL;
    state->nesting = state->gsub_nesting = 0;
    if (overran) {
        state->is_dead = true;
        return explain(state, MP_EBUDGET, err);
    }
    return thrown == 0 ? MP_OK : explain(state, MP_ESCRIPT, err);
}

static int begin(struct mp_script_state *state, struct mp_error *err)
{
    if (state->is_dead) {
        return mp_error_set(err, MP_EBUDGET,
                            "%s: the state has overrun its budget before",
                            state->script->path.data);
    }
    state->fault[0] = '\0';
    state->fault_line = 0;
    state->fault_path = NULL;
    state->called = -1;
    state->began_us = mp_clock_mono_us();
    int status = mp__budget_begin(state);
    return status == MP_OK
               ? MP_OK
               : mp_error_set(err, status, "could not call %s: %s",
                              state->script->path.data, mp_status_text(status));
}

int mp__call_first(struct mp_script_state *state, mp__body body, void *arg,
                   struct mp_error *err)
{
    struct entry entry = {body, arg};
    int status = begin(state, err);
    if (status != MP_OK) {
        return status;
    }
    return finish(state, lua_cpcall(state->lua, enter, &entry), err);
}

int mp__call(struct mp_script_state *state, mp__body body, void *arg,
             struct mp_error *err)
{
    struct entry entry = {body, arg};
    int status = begin(state, err);
    if (status != MP_OK) {
        return status;
    }
    /* None of these three allocates, so none throws. */
    mp__push_kept(state, MP__KEPT_HANDLER);
    mp__push_kept(state, MP__KEPT_ENTRY);
    lua_pushlightuserdata(state->lua, &entry);
    int thrown = lua_pcall(state->lua, 1, 0, 1);
    status = finish(state, thrown, err);
    state->last_us = mp_clock_mono_us() - state->began_us;
    return status;
}

bool mp__catch(struct mp_script_state *state, int arguments, int results)
{
    unsigned nesting = state->nesting;
    unsigned gsub_nesting = state->gsub_nesting;
    if (nesting >= MP__NESTING_MAX) {
        luaL_error(state->lua, "pcall is nested over %d deep", MP__NESTING_MAX);
    }
    state->nesting++;
    int thrown = lua_pcall(state->lua, arguments, results, 0);
    state->nesting = nesting;
    state->gsub_nesting = gsub_nesting;
    if (state->heap_refused || mp__budget_is_spent(state)) {
        lua_error(state->lua);
    }
    return thrown == 0;
}

int mp__pcall(lua_State *lua)
{
    luaL_checkany(lua, 1);
    lua_pushboolean(lua, 1);
    lua_insert(lua, 1);
    if (!mp__catch(mp__state_of(lua), lua_gettop(lua) - 2, LUA_MULTRET)) {
        lua_pushboolean(lua, 0);
        lua_insert(lua, -2);
        return 2;
    }
    return lua_gettop(lua);
}

/* The handler runs after the unwinding: in the error's place Lua would run it with hooks
 * off, and a loop in it would never end. */
int mp__xpcall(lua_State *lua)
{
    luaL_checkany(lua, 2);
    lua_pushvalue(lua, 2);
    lua_pushvalue(lua, 1);
    lua_replace(lua, 2);
    lua_replace(lua, 1); /* the handler, then the function and its arguments */
    if (mp__catch(mp__state_of(lua), lua_gettop(lua) - 2, LUA_MULTRET)) {
        lua_pushboolean(lua, 1);
        lua_replace(lua, 1);
        return lua_gettop(lua);
    }
    lua_pushvalue(lua, 1);
    lua_insert(lua, -2);
    mp__catch(mp__state_of(lua), 1, 1);
    lua_pushboolean(lua, 0);
    lua_insert(lua, -2);
    return 2;
}

void mp__call_open(struct mp_script_state *state)
{
    lua_pushcfunction(state->lua, on_error);
    mp__keep(state, MP__KEPT_HANDLER);
    lua_pushcfunction(state->lua, enter);
    mp__keep(state, MP__KEPT_ENTRY);
}
