/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "plan.h"

/* The calls that the delivery room makes. */

#define KEPT_BYTES ((size_t)64 * 1024)

struct leaf_call {
    const struct mp_context *context;
    const struct mp_request *request;
    int function;
    bool as_json;
    struct mp_leaf_result *out;
};
struct hook_call {
    const struct mp_context *context;
    int function;
    bool accepted;
    char *why;
    struct mp_request *request;
    const struct mp_response *response;
    struct mp_verdict *verdict;
    struct mp_verdict *members;
    struct mp_error dead;
    int status;
};

static void push_function(struct mp_script_state *state, int number)
{
    mp__push_kept(state, MP__KEPT_FUNCTIONS);
    lua_rawgeti(state->lua, -1, number + 1);
    lua_remove(state->lua, -2);
    state->called = number;
}

/* One large event must not stay with every state. `is_shown`: the caller has yet to read
 * what a leaf's result shows. */
static void shrink(struct mp_script_state *state, bool is_shown)
{
    if (state->scratch.capacity > KEPT_BYTES) {
        mp_buf_fini(&state->scratch);
    }
    if (state->shown.capacity > KEPT_BYTES && !is_shown) {
        mp_buf_fini(&state->shown);
    }
}

/* A reason may be made of what a partner said, and that of what it was sent. */
static void hide(struct mp_script_state *state, char *why, size_t size)
{
    if (state->script->has_secrets && *why) {
        mp_secrets_hide_text(mp_script_secrets(state->script), why, size);
    }
}

static bool as_json_token(struct mp_script_state *state, struct mp_leaf_result *out)
{
    int type = lua_type(state->lua, 1);
    if (type == LUA_TSTRING || mp__secret_at(state, 1)) {
        return false;
    }
    mp__write_json(state, 1, &out->bytes);
    out->kind = MP_RESULT_JSON;
    return true;
}

static void take_leaf(struct mp_script_state *state, bool as_json,
                      struct mp_leaf_result *out)
{
    lua_State *lua = state->lua;
    bool is_secret;
    if (lua_isnil(lua, 1) || (as_json && as_json_token(state, out))) {
        return;
    }
    mp_buf_reset(&state->shown);
    if (!mp__text_at(state, 1, &out->bytes, &state->shown, &is_secret)) {
        luaL_error(lua, "the function returned a %s: return a string, a number or nil",
                   luaL_typename(lua, 1));
    }
    out->kind = MP_RESULT_TEXT;
    out->shown = is_secret ? mp_buf_str(&state->shown) : (struct mp_str){0};
}

static void call_leaf(struct mp_script_state *state, void *arg)
{
    struct leaf_call *call = arg;
    state->context = call->context;
    push_function(state, call->function);
    mp__push_event(state);
    mp__push_context(state);
    int arguments = 2;
    if (call->request) {
        mp__push_request(state, call->request);
        arguments++;
    }
    lua_call(state->lua, arguments, 1);
    take_leaf(state, call->as_json, call->out);
}

int mp_script_call_leaf(struct mp_script_state *state, int function,
                        const struct mp_context *context,
                        const struct mp_request *request, bool as_json,
                        struct mp_leaf_result *out, struct mp_error *err)
{
    struct leaf_call call = {context, request, function, as_json, out};
    out->kind = MP_RESULT_NONE;
    out->shown = (struct mp_str){0};
    mp_buf_reset(&out->bytes);
    int status = mp__call(state, call_leaf, &call, err);
    if (status != MP_OK) {
        out->kind = MP_RESULT_NONE;
    }
    shrink(state, out->shown.length > 0);
    return status;
}

