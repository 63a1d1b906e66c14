/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "moonpost/exchange.h"
#include "moonpost/status.h"

/* `oauth2` on a worker: which lanes wait for an access token, who fetches it, and how a
 * request gets it. The tokens themselves are the room's (tokens.h); a lane that has none
 * waits, its deliveries spend no attempt, and no other lane is touched. On the worker's
 * thread alone. */

struct mp__worker;
struct mp__lane;
struct mp__generation;
struct mp__attempt;
struct mp__ending;
struct mp__fetch;

struct mp__auth {
    uv_timer_t timer;          /* the next moment at which a fetch may be tried again */
    struct mp__fetch *fetches; /* under way */
    unsigned fetching;
    unsigned refreshing; /* those of them that a drain waits for */
    uint64_t seen;       /* the tokens' version that the lanes were last looked at with */
    uint64_t links;      /* numbers given to generations' links */
    bool is_wanted;      /* some lane waits to be looked at */
};

/* A generation's token and link (transfer.h), before its first attempt; MP_ENOMEM. */
MP_MUST_CHECK int mp__auth_attach(struct mp__worker *worker,
                                  struct mp__generation *generation);
void mp__auth_detach(struct mp__generation *generation);

/* Asked last of all when a lane might begin an attempt. False: the lane is looked at when
 * there is a token. */
bool mp__auth_admits(struct mp__worker *worker, struct mp__lane *lane);
/* Once a turn, after attempts were begun: starts fetches, wakes or pauses lanes. True:
 * there are attempts to begin. */
bool mp__auth_turn(struct mp__worker *worker);
/* A person says: try again. */
void mp__auth_resumed(struct mp__worker *worker, struct mp__lane *lane);

/* Writes the token in its place: the field that mp_request_build left as MP__TOKEN_SHOWN.
 * MP_ELIMIT, MP_ENOMEM. */
MP_MUST_CHECK int mp__auth_stamp(struct mp__attempt *attempt, struct mp_error *err);
/* The partner said 401 to a token that another may replace: `ending` says that the
 * delivery goes again, at once and without spending an attempt. */
bool mp__auth_refused(struct mp__attempt *attempt, struct mp__ending *ending);

void mp__auth_open(struct mp__worker *worker);
/* Ends the fetches whose answer nobody would miss: a refresh token may be rotated by one
 * that was sent. */
void mp__auth_drain(struct mp__worker *worker);
/* Ends all. */
void mp__auth_abort(struct mp__worker *worker);
void mp__auth_close(struct mp__worker *worker);
