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
    struct mp_error dead;
    int status;
};

static void push_function(struct mp_script_state *state, int number)
{
    mp__push_kept(state, MP__KEPT_FUNCTIONS);
    lua_rawgeti(state->lua, -1, number + 1);
    lua_remove(state->lua, -2);
}

/* One large event must not stay with every state. */
static void shrink(struct mp_script_state *state)
{
    if (state->scratch.capacity > KEPT_BYTES) {
        mp_buf_fini(&state->scratch);
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
    shrink(state);
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
    shrink(state);
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
    shrink(state);
    if (status == MP_OK && call.status != MP_OK) {
        return mp_error_set(err, call.status, "%s", call.dead.text);
    }
    return status;
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
    if (!lua_isnil(lua, 1) && !mp__verdict_of(state, 1, 2, call->verdict, why)) {
        *call->verdict = (struct mp_verdict){.kind = MP_VERDICT_NONE, .delay_ms = -1};
        luaL_error(lua, "verdict: %s", why);
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
                             .verdict = verdict};
    *verdict = (struct mp_verdict){.kind = MP_VERDICT_NONE, .delay_ms = -1};
    (void)members;
    int status = call.function < 0 ? MP_OK : mp__call(state, call_verdict, &call, err);
    if (status != MP_OK) {
        *verdict = (struct mp_verdict){.kind = MP_VERDICT_NONE, .delay_ms = -1};
    }
    shrink(state);
    return status;
}
