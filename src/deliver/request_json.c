/* SPDX-License-Identifier: MIT */
#include "moonpost/json.h"
#include "request_leaf.h"

/* A table of the script's, as JSON. What holds no mark and calls nobody is written where
 * it stands, without a copy. */

/* The script's tables are as deep as its own code wrote them; this is only the C stack's
 * guard. */
#define NODE_DEPTH_MAX 200

static int write_string(struct mp__out out, struct mp_str text, struct mp_str shown)
{
    int status = mp_json_write_string(out.wire, text);
    if (status == MP_OK && out.shown) {
        status = mp_json_write_string(out.shown, shown.length > 0 ? shown : text);
    }
    return status;
}

static int write_one(struct mp_buf *out, const struct mp_value *value)
{
    return value->is_text ? mp_json_write_string(out, value->text)
                          : mp_buf_append_str(out, value->json);
}

static int write_got(struct mp__out out, const struct mp__got *got)
{
    int status = write_one(out.wire, &got->value);
    if (status == MP_OK && out.shown) {
        bool hides = !mp__value_is_missing(&got->shown);
        status = write_one(out.shown, hides ? &got->shown : &got->value);
    }
    return status;
}

static int write_value(struct mp__build *build, struct mp__out out,
                       const struct mp_leaf *leaf, bool *left_out)
{
    struct mp__got got = {.value = mp__build_lookup(build, leaf->text)};
    if (out.shown && build->script->var_count > 0) {
        got.shown = mp__build_lookup_shown(build, leaf->text);
    }
    *left_out = mp__value_is_missing(&got.value);
    return mp__build_met(build, write_got(out, &got));
}

static int write_template(struct mp__build *build, struct mp__out out,
                          const struct mp_template *template_)
{
    int status = mp__out_append(out, mp_str_of("\""));
    if (status == MP_OK) {
        status = mp__out_expand(out, template_, build, MP_ESCAPE_JSON);
    }
    return status == MP_OK ? mp__out_append(out, mp_str_of("\"")) : status;
}

static int write_read(struct mp__build *build, struct mp__out out,
                      const struct mp_leaf *leaf, bool *left_out)
{
    struct mp__got got;
    int status = mp__leaf_read(build, leaf, MP__AS_JSON, &got);
    *left_out = mp__value_is_missing(&got.value);
    return status == MP_OK ? write_got(out, &got) : status;
}

static int write_leaf(struct mp__build *build, struct mp__out out,
                      const struct mp_leaf *leaf, bool *left_out)
{
    *left_out = false;
    if (leaf->mark != MP_MARK_NONE) {
        return write_read(build, out, leaf, left_out);
    }
    switch (leaf->kind) {
    case MP_LEAF_TEXT:
        return write_string(out, leaf->text, (struct mp_str){0});
    case MP_LEAF_RAW:
        return mp__out_append(out, leaf->text);
    case MP_LEAF_TEMPLATE:
        return write_template(build, out, leaf->template_);
    case MP_LEAF_VALUE:
        return write_value(build, out, leaf, left_out);
    default:
        return write_read(build, out, leaf, left_out);
    }
}

static int write_member(struct mp__build *build, struct mp__out out,
                        const struct mp_node *parent, size_t index, bool is_first,
                        bool *left_out)
{
    const struct mp_node *child = &parent->children[index];
    int status = is_first ? MP_OK : mp__out_append(out, mp_str_of(","));
    if (status == MP_OK && parent->kind == MP_NODE_OBJECT) {
        status = write_string(out, child->key, (struct mp_str){0});
        if (status == MP_OK) {
            status = mp__out_append(out, mp_str_of(":"));
        }
    }
    return status == MP_OK ? mp__json_write(build, out, child, left_out) : status;
}

static int write_children(struct mp__build *build, struct mp__out out,
                          const struct mp_node *node, size_t *written)
{
    int status = MP_OK;
    for (size_t i = 0; i < node->count && status == MP_OK; i++) {
        size_t wire_before = out.wire->length;
        size_t shown_before = out.shown ? out.shown->length : 0;
        bool left_out = false;
        status = write_member(build, out, node, i, *written == 0, &left_out);
        if (!left_out) {
            (*written)++;
            continue;
        }
        out.wire->length = wire_before;
        if (out.shown) {
            out.shown->length = shown_before;
        }
    }
    return status;
}

static int write_table(struct mp__build *build, struct mp__out out,
                       const struct mp_node *node, bool *left_out)
{
    if (build->depth >= NODE_DEPTH_MAX) {
        return mp__build_dead(build, "values are nested over %d deep", NODE_DEPTH_MAX);
    }
    bool is_object = node->kind == MP_NODE_OBJECT;
    size_t written = 0;
    int status = mp__out_append(out, mp_str_of(is_object ? "{" : "["));
    build->depth++;
    if (status == MP_OK) {
        status = write_children(build, out, node, &written);
    }
    build->depth--;
    /* A table written empty stays; one that its values emptied goes. */
    *left_out = node->count > 0 && written == 0;
    return status == MP_OK ? mp__out_append(out, mp_str_of(is_object ? "}" : "]"))
                           : status;
}

int mp__json_write(struct mp__build *build, struct mp__out out,
                   const struct mp_node *node, bool *left_out)
{
    int status = mp__by_resolve(build, node, &node);
    if (status != MP_OK) {
        return status;
    }
    return node->kind == MP_NODE_LEAF ? write_leaf(build, out, &node->leaf, left_out)
                                      : write_table(build, out, node, left_out);
}
