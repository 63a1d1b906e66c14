/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "moonpost/template.h"

/* The values of a script's table, as C reads them: what stands for a url, a header, a
 * body's member, a var. */

struct mp_by;
struct mp_node;

enum mp_leaf_kind {
    MP_LEAF_NONE,
    MP_LEAF_TEXT,     /* constant text, in `text` */
    MP_LEAF_RAW,      /* a constant JSON token (number, true, false), in `text` */
    MP_LEAF_TEMPLATE, /* in `template_` */
    MP_LEAF_VALUE, /* one expression and nothing else: the event's value as it is; `text`
                      is its name, `template_` the same as a template */
    MP_LEAF_FUNCTION, /* `function`: a number for mp_script_call_leaf */
    MP_LEAF_BY,       /* `by`: the result that the event's own value chooses */
    MP_LEAF_STRING,   /* `json.string`: `node` as JSON, and that as a string */
    MP_LEAF_ITEMS     /* the list of a batch's pieces; in a body only */
};
/* What a marker makes of a TEMPLATE or VALUE (XML also marks a TEXT). A missing value (in
 * a template: of any expression when there is but one) stays missing. */
enum mp_mark {
    MP_MARK_NONE,
    MP_MARK_TEXT,   /* a string, whatever the event's value is */
    MP_MARK_NUMBER, /* a JSON number, or the delivery is dead */
    MP_MARK_HASHED, /* trimmed, lower case, SHA-256 in lower-case hex */
    MP_MARK_XML     /* the expressions escaped for XML 1.0, text and attributes */
};
struct mp_leaf {
    enum mp_leaf_kind kind;
    enum mp_mark mark;
    struct mp_str text;
    struct mp_template *template_;
    int function;
    struct mp_by *by;
    struct mp_node *node;
};
struct mp_named_leaf {
    struct mp_str name;
    struct mp_leaf leaf;
};
enum mp_node_kind { MP_NODE_LEAF, MP_NODE_OBJECT, MP_NODE_LIST };
/* A table body. Object members are sorted by key. */
struct mp_node {
    enum mp_node_kind kind;
    struct mp_str key;
    struct mp_leaf leaf;
    struct mp_node *children;
    size_t count;
};
/* `by(key, { value = result, … }[, default])`. A result is a table only in a body or an
 * item, elsewhere a leaf. */
struct mp_by {
    struct mp_str key; /* a name as in a template; empty: `function` gives the value */
    int function;
    struct mp_by_case {
        struct mp_str value; /* the event's value as text: a string's content, a token */
        struct mp_node result;
    } * cases; /* sorted by value */
    size_t case_count;
    struct mp_node otherwise; /* a leaf of kind NONE: missing */
};
