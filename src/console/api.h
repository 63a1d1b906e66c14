/* SPDX-License-Identifier: MIT */
#pragma once

#include "moonpost/console.h"
#include "moonpost/json.h"

/* The API's own floor: what its files share. Every mp__api_* that answers a call says so;
 * after that the call is gone. */

struct mp_api {
    struct mp_api_owner owner;
};

#define MP_API_LIMIT_DEFAULT 100
#define MP_API_LIMIT_MAX     1000
#define MP_API_BODY_MAX      (64u * 1024 * 1024) /* of an answer */

/* What a request says of a page. `cursor` is the caller's to fini. */
struct mp__page {
    size_t limit;
    struct mp_buf cursor;
};

/* Reading. Each returns false after it has answered the call with the reason. */

/* The body as one JSON object all of whose members are among `known` (ended by NULL). 400
 * when it is not JSON, 422 otherwise. `object` points into the call. */
bool mp__api_object(struct mp_api *api, struct mp_call *call, const char *const *known,
                    struct mp_str *object);
/* A body that has nothing to say: none, or an empty object. */
bool mp__api_nothing(struct mp_api *api, struct mp_call *call);
/* A string member, unescaped onto `out`. `*present` says whether it was there. */
bool mp__api_text(struct mp_call *call, struct mp_str object, const char *name,
                  struct mp_buf *out, bool *present);
/* true or false; `*out` stays as it is when the member is absent. */
bool mp__api_bool(struct mp_call *call, struct mp_str object, const char *name,
                  bool *out);
/* A whole number of min to max; `*out` stays as it is when the member is absent. */
bool mp__api_number(struct mp_call *call, struct mp_str object, const char *name,
                    int64_t min, int64_t max, int64_t *out);
/* `limit` and `cursor` of the query. On false nothing is left to fini. */
bool mp__api_page(struct mp_call *call, struct mp__page *page);
/* 1 to 10 digits and nothing else. False: no such number; answers nothing. */
bool mp__api_digits(struct mp_str text, int64_t *out);

/* Writing. Each is 0, or a status: then the buffer is to be thrown away. `before` goes
 * first as it is: ",\"reason\":". */
MP_MUST_CHECK int mp__write_text(struct mp_buf *out, const char *before,
                                 struct mp_str text);
/* NULL gives null. */
MP_MUST_CHECK int mp__write_cstr(struct mp_buf *out, const char *before,
                                 const char *text);
/* RFC 3339; 0 gives null. */
MP_MUST_CHECK int mp__write_time(struct mp_buf *out, const char *before, int64_t wall_ms);

/* Answers 200 with the buffer, or 500 when `failed`; frees the buffer. */
void mp__api_answer(struct mp_call *call, struct mp_buf *body, bool failed);
/* Answers what a queue or script call said no with. `why` may be NULL. */
void mp__api_refuse(struct mp_call *call, int status, const char *why);

/* One partner's view. False: there is none; `each` was not called. */
bool mp__api_partner(struct mp_api *api, struct mp_str name,
                     void (*each)(void *to, const struct mp_partner_view *view),
                     void *to);

/* The routes. `name` is the path's `{name}` or `{id}`, decoded. Each answers the call. */
void mp__api_partners_list(struct mp_api *api, struct mp_call *call, struct mp_str name);
void mp__api_partners_show(struct mp_api *api, struct mp_call *call, struct mp_str name);
void mp__api_partners_pause(struct mp_api *api, struct mp_call *call, struct mp_str name);
void mp__api_partners_resume(struct mp_api *api, struct mp_call *call,
                             struct mp_str name);
void mp__api_dead_list(struct mp_api *api, struct mp_call *call, struct mp_str name);
void mp__api_dead_show(struct mp_api *api, struct mp_call *call, struct mp_str id);
void mp__api_dead_replay(struct mp_api *api, struct mp_call *call, struct mp_str name);
void mp__api_dead_purge(struct mp_api *api, struct mp_call *call, struct mp_str name);
void mp__api_try(struct mp_api *api, struct mp_call *call, struct mp_str name);
