/* SPDX-License-Identifier: MIT */
#pragma once

#include "plan.h"

/* Each reads the value on top, a key's, and leaves the stack as it likes. */
void mp__plan_url(struct mp__plan *plan);
void mp__plan_hosts(struct mp__plan *plan);
void mp__plan_vars(struct mp__plan *plan);
void mp__plan_body(struct mp__plan *plan);
void mp__plan_form(struct mp__plan *plan);
void mp__plan_headers(struct mp__plan *plan);
void mp__plan_answers(struct mp__plan *plan);
void mp__plan_limits(struct mp__plan *plan);
void mp__plan_max_age(struct mp__plan *plan);
void mp__plan_retry(struct mp__plan *plan);
void mp__plan_default_schedule(struct mp__plan *plan);
void mp__plan_batch(struct mp__plan *plan);
void mp__plan_item(struct mp__plan *plan);
void mp__plan_oauth2(struct mp__plan *plan);
void mp__plan_tls(struct mp__plan *plan);
void mp__plan_proxy(struct mp__plan *plan);
/* What no key can tell alone. */
void mp__plan_check(struct mp__plan *plan);
void mp__plan_check_batch(struct mp__plan *plan);
