/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One partner's script without a runtime around it: what the Lua module moonpost.testing
 * calls. What comes in and goes out is JSON, so that a spec's Lua needs to know no
 * struct; what runs is the runtime's own code. One thread at a time; each call blocks. */

struct mp_testing;

#define MP_TESTING_WHY 512

/* Loads `file`, "scripts/acme.lua", whose partner is "acme", with the folder's lib and
 * exactly the secrets in `options`, a JSON object {"secrets":{"name":"value"}}; any other
 * x is "test-x". NULL: `why` has file, line and what is wrong. */
struct mp_testing *mp_testing_open(const char *file, const char *options, size_t length,
                                   char why[MP_TESTING_WHY]);
void mp_testing_close(struct mp_testing *testing);         /* NULL is allowed */
bool mp_testing_batches(const struct mp_testing *testing); /* the script has a `batch` */

/* One call, a JSON object. Its answer is the testing's until its next call; NULL: `why`.
 *
 * In each: "now_ms", "deliveries": [{"id","event"[,"type","source","subject","attempts",
 * "first_ms","occurred_ms","last_status","last_verdict","endpoint":{"method","url"}]}].
 * A script that does not batch takes one delivery. A fate is null, for what goes on, or a
 * verdict {"word","why"}, whose word is "error" when the script threw; one that means
 * another attempt also has "wait_ms" (without jitter), "named" (the script's own delay)
 * and, when no attempt is left, "gave_up".
 *
 * {"call":"build"} -> {"fates":[…]} and, when any is left to send, "request":{"method",
 *   "url","headers":[[name, value]],"has_body"}; mp_testing_body has the body.
 * {"call":"judge","response":{"status","error","headers":{},"duration_ms"}}, with the
 *   response's body beside it -> {"whole":verdict,"by"[,"error"],"members":[verdict…]}.
 * {"call":"group"} -> {"groups":[[place from 1, …]],"fates":[…]}: what would go together,
 *   were all there at once.
 * {"call":"accepts"} -> {"accepted","why"}. */
const char *mp_testing_call(struct mp_testing *testing, const char *call, size_t length,
                            const char *body, size_t body_length, size_t *answer_length,
                            char why[MP_TESTING_WHY]);

/* The body of the request built last, as it goes on the wire. The testing's until its
 * next call. */
const char *mp_testing_body(const struct mp_testing *testing, size_t *length);

/* Is it a JSON object? False: `why` has line and column. */
bool mp_testing_check(const char *text, size_t length, char why[MP_TESTING_WHY]);
/* RFC 3339 to ms since 1970; -1: it is not. */
int64_t mp_testing_time(const char *text);
