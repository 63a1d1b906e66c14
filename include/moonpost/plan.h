/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moonpost/exchange.h"
#include "moonpost/leaf.h"
#include "moonpost/record.h"

/* One loaded version of a partner's script, as C reads it. What has no function in it is
 * all here and never enters Lua again. Immutable once made, so any thread may read it. */

enum mp_body_kind {
    MP_BODY_DEFAULT, /* the event's own bytes with POST, PUT, PATCH; else none */
    MP_BODY_TEXT,    /* `body.leaf`: text, a marker, a function, or a BY of these */
    MP_BODY_JSON,    /* `body`: a table, or a BY of tables */
    MP_BODY_FORM     /* `form` */
};
/* `batch`. Without `item` a piece is the event's own bytes; without a body the body is
 * the pieces, as a JSON list or a line each. */
struct mp_batch_plan {
    int64_t size; /* 0: every delivery goes alone */
    int64_t wait_ms;
    int64_t bytes; /* of all pieces */
    struct mp_str *by;
    size_t by_count;
    bool is_ndjson;
    bool has_item;
    struct mp_node item;
};
/* Text that may be a secret: `shown` is how it may be shown, empty when it is none. */
struct mp_hidden {
    struct mp_str text, shown;
};
/* What is not given is empty. With a refresh token that grant, else client credentials
 * (RFC 6749 sections 6 and 4.4). */
struct mp_oauth2 {
    struct mp_hidden token_url, client_id, client_secret, refresh_token, scope, audience;
    bool in_body; /* the client's name and secret (section 2.3.1); else Basic */
};
struct mp_tls {
    struct mp_hidden cert, key, ca; /* PEM */
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
    struct mp_named_leaf *vars; /* sorted by name; they see the event, not each other */
    size_t var_count;
    struct mp_leaf url; /* TEXT, TEMPLATE, FUNCTION, BY of these, or NONE */
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
    double rate_per_second;   /* 0: none */
    int64_t max_age_ms;       /* -1: none */
    struct mp_str max_age_of; /* a name as in a template; empty: since it was accepted */
    struct mp_batch_plan batch;
    struct mp_oauth2 *oauth2; /* NULL: none; tls too */
    struct mp_tls *tls;
    struct mp_str proxy;  /* the name of one of --proxy; empty: none */
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
