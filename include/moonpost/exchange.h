/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moonpost/buf.h"

/* What passes between Moonpost and a partner in one attempt: the request, the response,
 * and the verdict, which is the third kind of failure: what became of a delivery. Each is
 * owned by the attempt and used on its thread alone. */

enum mp_verdict_kind {
    MP_VERDICT_NONE, /* the script had no opinion: the default holds */
    MP_VERDICT_DELIVERED,
    MP_VERDICT_RETRY,
    MP_VERDICT_DEAD,
    MP_VERDICT_SKIPPED,
    MP_VERDICT_PAUSE,
    MP_VERDICT_SPLIT /* of a batch: in two, at once, no attempt spent */
};

struct mp_verdict {
    enum mp_verdict_kind kind;
    int64_t delay_ms; /* of RETRY, when the script named one; -1: the schedule's */
    char why[256];    /* one line for a person; may be empty */
};
/* "delivered" "retry" "dead" "skipped" "pause" "split"; "" for NONE. */
const char *mp_verdict_name(enum mp_verdict_kind kind);
/* MP_VERDICT_NONE when it is none of the words. */
enum mp_verdict_kind mp_verdict_of_name(struct mp_str name);
void mp_verdict_set(struct mp_verdict *verdict, enum mp_verdict_kind kind,
                    const char *format, ...) MP_PRINTF(3, 4);
/* A retry after which no attempt is left: dead, "gave up after 3 attempts: <its why>". */
void mp_verdict_give_up(struct mp_verdict *verdict, uint32_t attempts);

/* A header field. Slices point into request->text; `shown` is the value with secrets as
 * [secret x], empty when it is the same. */
struct mp_header {
    uint32_t name_at, name_length;
    uint32_t value_at, value_length;
    uint32_t shown_at, shown_length;
};

#define MP_REQUEST_HEADERS_MAX 100
#define MP_REQUEST_BODY_MAX    (16 * 1024 * 1024)
#define MP_REQUEST_URL_MAX     (64 * 1024)

struct mp_request {
    char method[32];
    struct mp_buf url;       /* absolute, as it goes on the wire */
    struct mp_buf url_shown; /* with secrets as [secret x]; empty when it is the same */
    struct mp_buf text;      /* the headers' bytes */
    struct mp_header headers[MP_REQUEST_HEADERS_MAX];
    size_t header_count;
    struct mp_buf body;
    struct mp_buf body_shown;    /* as url_shown */
    struct mp_str body_borrowed; /* instead of body: the event's own bytes */
    bool has_body;
};

void mp_request_init(struct mp_request *request);
void mp_request_fini(struct mp_request *request);
void mp_request_reset(struct mp_request *request); /* keeps the memory */

struct mp_str mp_request_body(const struct mp_request *request);
struct mp_str mp_request_url_shown(const struct mp_request *request);
struct mp_str mp_header_name(const struct mp_request *request, size_t index);
struct mp_str mp_header_value(const struct mp_request *request, size_t index);
struct mp_str mp_header_shown(const struct mp_request *request, size_t index);
/* The first of that name, in any case; -1: none. */
int mp_request_find_header(const struct mp_request *request, struct mp_str name);
/* Replaces every field of that name, in any case, or adds one, without the white space
 * around its value. `shown` may be empty: as the value. MP_EINVAL: the name is no token,
 * or the value has CR, LF, NUL or other bytes that RFC 9110 section 5.5 forbids;
 * MP_EDENIED: a field that is Moonpost's to set (Host, Content-Length, Transfer-Encoding,
 * Connection, Expect, TE, Trailer, Upgrade); MP_ELIMIT. `err` names the field. */
MP_MUST_CHECK int mp_request_set_header(struct mp_request *request, struct mp_str name,
                                        struct mp_str value, struct mp_str shown,
                                        struct mp_error *err);
void mp_request_remove_header(struct mp_request *request, struct mp_str name);

/* One delivery's piece of a batch's body. `shown` is the same with secrets as
 * [secret x]; empty: there are none. */
struct mp_item {
    struct mp_buf wire, shown;
};

#define MP_RESPONSE_BODY_MAX (64 * 1024)

/* An answer, or what there was instead of one. Owned by the transfer; read-only. */
struct mp_response {
    int status; /* 0: no answer */
    const char
        *error;            /* static, when status is 0: "timeout", "dns_error",
                              "connection_refused",     "connection_reset", "network_unreachable",
                              "tls_error",     "proxy_error", "blocked_address", "network_error" */
    const char *detail;    /* more of `error`, or NULL; the transfer's */
    struct mp_str headers; /* the field lines as they came, CRLF between */
    struct mp_str body;    /* the first 64 KiB */
    bool truncated;
    int64_t duration_ms;
};
/* Every value of that field, in any case, joined by ", ". False: not there. */
bool mp_response_header(const struct mp_response *response, struct mp_str name,
                        struct mp_buf *out);
