/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "plan_keys.h"

/* A batch is one request of many events: what stands outside its items must be the same
 * for all of them. */

struct search {
    struct mp__plan *plan;
    bool is_body;
    bool in_var; /* vars see the event, not each other */
};

static void check_node(struct search *search, const struct mp_node *node);
static void check_leaf(struct search *search, const struct mp_leaf *leaf);

static bool is_common(const struct mp_batch_plan *batch, struct mp_str name)
{
    for (size_t i = 0; i < batch->by_count; i++) {
        struct mp_str by = batch->by[i];
        bool begins =
            name.length > by.length && memcmp(name.data, by.data, by.length) == 0;
        if (mp_str_equal(name, by) || (begins && name.data[by.length] == '.')) {
            return true;
        }
    }
    return mp_str_is(name, "ctx.partner");
}

static const struct mp_named_leaf *find_var(const struct mp_script *script,
                                            struct mp_str name)
{
    for (size_t i = 0; i < script->var_count; i++) {
        const struct mp_named_leaf *var = &script->vars[i];
        if (mp_str_equal(var->name, name)) {
            return var;
        }
    }
    return NULL;
}

static void check_field(struct search *search, struct mp_str name)
{
    struct mp__plan *plan = search->plan;
    bool is_ctx = mp__str_begins(name, "ctx.");
    if (is_common(&plan->script->batch, name) || (is_ctx && search->is_body)) {
        return;
    }
    if (is_ctx) {
        mp__plan_fail(
            plan,
            "{%.*s} differs within a batch: only ctx.partner is the same for all "
            "of it",
            (int)name.length, name.data);
    }
    mp__plan_fail(
        plan,
        "{%.*s} may differ within a batch: write batch = { by = { \"%.*s\" } }, or "
        "move it into item",
        (int)name.length, name.data, (int)name.length, name.data);
}

static void on_name(void *arg, struct mp_str name)
{
    struct search *search = arg;
    const struct mp_named_leaf *var = find_var(search->plan->script, name);
    if (!var || search->in_var) {
        check_field(search, name);
        return;
    }
    search->in_var = true;
    check_leaf(search, &var->leaf);
    search->in_var = false;
}

static void check_leaf(struct search *search, const struct mp_leaf *leaf)
{
    switch (leaf->kind) {
    case MP_LEAF_TEMPLATE:
    case MP_LEAF_VALUE:
        mp_template_each_name(leaf->template_, on_name, search);
        return;
    case MP_LEAF_STRING:
        check_node(search, leaf->node);
        return;
    case MP_LEAF_BY:
        if (leaf->by->key.length > 0) {
            on_name(search, leaf->by->key);
        }
        for (size_t i = 0; i < leaf->by->case_count; i++) {
            check_node(search, &leaf->by->cases[i].result);
        }
        check_node(search, &leaf->by->otherwise);
        return;
    default:
        return;
    }
}

static void check_node(struct search *search, const struct mp_node *node)
{
    if (node->kind == MP_NODE_LEAF) {
        check_leaf(search, &node->leaf);
        return;
    }
    for (size_t i = 0; i < node->count; i++) {
        if (node->kind == MP_NODE_OBJECT) {
            search->plan->at.child = node->children[i].key.data;
        }
        check_node(search, &node->children[i]);
    }
}

static bool has_items(const struct mp_node *node, bool is_text);

static bool by_has_items(const struct mp_by *by, bool is_text)
{
    bool all = has_items(&by->otherwise, is_text);
    for (size_t i = 0; i < by->case_count && all; i++) {
        all = has_items(&by->cases[i].result, is_text);
    }
    return all;
}

static bool has_items(const struct mp_node *node, bool is_text)
{
    bool found = false;
    for (size_t i = 0; i < node->count && !found; i++) {
        found = has_items(&node->children[i], is_text);
    }
    if (node->kind != MP_NODE_LEAF) {
        return found;
    }
    switch (node->leaf.kind) {
    case MP_LEAF_ITEMS:
        return true;
    case MP_LEAF_FUNCTION: /* as a whole body, not as a value in it */
        return is_text;
    case MP_LEAF_STRING:
        return has_items(node->leaf.node, is_text);
    case MP_LEAF_BY:
        return by_has_items(node->leaf.by, is_text);
    default:
        return false;
    }
}

static void check_body(struct mp__plan *plan)
{
    const struct mp_script *script = plan->script;
    if (script->body_kind == MP_BODY_DEFAULT) {
        return;
    }
    plan->at = (struct mp__at){"body", NULL};
    if (script->batch.is_ndjson) {
        mp__plan_fail(plan, "a batch of lines has nothing around them: remove body, or "
                            "format = \"ndjson\"");
    }
    if (!has_items(&script->body, script->body_kind == MP_BODY_TEXT)) {
        mp__plan_fail(plan,
                      "a batch's body must say where its events stand, in every case: "
                      "body = { data = items }");
    }
    struct search search = {.plan = plan, .is_body = true};
    check_node(&search, &script->body);
}

void mp__plan_check_batch(struct mp__plan *plan)
{
    const struct mp_script *script = plan->script;
    struct search search = {.plan = plan};
    plan->at = (struct mp__at){"url", NULL};
    check_leaf(&search, &script->url);
    for (size_t i = 0; i < script->header_count; i++) {
        plan->at = (struct mp__at){"headers", script->headers[i].name.data};
        check_leaf(&search, &script->headers[i].leaf);
    }
    check_body(plan);
}
