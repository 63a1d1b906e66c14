/* SPDX-License-Identifier: MIT */
#pragma once

#include "lane.h"
#include "lookup.h"
#include "partner.h"
#include "transfer.h"

/* One attempt, from a record to its outcome. Used again: a worker keeps some. */
struct mp__attempt {
    struct mp__attempt *next, *prev; /* the worker's: under way, or spare */
    struct mp__transfer transfer;
    struct mp_request request;
    struct mp__worker *worker;
    struct mp_record *record; /* of a batch the first */
    struct mp__batch *batch;  /* NULL: one delivery, by itself */
    struct mp__lane *lane;
    struct mp__generation *generation;
    int64_t began_us;  /* monotonic */
    size_t body_bytes; /* as the lane counts them */
    bool is_probe;
    bool is_scout;
    bool has_request;
    uint64_t token;            /* the number of the one it was sent with; 0: none */
    struct mp__lookup *lookup; /* the lookup it makes */
    struct mp__attempt *wait_next, **wait_link; /* wait_link is NULL unless it waits */
};

/* Begins an attempt of the lane's oldest record, or of the next batch that is ready.
 * False: out of memory, nothing was begun. */
bool mp__attempt_begin(struct mp__worker *worker, struct mp__lane *lane, bool is_probe);
/* What it waited for is over: sends the request, maybe again. */
void mp__attempt_resume(struct mp__attempt *attempt);
/* The transfer ended. */
void mp__attempt_ended(struct mp__attempt *attempt, CURLcode code);
/* Ends it now; its records are parked. */
void mp__attempt_abort(struct mp__attempt *attempt);
/* The attempt of a record whose piece of a batch could not be made: it ends here. */
void mp__attempt_refuse(struct mp__worker *worker, struct mp__lane *lane,
                        struct mp_record *record, int64_t began_us, int status,
                        const struct mp_verdict *verdict, const struct mp_error *err);

/* In attempt_pool.c. NULL: out of memory. */
struct mp__attempt *mp__attempt_new(struct mp__worker *worker);
/* It is not under way, and may be used again. */
void mp__attempt_drop(struct mp__attempt *attempt);
/* It has its record and begins, or ends with its records' outcomes said: everything that
 * it held is let go. */
void mp__attempt_enlist(struct mp__attempt *attempt, struct mp__lane *lane,
                        bool is_probe);
void mp__attempt_release(struct mp__attempt *attempt);
/* It is sent ahead of the lane's others, unless the lane made a connection lately. */
void mp__attempt_scout(struct mp__attempt *attempt);
/* These waited for a lookup, chained by wait_next. */
void mp__attempt_go_on(struct mp__worker *worker, struct mp__attempt *released);
/* Keeps so many of the spare ones. */
void mp__attempt_free_spares(struct mp__worker *worker, unsigned kept);

/* In attempt_script.c. What a script is told of a delivery, and of an attempt. */
struct mp_context mp__delivery_context(const struct mp__worker *worker,
                                       const struct mp_script *script,
                                       const struct mp_record *record);
struct mp_context mp__attempt_context(const struct mp__attempt *attempt);
/* Whether its building is timed. */
bool mp__may_be_slow(const struct mp_script *script, const struct mp_record *record);
/* After a call into Lua, or templates' work, for the delivery `id` that began at
 * `since_us` (mp_clock_cpu_us): `status` is what it gave. */
void mp__script_called(struct mp__worker *worker, struct mp__lane *lane,
                       struct mp__generation *generation, struct mp_str id,
                       int64_t since_us, int status, const struct mp_error *err);
void mp__attempt_called(struct mp__attempt *attempt, int64_t since_us, int status,
                        const struct mp_error *err);

/* outcome.c: what becomes of the records. */
struct mp__ending {
    const struct mp_response *response; /* status 0 and no error: there was no exchange */
    struct mp_verdict verdict;
    struct mp_verdict *members; /* each one's own; NULL: all have that one */
    bool is_default;            /* the status's own verdict */
    bool is_exchange;           /* it went out */
    bool goes_again; /* at once: no attempt spent, nothing held against the lane */
    int64_t duration_us;
};
/* In shown.c. What others said, without secrets and tokens: the whys in place; `shown` is
 * the response from then on. */
void mp__ending_hide(struct mp__attempt *attempt, struct mp__ending *ending,
                     size_t member_count, struct mp_response *shown);
void mp__error_hide(struct mp__worker *worker, const struct mp__generation *generation,
                    struct mp_error *err);
/* After an exchange: fills in the verdict. */
void mp__attempt_judge(struct mp__attempt *attempt, struct mp__ending *ending);
/* The records are told their outcome; those to be split wait to be. */
void mp__attempt_conclude(struct mp__attempt *attempt, struct mp__ending *ending);
