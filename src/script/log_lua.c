/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "moonpost/clock.h"
#include "moonpost/json.h"
#include "moonpost/log.h"
#include "tools.h"

/* log(…): a line for the author. Whatever is passed is shown, nothing throws, and no more
 * is read of it than a line can hold. */

#define LINE_BYTES 1024
#define LINES      10 /* a second, of one state */
#define DEPTH_MAX  8

/* The line grows in `state->shown`: tostring has the scratch. */
static bool is_full(const struct mp_script_state *state)
{
    return state->shown.length > LINE_BYTES;
}

static struct mp_str up_to(struct mp_str text, size_t most)
{
    return (struct mp_str){text.data, text.length < most ? text.length : most};
}

static void add_str(struct mp_script_state *state, struct mp_str text)
{
    size_t room = is_full(state) ? 0 : LINE_BYTES + 1 - state->shown.length;
    mp__check_status(state->lua, mp_buf_append_str(&state->shown, up_to(text, room)));
}

static void add_text(struct mp_script_state *state, const char *text)
{
    add_str(state, mp_str_of(text));
}

/* As tostring shows it; in a table strings stand in quotes. */
static void add_scalar(struct mp_script_state *state, int index)
{
    lua_State *lua = state->lua;
    lua_pushcfunction(lua, mp__tostring);
    lua_pushvalue(lua, index);
    lua_call(lua, 1, 1);
    add_str(state, mp__str_at(lua, -1));
    lua_pop(lua, 1);
}

static void add_quoted(struct mp_script_state *state, struct mp_str text)
{
    mp__check_status(state->lua,
                     mp_json_write_string(&state->shown, up_to(text, LINE_BYTES)));
}

static void add_value(struct mp_script_state *state, int index, unsigned depth);

static void add_list(struct mp_script_state *state, int table, size_t count,
                     unsigned depth)
{
    add_text(state, "[");
    for (size_t i = 0; i < count && !is_full(state); i++) {
        add_text(state, i > 0 ? "," : "");
        lua_rawgeti(state->lua, table, (int)i + 1);
        add_value(state, lua_gettop(state->lua), depth);
        lua_pop(state->lua, 1);
    }
    add_text(state, "]");
}

static void add_object(struct mp_script_state *state, int table,
                       const struct mp__shape *shape, unsigned depth)
{
    lua_State *lua = state->lua;
    add_text(state, "{");
    for (size_t i = 0; i < shape->count && !is_full(state); i++) {
        add_text(state, i > 0 ? "," : "");
        add_quoted(state, shape->keys[i]);
        add_text(state, ":");
        mp__push_str(lua, shape->keys[i]);
        lua_rawget(lua, table);
        add_value(state, lua_gettop(lua), depth);
        lua_pop(lua, 1);
    }
    add_text(state, "}");
}

static void add_value(struct mp_script_state *state, int index, unsigned depth)
{
    lua_State *lua = state->lua;
    mp__budget_check(state);
    if (lua_type(lua, index) == LUA_TSTRING && depth < DEPTH_MAX) {
        add_quoted(state, mp__str_at(lua, index));
        return;
    }
    if (!lua_istable(lua, index) || depth == 0) {
        add_scalar(state, index);
        return;
    }
    struct mp__shape shape = mp__push_shape(state, index);
    if (mp__shape_fault(shape.kind)) {
        add_text(state, "table");
    } else if (shape.kind == MP__SHAPE_LIST) {
        add_list(state, index, shape.count, depth - 1);
    } else {
        add_object(state, index, &shape, depth - 1);
    }
    lua_pop(lua, 1);
}

/* In one line that a C string can hold, cut between two characters. */
static void finish_line(struct mp_script_state *state)
{
    struct mp_buf *line = &state->shown;
    for (size_t i = 0; i < line->length; i++) {
        if (line->data[i] == '\0' || line->data[i] == '\n' || line->data[i] == '\r') {
            line->data[i] = ' ';
        }
    }
    if (!is_full(state)) {
        return;
    }
    line->length = mp_str_fit(mp_buf_str(line), LINE_BYTES - strlen("…"));
    add_text(state, "…");
}

/* What a partner said is logged too, and it says what it was sent. */
static void hide_secrets(struct mp_script_state *state)
{
    if (!state->script->has_secrets && !state->uses_secrets) {
        return;
    }
    mp_buf_reset(&state->scratch);
    mp__check_status(state->lua,
                     mp_secrets_hide(mp_script_secrets(state->script),
                                     mp_buf_str(&state->shown), &state->scratch));
    mp_buf_reset(&state->shown);
    mp__check_status(state->lua,
                     mp_buf_append_str(&state->shown, mp_buf_str(&state->scratch)));
}

static bool may_write(struct mp_script_state *state)
{
    const char *name = state->script->name;
    int64_t now_ms = mp_clock_wall_ms();
    bool is_new = now_ms < state->log_since_ms || now_ms - state->log_since_ms >= 1000;
    if (is_new) {
        if (state->log_left_out > 0) {
            mp_log_info("script", "%s: %u lines of log were left out", name,
                        state->log_left_out);
        }
        state->log_since_ms = now_ms;
        state->log_lines = state->log_left_out = 0;
    }
    if (state->log_lines < LINES) {
        state->log_lines++;
        return true;
    }
    if (state->log_left_out++ == 0) {
        mp_log_info("script", "%s: log writes %d lines a second: more are left out", name,
                    LINES);
    }
    return false;
}

int mp__log(lua_State *lua)
{
    struct mp_script_state *state = mp__state_of(lua);
    int count = lua_gettop(lua);
    if (!may_write(state)) {
        return 0;
    }
    const struct mp_buf *line = &state->shown;
    mp_buf_reset(&state->shown);
    luaL_checkstack(lua, 8, "too many values");
    for (int i = 1; i <= count && !is_full(state); i++) {
        add_text(state, i > 1 ? " " : "");
        add_value(state, i, DEPTH_MAX);
    }
    hide_secrets(state);
    finish_line(state);
    mp_log_info("script", "%s: %.*s", state->script->name, (int)line->length,
                line->length > 0 ? line->data : "");
    return 0;
}
