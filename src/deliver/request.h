/* SPDX-License-Identifier: MIT */
#pragma once

#include "moonpost/deliver.h"

/* The request builder's pieces. One build runs on one thread; nothing outlives it. */

#define MP__LARGE_EVENT_BYTES ((size_t)16 * 1024)

struct mp__build {
    const struct mp_script *script;
    struct mp_script_state *state;
    const struct mp_context *context;
    struct mp_request *request; /* NULL: an item is built */
    struct mp_verdict *verdict;
    struct mp_error *err;
    const struct mp_leaf
        *url_leaf; /* what the url came from, `by` resolved; NULL: none */
    const struct mp_template
        *url_template;      /* what the url was expanded from; NULL: no template */
    char numbers[4][24];    /* ctx.attempt and its like, as text */
    struct mp_buf endpoint; /* ctx.endpoint as JSON */
    unsigned lookups;       /* in a large event: past a few it has an index */
    struct mp_json_index *index;
    int64_t since_us;     /* of the thread's processor time: since the first of them */
    struct mp__var *vars; /* the script's, by place; NULL: none was asked for yet */
    bool in_var;          /* a var's own value is made: it sees no var */
    int failed;           /* what a lookup met and could not return */
    unsigned depth;       /* of tables and leaves that are being written */
    struct mp__kept *kept;
};
void mp__build_init(struct mp__build *build, const struct mp_script *script,
                    struct mp_script_state *state, const struct mp_context *context,
                    struct mp_verdict *verdict, struct mp_error *err);
void mp__build_fini(struct mp__build *build);
/* Runs the steps until one is not MP_OK. */
typedef int (*mp__build_step)(struct mp__build *build);
int mp__build_run(struct mp__build *build, const mp__build_step *steps, size_t count);

/* Sets the verdict and returns MP_EDEAD. */
int mp__build_dead(struct mp__build *build, const char *format, ...) MP_PRINTF(2, 3);
/* Turns MP_ELIMIT into a dead delivery, "<what> over <most>"; all else is returned as it
 * is. */
int mp__build_limit(struct mp__build *build, int status, const char *what,
                    const char *most);

/* An mp_lookup_fn over a struct mp__build: `ctx.` names, then vars, then the event's,
 * then defaults for what is missing, null, [] or {}. A var may fail: see mp__build_met.
 */
struct mp_value mp__build_lookup(void *build, struct mp_str name);
/* The same with secrets in vars as [secret x]. */
struct mp_value mp__build_lookup_shown(void *build, struct mp_str name);
/* `status`, or what a lookup before it met. */
int mp__build_met(const struct mp__build *build, int status);
bool mp__value_is_missing(const struct mp_value *value);
/* Missing, JSON null, [] or {} (RFC 6570 section 2.3). */
bool mp__value_is_undefined(const struct mp_value *value);

/* Before a request: `max_age`, `required`, accepts, and the functions among the vars, in
 * order of name. Each is a step. */
int mp__check_age(struct mp__build *build);
/* The same once more, of a piece that has waited: MP_OK or MP_EDEAD. */
int mp__item_check_age(struct mp_script *script, const struct mp_context *context,
                       struct mp_verdict *verdict);
int mp__check_required(struct mp__build *build);
int mp__ask_accepts(struct mp__build *build);
int mp__call_vars(struct mp__build *build);

/* The method, then the url before the `request` hook. */
int mp__build_method(struct mp__build *build);
int mp__build_url(struct mp__build *build);
int mp__build_headers(struct mp__build *build);
int mp__set_header(struct mp__build *build, struct mp_str name, struct mp_str value,
                   struct mp_str shown);
/* MP_EDEAD when the value can never be sent in that field. */
int mp__check_field(struct mp__build *build, struct mp_str name, struct mp_str value);
/* What the finished request must keep: a method that is a token; an absolute url, within
 * its limit, of a declared host, of no bytes that a request line cannot carry, that no
 * value made climb. */
int mp__check_method(struct mp__build *build);
int mp__check_url(struct mp__build *build);
/* A compiled url template, of a kind for URLs, of a record's own endpoint; kept by
 * thread, so use it before the next call. MP_EINVAL. */
int mp__endpoint_template(struct mp_str url, enum mp_template_kind kind,
                          const struct mp_template **out, struct mp_error *err);

/* The body, and its Content-Type. */
int mp__build_body(struct mp__build *build);
