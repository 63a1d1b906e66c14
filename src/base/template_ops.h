/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

#include "moonpost/template.h"

/* A compiled template: a flat list of steps over one pool of text. */

enum mp__op_kind {
    MP__OP_TEXT, /* stands as it is; percent-encoded where needed when it was compiled */
    MP__OP_SECRET,     /* a secret's value; `name` is the secret's name */
    MP__OP_EXPRESSION, /* vars[first_var .. first_var + var_count) under `symbol` */
    /* Only where parameters are dropped: */
    MP__OP_PARAM, /* text is `name=`, followed by the simple expression of one variable */
    MP__OP_QUERY, /* the `?` that begins the query */
    MP__OP_AND,   /* a `&` between two parameters */
    MP__OP_QUERY_END
};

/* A place in the pool. */
struct mp__span {
    size_t at;
    size_t length;
};

struct mp__op {
    enum mp__op_kind kind;
    char symbol; /* the operator; 0 for a simple expression */
    struct mp__span text;
    struct mp__span name;
    size_t first_var;
    size_t var_count;
};

struct mp__var {
    struct mp__span name;
    unsigned prefix; /* characters; 0: whole */
    bool explode;
};

struct mp_template {
    enum mp_template_kind kind;
    struct mp_buf pool;  /* literal text, in the order it stands */
    struct mp_buf names; /* of variables and secrets */
    struct mp__op *ops;
    size_t op_count;
    struct mp__var *vars;
    size_t var_count;
    size_t prefix_bytes;
    bool has_secret;
};

static inline struct mp_str mp__span_str(const struct mp_buf *pool, struct mp__span span)
{
    struct mp_str str = {span.length ? pool->data + span.at : NULL, span.length};
    return str;
}

/* One expression's inside, without its braces. On failure `*column` is the offending
 * byte's place in it, from 0, and the reason is what is wrong and what is allowed.
 * Variables are added to the template. */
struct mp__parse_fault {
    size_t offset;
    char reason[200];
};
int mp__template_parse(struct mp_template *template, struct mp_str inside,
                       struct mp__op *op, struct mp__parse_fault *fault);
/* Grows an array to hold one more item of `size` bytes: at 0, 8, 16, 32 items. */
int mp__template_grow(void **items, size_t count, size_t size);
