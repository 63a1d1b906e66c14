/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "moonpost/clock.h"
#include "plan_keys.h"

#define ANSWERS_MAX  256
#define STATUSES_MAX 64
#define VALUES_MAX   256
#define WAIT_MAX_S   315360000 /* ten years, as durations */

static bool read_delay(lua_State *lua, int index, int64_t *ms)
{
    if (lua_type(lua, index) == LUA_TNUMBER) {
        double seconds = lua_tonumber(lua, index);
        *ms =
            seconds >= 0 && seconds <= WAIT_MAX_S ? (int64_t)(seconds * 1000 + 0.5) : -1;
        return *ms >= 0;
    }
    return lua_type(lua, index) == LUA_TSTRING &&
           mp_duration_parse(mp__str_at(lua, index), ms) == MP_OK;
}

static bool read_why(struct mp_script_state *state, int index, struct mp_verdict *verdict)
{
    lua_State *lua = state->lua;
    if (lua_isnoneornil(lua, index)) {
        return true;
    }
    mp_buf_reset(&state->scratch);
    mp_buf_reset(&state->shown);
    bool is_secret;
    if (!mp__text_at(state, index, &state->scratch, &state->shown, &is_secret) ||
        is_secret) {
        return false;
    }
    struct mp_str text = mp_buf_str(&state->scratch);
    mp_verdict_set(verdict, verdict->kind, "%.*s",
                   (int)(text.length < 400 ? text.length : 400), text.data);
    for (char *at = verdict->why; *at; at++) {
        *at = (unsigned char)*at < ' ' || *at == 0x7f ? ' ' : *at;
    }
    return true;
}

const char *mp__quote(struct mp_script_state *state, struct mp_str text, char out[80])
{
    bool has_secrets = state->script->has_secrets || state->uses_secrets;
    text.length = text.length < 4096 ? text.length : 4096;
    if (has_secrets) {
        mp_buf_reset(&state->shown);
        int status =
            mp_secrets_hide(mp_script_secrets(state->script), text, &state->shown);
        mp__check_status(state->lua, status);
        text = mp_buf_str(&state->shown);
    }
    size_t length = mp_str_fit(text, 60);
    snprintf(out, 80, "\"%.*s\"", (int)length, length > 0 ? text.data : "");
    return out;
}

bool mp__verdict_of(struct mp_script_state *state, int word, int detail,
                    struct mp_verdict *verdict, char why[256])
{
    lua_State *lua = state->lua;
    *verdict = (struct mp_verdict){.kind = MP_VERDICT_NONE, .delay_ms = -1};
    if (lua_type(lua, word) != LUA_TSTRING) {
        snprintf(why, 256,
                 "a %s is no verdict: \"delivered\", \"retry\", \"dead\", "
                 "\"skipped\" or \"pause\"",
                 luaL_typename(lua, word));
        return false;
    }
    struct mp_str name = mp__str_at(lua, word);
    verdict->kind = mp_verdict_of_name(name);
    if (verdict->kind == MP_VERDICT_NONE) {
        char shown[80];
        snprintf(why, 256,
                 "%s is no verdict: \"delivered\", \"retry\", \"dead\", "
                 "\"skipped\" or \"pause\"",
                 mp__quote(state, name, shown));
        return false;
    }
    if (verdict->kind == MP_VERDICT_SPLIT && state->script->batch.size == 0) {
        snprintf(why, 256, "\"split\" is for batches, and there is no batch = { … }");
        return false;
    }
    if (verdict->kind == MP_VERDICT_RETRY) {
        if (!lua_isnoneornil(lua, detail) &&
            !read_delay(lua, detail, &verdict->delay_ms)) {
            snprintf(why, 256,
                     "\"retry\" goes with a duration: \"10m\", or a number of "
                     "seconds");
            return false;
        }
        return true;
    }
    if (!read_why(state, detail, verdict)) {
        snprintf(why, 256, "\"%s\" goes with a reason that is text",
                 mp_verdict_name(verdict->kind));
        return false;
    }
    return true;
}

static void read_status(struct mp__plan *plan, size_t index, void *arg)
{
    struct mp_answer *answer = arg;
    double number =
        lua_type(plan->lua, -1) == LUA_TNUMBER ? lua_tonumber(plan->lua, -1) : 0;
    int status = number >= 100 && number <= 599 ? (int)number : 0;
    if (status == 0 || (double)status < number) {
        mp__plan_fail(plan, "a status is a number from 100 to 599");
    }
    answer->statuses[index] = status;
    lua_pop(plan->lua, 1);
}

