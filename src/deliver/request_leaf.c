/* SPDX-License-Identifier: MIT */
#include "request_leaf.h"

#include <stdlib.h>
#include <string.h>

#include "moonpost/json.h"

#define DEPTH_MAX 200

int mp__build_keep(struct mp__build *build, struct mp__kept **out)
{
    struct mp__kept *kept = malloc(sizeof(*kept));
    if (!kept) {
        return MP_ENOMEM;
    }
    mp_buf_init(&kept->wire, MP_REQUEST_BODY_MAX);
    mp_buf_init(&kept->shown, MP_REQUEST_BODY_MAX);
    kept->next = build->kept;
    build->kept = kept;
    *out = kept;
    return MP_OK;
}

static struct mp_value text_value(struct mp_str text)
{
    return (struct mp_value){.text = text, .is_text = true};
}

int mp__value_text(struct mp__build *build, const struct mp_value *value,
                   struct mp_str *out)
{
    if (value->is_text) {
        *out = value->text;
        return MP_OK;
    }
    *out = value->json;
    if (mp_json_kind(value->json) != MP_JSON_STRING) {
        return MP_OK;
    }
    *out = (struct mp_str){value->json.data + 1, value->json.length - 2};
    if (out->length == 0 || !memchr(out->data, '\\', out->length)) {
        return MP_OK;
    }
    struct mp__kept *kept;
    int status = mp__build_keep(build, &kept);
    if (status == MP_OK) {
        status = mp_json_unescape(value->json, &kept->wire);
        *out = mp_buf_str(&kept->wire);
    }
    return status;
}

int mp__got_text(struct mp__build *build, const struct mp__got *got, struct mp_str *text,
                 struct mp_str *shown)
{
    *shown = (struct mp_str){0};
    int status = mp__value_text(build, &got->value, text);
    if (status == MP_OK && !mp__value_is_missing(&got->shown)) {
        status = mp__value_text(build, &got->shown, shown);
    }
    return status;
}

int mp__function_read(struct mp__build *build, int function, unsigned how,
                      struct mp__got *out)
{
    struct mp__kept *kept;
    if (!build->state) { /* nobody but mp_batch_key builds without one */
        return MP_ESCRIPT;
    }
    int status = mp__build_keep(build, &kept);
    if (status != MP_OK) {
        return status;
    }
    struct mp_leaf_result result = {.kind = MP_RESULT_NONE, .bytes = kept->wire};
    status = mp_script_call_leaf(build->state, function, build->context,
                                 how & MP__SEES_REQUEST ? build->request : NULL,
                                 (how & MP__AS_JSON) != 0, &result, build->err);
    kept->wire = result.bytes;
    /* The state's own, until its next call. */
    if (status == MP_OK && result.shown.length > 0) {
        status = mp_buf_append_str(&kept->shown, result.shown);
    }
    struct mp_str text = mp_buf_str(&kept->wire);
    struct mp_str shown = mp_buf_str(&kept->shown);
    *out = (struct mp__got){0};
    if (status == MP_OK && result.kind == MP_RESULT_TEXT) {
        out->value = text_value(text);
        out->shown = (struct mp_value){.text = shown, .is_text = shown.length > 0};
    } else if (status == MP_OK && result.kind == MP_RESULT_JSON) {
        out->value.json = text;
        out->shown.json = shown;
    }
    return status;
}

/* A lookup that remembers what it was asked: of one expression alone, missing is missing.
 */
struct counting {
    struct mp__build *build;
    unsigned asked;
    unsigned undefined;
};

static struct mp_value counting_lookup(void *arg, struct mp_str name)
{
    struct counting *counting = arg;
    struct mp_value value = mp__build_lookup(counting->build, name);
    counting->asked++;
    counting->undefined += mp__value_is_undefined(&value);
    return value;
}

static int read_template(struct mp__build *build, const struct mp_leaf *leaf,
                         struct mp__got *out)
{
    const struct mp_template *template_ = leaf->template_;
    bool is_xml = leaf->mark == MP_MARK_XML;
    enum mp_template_escape escape = is_xml ? MP_ESCAPE_XML : MP_ESCAPE_NONE;
    struct counting counting = {.build = build};
    struct mp__kept *kept;
    int status = mp__build_keep(build, &kept);
    if (status == MP_OK) {
        status = mp__build_met(build, mp_template_expand(template_, counting_lookup,
                                                         &counting, escape, &kept->wire));
    }
    bool is_marked = leaf->mark != MP_MARK_NONE && !is_xml;
    if (status != MP_OK ||
        (is_marked && counting.asked == 1 && counting.undefined == 1)) {
        return status;
    }
    out->value = text_value(mp_buf_str(&kept->wire));
    if (mp__template_hides(build, template_)) {
        status = mp_template_expand_shown(template_, mp__build_lookup_shown, build,
                                          escape, &kept->shown);
        out->shown = text_value(mp_buf_str(&kept->shown));
    }
    return status;
}

