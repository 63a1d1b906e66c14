/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "plan.h"

#define HEADERS_MAX 90 /* Moonpost adds its own up to MP_REQUEST_HEADERS_MAX */
#define FORM_MAX    1000

static bool is_text(struct mp__plan *plan)
{
    return lua_type(plan->lua, -1) == LUA_TSTRING || mp__secret_at(plan->state, -1);
}

static struct mp_value no_value(void *arg, struct mp_str name)
{
    (void)arg;
    (void)name;
    return (struct mp_value){0};
}

static struct mp_leaf leaf_of_template(struct mp__plan *plan,
                                       struct mp_template *compiled)
{
    struct mp_leaf leaf = {.kind = MP_LEAF_TEMPLATE, .template_ = compiled};
    struct mp_str name;
    if (mp_template_is_value(compiled, &name)) {
        leaf.kind = MP_LEAF_VALUE;
        leaf.text = mp__plan_copy(plan, name);
    } else if (!mp_template_has_expression(compiled) &&
               !mp_template_has_secret(compiled)) {
        struct mp_buf *text = &plan->state->scratch;
        mp_buf_reset(text);
        mp__check_status(plan->lua, mp_template_expand(compiled, no_value, NULL,
                                                       MP_ESCAPE_NONE, text));
        leaf = (struct mp_leaf){.kind = MP_LEAF_TEXT};
        leaf.text = mp__plan_copy(plan, mp_buf_str(text));
    }
    return leaf;
}

static struct mp_leaf raw_leaf(struct mp__plan *plan)
{
    struct mp_buf *text = &plan->state->scratch;
    mp_buf_reset(text);
    mp__write_json(plan->state, lua_gettop(plan->lua), text);
    lua_pop(plan->lua, 1);
    return (struct mp_leaf){.kind = MP_LEAF_RAW,
                            .text = mp__plan_copy(plan, mp_buf_str(text))};
}

struct mp_leaf mp__plan_leaf(struct mp__plan *plan, bool is_body)
{
    if (is_text(plan)) {
        return leaf_of_template(plan, mp__plan_template(plan, MP_TEMPLATE_TEXT));
    }
    switch (lua_type(plan->lua, -1)) {
    case LUA_TFUNCTION: {
        struct mp_leaf leaf = {.kind = MP_LEAF_FUNCTION};
        leaf.function = mp__plan_function(plan);
        return leaf;
    }
    case LUA_TNUMBER:
    case LUA_TBOOLEAN: {
        struct mp_leaf leaf = raw_leaf(plan);
        leaf.kind = is_body ? MP_LEAF_RAW : MP_LEAF_TEXT;
        return leaf;
    }
    default:
        if (is_body) {
            return raw_leaf(plan); /* json.null, json.raw; throws for the rest */
        }
        mp__plan_fail(plan, "it is a %s: write a string or a function",
                      luaL_typename(plan->lua, -1));
    }
}

static void read_node(struct mp__plan *plan, struct mp_node *node, unsigned depth)
{
    if (!lua_istable(plan->lua, -1)) {
        node->kind = MP_NODE_LEAF;
        node->leaf = mp__plan_leaf(plan, true);
        return;
    }
    if (depth == 0) {
        mp__plan_fail(plan, "tables are nested over %d deep, or one is inside itself",
                      MP__JSON_DEPTH);
    }
    luaL_checkstack(plan->lua, 8, "a table is nested too deep");
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
        read_node(plan, child, depth - 1);
    }
    lua_settop(plan->lua, table - 1);
}

static void check_text_body(struct mp__plan *plan)
{
    struct mp_template_part part = {.text = mp__str_at(plan->lua, -1)};
    struct mp_template *compiled;
    bool has_expression = true; /* a brace that is none is no better */
    if (mp_template_compile(&part, 1, MP_TEMPLATE_TEXT, &compiled, NULL) == MP_OK) {
        has_expression = mp_template_has_expression(compiled);
        mp_template_free(compiled);
    }
    if (has_expression) {
        mp__plan_fail(plan,
                      "a string cannot hold { or }: nothing would escape the value; "
                      "write a table (sent as JSON) or a function");
    }
}

