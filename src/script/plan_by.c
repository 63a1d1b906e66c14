/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "marker.h"

/* `by`: its cases sorted by what they are called, so that every state of a script numbers
 * their functions alike. */

struct name {
    struct mp_str value;
    bool is_number;
    double number;
};

static int compare(const void *left, const void *right)
{
    const struct mp_str *a = &((const struct name *)left)->value;
    const struct mp_str *b = &((const struct name *)right)->value;
    size_t shorter = a->length < b->length ? a->length : b->length;
    int order = shorter > 0 ? memcmp(a->data, b->data, shorter) : 0;
    return order != 0 ? order : (a->length > b->length) - (a->length < b->length);
}

static struct name name_on_top(struct mp__plan *plan)
{
    struct name name = {0};
    if (lua_type(plan->lua, -1) == LUA_TNUMBER) {
        name.is_number = true;
        name.number = lua_tonumber(plan->lua, -1);
        mp_buf_reset(&plan->state->scratch);
        mp__write_number(plan->lua, name.number, &plan->state->scratch);
        name.value = mp__plan_copy(plan, mp_buf_str(&plan->state->scratch));
    } else if (lua_type(plan->lua, -1) == LUA_TSTRING) {
        name.value = mp__plan_copy(plan, mp__str_at(plan->lua, -1));
    } else {
        mp__plan_fail(plan, "`by` has a case that is neither a string nor a number");
    }
    return name;
}

/* Pushes a userdatum with the names of the table's cases. */
static struct name *push_names(struct mp__plan *plan, int table, size_t *count)
{
    lua_State *lua = plan->lua;
    size_t at = 0;
    *count = 0;
    for (lua_pushnil(lua); lua_next(lua, table) != 0; lua_pop(lua, 1)) {
        ++*count;
    }
    mp__plan_charge(plan, *count * sizeof(struct name));
    struct name *names = lua_newuserdata(lua, (*count + 1) * sizeof(*names));
    for (lua_pushnil(lua); lua_next(lua, table) != 0;) {
        lua_pop(lua, 1);
        names[at++] = name_on_top(plan);
    }
    qsort(names, at, sizeof(*names), compare);
    for (size_t i = 1; i < at; i++) {
        if (mp_str_equal(names[i - 1].value, names[i].value)) {
            plan->at.child = names[i].value.data;
            mp__plan_fail(plan, "`by` has the case %s twice, as a number and as text",
                          names[i].value.data);
        }
    }
    return names;
}

static void read_cases(struct mp__plan *plan, enum mp__place place, unsigned depth,
                       struct mp_by *by)
{
    lua_State *lua = plan->lua;
    int table = lua_gettop(lua);
    if (!lua_istable(lua, table)) {
        mp__plan_fail(plan, "`by` takes a key and a table of cases");
    }
    struct name *names = push_names(plan, table, &by->case_count);
    by->cases = mp__plan_alloc(plan, by->case_count, sizeof(*by->cases));
    for (size_t i = 0; i < by->case_count; i++) {
        by->cases[i].value = names[i].value;
        plan->at.child = names[i].value.data;
        if (names[i].is_number) {
            lua_pushnumber(lua, names[i].number);
        } else {
            mp__push_str(lua, names[i].value);
        }
        lua_rawget(lua, table);
        mp__plan_node(plan, place, depth, &by->cases[i].result);
    }
    lua_settop(lua, table - 1);
}

struct mp_leaf mp__plan_by(struct mp__plan *plan, enum mp__place place, unsigned depth)
{
    struct mp_leaf leaf = {.kind = MP_LEAF_BY};
    struct mp_by *by = leaf.by = mp__plan_alloc(plan, 1, sizeof(*by));
    const char *child = plan->at.child;
    int marker = lua_gettop(plan->lua);
    mp__marker_push(plan->state, marker, 1);
    by->function = -1;
    if (lua_isfunction(plan->lua, -1)) {
        by->function = mp__plan_function(plan);
    } else {
        by->key = mp__plan_name(plan, "`by`'s key");
    }
    mp__marker_push(plan->state, marker, 2);
    read_cases(plan, place, depth - 1, by);
    plan->at.child = child;
    mp__marker_push(plan->state, marker, 3);
    if (!lua_isnil(plan->lua, -1)) {
        mp__plan_node(plan, place, depth - 1, &by->otherwise);
    }
    lua_settop(plan->lua, marker - 1);
    return leaf;
}

struct results {
    bool tables, texts;
};

static void look(struct mp__plan *plan, unsigned depth, struct results *found)
{
    lua_State *lua = plan->lua;
    enum mp__marker_kind kind = mp__marker_at(plan->state, -1);
    mp__budget_check(plan->state);
    luaL_checkstack(lua, 8, "by is nested too deep");
    if (depth == 0) {
        mp__plan_fail(plan, "`by` is nested over %d deep, or one is inside itself",
                      MP__JSON_DEPTH);
    }
    if (kind == MP__MARKER_BY) {
        mp__marker_push(plan->state, -1, 2);
        for (lua_pushnil(lua); lua_next(lua, -2) != 0; lua_pop(lua, 1)) {
            look(plan, depth - 1, found);
        }
        lua_pop(lua, 1);
        mp__marker_push(plan->state, -1, 3);
        look(plan, depth - 1, found);
        lua_pop(lua, 1);
    } else if (lua_istable(lua, -1)) {
        found->tables = true;
    } else if (!lua_isnil(lua, -1) && !lua_isfunction(lua, -1)) {
        found->texts = true;
    }
}

bool mp__plan_is_json(struct mp__plan *plan)
{
    struct results found = {0};
    look(plan, MP__JSON_DEPTH, &found);
    if (found.tables && found.texts) {
        mp__plan_fail(plan,
                      "some results of `by` are tables and some are text: keep to one of "
                      "the two");
    }
    return found.tables;
}