static int read_value(struct mp__build *build, const struct mp_leaf *leaf,
                      struct mp__got *out)
{
    out->value = mp__build_lookup(build, leaf->text);
    if (build->script->has_secrets && build->script->var_count > 0) {
        out->shown = mp__build_lookup_shown(build, leaf->text);
    }
    return build->failed;
}

/* `node` as JSON: as text, or as the token that it is. */
static int read_node(struct mp__build *build, const struct mp_node *node, bool as_text,
                     struct mp__got *out)
{
    struct mp__kept *kept;
    int status = mp__build_keep(build, &kept);
    bool left_out = false;
    bool hides = build->script->has_secrets;
    if (status == MP_OK) {
        struct mp__out both = {&kept->wire, hides ? &kept->shown : NULL};
        status = mp__json_write(build, both, node, &left_out);
    }
    if (status != MP_OK || left_out) {
        return status;
    }
    struct mp_str wire = mp_buf_str(&kept->wire);
    struct mp_str shown = mp_buf_str(&kept->shown);
    out->value = as_text ? text_value(wire) : (struct mp_value){.json = wire};
    if (hides) {
        out->shown = as_text ? text_value(shown) : (struct mp_value){.json = shown};
    }
    return status;
}

static int read_by(struct mp__build *build, const struct mp_leaf *leaf, unsigned how,
                   struct mp__got *out)
{
    const struct mp_node *node;
    int status = mp__by_resolve_leaf(build, leaf, &node);
    if (status != MP_OK) {
        return status;
    }
    return node->kind == MP_NODE_LEAF ? mp__leaf_read(build, &node->leaf, how, out)
                                      : read_node(build, node, false, out);
}

static int read_items(struct mp__build *build, struct mp__got *out)
{
    struct mp__kept *kept;
    int status = mp__build_keep(build, &kept);
    bool hides = build->script->has_secrets;
    if (status != MP_OK || !build->context->members) {
        return status;
    }
    struct mp__out both = {&kept->wire, hides ? &kept->shown : NULL};
    status = mp__items_write(build, both, false);
    out->value.json = mp_buf_str(&kept->wire);
    out->shown.json = mp_buf_str(&kept->shown);
    return status;
}

static int read_plain(struct mp__build *build, const struct mp_leaf *leaf, unsigned how,
                      struct mp__got *out)
{
    switch (leaf->kind) {
    case MP_LEAF_TEXT:
        out->value = text_value(leaf->text);
        return MP_OK;
    case MP_LEAF_RAW:
        out->value.json = leaf->text;
        return MP_OK;
    case MP_LEAF_TEMPLATE:
        return read_template(build, leaf, out);
    case MP_LEAF_VALUE:
        return read_value(build, leaf, out);
    case MP_LEAF_FUNCTION:
        return mp__function_read(build, leaf->function, how, out);
    case MP_LEAF_BY:
        return read_by(build, leaf, how, out);
    case MP_LEAF_STRING:
        return read_node(build, leaf->node, true, out);
    case MP_LEAF_ITEMS:
        return read_items(build, out);
    case MP_LEAF_NONE:
        break;
    }
    return MP_OK;
}

static void take_first(void *arg, struct mp_str name)
{
    struct mp_str *first = arg;
    if (first->length == 0) {
        *first = name;
    }
}

static struct mp_str name_of(const struct mp_leaf *leaf)
{
    struct mp_str name = {0};
    if (leaf->template_) {
        mp_template_each_name(leaf->template_, take_first, &name);
    }
    return leaf->kind == MP_LEAF_VALUE ? leaf->text : name;
}

int mp__leaf_read(struct mp__build *build, const struct mp_leaf *leaf, unsigned how,
                  struct mp__got *out)
{
    *out = (struct mp__got){0};
    if (build->depth == DEPTH_MAX) {
        return mp__build_dead(build, "values are nested over %d deep", DEPTH_MAX);
    }
    build->depth++;
    int status = read_plain(build, leaf, how, out);
    build->depth--;
    /* A template has been escaped where its expressions stand. */
    bool is_done = leaf->mark == MP_MARK_XML && leaf->kind != MP_LEAF_VALUE;
    if (status != MP_OK || is_done || leaf->mark == MP_MARK_NONE) {
        return status;
    }
    return mp__mark(build, leaf->mark, name_of(leaf), out);
}
