/* SPDX-License-Identifier: MIT */
#include "moonpost/deliver.h"

int64_t mp_backoff_ms(const struct mp_script *script, uint32_t attempts_made, double unit)
{
    if (attempts_made == 0) {
        return 0;
    }
    if (attempts_made > script->schedule_count) {
        return -1;
    }
    double factor = 1.0 + script->jitter * (2.0 * unit - 1.0);
    double wait_ms = (double)script->schedule_ms[attempts_made - 1] * factor;
    return wait_ms > 0 ? (int64_t)wait_ms : 0;
}

int64_t mp_retry_wait_ms(const struct mp_script *script, uint32_t attempts_made,
                         const struct mp_verdict *verdict,
                         const struct mp_response *response, int64_t now_ms, double unit)
{
    int64_t wait_ms = mp_backoff_ms(script, attempts_made, unit);
    if (wait_ms < 0) {
        return -1;
    }
    if (verdict->delay_ms >= 0) {
        return verdict->delay_ms;
    }
    int64_t asked_ms = response ? mp_retry_after(response, now_ms) : -1;
    return asked_ms > wait_ms ? asked_ms : wait_ms;
}
