/* SPDX-License-Identifier: MIT */
#pragma once

#include "moonpost/deliver.h"
#include "moonpost/json.h"
#include "moonpost/testing.h"

/* What the files of this room share. All but close run on a thread of their own, with the
 * stack that scripts need. */

struct mp_testing {
    struct mp_script *script;
    struct mp_script_state *state;
    struct mp_request request;
    struct mp_buf answer;
};

/* One delivery of a call, and what became of it so far. */
struct mp__subject {
    struct mp_record *record;
    struct mp_item item;
    struct mp_verdict verdict; /* NONE: it goes on */
    int status;                /* MP_ESCRIPT, MP_EBUDGET: with `err` */
    struct mp_error err;
};
struct mp__subjects {
    struct mp__subject *items;
    size_t count;
    int64_t now_ms;
    bool has_overrun; /* the state is to be made anew */
};

/* Reading. MP_EINVAL, MP_ENOMEM with `err`; fini is due either way. */
MP_MUST_CHECK int mp__subjects_read(const struct mp_testing *testing, struct mp_str call,
                                    struct mp__subjects *out, struct mp_error *err);
void mp__subjects_fini(struct mp__subjects *subjects);
/* Slices point into `fields`, which the caller inits and finis, and into `body`.
 * MP_EINVAL with `err`: there is no such error. */
MP_MUST_CHECK int mp__response_read(struct mp_str object, struct mp_str body,
                                    struct mp_buf *fields, struct mp_response *response,
                                    struct mp_error *err);

bool mp__goes_on(const struct mp__subject *subject);
/* The context of one delivery. */
struct mp_context mp__context_of(const struct mp_testing *testing,
                                 const struct mp__subjects *subjects,
                                 const struct mp__subject *subject);
/* Each delivery's piece of a batch. */
void mp__pieces_build(struct mp_testing *testing, struct mp__subjects *subjects);

/* The calls. Each appends its answer. */
MP_MUST_CHECK int mp__testing_build(struct mp_testing *testing,
                                    struct mp__subjects *subjects, struct mp_error *err);
MP_MUST_CHECK int mp__testing_judge(struct mp_testing *testing,
                                    struct mp__subjects *subjects, struct mp_str response,
                                    struct mp_str body, struct mp_error *err);
MP_MUST_CHECK int mp__testing_group(struct mp_testing *testing,
                                    struct mp__subjects *subjects, struct mp_error *err);
MP_MUST_CHECK int mp__testing_accepts(struct mp_testing *testing,
                                      struct mp__subjects *subjects,
                                      struct mp_error *err);

/* Writing. */

/* `,"fates":[…]`. */
MP_MUST_CHECK int mp__write_fates(struct mp_buf *out, const struct mp_testing *testing,
                                  const struct mp__subjects *subjects);
/* `,"request":{…}`. */
MP_MUST_CHECK int mp__write_request(struct mp_buf *out, const struct mp_request *request);
/* `{"word","why"…}`; `response` NULL: nothing was sent. */
MP_MUST_CHECK int mp__write_verdict(struct mp_buf *out, const struct mp_testing *testing,
                                    const struct mp__subjects *subjects,
                                    const struct mp__subject *subject,
                                    const struct mp_verdict *verdict,
                                    const struct mp_response *response);
/* `,"name":"text"`. */
MP_MUST_CHECK int mp__write_member(struct mp_buf *out, const char *name,
                                   struct mp_str text);
