/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "marker.h"

/* One value of the table, and the tables of JSON. */

static struct mp_value no_value(void *arg, struct mp_str name)
{
    (void)arg;
    (void)name;
    return (struct mp_value){0};
}

struct mp_leaf mp__plan_constant(struct mp__plan *plan,
                                 const struct mp_template *template_)
{
    struct mp_buf *text = &plan->state->scratch;
    mp_buf_reset(text);
    mp__check_status(plan->lua,
                     mp_template_expand(template_, no_value, NULL, MP_ESCAPE_NONE, text));
    struct mp_leaf leaf = {.kind = MP_LEAF_TEXT};
    leaf.text = mp__plan_copy(plan, mp_buf_str(text));
    return leaf;
}

struct mp_leaf mp__plan_text(struct mp__plan *plan)
{
    struct mp_template *compiled = mp__plan_template(plan, MP_TEMPLATE_TEXT);
    struct mp_leaf leaf = {.kind = MP_LEAF_TEMPLATE, .template_ = compiled};
    struct mp_str name;
    if (mp_template_is_value(compiled, &name)) {
        leaf.kind = MP_LEAF_VALUE;
        leaf.text = mp__plan_copy(plan, name);
    } else if (!mp_template_has_expression(compiled) &&
               !mp_template_has_secret(compiled)) {
        leaf = mp__plan_constant(plan, compiled);
    }
    return leaf;
}

static bool has_brace(struct mp_str text)
{
    return text.length > 0 && (memchr(text.data, '{', text.length) != NULL ||
                               memchr(text.data, '}', text.length) != NULL);
}

/* Nothing says how a value is escaped in a body that is text. */
static void check_unmarked(struct mp__plan *plan)
{
    const struct mp__secret *secret = mp__secret_at(plan->state, -1);
    size_t count = secret ? mp__secret_count(secret) : 1;
    for (size_t i = 0; i < count; i++) {
        struct mp_template_part part = {0};
        if (secret) {
            part = mp__secret_part(secret, i);
        } else {
            part.text = mp__str_at(plan->lua, -1);
        }
        if (part.secret.length == 0 && has_brace(part.text)) {
            mp__plan_fail(
                plan, "a string cannot hold { or }: nothing would escape the value; "
                      "write a table (sent as JSON), xml [[…]], text \"…\" (as it is) or "
                      "literal \"…\" (no template)");
        }
    }
}

static struct mp_leaf string_leaf(struct mp__plan *plan, enum mp__place place)
{
    if (place == MP__PLACE_URL) {
        return mp__plan_url_leaf(plan);
    }
    if (place == MP__PLACE_TEXT) {
        check_unmarked(plan);
    }
    return mp__plan_text(plan);
}

static struct mp_leaf function_leaf(struct mp__plan *plan, enum mp__place place)
{
    plan->url_has_functions = plan->url_has_functions || place == MP__PLACE_URL;
    struct mp_leaf leaf = {.kind = MP_LEAF_FUNCTION};
    leaf.function = mp__plan_function(plan);
    return leaf;
}

static _Noreturn void fail_kind(struct mp__plan *plan, enum mp__place place)
{
    const char *kind = mp__plan_kind(plan, -1);
    if (place == MP__PLACE_TEXT) {
        mp__plan_fail(plan, "it is a %s: write a table, a string or a function", kind);
    }
    if (lua_istable(plan->lua, -1)) {
        mp__plan_fail(plan, "it is a table: write a string or a function%s",
                      place == MP__PLACE_URL ? "" : ", or json.string { … }");
    }
    mp__plan_fail(plan, "it is a %s: write a string or a function", kind);
}

/* Numbers, booleans, json.null and json.raw. */
static struct mp_leaf constant_leaf(struct mp__plan *plan, enum mp__place place)
{
    int type = lua_type(plan->lua, -1);
    bool is_plain = type == LUA_TNUMBER || type == LUA_TBOOLEAN;
    bool takes_json = place == MP__PLACE_JSON || place == MP__PLACE_VAR;
    if (place == MP__PLACE_URL || place == MP__PLACE_TEXT || type == LUA_TTABLE ||
        (!is_plain && !takes_json)) {
        fail_kind(plan, place);
    }
    struct mp_leaf leaf = {.kind = takes_json ? MP_LEAF_RAW : MP_LEAF_TEXT};
    leaf.text = mp__plan_json(plan);
    return leaf;
}

static struct mp_leaf read_leaf(struct mp__plan *plan, enum mp__place place,
                                unsigned depth)
{
    if (mp__plan_is_text(plan)) {
        return string_leaf(plan, place);
    }
    if (lua_isfunction(plan->lua, -1)) {
        return function_leaf(plan, place);
    }
    switch (mp__marker_at(plan->state, -1)) {
    case MP__MARKER_NONE:
        return constant_leaf(plan, place);
    case MP__MARKER_BY:
        return mp__plan_by(plan, place, depth);
    default:
        return mp__plan_marker(plan, place, depth);
    }
}

struct mp_leaf mp__plan_leaf(struct mp__plan *plan, enum mp__place place)
{
    return read_leaf(plan, place, MP__JSON_DEPTH);
}

static void read_table(struct mp__plan *plan, unsigned depth, struct mp_node *node)
{
    struct mp__shape shape = mp__plan_shape(plan, "a table in it");
    int table = lua_gettop(plan->lua) - 1;
    node->kind = shape.kind == MP__SHAPE_LIST ? MP_NODE_LIST : MP_NODE_OBJECT;
    node->count = shape.count;
    node->children = mp__plan_alloc(plan, shape.count, sizeof(*node->children));
    for (size_t i = 0; i < shape.count; i++) {
        struct mp_node *child = &node->children[i];
        if (node->kind == MP_NODE_OBJECT) {
            child->key = mp__plan_copy(plan, shape.keys[i]);
            plan->at.child = child->key.data;
            mp__push_str(plan->lua, child->key);
            lua_rawget(plan->lua, table);
        } else {
            lua_rawgeti(plan->lua, table, (int)i + 1);
        }
        mp__plan_node(plan, MP__PLACE_JSON, depth - 1, child);
    }
    lua_settop(plan->lua, table - 1);
}

void mp__plan_node(struct mp__plan *plan, enum mp__place place, unsigned depth,
                   struct mp_node *node)
{
    if (depth == 0) {
        mp__plan_fail(plan, "tables are nested over %d deep, or one is inside itself",
                      MP__JSON_DEPTH);
    }
    luaL_checkstack(plan->lua, 16, "a table is nested too deep");
    if (place == MP__PLACE_JSON && lua_istable(plan->lua, -1)) {
        read_table(plan, depth, node);
        return;
    }
    node->kind = MP_NODE_LEAF;
    node->leaf = read_leaf(plan, place, depth);
}
