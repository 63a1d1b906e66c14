/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "moonpost/json.h"
#include "request.h"

/* The script's tables are as deep as its own code wrote them; this is only the C stack's
 * guard. */
#define NODE_DEPTH_MAX 200

static int set_type(struct mp__build *build, const char *type)
{
    build->request->has_body = true;
    if (mp_request_find_header(build->request, mp_str_of("Content-Type")) >= 0) {
        return MP_OK;
    }
    return mp_request_set_header(build->request, mp_str_of("Content-Type"),
                                 mp_str_of(type), (struct mp_str){0}, build->err);
}

static struct mp__out body_out(struct mp__build *build)
{
    struct mp_request *request = build->request;
    return (struct mp__out){&request->body,
                            build->script->has_secrets ? &request->body_shown : NULL};
}

static struct mp_leaf_result new_result(void)
{
    struct mp_leaf_result result = {.kind = MP_RESULT_NONE};
    mp_buf_init(&result.bytes, MP_REQUEST_BODY_MAX);
    return result;
}

static int write_string(struct mp__out out, struct mp_str text, struct mp_str shown)
{
    int status = mp_json_write_string(out.wire, text);
    if (status == MP_OK && out.shown) {
        status = mp_json_write_string(out.shown, shown.length > 0 ? shown : text);
    }
    return status;
}

static int write_value(struct mp__build *build, const struct mp_leaf *leaf,
                       bool *left_out)
{
    struct mp_value value = mp__build_lookup(build, leaf->text);
    if (value.is_text) {
        return write_string(body_out(build), value.text, (struct mp_str){0});
    }
    *left_out = mp__value_is_missing(&value);
    return mp__out_append(body_out(build), value.json);
}

static int write_function(struct mp__build *build, const struct mp_leaf *leaf,
                          bool *left_out)
{
    struct mp_leaf_result result = new_result();
    int status = mp_script_call_leaf(build->state, leaf->function, build->context, NULL,
                                     true, &result, build->err);
    if (status == MP_OK && result.kind == MP_RESULT_JSON) {
        status = mp__out_append_hiding(body_out(build), mp_buf_str(&result.bytes),
                                       result.shown);
    } else if (status == MP_OK && result.kind == MP_RESULT_TEXT) {
        status = write_string(body_out(build), mp_buf_str(&result.bytes), result.shown);
    }
    *left_out = result.kind == MP_RESULT_NONE;
    mp_buf_fini(&result.bytes);
    return status;
}

static int write_template(struct mp__build *build, const struct mp_template *template_)
{
    struct mp__out out = body_out(build);
    int status = mp__out_append(out, mp_str_of("\""));
    if (status == MP_OK) {
        status = mp__out_expand(out, template_, build, MP_ESCAPE_JSON);
    }
    return status == MP_OK ? mp__out_append(out, mp_str_of("\"")) : status;
}

static int write_leaf(struct mp__build *build, const struct mp_leaf *leaf, bool *left_out)
{
    *left_out = false;
    switch (leaf->kind) {
    case MP_LEAF_TEXT:
        return write_string(body_out(build), leaf->text, (struct mp_str){0});
    case MP_LEAF_RAW:
        return mp__out_append(body_out(build), leaf->text);
    case MP_LEAF_TEMPLATE:
        return write_template(build, leaf->template_);
    case MP_LEAF_VALUE:
        return write_value(build, leaf, left_out);
    case MP_LEAF_FUNCTION:
        return write_function(build, leaf, left_out);
    case MP_LEAF_BY:
    case MP_LEAF_STRING:
    case MP_LEAF_ITEMS:
    case MP_LEAF_NONE:
        break;
    }
    *left_out = true;
    return MP_OK;
}

static int write_node(struct mp__build *build, const struct mp_node *node, unsigned depth,
                      bool *left_out);

