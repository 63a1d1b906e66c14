/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moonpost/egress.h"
#include "moonpost/queue.h"
#include "moonpost/scripts.h"

/* The delivery room: takes records, makes attempts, says what became of each. W workers,
 * each a thread with its own loop, curl multis, lanes and Lua states, and one more for
 * slow scripts; a lane is on exactly one of them, so its limits are exact and nothing is
 * locked. Every call and callback here is on the main loop. */

struct mp_deliver;

/* Builds the request of one attempt into a fresh (init or reset) one: `max_age`,
 * `required`, accepts, vars, url, body, headers, `request`, host and field checks, in the
 * contract's order. A batch's (context->members) begins with the url. MP_OK: `request` is
 * whole. MP_EDEAD: `verdict` says what the delivery is instead (dead, skipped).
 * MP_ESCRIPT, MP_EBUDGET: `err` says why. */
MP_MUST_CHECK int mp_request_build(struct mp_script *script,
                                   struct mp_script_state *state,
                                   const struct mp_context *context,
                                   struct mp_request *request, struct mp_verdict *verdict,
                                   struct mp_error *err);
/* One event's piece of a batch, into an inited item: `max_age`, `required`, accepts, vars
 * and `item`, of this delivery alone. MP_EDEAD and the rest as above. */
MP_MUST_CHECK int mp_item_build(struct mp_script *script, struct mp_script_state *state,
                                const struct mp_context *context, struct mp_item *item,
                                struct mp_verdict *verdict, struct mp_error *err);
/* What a batch has in common: the values batch.by names; its own where Lua makes one. */
MP_MUST_CHECK int mp_batch_key(const struct mp_script *script,
                               const struct mp_record *record, struct mp_buf *out);
/* What an exchange means: `answers`, then the verdict hook, then the status. `by` is
 * static: "answers", "verdict" or "default". In a batch `members` gets each one's own,
 * never NONE; those with SPLIT go again in halves; else NULL. MP_ESCRIPT, MP_EBUDGET: the
 * hook threw, the default holds, `err` says why. Without a state no hook is asked. */
MP_MUST_CHECK int mp_judge(struct mp_script *script, struct mp_script_state *state,
                           const struct mp_context *context,
                           const struct mp_response *response, struct mp_verdict *verdict,
                           struct mp_verdict *members, const char **by,
                           struct mp_error *err);
/* Before mp_request_build, which keeps what is there: Moonpost-Id (the delivery's, or the
 * batch's), Moonpost-Attempt, User-Agent: Moonpost/<version>, each unless it is there. */
MP_MUST_CHECK int mp_request_stamp(struct mp_request *request,
                                   const struct mp_context *context, const char *version);
/* An mp_try_builder. */
void mp_request_try(struct mp_script *script, struct mp_script_state *state,
                    struct mp_try *try_);

/* The status's own verdict and `answers`, without Lua. The verdict's why names the rule.
 */
void mp_verdict_default(const struct mp_response *response, struct mp_verdict *verdict);
bool mp_verdict_answers(const struct mp_script *script,
                        const struct mp_response *response, struct mp_verdict *verdict);
/* `Retry-After` in ms from now (seconds or date, at most a day); -1: none or malformed.
 */
int64_t mp_retry_after(const struct mp_response *response, int64_t now_ms);
/* The wait before attempt `attempts_made` + 1, with jitter; -1: none is left. */
int64_t mp_backoff_ms(const struct mp_script *script, uint32_t attempts_made,
                      double unit);
/* After a retry verdict: its delay, the schedule's wait, or a longer Retry-After. */
int64_t mp_retry_wait_ms(const struct mp_script *script, uint32_t attempts_made,
                         const struct mp_verdict *verdict,
                         const struct mp_response *response, int64_t now_ms, double unit);

#ifndef MP_CDEF
#include <uv.h>
struct mp_metrics;

/* One --proxy name=http://[user:password@]host:port. Never shown but by its name. */
struct mp_proxy {
    struct mp_str name, url;
};
struct mp_deliver_config {
    unsigned workers; /* 0: as many as cores */
    const struct mp_egress *egress;
    struct mp_metrics *metrics;
    const char *version; /* User-Agent: Moonpost/<version> */
    const char *folder; /* --data: where rotated refresh tokens are kept; NULL: nowhere */
    const struct mp_proxy *proxies;
    size_t proxy_count;
    int log_fd; /* the attempt log; 1 */
    void *arg;
    /* Every record of a loop turn, each with its outcome: for the queue. */
    void (*on_outcomes)(void *arg, struct mp_record_list *records);
    /* A breaker opened: nothing more of this lane until then. */
    void (*on_hold)(void *arg, struct mp_str lane, int64_t until_ms);
    /* The partner (or the authority of postback's) is to be paused; its records come back
     * parked. */
    void (*on_pause)(void *arg, const struct mp_pause *pause);
};
MP_MUST_CHECK int mp_deliver_start(uv_loop_t *loop,
                                   const struct mp_deliver_config *config,
                                   struct mp_deliver **out, struct mp_error *err);
/* Takes the list. Records of a partner without a script, or paused, come back parked. */
void mp_deliver_take(struct mp_deliver *deliver, struct mp_record_list *records);
/* The generation that attempts from now on use; attempts in flight end on their own.
 * Keeps a reference of its own. NULL: none, what waits is parked. A new generation closes
 * breakers' script counts, not breakers. */
void mp_deliver_set_script(struct mp_deliver *deliver, struct mp_str partner,
                           struct mp_script *script);
/* What waits of a partner or lane is parked until resumed; attempts in flight end. */
void mp_deliver_pause(struct mp_deliver *deliver, struct mp_str name);
void mp_deliver_resume(struct mp_deliver *deliver, struct mp_str name);
/* What waits is parked, once; attempts in flight go on. */
void mp_deliver_recall(struct mp_deliver *deliver);
/* Attempts under way; an empty name: of all. */
uint64_t mp_deliver_in_flight(const struct mp_deliver *deliver, struct mp_str partner);
/* Begins no attempt any more, parks what waits, lets those in flight end until
 * `deadline_ms` (monotonic), then aborts and parks the rest; then `on_drained`. */
void mp_deliver_drain(struct mp_deliver *deliver, int64_t deadline_ms,
                      void (*on_drained)(void *arg), void *arg);
/* After drain. Ends the threads; the attempt log is written out first. */
void mp_deliver_close(struct mp_deliver *deliver, void (*on_closed)(void *arg),
                      void *arg);
#endif