static void read_statuses(struct mp__plan *plan, struct mp_answer *answer)
{
    bool is_list = lua_istable(plan->lua, -1);
    size_t count = is_list ? mp__plan_list_length(plan, "status", STATUSES_MAX) : 1;
    if (count == 0) {
        mp__plan_fail(plan, "the list of statuses is empty");
    }
    answer->statuses = mp__plan_alloc(plan, count, sizeof(int));
    answer->status_count = count;
    if (is_list) {
        mp__plan_list(plan, read_status, answer);
    } else {
        read_status(plan, 0, answer);
    }
}

static void read_value(struct mp__plan *plan, size_t index, void *arg)
{
    struct mp_str *values = arg;
    if (lua_istable(plan->lua, -1)) {
        mp__plan_fail(plan, "a value in json is a string, number, boolean or json.null");
    }
    values[index] = mp__plan_json(plan);
}

static void read_json(struct mp__plan *plan, struct mp_answer *answer)
{
    struct mp__shape shape = mp__plan_shape(plan, "json");
    int table = lua_gettop(plan->lua) - 1;
    if (shape.count == 0 || shape.kind == MP__SHAPE_LIST) {
        mp__plan_fail(plan, "json names paths: { [\"error.code\"] = 190 }");
    }
    answer->json = mp__plan_alloc(plan, shape.count, sizeof(*answer->json));
    answer->json_count = shape.count;
    for (size_t i = 0; i < shape.count; i++) {
        struct mp_answer_json *each = &answer->json[i];
        each->path = mp__plan_copy(plan, shape.keys[i]);
        mp__push_str(plan->lua, each->path);
        lua_rawget(plan->lua, table);
        bool is_list = lua_istable(plan->lua, -1);
        each->value_count = is_list ? mp__plan_list_length(plan, "it", VALUES_MAX) : 1;
        each->values = mp__plan_alloc(plan, each->value_count, sizeof(struct mp_str));
        if (is_list) {
            mp__plan_list(plan, read_value, each->values);
        } else {
            read_value(plan, 0, each->values);
        }
    }
    lua_settop(plan->lua, table - 1);
}

static void read_condition(struct mp__plan *plan, struct mp_answer *answer,
                           struct mp_str key)
{
    static const char *const known[] = {"status", "body", "json", NULL};
    if (mp_str_is(key, "status")) {
        read_statuses(plan, answer);
    } else if (mp_str_is(key, "json")) {
        read_json(plan, answer);
    } else if (mp_str_is(key, "body")) {
        answer->body = mp__plan_string(plan, "body");
        if (answer->body.length == 0) {
            mp__plan_fail(plan, "body is empty: it would match every answer");
        }
    } else {
        struct mp_str name = mp__plan_copy(plan, key);
        const char *near = mp__near_miss(key, known);
        plan->at.child = name.data;
        plan->names_key = true;
        mp__plan_fail(plan, "unknown key `%s`%s%s%s", name.data,
                      near ? ": did you mean `" : ": status, body and json are known",
                      near ? near : "", near ? "`?" : "");
    }
}

/* Names are conditions, the list's own items the verdict. */
static void read_answer(struct mp__plan *plan, size_t index, void *arg)
{
    (void)arg;
    lua_State *lua = plan->lua;
    struct mp_answer *answer = &plan->script->answers[index];
    int entry = lua_gettop(lua);
    if (!lua_istable(lua, entry)) {
        mp__plan_fail(plan, "entry %zu is a %s: write { status = 409, \"delivered\" }",
                      index + 1, luaL_typename(lua, entry));
    }
    size_t items = 0;
    for (lua_pushnil(lua); lua_next(lua, entry) != 0;) {
        if (lua_type(lua, -2) == LUA_TSTRING) {
            read_condition(plan, answer, mp__str_at(lua, -2));
            lua_settop(lua, entry + 1);
        } else {
            items++;
            lua_pop(lua, 1);
        }
    }
    lua_rawgeti(lua, entry, 1);
    lua_rawgeti(lua, entry, 2);
    size_t expected = (size_t)!lua_isnil(lua, -2) + (size_t)!lua_isnil(lua, -1);
    char why[256];
    if (!mp__verdict_of(plan->state, entry + 1, entry + 2, &answer->verdict, why)) {
        mp__plan_fail(plan, "entry %zu: %s", index + 1, why);
    }
    if (items != expected) {
        mp__plan_fail(plan, "entry %zu has more than a verdict and its detail",
                      index + 1);
    }
    if (answer->status_count == 0 && answer->body.length == 0 &&
        answer->json_count == 0) {
        mp__plan_fail(plan, "entry %zu has no condition: add status, body or json",
                      index + 1);
    }
    lua_settop(lua, entry - 1);
}

void mp__plan_answers(struct mp__plan *plan)
{
    size_t count = mp__plan_list_length(plan, "it", ANSWERS_MAX);
    plan->script->answers = mp__plan_alloc(plan, count, sizeof(struct mp_answer));
    plan->script->answer_count = count;
    mp__plan_list(plan, read_answer, NULL);
}