static void call_accepts(struct mp_script_state *state, void *arg)
{
    struct hook_call *call = arg;
    lua_State *lua = state->lua;
    state->context = call->context;
    push_function(state, call->function);
    mp__push_event(state);
    mp__push_context(state);
    lua_call(lua, 2, 2);
    call->accepted = !lua_isboolean(lua, 1) || lua_toboolean(lua, 1);
    bool is_secret;
    if (call->accepted || lua_isnil(lua, 2)) {
        return;
    }
    mp_buf_reset(&state->scratch);
    mp_buf_reset(&state->shown);
    if (!mp__text_at(state, 2, &state->scratch, &state->shown, &is_secret) || is_secret) {
        luaL_error(lua, "accepts returned false and a %s: the reason is text",
                   luaL_typename(lua, 2));
    }
    struct mp_verdict cut;
    struct mp_str text = mp_buf_str(&state->scratch);
    mp_verdict_set(&cut, MP_VERDICT_SKIPPED, "%.*s", (int)text.length, text.data);
    snprintf(call->why, 256, "%s", cut.why);
}

int mp_script_call_accepts(struct mp_script_state *state,
                           const struct mp_context *context, bool *accepted,
                           char why[256], struct mp_error *err)
{
    struct hook_call call = {.context = context,
                             .function = mp__private_of(state->script)->accepts,
                             .accepted = true,
                             .why = why};
    why[0] = '\0';
    int status = call.function < 0 ? MP_OK : mp__call(state, call_accepts, &call, err);
    *accepted = call.accepted;
    hide(state, why, 256);
    shrink(state, false);
    return status;
}

static void call_request(struct mp_script_state *state, void *arg)
{
    struct hook_call *call = arg;
    state->context = call->context;
    push_function(state, call->function);
    mp__push_event(state);
    mp__push_request(state, call->request);
    mp__push_context(state);
    lua_call(state->lua, 3, 1);
    call->status = mp__take_request(state, 1, call->request, &call->dead);
}

int mp_script_call_request(struct mp_script_state *state,
                           const struct mp_context *context, struct mp_request *request,
                           struct mp_error *err)
{
    struct hook_call call = {.context = context,
                             .function = mp__private_of(state->script)->request,
                             .request = request,
                             .status = MP_OK};
    if (call.function < 0) {
        return MP_OK;
    }
    int status = mp__call(state, call_request, &call, err);
    shrink(state, false);
    if (status == MP_OK && call.status != MP_OK) {
        return mp_error_set(err, call.status, "%s", call.dead.text);
    }
    return status;
}

/* What a key of a verdict table is called in an error. */
static const char *shown_key(struct mp_script_state *state, int index, char out[80])
{
    lua_State *lua = state->lua;
    if (lua_type(lua, index) == LUA_TSTRING) {
        mp__quote(state, mp__str_at(lua, index), out);
    } else if (lua_type(lua, index) == LUA_TNUMBER) {
        snprintf(out, 80, "%.14g", lua_tonumber(lua, index));
    } else {
        snprintf(out, 80, "a %s", luaL_typename(lua, index));
    }
    return out;
}

/* Pushes a table of places, counted from 1, by id. */
static void push_places(struct mp_script_state *state)
{
    const struct mp_context *context = state->context;
    lua_createtable(state->lua, 0, (int)context->member_count);
    for (size_t i = 0; i < context->member_count; i++) {
        mp__push_str(state->lua, context->members[i]->id);
        lua_pushinteger(state->lua, (lua_Integer)i + 1);
        lua_rawset(state->lua, -3);
    }
}

/* The place that the key at `index` names, from 1; 0: nobody's. */
static size_t place_of(struct mp_script_state *state, int index, int places)
{
    lua_State *lua = state->lua;
    double place = 0;
    if (lua_type(lua, index) == LUA_TNUMBER) {
        place = lua_tonumber(lua, index);
    } else if (lua_type(lua, index) == LUA_TSTRING) {
        lua_pushvalue(lua, index);
        lua_rawget(lua, places);
        place = lua_tonumber(lua, -1);
        lua_pop(lua, 1);
    }
    bool is_one = place >= 1 && place <= (double)state->context->member_count &&
                  place == (double)(size_t)place;
    return is_one ? (size_t)place : 0;
}

