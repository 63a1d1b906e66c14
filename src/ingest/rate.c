/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "moonpost/clock.h"
#include "server.h"

int mp__rate_init(struct mp_ingest *server, const char *rate, struct mp_error *err)
{
    if (rate != NULL && mp_rate_parse(mp_str_of(rate), &server->rate) != MP_OK) {
        return mp_error_set(
            err, MP_EINVAL,
            "--ingest-rate takes a rate such as 500/s or 10/m, not \"%s\"", rate);
    }
    return MP_OK;
}

/* A token bucket of one second's worth, for all producers together. */
bool mp__rate_admit(struct mp_call *call)
{
    struct mp_ingest *server = call->connection->server;
    double rate = server->rate;
    if (rate <= 0) {
        return true;
    }
    double most = rate > 1 ? rate : 1;
    int64_t now_us = mp_clock_mono_us();
    double tokens =
        server->rate_at_us == 0
            ? most
            : server->rate_tokens + rate * (double)(now_us - server->rate_at_us) / 1e6;
    server->rate_at_us = now_us;
    server->rate_tokens = tokens < most ? tokens : most;
    if (server->rate_tokens >= 1) {
        server->rate_tokens -= 1;
        return true;
    }
    char after[40];
    snprintf(after, sizeof(after), "Retry-After: %d\r\n",
             (int)((1 - server->rate_tokens) / rate) + 1);
    struct mp__problem problem = {429, "too-many-requests", after, NULL};
    mp__call_problem(call, &problem, mp_str_of("over the rate of --ingest-rate"));
    return false;
}
