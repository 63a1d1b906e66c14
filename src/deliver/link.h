/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

#include "moonpost/deliver.h"

/* How a generation's requests reach their host: its client certificate and authorities,
 * the operator's proxy. What it points to lives as long as the generation and the room.
 *
 * Behind a proxy the addresses are judged as far as they can be known: a target that is
 * written as an address (or as localhost) must be one that may be reached; the proxy's
 * own address may be anything, its operator named it; a name is looked up by the proxy,
 * which has to have rules of its own. */
struct mp__link {
    uint64_t number; /* the same for links that are the same; 0: nothing of its own */
    const struct mp_tls *tls;
    const struct mp_proxy *proxy;
    bool is_lone; /* another proxy differs in the password only, which curl overlooks */
};

/* An address that curl can read. MP_EINVAL; `err` names the proxy, not its address. */
MP_MUST_CHECK int mp__proxy_check(const struct mp_proxy *proxy, struct mp_error *err);
/* Do both lead to one port of one host, with other passwords? */
bool mp__proxy_is_alike(const struct mp_proxy *a, const struct mp_proxy *b);
