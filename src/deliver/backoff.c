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
