/* SPDX-License-Identifier: MIT */
#pragma once

#include "moonpost/deliver.h"
#include "moonpost/ingest.h"

/* The JSON API under /api: partners, try, dead letters. Main loop only. */

/* One partner as GET /api/partners tells it. Slices are app's, until the callback
 * returns. */
struct mp_partner_view {
    const char *name;
    const char *state;      /* "ok" "paused" "broken" */
    const char *reason;     /* NULL: none */
    int64_t since_ms;       /* 0: none */
    const char *generation; /* NULL: none */
    const char *error;      /* NULL: none */
    uint64_t waiting;
    uint64_t in_flight;
};

/* What the API asks app to do. */
struct mp_api_owner {
    void *arg;
    struct mp_queue *queue;
    struct mp_scripts *scripts;
    const struct mp_directory *directory;
    int64_t json_depth;
    /* In order of name, those after `after` ("": from the first), at most `limit`. */
    void (*partners)(void *arg, struct mp_str after, size_t limit,
                     void (*each)(void *to, const struct mp_partner_view *view),
                     void *to);
    /* MP_ENOTFOUND: no such partner. */
    int (*pause)(void *arg, struct mp_str partner);
    int (*resume)(void *arg, struct mp_str partner);
};

struct mp_api;
MP_MUST_CHECK int mp_api_new(const struct mp_api_owner *owner, struct mp_api **out);
void mp_api_free(struct mp_api *api);
/* An mp_call_handler: `arg` is the struct mp_api. Who may call, and that a POST is of
 * application/json, the server has seen to. */
void mp_api_handle(void *arg, struct mp_call *call);

/* What POST /api/try answers, of a try whose status is MP_OK: also for `moonpost try
 * --json`. */
MP_MUST_CHECK int mp_try_write_json(const struct mp_try *try_, struct mp_buf *out);
/* The body with secrets as [secret x]. */
struct mp_str mp_try_body_shown(const struct mp_try *try_);
/* Appends the event's own type, its member `type` when that is a string. */
MP_MUST_CHECK int mp_try_own_type(struct mp_str event, struct mp_buf *out);
/* What is wrong with a /postback's endpoint; NULL: nothing. `err` holds the text. */
const char *mp_try_endpoint_fault(struct mp_str method, struct mp_str url,
                                  struct mp_error *err);