/* A word, or { word, detail }, on top of the stack. */
static bool entry_of(struct mp_script_state *state, struct mp_verdict *verdict,
                     char why[256])
{
    lua_State *lua = state->lua;
    int entry = lua_gettop(lua);
    if (!lua_istable(lua, entry)) {
        lua_pushnil(lua);
        return mp__verdict_of(state, entry, entry + 1, verdict, why);
    }
    lua_rawgeti(lua, entry, 1);
    lua_rawgeti(lua, entry, 2);
    int expected = !lua_isnil(lua, -2) + !lua_isnil(lua, -1);
    int items = 0;
    for (lua_pushnil(lua); lua_next(lua, entry) != 0; lua_pop(lua, 1)) {
        items++;
    }
    if (items != expected) {
        snprintf(why, 256, "an entry is a word, or { word, detail }");
        return false;
    }
    return mp__verdict_of(state, entry + 1, entry + 2, verdict, why);
}

/* The table at 1: by place or id, who it does not name keeps NONE. */
static void take_members(struct mp_script_state *state, struct mp_verdict *members)
{
    lua_State *lua = state->lua;
    char key[80], why[256];
    lua_settop(lua, 1);
    push_places(state);
    for (lua_pushnil(lua); lua_next(lua, 1) != 0; lua_settop(lua, 3)) {
        size_t place = place_of(state, 3, 2);
        if (place == 0) {
            luaL_error(lua,
                       "verdict: %s is neither a place from 1 to %d nor an id of "
                       "ctx.ids",
                       shown_key(state, 3, key), (int)state->context->member_count);
        }
        if (members[place - 1].kind != MP_VERDICT_NONE) {
            luaL_error(lua, "verdict: %s names a delivery that the table names twice",
                       shown_key(state, 3, key));
        }
        if (!entry_of(state, &members[place - 1], why)) {
            luaL_error(lua, "verdict: entry %s: %s", shown_key(state, 3, key), why);
        }
    }
}

static void call_verdict(struct mp_script_state *state, void *arg)
{
    struct hook_call *call = arg;
    lua_State *lua = state->lua;
    state->context = call->context;
    push_function(state, call->function);
    mp__push_response(state, call->response);
    mp__push_context(state);
    lua_call(lua, 2, 2);
    char why[256];
    if (lua_istable(lua, 1) && call->members) {
        take_members(state, call->members);
    } else if (!lua_isnil(lua, 1) && !mp__verdict_of(state, 1, 2, call->verdict, why)) {
        *call->verdict = (struct mp_verdict){.kind = MP_VERDICT_NONE, .delay_ms = -1};
        luaL_error(lua, "verdict: %s", why);
    }
}

static void clear(struct mp_verdict *verdict, struct mp_verdict *members, size_t count)
{
    *verdict = (struct mp_verdict){.kind = MP_VERDICT_NONE, .delay_ms = -1};
    for (size_t i = 0; i < count; i++) {
        members[i] = *verdict;
    }
}

int mp_script_call_verdict(struct mp_script_state *state,
                           const struct mp_context *context,
                           const struct mp_response *response, struct mp_verdict *verdict,
                           struct mp_verdict *members, struct mp_error *err)
{
    struct hook_call call = {.context = context,
                             .function = mp__private_of(state->script)->verdict,
                             .response = response,
                             .verdict = verdict,
                             .members = members};
    size_t count = members ? context->member_count : 0;
    clear(verdict, members, count);
    int status = call.function < 0 ? MP_OK : mp__call(state, call_verdict, &call, err);
    if (status != MP_OK) {
        clear(verdict, members, count);
    }
    hide(state, verdict->why, sizeof(verdict->why));
    for (size_t i = 0; i < count; i++) {
        hide(state, members[i].why, sizeof(members[i].why));
    }
    shrink(state, false);
    return status;
}
