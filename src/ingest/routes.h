/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

#include "moonpost/ingest.h"

/* Which request goes where, and who may send it. */

enum mp__route {
    MP__ROUTE_NONE,
    MP__ROUTE_POSTBACK,
    MP__ROUTE_PARTNER, /* /events/{partner} */
    MP__ROUTE_EVENTS,
    MP__ROUTE_HEALTHZ,
    MP__ROUTE_READYZ,
    MP__ROUTE_METRICS,
    MP__ROUTE_API,
    MP__ROUTE_CONSOLE,
    MP__ROUTES
};

/* What a body is, by its media type. */
enum mp__content {
    MP__CONTENT_JSON,
    MP__CONTENT_NDJSON,
    MP__CONTENT_STRUCTURED, /* application/cloudevents+json */
    MP__CONTENT_BATCH,      /* application/cloudevents-batch+json */
    MP__CONTENT_OTHER
};

/* As soon as the head is there: finds the route, and answers what no body would change.
 * False: answered. */
bool mp__route_admit(struct mp_call *call);
/* With the body. */
void mp__route_dispatch(struct mp_call *call);

/* content.c. `charset_ok` is false for any but UTF-8. */
enum mp__content mp__content_of(struct mp_str media_type, bool *charset_ok);
/* access.c. Each answers when it gives false. */
bool mp__access_ingest(struct mp_call *call);
bool mp__access_api(struct mp_call *call);
/* rate.c. The same. */
bool mp__rate_admit(struct mp_call *call);
