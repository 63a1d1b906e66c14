/* SPDX-License-Identifier: MIT */
#pragma once

#include "plan.h"

/* What `number "{x}"` and its like give: locked values that mean something only in the
 * table that a script returns. Made while the script loads, and only then. */

enum mp__marker_kind {
    MP__MARKER_TEXT,
    MP__MARKER_NUMBER,
    MP__MARKER_HASHED,
    MP__MARKER_XML,
    MP__MARKER_LITERAL,
    MP__MARKER_STRING, /* json.string: a table */
    MP__MARKER_BY,     /* a key, a table of cases, a default or nil */
    MP__MARKER_ITEMS,  /* the one value `items` */
    MP__MARKER_NONE
};
enum mp__marker_kind mp__marker_at(struct mp_script_state *state, int index);
const char *mp__marker_name(enum mp__marker_kind kind); /* "json.string" */
/* Pushes what it was called with, from 1; nil past that. */
void mp__marker_push(struct mp_script_state *state, int index, int argument);

/* Where a leaf stands: what may be there, and what is made of it. */
enum mp__place {
    MP__PLACE_URL,
    MP__PLACE_HEADER,
    MP__PLACE_FORM,
    MP__PLACE_VAR,
    MP__PLACE_TEXT, /* a body that is text */
    MP__PLACE_JSON  /* in a body or item that is JSON */
};
/* The value on top, which it pops; a table only in JSON. Throws for what may not be
 * there. `depth`: how deep it may nest. */
void mp__plan_node(struct mp__plan *plan, enum mp__place place, unsigned depth,
                   struct mp_node *node);
struct mp_leaf mp__plan_leaf(struct mp__plan *plan, enum mp__place place);
/* The string or secret on top, in a url. */
struct mp_leaf mp__plan_url_leaf(struct mp__plan *plan);
/* The `by` on top. */
struct mp_leaf mp__plan_by(struct mp__plan *plan, enum mp__place place, unsigned depth);
/* Any other marker on top. */
struct mp_leaf mp__plan_marker(struct mp__plan *plan, enum mp__place place,
                               unsigned depth);
/* The string or secret on top, as a text template; a constant is TEXT. */
struct mp_leaf mp__plan_text(struct mp__plan *plan);
/* What a template without expressions and secrets expands to. */
struct mp_leaf mp__plan_constant(struct mp__plan *plan,
                                 const struct mp_template *template_);
/* Is the value on top a table, or a `by` with a table among its results? */
bool mp__plan_is_json(struct mp__plan *plan);