static void check_secret_body(struct mp__plan *plan, const struct mp__secret *secret)
{
    for (size_t i = 0; i < mp__secret_count(secret); i++) {
        struct mp_template_part part = mp__secret_part(secret, i);
        if (part.secret.length == 0 && part.text.length > 0 &&
            memchr(part.text.data, '{', part.text.length)) {
            mp__plan_fail(plan, "a string cannot hold {: write a table or a function");
        }
    }
}

void mp__plan_body(struct mp__plan *plan)
{
    struct mp_script *script = plan->script;
    if (lua_istable(plan->lua, -1)) {
        script->body_kind = MP_BODY_JSON;
        read_node(plan, &script->body, MP__JSON_DEPTH);
        return;
    }
    const struct mp__secret *secret = mp__secret_at(plan->state, -1);
    if (lua_type(plan->lua, -1) == LUA_TSTRING) {
        check_text_body(plan);
    } else if (secret) {
        check_secret_body(plan, secret);
    } else if (!lua_isfunction(plan->lua, -1)) {
        mp__plan_fail(plan, "it is a %s: write a table, a string or a function",
                      luaL_typename(plan->lua, -1));
    }
    script->body_kind = MP_BODY_TEXT;
    script->body.kind = MP_NODE_LEAF;
    script->body.leaf = mp__plan_leaf(plan, false);
}

static struct mp_named_leaf *read_named(struct mp__plan *plan, size_t max, size_t *count)
{
    struct mp__shape shape = mp__plan_shape(plan, "it");
    int table = lua_gettop(plan->lua) - 1;
    if (shape.kind == MP__SHAPE_LIST && shape.count > 0) {
        mp__plan_fail(plan, "it is a list: write names, { [\"X-Key\"] = \"…\" }");
    }
    if (shape.count > max) {
        mp__plan_fail(plan, "it has more than %zu entries", max);
    }
    struct mp_named_leaf *named = mp__plan_alloc(plan, shape.count, sizeof(*named));
    for (size_t i = 0; i < shape.count; i++) {
        named[i].name = mp__plan_copy(plan, shape.keys[i]);
        plan->at.child = named[i].name.data;
        mp__push_str(plan->lua, named[i].name);
        lua_rawget(plan->lua, table);
        named[i].leaf = mp__plan_leaf(plan, false);
    }
    plan->at.child = NULL;
    *count = shape.count;
    lua_settop(plan->lua, table - 1);
    return named;
}

void mp__plan_form(struct mp__plan *plan)
{
    struct mp_script *script = plan->script;
    if (script->body_kind != MP_BODY_DEFAULT) {
        mp__plan_fail(plan, "there is a body too: keep one of the two");
    }
    script->body_kind = MP_BODY_FORM;
    script->form = read_named(plan, FORM_MAX, &script->form_count);
}

/* The request's own rules, so that a field that could never be set is told at load. */
static void check_header(struct mp__plan *plan, struct mp_request *scratch,
                         const struct mp_named_leaf *header)
{
    struct mp_buf *text = &plan->state->shown;
    plan->at.child = header->name.data;
    if (mp_request_find_header(scratch, header->name) >= 0) {
        mp__plan_fail(plan, "this field is there twice, in another case");
    }
    bool is_text = header->leaf.kind == MP_LEAF_TEXT;
    struct mp_error err;
    int status = mp_request_set_header(scratch, header->name,
                                       is_text ? header->leaf.text : mp_str_of("x"),
                                       (struct mp_str){0}, &err);
    *text = scratch->text;
    if (status != MP_OK) {
        mp__plan_fail(plan, "%s", err.text);
    }
}

void mp__plan_headers(struct mp__plan *plan)
{
    struct mp_script *script = plan->script;
    script->headers = read_named(plan, HEADERS_MAX, &script->header_count);
    /* Its text is lent from the state, so that a throw leaks nothing. */
    struct mp_request *scratch = lua_newuserdata(plan->lua, sizeof(*scratch));
    mp_request_init(scratch);
    mp_buf_reset(&plan->state->shown);
    scratch->text = plan->state->shown;
    for (size_t i = 0; i < script->header_count; i++) {
        check_header(plan, scratch, &script->headers[i]);
    }
    lua_pop(plan->lua, 1);
}
