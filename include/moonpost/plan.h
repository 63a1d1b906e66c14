/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moonpost/exchange.h"
#include "moonpost/record.h"
#include "moonpost/template.h"

/* One loaded version of a partner's script, as C reads it. What has no function in it is
 * all here and never enters Lua again. Immutable once made, so any thread may read it. */

enum mp_leaf_kind {
    MP_LEAF_NONE,
    MP_LEAF_TEXT,     /* constant text, in `text` */
    MP_LEAF_RAW,      /* a constant JSON token (number, true, false), in `text` */
    MP_LEAF_TEMPLATE, /* in `template_` */
    MP_LEAF_VALUE, /* one expression and nothing else: the event's value as it is; `text`
                      is its name, `template_` the same as a template */
    MP_LEAF_FUNCTION /* `function`: a number for mp_script_call_leaf */
};
struct mp_leaf {
    enum mp_leaf_kind kind;
    struct mp_str text;
    struct mp_template *template_;
    int function;
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
enum mp_body_kind {
    MP_BODY_DEFAULT, /* the event's own bytes with POST, PUT, PATCH; else none */
    MP_BODY_TEXT,    /* `body.leaf`: a string or function */
    MP_BODY_JSON,    /* `body`: a table */
    MP_BODY_FORM     /* `form` */
};
/* One entry of `answers`. Zero statuses, empty body, no json members: that condition is
 * absent. */
struct mp_answer {
    int *statuses;
    size_t status_count;
    struct mp_str body;
    struct mp_answer_json {
        struct mp_str path;
        struct mp_str *values; /* raw JSON tokens; any of them */
        size_t value_count;
    } * json;
    size_t json_count;
    struct mp_verdict verdict;
};

struct mp_default {
    struct mp_str name, json; /* a raw JSON token */
};

enum { MP_HOOK_ACCEPTS = 1, MP_HOOK_REQUEST = 2, MP_HOOK_VERDICT = 4 };

#define MP_GENERATION_BYTES 13

struct mp_script {
    char name[MP_PARTNER_BYTES];
    char generation[MP_GENERATION_BYTES];
    struct mp_str path;   /* as shown in errors: "scripts/acme.lua" */
    struct mp_str source; /* the file's bytes */
    char method[32];      /* empty: the default (or, for postback, the request's own) */
    struct mp_leaf url;
    struct mp_named_leaf *headers;
    size_t header_count;
    enum mp_body_kind body_kind;
    struct mp_node body;
    struct mp_named_leaf *form;
    size_t form_count;
    struct mp_default *defaults;
    size_t default_count;
    struct mp_str *required;
    size_t required_count;
    bool missing_drop;
    struct mp_answer *answers;
    size_t answer_count;
    int64_t *schedule_ms;
    size_t schedule_count; /* attempts = schedule_count + 1 */
    double jitter;
    int64_t timeout_ms;
    int64_t concurrency;
    struct mp_str *hosts; /* as mp_authority_of writes them, the url's own included */
    size_t host_count;
    bool hosts_free; /* postback.lua */
    struct mp_str *subscribes;
    size_t subscribe_count;
    unsigned hooks;
    bool has_functions; /* hooks or leaves: needs a state */
    bool has_secrets;
    /* Read by the room only. */
    void *private_;
};
