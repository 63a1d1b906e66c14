/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "marker.h"
#include "plan_keys.h"

#define HEADERS_MAX 90 /* Moonpost adds its own up to MP_REQUEST_HEADERS_MAX */
#define FORM_MAX    1000
#define VARS_MAX    256

void mp__plan_body(struct mp__plan *plan)
{
    struct mp_script *script = plan->script;
    if (mp__marker_at(plan->state, -1) == MP__MARKER_ITEMS && script->batch.size > 0) {
        return; /* what a batch without a body is */
    }
    if (mp__plan_is_json(plan)) {
        script->body_kind = MP_BODY_JSON;
        mp__plan_node(plan, MP__PLACE_JSON, MP__JSON_DEPTH, &script->body);
        return;
    }
    script->body_kind = MP_BODY_TEXT;
    script->body.kind = MP_NODE_LEAF;
    script->body.leaf = mp__plan_leaf(plan, MP__PLACE_TEXT);
}

static struct mp_named_leaf *read_named(struct mp__plan *plan, enum mp__place place,
                                        size_t max, size_t *count)
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
        named[i].leaf = mp__plan_leaf(plan, place);
    }
    plan->at.child = NULL;
    *count = shape.count;
    lua_settop(plan->lua, table - 1);
    return named;
}

/* It must be one that a template can say. */
static void check_var(struct mp__plan *plan, struct mp_str name)
{
    plan->at.child = name.data;
    if (mp_str_is(name, "ctx") || mp__str_begins(name, "ctx.")) {
        mp__plan_fail(plan, "ctx is the delivery's own: choose another name");
    }
    struct mp_buf *text = &plan->state->scratch;
    mp_buf_reset(text);
    mp__check_status(plan->lua, mp_buf_append_char(text, '{'));
    mp__check_status(plan->lua, mp_buf_append_str(text, name));
    mp__check_status(plan->lua, mp_buf_append_char(text, '}'));
    struct mp_template_part whole = {.text = mp_buf_str(text)};
    struct mp_template *compiled = NULL;
    struct mp_str found = {0};
    bool good =
        mp_template_compile(&whole, 1, MP_TEMPLATE_TEXT, &compiled, NULL) == MP_OK &&
        mp_template_is_value(compiled, &found) && mp_str_equal(found, name);
    mp_template_free(compiled);
    if (!good) {
        mp__plan_fail(plan,
                      "no template can say this name: letters, digits and _ may stand in "
                      "it, dots between its parts");
    }
}

void mp__plan_vars(struct mp__plan *plan)
{
    struct mp_script *script = plan->script;
    script->vars = read_named(plan, MP__PLACE_VAR, VARS_MAX, &script->var_count);
    for (size_t i = 0; i < script->var_count; i++) {
        check_var(plan, script->vars[i].name);
    }
}

void mp__plan_form(struct mp__plan *plan)
{
    struct mp_script *script = plan->script;
    if (script->body_kind != MP_BODY_DEFAULT) {
        mp__plan_fail(plan, "there is a body too: keep one of the two");
    }
    if (script->batch.size > 0) {
        mp__plan_fail(plan, "a batch has no form: write item and body");
    }
    script->body_kind = MP_BODY_FORM;
    script->form = read_named(plan, MP__PLACE_FORM, FORM_MAX, &script->form_count);
}

/* The request's own rules, so that a field that could never be set is told at load. */
static void check_field(struct mp__plan *plan, struct mp_request *scratch,
                        struct mp_str name, struct mp_str value)
{
    struct mp_error err;
    int status = mp_request_set_header(scratch, name, value, (struct mp_str){0}, &err);
    plan->state->shown = scratch->text;
    if (status != MP_OK) {
        mp__plan_fail(plan, "%s", err.text);
    }
}

static void check_values(struct mp__plan *plan, struct mp_request *scratch,
                         struct mp_str name, const struct mp_leaf *leaf)
{
    if (leaf->kind == MP_LEAF_TEXT) {
        check_field(plan, scratch, name, leaf->text);
    } else if (leaf->kind == MP_LEAF_BY) {
        for (size_t i = 0; i < leaf->by->case_count; i++) {
            check_values(plan, scratch, name, &leaf->by->cases[i].result.leaf);
        }
        check_values(plan, scratch, name, &leaf->by->otherwise.leaf);
    }
}

static void check_header(struct mp__plan *plan, struct mp_request *scratch,
                         const struct mp_named_leaf *header)
{
    plan->at.child = header->name.data;
    if (mp_request_find_header(scratch, header->name) >= 0) {
        mp__plan_fail(plan, "this field is there twice, in another case");
    }
    check_field(plan, scratch, header->name, mp_str_of("x"));
    check_values(plan, scratch, header->name, &header->leaf);
}

void mp__plan_headers(struct mp__plan *plan)
{
    struct mp_script *script = plan->script;
    script->headers =
        read_named(plan, MP__PLACE_HEADER, HEADERS_MAX, &script->header_count);
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
