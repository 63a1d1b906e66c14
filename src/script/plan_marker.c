/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "marker.h"
#include "moonpost/json.h"

/* Markers and `by`, from what they were called with to leaves. */

static _Noreturn void fail_in_url(struct mp__plan *plan, enum mp__marker_kind kind)
{
    const char *name = mp__marker_name(kind);
    if (kind == MP__MARKER_LITERAL) {
        mp__plan_fail(plan,
                      "`literal` cannot stand in a url: write %%7B and %%7D for braces");
    }
    mp__plan_fail(
        plan,
        "`%s` cannot stand in a url: name it in vars, vars = { x = %s %s }, and "
        "write {x}",
        name, name, kind == MP__MARKER_STRING ? "{ … }" : "\"…\"");
}

static struct mp_leaf read_items(struct mp__plan *plan, enum mp__place place)
{
    bool is_body = strcmp(plan->at.key, "body") == 0;
    if (!is_body && strcmp(plan->at.key, "item") == 0) {
        mp__plan_fail(plan,
                      "`items` is the list of all pieces and stands in body: an item is "
                      "one event's own piece");
    }
    if (!is_body || place != MP__PLACE_JSON) {
        mp__plan_fail(
            plan, "`items` stands in a body that is a table: body = { data = items }");
    }
    if (plan->script->batch.size == 0) {
        mp__plan_fail(plan, "`items` is a batch's list: add batch = { size = 100 }");
    }
    lua_pop(plan->lua, 1);
    return (struct mp_leaf){.kind = MP_LEAF_ITEMS};
}

static struct mp_leaf read_json_string(struct mp__plan *plan, enum mp__place place,
                                       unsigned depth)
{
    if (place == MP__PLACE_TEXT) {
        mp__plan_fail(plan,
                      "`json.string` is a string inside JSON: for a JSON body write the "
                      "table alone");
    }
    struct mp_leaf leaf = {.kind = MP_LEAF_STRING};
    leaf.node = mp__plan_alloc(plan, 1, sizeof(*leaf.node));
    mp__marker_push(plan->state, -1, 1);
    mp__plan_node(plan, MP__PLACE_JSON, depth - 1, leaf.node);
    lua_pop(plan->lua, 1);
    return leaf;
}

/* Not compiled as a text: its braces are no expressions. */
static struct mp_leaf read_literal(struct mp__plan *plan)
{
    if (mp__secret_at(plan->state, -1)) {
        struct mp_leaf leaf = {.kind = MP_LEAF_TEMPLATE};
        leaf.template_ = mp__plan_template(plan, MP_TEMPLATE_LITERAL);
        return leaf;
    }
    struct mp_leaf leaf = {.kind = MP_LEAF_TEXT};
    leaf.text = mp__plan_string(plan, "literal");
    return leaf;
}

static struct mp_leaf constant_number(struct mp__plan *plan, struct mp_leaf leaf,
                                      enum mp__place place)
{
    struct mp_str value;
    if (mp_json_check(leaf.text, MP__JSON_DEPTH, &value, NULL) != MP_OK ||
        mp_json_kind(value) != MP_JSON_NUMBER) {
        mp__plan_fail(plan, "\"%s\" is no number: write number \"{name}\"",
                      leaf.text.data);
    }
    bool takes_json = place == MP__PLACE_JSON || place == MP__PLACE_VAR;
    return (struct mp_leaf){.kind = takes_json ? MP_LEAF_RAW : MP_LEAF_TEXT,
                            .text = value};
}

static struct mp_leaf read_marked(struct mp__plan *plan, enum mp__marker_kind kind,
                                  enum mp__place place)
{
    static const enum mp_mark marks[] = {[MP__MARKER_TEXT] = MP_MARK_TEXT,
                                         [MP__MARKER_NUMBER] = MP_MARK_NUMBER,
                                         [MP__MARKER_HASHED] = MP_MARK_HASHED,
                                         [MP__MARKER_XML] = MP_MARK_XML};
    if (kind == MP__MARKER_HASHED) { /* a constant is hashed like any other text */
        struct mp_leaf leaf = {.kind = MP_LEAF_TEMPLATE, .mark = MP_MARK_HASHED};
        struct mp_str name;
        leaf.template_ = mp__plan_template(plan, MP_TEMPLATE_TEXT);
        if (mp_template_is_value(leaf.template_, &name)) {
            leaf.kind = MP_LEAF_VALUE;
            leaf.text = mp__plan_copy(plan, name);
        }
        return leaf;
    }
    struct mp_leaf leaf = mp__plan_text(plan);
    if (leaf.kind == MP_LEAF_TEXT && kind == MP__MARKER_NUMBER) {
        return constant_number(plan, leaf, place);
    }
    /* Of a constant, XML says what kind of body it is. */
    if (leaf.kind != MP_LEAF_TEXT || kind == MP__MARKER_XML) {
        leaf.mark = marks[kind];
    }
    return leaf;
}

struct mp_leaf mp__plan_marker(struct mp__plan *plan, enum mp__place place,
                               unsigned depth)
{
    enum mp__marker_kind kind = mp__marker_at(plan->state, -1);
    if (kind == MP__MARKER_ITEMS) {
        return read_items(plan, place);
    }
    if (place == MP__PLACE_URL) {
        fail_in_url(plan, kind);
    }
    if (kind == MP__MARKER_STRING) {
        return read_json_string(plan, place, depth);
    }
    mp__marker_push(plan->state, -1, 1);
    lua_remove(plan->lua, -2);
    return kind == MP__MARKER_LITERAL ? read_literal(plan)
                                      : read_marked(plan, kind, place);
}
