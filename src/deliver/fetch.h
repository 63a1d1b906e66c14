/* SPDX-License-Identifier: MIT */
#pragma once

#include "auth.h"
#include "tokens.h"

/* One request to a token endpoint, on the worker that was first to need the token. Its
 * name lookup is not counted with those of the lanes: fetches are few. */

#define MP__FETCHES_MAX 8 /* of one worker at a time; more wait for their turn */

/* Begins a fetch for the generation's token, after mp__token_begin; its end is told to
 * the token, also when it could not begin. Not from within curl. */
void mp__fetch_start(struct mp__worker *worker, struct mp__generation *generation,
                     unsigned multi);
/* Ends those under way: all, or those whose answer nobody would miss. */
void mp__fetch_abort(struct mp__worker *worker, bool also_refreshing);

/* The request of section 4.4.2 or 6 of RFC 6749, into a fresh one; `refresh` is empty for
 * the former. MP_ELIMIT, MP_ENOMEM; MP_EINVAL: it can never be sent. */
MP_MUST_CHECK int mp__fetch_write(const struct mp_oauth2 *oauth2, struct mp_str refresh,
                                  const char *version, struct mp_request *request,
                                  struct mp_error *err);
