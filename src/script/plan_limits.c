/* SPDX-License-Identifier: MIT */
#include "moonpost/clock.h"
#include "plan_keys.h"

#define SCHEDULE_MAX    63
#define CONCURRENCY_MAX 10000

static const int64_t default_schedule_ms[] = {5000,     30000,   120000,   600000,
                                              1800000,  7200000, 18000000, 36000000,
                                              36000000, 50400000};
#define DEFAULT_STEPS (sizeof(default_schedule_ms) / sizeof(default_schedule_ms[0]))

static void set_schedule(struct mp__plan *plan, size_t count)
{
    plan->script->schedule_ms = mp__plan_alloc(plan, count, sizeof(int64_t));
    plan->script->schedule_count = count;
}

void mp__plan_default_schedule(struct mp__plan *plan)
{
    set_schedule(plan, DEFAULT_STEPS);
    for (size_t i = 0; i < DEFAULT_STEPS; i++) {
        plan->script->schedule_ms[i] = default_schedule_ms[i];
    }
}

static void read_wait(struct mp__plan *plan, size_t index, void *arg)
{
    (void)arg;
    plan->script->schedule_ms[index] = mp__plan_duration(plan, -1);
    lua_pop(plan->lua, 1);
}

void mp__plan_retry(struct mp__plan *plan)
{
    static const char *const known[] = {"schedule", "jitter", NULL};
    int table = lua_gettop(plan->lua);
    mp__plan_known(plan, "retry", known);
    if (mp__plan_field(plan, table, "schedule")) {
        set_schedule(plan, mp__plan_list_length(plan, "it", SCHEDULE_MAX));
        mp__plan_list(plan, read_wait, NULL);
    }
    if (mp__plan_field(plan, table, "jitter")) {
        double jitter =
            lua_type(plan->lua, -1) == LUA_TNUMBER ? lua_tonumber(plan->lua, -1) : -1;
        if (!(jitter >= 0 && jitter <= 1)) {
            mp__plan_fail(plan, "it is a number from 0 to 1: 0.2 is 20 percent");
        }
        plan->script->jitter = jitter;
    }
}

static void read_rate(struct mp__plan *plan)
{
    if (lua_type(plan->lua, -1) != LUA_TSTRING) {
        mp__plan_fail(plan, "it is a %s: write \"500/s\", \"10/m\" or \"100/h\"",
                      mp__plan_kind(plan, -1));
    }
    struct mp_str text = mp__plan_string(plan, "it");
    if (mp_rate_parse(text, &plan->script->rate_per_second) != MP_OK) {
        mp__plan_fail(plan, "\"%.*s\" is no rate: write \"500/s\", \"10/m\" or \"100/h\"",
                      text.length < 40 ? (int)text.length : 40, text.data);
    }
}

void mp__plan_limits(struct mp__plan *plan)
{
    static const char *const known[] = {"concurrency", "rate", NULL};
    int table = lua_gettop(plan->lua);
    mp__plan_known(plan, "limits", known);
    if (mp__plan_field(plan, table, "concurrency")) {
        plan->script->concurrency = mp__plan_integer(plan, 1, CONCURRENCY_MAX);
    }
    if (mp__plan_field(plan, table, "rate")) {
        read_rate(plan);
    }
}

/* "7d" or { "7d", of = "event_time" }. */
void mp__plan_max_age(struct mp__plan *plan)
{
    lua_State *lua = plan->lua;
    struct mp_script *script = plan->script;
    int entry = lua_gettop(lua);
    bool is_table = lua_istable(lua, entry);
    if (is_table) {
        for (lua_pushnil(lua); lua_next(lua, entry) != 0; lua_pop(lua, 1)) {
            bool is_of =
                lua_type(lua, -2) == LUA_TSTRING && mp_str_is(mp__str_at(lua, -2), "of");
            bool is_first = lua_type(lua, -2) == LUA_TNUMBER &&
                            lua_tonumber(lua, -2) >= 1 && lua_tonumber(lua, -2) <= 1;
            if (!is_of && !is_first) {
                mp__plan_fail(plan, "it takes an age and the field it counts from: "
                                    "{ \"7d\", of = \"event_time\" }");
            }
        }
        if (mp__plan_field(plan, entry, "of")) {
            script->max_age_of = mp__plan_name(plan, "of");
        }
        plan->at.child = NULL;
        lua_rawgeti(lua, entry, 1);
    }
    if (lua_isnil(lua, -1)) {
        mp__plan_fail(plan, "it has no age: write { \"7d\", of = \"event_time\" }");
    }
    script->max_age_ms = mp__plan_duration(plan, -1);
    if (script->max_age_ms < 1) {
        mp__plan_fail(plan, "it is longer than 0: every delivery would be dead");
    }
}
