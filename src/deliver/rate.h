/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A token bucket: `limits.rate`. It holds what 100 ms earn, but at least one token, and
 * is full as it starts. No clock of its own: times are monotonic and do not go back.
 * What it holds follows from one moment and the tokens spent since, so that nothing is
 * lost or won however often it is asked. A zeroed struct has no limit. */

struct mp__rate {
    double per_us; /* tokens earned; 0: no limit */
    double capacity;
    double base; /* tokens at since_us */
    int64_t since_us;
    int64_t spent; /* since then */
};

/* Another rate, or 0 for none: the tokens stay, as far as they fit. */
void mp__rate_set(struct mp__rate *rate, double per_second, int64_t now_us);
/* The moment at which there is a token: the past when there is one now. */
int64_t mp__rate_due_us(const struct mp__rate *rate);
/* Spends one. False: there is none before mp__rate_due_us. */
bool mp__rate_take(struct mp__rate *rate, int64_t now_us);
/* The one that was taken last was not used. */
void mp__rate_give_back(struct mp__rate *rate);
/* As it would be had it been made now. */
bool mp__rate_is_full(const struct mp__rate *rate, int64_t now_us);
