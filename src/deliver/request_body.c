/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "request_leaf.h"

/* The body, by its kind, and its Content-Type. */

static int set_type(struct mp__build *build, const char *type)
{
    build->request->has_body = true;
    if (mp_request_find_header(build->request, mp_str_of("Content-Type")) >= 0) {
        return MP_OK;
    }
    return mp_request_set_header(build->request, mp_str_of("Content-Type"),
                                 mp_str_of(type), (struct mp_str){0}, build->err);
}

static const char *type_of(const struct mp_leaf *leaf, const struct mp__got *got)
{
    if (leaf->mark == MP_MARK_XML) {
        return "application/xml";
    }
    bool is_json = leaf->kind == MP_LEAF_STRING || !got->value.is_text;
    return is_json && leaf->mark == MP_MARK_NONE ? "application/json"
                                                 : "text/plain; charset=utf-8";
}

static int build_leaf(struct mp__build *build, const struct mp_leaf *leaf)
{
    struct mp__got got;
    struct mp_str text;
    struct mp_str shown;
    int status = mp__leaf_read(build, leaf, MP__AS_JSON | MP__SEES_REQUEST, &got);
    if (status != MP_OK || mp__value_is_missing(&got.value)) {
        return status;
    }
    /* A JSON token stays one, a string's quotes too. */
    text = got.value.is_text ? got.value.text : got.value.json;
    shown = got.shown.is_text ? got.shown.text : got.shown.json;
    status = mp__out_append_hiding(mp__body_out(build), text, shown);
    return status == MP_OK ? set_type(build, type_of(leaf, &got)) : status;
}

static int build_json(struct mp__build *build, const struct mp_node *node)
{
    bool left_out = false; /* what its values emptied is still a body */
    int status = mp__json_write(build, mp__body_out(build), node, &left_out);
    return status == MP_OK ? set_type(build, "application/json") : status;
}

static int build_node(struct mp__build *build)
{
    const struct mp_node *node;
    int status = mp__by_resolve(build, &build->script->body, &node);
    if (status != MP_OK) {
        return status;
    }
    return node->kind == MP_NODE_LEAF ? build_leaf(build, &node->leaf)
                                      : build_json(build, node);
}

static int build_form(struct mp__build *build)
{
    int status = mp__form_write(build, mp__body_out(build));
    return status == MP_OK ? set_type(build, "application/x-www-form-urlencoded")
                           : status;
}

static int build_items(struct mp__build *build)
{
    bool is_ndjson = build->script->batch.is_ndjson;
    int status = mp__items_write(build, mp__body_out(build), is_ndjson);
    return status == MP_OK
               ? set_type(build, is_ndjson ? "application/x-ndjson" : "application/json")
               : status;
}

static bool method_is(const struct mp__build *build, const char *method)
{
    return strcmp(build->request->method, method) == 0;
}

static int build_default(struct mp__build *build)
{
    if (build->context->members) {
        return build_items(build);
    }
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
    case MP_BODY_JSON:
        status = build_node(build);
        break;
    case MP_BODY_FORM:
        status = build_form(build);
        break;
    }
    return mp__build_limit(build, status, "body", "16 MiB");
}
