/* SPDX-License-Identifier: MIT */
#include "plan.h"

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

static void push_field(struct mp__plan *plan, int table, const char *key)
{
    plan->at.child = key;
    lua_pushstring(plan->lua, key);
    lua_rawget(plan->lua, table);
}

void mp__plan_retry(struct mp__plan *plan)
{
    static const char *const known[] = {"schedule", "jitter", NULL};
    int table = lua_gettop(plan->lua);
    mp__plan_known(plan, "retry", known, NULL);
    push_field(plan, table, "schedule");
    if (!lua_isnil(plan->lua, -1)) {
        set_schedule(plan, mp__plan_list_length(plan, "it", SCHEDULE_MAX));
        mp__plan_list(plan, read_wait, NULL);
    }
    push_field(plan, table, "jitter");
    if (!lua_isnil(plan->lua, -1)) {
        double jitter =
            lua_type(plan->lua, -1) == LUA_TNUMBER ? lua_tonumber(plan->lua, -1) : -1;
        if (!(jitter >= 0 && jitter <= 1)) {
            mp__plan_fail(plan, "it is a number from 0 to 1: 0.2 is 20 percent");
        }
        plan->script->jitter = jitter;
    }
}

void mp__plan_limits(struct mp__plan *plan)
{
    static const char *const known[] = {"concurrency", NULL};
    static const char *const later[] = {"rate", NULL};
    int table = lua_gettop(plan->lua);
    mp__plan_known(plan, "limits", known, later);
    push_field(plan, table, "concurrency");
    if (lua_isnil(plan->lua, -1)) {
        return;
    }
    double number =
        lua_type(plan->lua, -1) == LUA_TNUMBER ? lua_tonumber(plan->lua, -1) : 0;
    if (!(number >= 1 && number <= CONCURRENCY_MAX) || (double)(int64_t)number < number) {
        mp__plan_fail(plan, "it is a whole number from 1 to %d", CONCURRENCY_MAX);
    }
    plan->script->concurrency = (int64_t)number;
}
