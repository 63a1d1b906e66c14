/* SPDX-License-Identifier: MIT */
#pragma once

#include "moonpost/deliver.h"

/* The request builder's pieces. One build runs on one thread; nothing outlives it. */

struct mp__build {
    struct mp_script *script;
    struct mp_script_state *state;
    const struct mp_context *context;
    struct mp_request *request;
    struct mp_verdict *verdict;
    struct mp_error *err;
    const struct mp_template
        *url_template;      /* what the url was expanded from; NULL: no template */
    char numbers[4][24];    /* ctx.attempt and its like, as text */
    struct mp_buf endpoint; /* ctx.endpoint as JSON */
};

/* Sets the verdict and returns MP_EDEAD. */
int mp__build_dead(struct mp__build *build, const char *format, ...) MP_PRINTF(2, 3);
/* Turns MP_ELIMIT into a dead delivery, "<what> over <most>"; all else is returned as it
 * is. */
int mp__build_limit(struct mp__build *build, int status, const char *what,
                    const char *most);

/* An mp_lookup_fn over a struct mp__build: `ctx.` names, then the event's, then defaults
 * for what is missing, null, [] or {}. */
struct mp_value mp__build_lookup(void *build, struct mp_str name);
bool mp__value_is_missing(const struct mp_value *value);
/* Missing, JSON null, [] or {} (RFC 6570 section 2.3). */
bool mp__value_is_undefined(const struct mp_value *value);

/* The method, then the url before the `request` hook. */
int mp__build_method(struct mp__build *build);
int mp__build_url(struct mp__build *build);
/* What the finished request must keep: a method that is a token; an absolute url, within
 * its limit, of a declared host, of no bytes that a request line cannot carry, that no
 * value made climb. */
int mp__check_method(struct mp__build *build);
int mp__check_url(struct mp__build *build);
/* A compiled url template, of a kind for URLs, of a record's own endpoint; kept by
 * thread, so use it before the next call. MP_EINVAL. */
int mp__endpoint_template(struct mp_str url, enum mp_template_kind kind,
                          const struct mp_template **out, struct mp_error *err);

/* Two buffers that are written in step: what goes on the wire, and the same with secrets
 * shown as [secret x]. `shown` is NULL when the script has none. */
struct mp__out {
    struct mp_buf *wire;
    struct mp_buf *shown;
};
int mp__out_append(struct mp__out out, struct mp_str bytes);
/* `shown` empty: as `bytes`. */
int mp__out_append_hiding(struct mp__out out, struct mp_str bytes, struct mp_str shown);
int mp__out_expand(struct mp__out out, const struct mp_template *template_,
                   struct mp__build *build, enum mp_template_escape escape);

/* The body, and its Content-Type. */
int mp__build_body(struct mp__build *build);
