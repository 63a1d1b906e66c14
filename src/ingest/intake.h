/* SPDX-License-Identifier: MIT */
#pragma once

#include "cloudevents.h"
#include "moonpost/json.h"
#include "moonpost/queue.h"
#include "routes.h"

/* From a request's body to records, and from records to a 202. */

struct mp__url {
    char *text; /* NULL: empty */
    size_t length;
    char lane[MP_LANE_BYTES];
};
#define MP__URLS         256
#define MP__URL_KEPT_MAX 4096

/* Used within one call into a handler; kept for its memory. */
struct mp__intake {
    struct mp_buf ids;        /* "id","id" */
    struct mp_buf deliveries; /* the same, as POST /events tells them */
    struct mp_buf text;       /* unescaped attributes */
    struct mp__url *urls;     /* MP__URLS templates that were found good */
    struct mp_str key;        /* this request's Idempotency-Key; empty: none */
    struct mp_record_list records;
    int64_t now_ms;
};

/* The most deliveries that one request may make: a fan-out multiplies. */
#define MP__DELIVERIES_MAX 100000

/* Sees one item. MP_OK; else it has answered. */
typedef int (*mp__each_item)(struct mp_call *call, const struct mp__item *item);

void mp__intake_init(struct mp__intake *intake);
void mp__intake_fini(struct mp__intake *intake);

/* items.c: walks the body's items, in order. MP_OK; else a problem was answered. */
MP_MUST_CHECK int mp__items_each(struct mp_call *call, mp__each_item each);
/* The body as one JSON value; else answers 400 with line and column. */
MP_MUST_CHECK int mp__body_check(struct mp_call *call, struct mp_str *value);

/* accept.c. */
/* Reads Idempotency-Key and the clock. MP_OK; else answered. */
MP_MUST_CHECK int mp__intake_begin(struct mp_call *call);
/* One delivery more: fills id and first_ms. MP_OK; else answered. */
MP_MUST_CHECK int mp__intake_add(struct mp_call *call, struct mp_record *draft,
                                 uint64_t index, bool tells_delivery);
/* Everything to the queue, and the answer when it is there. */
void mp__intake_commit(struct mp_call *call, const char *scope, bool tells_deliveries);
void mp__intake_abandon(struct mp_call *call);

/* The handlers. */
void mp__partner_events(struct mp_call *call);
void mp__fan_out(struct mp_call *call);
void mp__postback(struct mp_call *call);
/* urls.c: the lane of a good template; MP_EINVAL says what is wrong with it. */
MP_MUST_CHECK int mp__url_lane(struct mp__intake *intake, struct mp_str url,
                               const char **lane, char room[MP_LANE_BYTES],
                               struct mp_error *err);