static int write_member(struct mp__build *build, const struct mp_node *parent,
                        size_t index, bool is_first, unsigned depth, bool *left_out)
{
    const struct mp_node *child = &parent->children[index];
    struct mp__out out = body_out(build);
    int status = is_first ? MP_OK : mp__out_append(out, mp_str_of(","));
    if (status == MP_OK && parent->kind == MP_NODE_OBJECT) {
        status = write_string(out, child->key, (struct mp_str){0});
        if (status == MP_OK) {
            status = mp__out_append(out, mp_str_of(":"));
        }
    }
    return status == MP_OK ? write_node(build, child, depth, left_out) : status;
}

static int write_children(struct mp__build *build, const struct mp_node *node,
                          unsigned depth, size_t *written)
{
    struct mp__out out = body_out(build);
    int status = MP_OK;
    for (size_t i = 0; i < node->count && status == MP_OK; i++) {
        size_t wire_before = out.wire->length;
        size_t shown_before = out.shown ? out.shown->length : 0;
        bool left_out = false;
        status = write_member(build, node, i, *written == 0, depth, &left_out);
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

static int write_node(struct mp__build *build, const struct mp_node *node, unsigned depth,
                      bool *left_out)
{
    if (node->kind == MP_NODE_LEAF) {
        return write_leaf(build, &node->leaf, left_out);
    }
    if (depth == 0) {
        return mp__build_dead(build, "body is nested over %d deep", NODE_DEPTH_MAX);
    }
    bool is_object = node->kind == MP_NODE_OBJECT;
    struct mp__out out = body_out(build);
    size_t written = 0;
    int status = mp__out_append(out, mp_str_of(is_object ? "{" : "["));
    if (status == MP_OK) {
        status = write_children(build, node, depth - 1, &written);
    }
    /* A table written empty stays; one that its values emptied goes. */
    *left_out = node->count > 0 && written == 0 && depth < NODE_DEPTH_MAX;
    return status == MP_OK ? mp__out_append(out, mp_str_of(is_object ? "}" : "]"))
                           : status;
}

static int build_json(struct mp__build *build)
{
    bool left_out = false;
    int status = write_node(build, &build->script->body, NODE_DEPTH_MAX, &left_out);
    return status == MP_OK ? set_type(build, "application/json") : status;
}

static int build_text_function(struct mp__build *build, const struct mp_leaf *leaf)
{
    struct mp_leaf_result result = new_result();
    int status = mp_script_call_leaf(build->state, leaf->function, build->context,
                                     build->request, true, &result, build->err);
    if (status == MP_OK && result.kind != MP_RESULT_NONE) {
        status = mp__out_append_hiding(body_out(build), mp_buf_str(&result.bytes),
                                       result.shown);
        if (status == MP_OK) {
            status = set_type(build, result.kind == MP_RESULT_JSON
                                         ? "application/json"
                                         : "text/plain; charset=utf-8");
        }
    }
    mp_buf_fini(&result.bytes);
    return status;
}

static int build_text(struct mp__build *build)
{
    const struct mp_leaf *leaf = &build->script->body.leaf;
    if (leaf->kind == MP_LEAF_FUNCTION) {
        return build_text_function(build, leaf);
    }
    int status = leaf->template_ ? mp__out_expand(body_out(build), leaf->template_, build,
                                                  MP_ESCAPE_NONE)
                                 : mp__out_append(body_out(build), leaf->text);
    return status == MP_OK ? set_type(build, "text/plain; charset=utf-8") : status;
}

/* application/x-www-form-urlencoded (URL standard, section 5.2): a space is `+`, as HTML
 * forms have always sent it; expressions in a template are escaped in the same way. */
static int encode_form(struct mp_buf *out, struct mp_str text)
{
    static const char hex[] = "0123456789ABCDEF";
    int status = MP_OK;
    for (size_t i = 0; i < text.length && status == MP_OK; i++) {
        unsigned char c = (unsigned char)text.data[i];
        char triplet[3] = {'%', hex[c >> 4], hex[c & 15]};
        struct mp_str bytes = {triplet, 3};
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            c == '-' || c == '.' || c == '_' || c == '*' || c == ' ') {
            triplet[0] = c == ' ' ? '+' : (char)c;
            bytes.length = 1;
        }
        status = mp_buf_append_str(out, bytes);
    }
    return status;
}

static int write_form(struct mp__out out, struct mp_str text, struct mp_str shown)
{
    int status = encode_form(out.wire, text);
    if (status == MP_OK && out.shown) {
        /* For people: the name in brackets stays readable, as in a template. */
        status = shown.length > 0 ? mp_buf_append_str(out.shown, shown)
                                  : encode_form(out.shown, text);
    }
    return status;
}

static int write_form_function(struct mp__build *build, const struct mp_leaf *leaf,
                               bool *left_out)
{
    struct mp_leaf_result result = new_result();
    int status = mp_script_call_leaf(build->state, leaf->function, build->context, NULL,
                                     false, &result, build->err);
    if (status == MP_OK) {
        *left_out = result.kind == MP_RESULT_NONE;
        status = write_form(body_out(build), mp_buf_str(&result.bytes), result.shown);
    }
    mp_buf_fini(&result.bytes);
    return status;
}

static int write_form_leaf(struct mp__build *build, const struct mp_leaf *leaf,
                           bool *left_out)
{
    if (leaf->kind == MP_LEAF_FUNCTION) {
        return write_form_function(build, leaf, left_out);
    }
    if (leaf->kind == MP_LEAF_VALUE) {
        struct mp_value value = mp__build_lookup(build, leaf->text);
        *left_out = mp__value_is_undefined(&value); /* a form has no null */
    }
    return leaf->template_
               ? mp__out_expand(body_out(build), leaf->template_, build, MP_ESCAPE_FORM)
               : write_form(body_out(build), leaf->text, (struct mp_str){0});
}

static int build_form(struct mp__build *build)
{
    struct mp__out out = body_out(build);
    int status = MP_OK;
    for (size_t i = 0; i < build->script->form_count && status == MP_OK; i++) {
        const struct mp_named_leaf *field = &build->script->form[i];
        size_t wire_before = out.wire->length;
        size_t shown_before = out.shown ? out.shown->length : 0;
        bool left_out = false;
        status = wire_before == 0 ? MP_OK : mp__out_append(out, mp_str_of("&"));
        status =
            status == MP_OK ? write_form(out, field->name, (struct mp_str){0}) : status;
        status = status == MP_OK ? mp__out_append(out, mp_str_of("=")) : status;
        status =
            status == MP_OK ? write_form_leaf(build, &field->leaf, &left_out) : status;
        if (left_out) {
            out.wire->length = wire_before;
            if (out.shown) {
                out.shown->length = shown_before;
            }
        }
    }
    return status == MP_OK ? set_type(build, "application/x-www-form-urlencoded")
                           : status;
}

static bool method_is(const struct mp__build *build, const char *method)
{
    return strcmp(build->request->method, method) == 0;
}

static int build_default(struct mp__build *build)
{
    if (!method_is(build, "POST") && !method_is(build, "PUT") &&
        !method_is(build, "PATCH")) {
        return MP_OK;
    }
    build->request->body_borrowed = build->context->record->event;
    return set_type(build, "application/json");
}

/* A script that says its method was refused at load when it has a body with GET;
 * postback's method is only known now. */
static bool method_takes_none(const struct mp__build *build)
{
    return build->script->method[0] == '\0' &&
           (method_is(build, "GET") || method_is(build, "HEAD"));
}

int mp__build_body(struct mp__build *build)
{
    int status = MP_OK;
    if (method_takes_none(build)) {
        return MP_OK;
    }
    switch (build->script->body_kind) {
    case MP_BODY_DEFAULT:
        status = build_default(build);
        break;
    case MP_BODY_TEXT:
        status = build_text(build);
        break;
    case MP_BODY_JSON:
        status = build_json(build);
        break;
    case MP_BODY_FORM:
        status = build_form(build);
        break;
    }
    return mp__build_limit(build, status, "body", "16 MiB");
}
