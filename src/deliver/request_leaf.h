/* SPDX-License-Identifier: MIT */
#pragma once

#include "request.h"

/* What a script's leaves and names come to, and how that is written. Text lives as long
 * as the build. */

/* Nothing, text, or a raw JSON token; `shown` is the same with secrets as [secret x],
 * missing when it hides none. */
struct mp__got {
    struct mp_value value;
    struct mp_value shown;
};

/* Text that a build makes and keeps. */
struct mp__kept {
    struct mp__kept *next;
    struct mp_buf wire;
    struct mp_buf shown;
};
int mp__build_keep(struct mp__build *build, struct mp__kept **out);

/* A leaf of any kind, marks applied. A function may give a table with AS_JSON, and is
 * called with the request so far with SEES_REQUEST. */
enum { MP__AS_JSON = 1, MP__SEES_REQUEST = 2 };
int mp__leaf_read(struct mp__build *build, const struct mp_leaf *leaf, unsigned how,
                  struct mp__got *out);
/* As mp_script_call_leaf. */
int mp__function_read(struct mp__build *build, int function, unsigned how,
                      struct mp__got *out);
/* A marker, on what was read. `name` is for its error. */
int mp__mark(struct mp__build *build, enum mp_mark mark, struct mp_str name,
             struct mp__got *got);
/* The value as text: a string's content, anything else as its JSON. */
int mp__value_text(struct mp__build *build, const struct mp_value *value,
                   struct mp_str *out);
/* Both as text; `shown` is empty when it hides nothing. */
int mp__got_text(struct mp__build *build, const struct mp__got *got, struct mp_str *text,
                 struct mp_str *shown);

/* Follows `by` until it is none: a table, or a leaf of another kind, maybe NONE. */
int mp__by_resolve(struct mp__build *build, const struct mp_node *node,
                   const struct mp_node **out);
int mp__by_resolve_leaf(struct mp__build *build, const struct mp_leaf *leaf,
                        const struct mp_node **out);

/* True when a var answers for that name: by its whole name, or as the longest name before
 * a dot that a list, an object or nothing stands for. */
bool mp__vars_look(struct mp__build *build, struct mp_str name, struct mp__got *out);
void mp__vars_free(struct mp__build *build);

/* Two buffers that are written in step: what goes on the wire, and the same with secrets
 * shown as [secret x]. `shown` is NULL when the script has none. */
struct mp__out {
    struct mp_buf *wire;
    struct mp_buf *shown;
};
struct mp__out mp__body_out(struct mp__build *build);
int mp__out_append(struct mp__out out, struct mp_str bytes);
/* `shown` empty: as `bytes`. */
int mp__out_append_hiding(struct mp__out out, struct mp_str bytes, struct mp_str shown);
int mp__out_expand(struct mp__out out, const struct mp_template *template_,
                   struct mp__build *build, enum mp_template_escape escape);
/* Whether what a template gives may hide a secret. */
bool mp__template_hides(const struct mp__build *build,
                        const struct mp_template *template_);

/* A node as JSON. `left_out`: it is missing, or a table that its values emptied; a table
 * is written then all the same. */
int mp__json_write(struct mp__build *build, struct mp__out out,
                   const struct mp_node *node, bool *left_out);
int mp__form_write(struct mp__build *build, struct mp__out out);
/* The batch's pieces: a JSON list, or a line each. */
int mp__items_write(struct mp__build *build, struct mp__out out, bool is_ndjson);
