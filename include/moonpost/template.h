/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "moonpost/buf.h"

/* URL templates (RFC 6570, level 4) and the simpler ones of headers and bodies. Compiled
 * once, expanded on raw JSON tokens, so that a number leaves digit for digit. Immutable
 * after compile: any thread may expand. */

struct mp_template;

/* A piece of a template's source. With `secret` set, `text` is that secret's value: it
 * stands as it is, is never read as an expression, and is shown as [secret <name>]. */
struct mp_template_part {
    struct mp_str text;
    struct mp_str secret;
};

enum mp_template_kind {
    MP_TEMPLATE_URL,      /* RFC 6570; `{a.b}` may reach into values */
    MP_TEMPLATE_URL_DROP, /* the same; a query's `name={x}` goes when x is missing or ""
                           */
    MP_TEMPLATE_TEXT,   /* simple expressions only, not percent-encoded: the place escapes
                         */
    MP_TEMPLATE_LITERAL /* no expressions: braces are text; else as TEXT */
};

/* How the place of a text template escapes an expression's value. */
enum mp_template_escape {
    MP_ESCAPE_NONE,
    MP_ESCAPE_JSON,
    MP_ESCAPE_FORM,
    MP_ESCAPE_XML /* XML 1.0, in text and in attributes; literal text stays as it is */
};

/* What a name stands for. Either a raw JSON token (checked), or plain text; a zeroed
 * struct is "missing". JSON null, [] and {} are undefined (RFC 6570 section 2.3), as
 * missing is. Of a secret there is no prefix: byte by byte it could be guessed. */
struct mp_value {
    struct mp_str json;
    struct mp_str text;
    bool is_text;
    bool is_secret;
};

/* Looks one variable up by its whole name, dots included. Does not fail: missing is an
 * answer. What it gives must live until the expansion returns. */
typedef struct mp_value (*mp_lookup_fn)(void *arg, struct mp_str name);

/* A lookup in one checked JSON object: `arg` is a struct mp_str *, the name a path
 * (json.h). */
struct mp_value mp_lookup_json(void *arg, struct mp_str name);

/* MP_EINVAL with the column and what to write instead ("column 14: `{` is not closed").
 * `*out` is untouched on failure. The caller frees with mp_template_free. */
MP_MUST_CHECK int mp_template_compile(const struct mp_template_part *parts, size_t count,
                                      enum mp_template_kind kind,
                                      struct mp_template **out, struct mp_error *err);
void mp_template_free(struct mp_template *template);

/* Appends the expansion. MP_ELIMIT when out is full, MP_EINVAL for a prefix ({x:3}) of
 * what has none, else MP_OK; on failure out is as before. `escape` is for
 * MP_TEMPLATE_TEXT: of the expressions' values and of the literal text. A list or object
 * inside a list or object, and any in text, expands as its JSON.
 */
MP_MUST_CHECK int mp_template_expand(const struct mp_template *template,
                                     mp_lookup_fn lookup, void *arg,
                                     enum mp_template_escape escape, struct mp_buf *out);
/* The same with each secret shown as [secret name]: for logs, errors, `try`. */
MP_MUST_CHECK int mp_template_expand_shown(const struct mp_template *template,
                                           mp_lookup_fn lookup, void *arg,
                                           enum mp_template_escape escape,
                                           struct mp_buf *out);

bool mp_template_has_secret(const struct mp_template *template);
bool mp_template_has_expression(const struct mp_template *template);
/* True when it is one simple expression of one variable and nothing else; `name` is it.
 * Such a leaf takes the event's value as it is. */
bool mp_template_is_value(const struct mp_template *template, struct mp_str *name);
/* The literal text (secret values included) before the first expression: where a URL's
 * authority must be whole. Points into the template. */
struct mp_str mp_template_prefix(const struct mp_template *template);
/* Every variable named in it: calls `each` once for each, in order. */
void mp_template_each_name(const struct mp_template *template,
                           void (*each)(void *arg, struct mp_str name), void *arg);

/* Each appends the text as its place wants it; on failure out is as before. */

/* Percent-encodes all but RFC 3986's unreserved characters. */
MP_MUST_CHECK int mp_percent_encode(struct mp_str text, struct mp_buf *out);
/* application/x-www-form-urlencoded (URL standard, section 5.2): a space is `+`. */
MP_MUST_CHECK int mp_form_encode(struct mp_str text, struct mp_buf *out);
/* XML 1.0 section 2.2 and 2.4, for text and attributes: & < > " ' and line breaks and
 * tabs are references; what XML cannot hold, and what is not UTF-8, becomes U+FFFD. */
MP_MUST_CHECK int mp_xml_escape(struct mp_str text, struct mp_buf *out);
