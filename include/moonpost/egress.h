/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

#include "moonpost/buf.h"

/* Addresses that may be reached though they are private: CIDRs. */
struct mp_egress;
MP_MUST_CHECK int mp_egress_new(struct mp_egress **out);
void mp_egress_free(struct mp_egress *egress);
/* "127.0.0.0/8,::1/128,10.1.2.3". MP_EINVAL names the entry. */
MP_MUST_CHECK int mp_egress_allow(struct mp_egress *egress, struct mp_str list,
                                  struct mp_error *err);
/* `address` is a struct sockaddr. True for public addresses and those allowed. IPv4
 * inside IPv6 (mapped, compatible, NAT64, 6to4, Teredo) is judged as the IPv4 it is. */
bool mp_egress_permits(const struct mp_egress *egress, const void *address);
