/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "moonpost/exchange.h"
#include "moonpost/plan.h"

/* The access tokens of all partners (RFC 6749), one for each set of credentials, shared
 * by all workers: fetched by one of them, however many wait. No call blocks for longer
 * than it takes to copy a token, but those that say so. Times are monotonic. */

struct mp__token_store;
struct mp__token;
struct mp__wake;

struct mp__token_store_config {
    const char
        *folder; /* rotated refresh tokens are kept in its oauth2/; NULL: nowhere */
    int64_t wait_ms, wait_max_ms; /* after a failure: doubled from one to the other */
    int64_t refused_ms; /* a token that replaced one that a partner refused is believed so
                           long */
    unsigned listeners_max;
};
MP_MUST_CHECK int mp__token_store_new(const struct mp__token_store_config *config,
                                      struct mp__token_store **out);
/* After the last release. NULL is allowed. */
void mp__token_store_free(struct mp__token_store *tokens);

/* Goes up whenever a lane that waits should look again; listeners are woken then. */
uint64_t mp__token_store_version(struct mp__token_store *tokens);
void mp__token_store_listen(struct mp__token_store *tokens, struct mp__wake *wake);
void mp__token_store_unlisten(struct mp__token_store *tokens, struct mp__wake *wake);

/* The token of these credentials; `tls` may be NULL. What a refusal said before is
 * forgotten. NULL: out of memory. */
struct mp__token *mp__token_acquire(struct mp__token_store *tokens,
                                    const struct mp_oauth2 *oauth2,
                                    const struct mp_tls *tls, int64_t now_ms);
void mp__token_release(struct mp__token *token); /* NULL is allowed */
void mp__token_forgive(struct mp__token *token);

enum mp__token_state {
    MP__TOKEN_READY,
    MP__TOKEN_STALE,   /* good, and time to fetch the next */
    MP__TOKEN_NEEDED,  /* none; nobody fetches one */
    MP__TOKEN_AWAITED, /* none; fetched just now, or not before `until_ms` */
    MP__TOKEN_REFUSED  /* and no other will come: `why` says what the endpoint said */
};
/* `until_ms` and `why` may be NULL. */
enum mp__token_state mp__token_look(struct mp__token *token, int64_t now_ms,
                                    int64_t *until_ms, char why[256]);

/* True: the caller, and nobody else, fetches it, and ends that with mp__token_end. */
bool mp__token_begin(struct mp__token *token, int64_t now_ms);
/* Between the two: the refresh token to use, a rotated one before the script's own.
 * Reads a small file, once. MP_ENOMEM. */
MP_MUST_CHECK int mp__token_grant(struct mp__token *token, struct mp_str own,
                                  struct mp_buf *out);
/* The endpoint gave another: kept on disk before this returns (blocks for an fsync). On
 * failure it is kept in memory alone, and `err` says why: MP_EIO, MP_ENOMEM; MP_EDENIED:
 * there is no folder. */
MP_MUST_CHECK int mp__token_rotate(struct mp__token *token, struct mp_str refresh,
                                   struct mp_error *err);

/* What a fetch came to. */
enum mp__grant_kind {
    MP__GRANT_FAILED, /* for now */
    MP__GRANT_REFUSED,
    MP__GRANT_GIVEN
};
#define MP__TOKEN_BYTES_MAX ((size_t)16 * 1024)
struct mp__grant {
    enum mp__grant_kind kind;
    struct mp_buf access, refresh; /* of GIVEN; refresh is empty: as before */
    int64_t life_ms;
    int64_t again_ms;  /* of FAILED: the endpoint asked for so long a wait; -1 */
    struct mp_buf why; /* of the others, as the endpoint says it */
};
void mp__grant_init(struct mp__grant *grant);
void mp__grant_fini(struct mp__grant *grant);
/* Reads the token endpoint's answer (sections 5.1, 5.2), or what there was instead, into
 * an inited one. */
void mp__grant_read(const struct mp_response *response, int64_t now_wall_ms,
                    struct mp__grant *grant);
/* True: it came to something else than the last one. */
bool mp__token_end(struct mp__token *token, const struct mp__grant *grant,
                   int64_t now_ms);
/* It came to nothing, and anybody may try again at once. */
void mp__token_cancel(struct mp__token *token);

/* How it stands in a request that is shown, or not sent yet. */
#define MP__TOKEN_SHOWN "Bearer [oauth2 token]"
/* Sets Authorization to it, where that reads MP__TOKEN_SHOWN. `number` names it; 0: the
 * script has set its own. `value` is where it stands in the request's text. Of a token
 * that was READY once. MP_ELIMIT, MP_ENOMEM. */
MP_MUST_CHECK int mp__token_stamp(struct mp__token *token, struct mp_request *request,
                                  uint64_t *number, struct mp_str *value);
/* The partner answered 401 to that one. True: there is another, or will be; go again. */
bool mp__token_refused(struct mp__token *token, uint64_t number, int64_t now_ms);
/* Appends `text` with this token's own values written [oauth2 token]. */
MP_MUST_CHECK int mp__token_hide(struct mp__token *token, struct mp_str text,
                                 struct mp_buf *out);
