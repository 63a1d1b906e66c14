/* SPDX-License-Identifier: MIT */
#include "health.h"

bool mp__health_admits(const struct mp__health *health, int64_t now_ms, bool *is_probe)
{
    *is_probe = health->breaker == MP__BREAKER_OPEN && now_ms >= health->until_ms;
    return health->breaker == MP__BREAKER_CLOSED || *is_probe;
}

void mp__health_probe_begun(struct mp__health *health)
{
    health->breaker = MP__BREAKER_PROBING;
}

void mp__health_probe_void(struct mp__health *health)
{
    if (health->breaker == MP__BREAKER_PROBING) {
        health->breaker = MP__BREAKER_OPEN;
    }
}

static void close_breaker(struct mp__health *health)
{
    health->breaker = MP__BREAKER_CLOSED;
    health->retries = 0;
    health->level = 0;
}

static void open_breaker(struct mp__health *health,
                         const struct mp__deliver_tuning *tuning, int64_t now_ms)
{
    int64_t open_ms = tuning->breaker_open_ms;
    for (unsigned i = 0; i < health->level && open_ms < tuning->breaker_open_max_ms;
         i++) {
        open_ms *= 2;
    }
    if (open_ms > tuning->breaker_open_max_ms) {
        open_ms = tuning->breaker_open_max_ms;
    }
    health->breaker = MP__BREAKER_OPEN;
    health->level++;
    health->retries = 0;
    health->until_ms = now_ms + open_ms;
}

/* A 429 asks for less, a 401 or 403 for another key: neither says that the host is down,
 * and the latter have a streak of their own. */
static bool counts_for_breaker(int status, bool is_default)
{
    return status != 429 && !(is_default && (status == 401 || status == 403));
}

static enum mp__health_change breaker_heard(struct mp__health *health,
                                            const struct mp__deliver_tuning *tuning,
                                            bool is_failure, bool was_probe,
                                            int64_t now_ms)
{
    if (health->breaker != MP__BREAKER_CLOSED && !was_probe) {
        return MP__HEALTH_SAME; /* begun before it opened: the probe alone decides */
    }
    if (!is_failure) {
        close_breaker(health);
        return MP__HEALTH_SAME;
    }
    if (!was_probe && ++health->retries < tuning->breaker_retries) {
        return MP__HEALTH_SAME;
    }
    open_breaker(health, tuning, now_ms);
    return MP__HEALTH_OPENED;
}

enum mp__health_change mp__health_exchange(struct mp__health *health,
                                           const struct mp__deliver_tuning *tuning,
                                           enum mp_verdict_kind kind, int status,
                                           bool is_default, bool was_probe,
                                           int64_t now_ms)
{
    bool is_retry = kind == MP_VERDICT_RETRY;
    enum mp__health_change change = MP__HEALTH_SAME;
    if (!is_retry || counts_for_breaker(status, is_default)) {
        change = breaker_heard(health, tuning, is_retry, was_probe, now_ms);
    } else if (was_probe) {
        close_breaker(health); /* it answers */
    }
    if (is_retry && is_default && (status == 401 || status == 403)) {
        if (++health->auth >= tuning->auth_streak) {
            health->auth = 0;
            return MP__HEALTH_AUTH_PAUSE;
        }
    } else {
        health->auth = 0;
    }
    return change;
}

bool mp__health_threw(struct mp__health *health, const struct mp__deliver_tuning *tuning,
                      uint64_t id_hash)
{
    for (unsigned i = 0; i < health->thrown; i++) {
        if (health->thrown_ids[i] == id_hash) {
            return false;
        }
    }
    health->thrown_ids[health->thrown++] = id_hash;
    if (health->thrown < tuning->thrown_streak) {
        return false;
    }
    health->thrown = 0;
    return true;
}

void mp__health_not_thrown(struct mp__health *health)
{
    health->thrown = 0;
}

bool mp__health_overran(struct mp__health *health,
                        const struct mp__deliver_tuning *tuning, int64_t now_ms)
{
    health->overrun_at_ms[health->overruns++ % MP__OVERRUNS_MAX] = now_ms;
    if (health->overruns < tuning->overruns) {
        return false;
    }
    unsigned first = (health->overruns - tuning->overruns) % MP__OVERRUNS_MAX;
    if (now_ms - health->overrun_at_ms[first] > tuning->overruns_within_ms) {
        return false;
    }
    health->overruns = 0;
    return true;
}

void mp__health_forgive(struct mp__health *health)
{
    health->auth = 0;
    health->overruns = 0;
    health->thrown = 0;
}
