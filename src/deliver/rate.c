/* SPDX-License-Identifier: MIT */
#include "rate.h"

#include <math.h>

#define CAPACITY_US 100000.0

static double tokens_at(const struct mp__rate *rate, int64_t now_us)
{
    return rate->base - (double)rate->spent +
           rate->per_us * (double)(now_us - rate->since_us);
}

static void begin_at(struct mp__rate *rate, double tokens, int64_t now_us)
{
    rate->base = tokens < rate->capacity ? tokens : rate->capacity;
    rate->since_us = now_us;
    rate->spent = 0;
}

void mp__rate_set(struct mp__rate *rate, double per_second, int64_t now_us)
{
    double per_us = per_second / 1e6;
    if (per_us == rate->per_us) {
        return;
    }
    double earned = per_us * CAPACITY_US;
    double capacity = earned > 1 ? earned : 1;
    double tokens = rate->per_us > 0 ? tokens_at(rate, now_us) : capacity;
    tokens = rate->per_us > 0 && tokens > rate->capacity ? rate->capacity : tokens;
    rate->per_us = per_us;
    rate->capacity = capacity;
    begin_at(rate, tokens, now_us);
}

int64_t mp__rate_due_us(const struct mp__rate *rate)
{
    double missing = (double)rate->spent + 1 - rate->base;
    return rate->per_us > 0 && missing > 0
               ? rate->since_us + (int64_t)ceil(missing / rate->per_us)
               : rate->since_us;
}

bool mp__rate_is_full(const struct mp__rate *rate, int64_t now_us)
{
    return rate->per_us <= 0 || tokens_at(rate, now_us) >= rate->capacity;
}

bool mp__rate_take(struct mp__rate *rate, int64_t now_us)
{
    if (rate->per_us <= 0) {
        return true;
    }
    if (now_us < mp__rate_due_us(rate)) {
        return false;
    }
    if (mp__rate_is_full(rate, now_us)) {
        begin_at(rate, rate->capacity, now_us);
    }
    rate->spent++;
    return true;
}

void mp__rate_give_back(struct mp__rate *rate)
{
    rate->spent -= rate->per_us > 0;
}
