/* SPDX-License-Identifier: MIT */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>

#include "curl_loop.h"
#include "link.h"
#include "moonpost/deliver.h"

/* One exchange: a curl easy handle, used again and again. The only file that knows curl's
 * options and error codes. On the worker's thread alone. */

struct mp__transfer_events {
    /* The name is looked up and a connection is there, or on its way. From within curl:
     * begin and end no transfer here. May come more than once. */
    void (*on_reached)(void *arg);
    /* curl wants to look `host` up. False: not now; the transfer ends with must_wait. */
    bool (*on_lookup)(void *arg);
    /* It ended: from the loop's drain. */
    void (*on_ended)(void *arg, CURLcode code);
    void *arg;
};

struct mp__transfer {
    CURL *easy;
    CURLU *url;
    struct mp__curl_loop *loop;
    unsigned multi; /* where it is under way */
    const struct mp_egress *egress;
    struct mp__transfer_events events;
    /* What the handle is set to already. */
    struct mp__link link;
    char proxy_host[256];       /* empty: none */
    char base[MP_LANE_BYTES];   /* the authority, normalised */
    struct mp_buf base_as_sent; /* as it stood in the url */
    int64_t timeout_ms;
    int64_t connect_max_ms; /* of that */
    bool is_head, is_post;
    bool is_fresh;   /* on a connection of its own */
    char method[32]; /* CUSTOMREQUEST; empty: none */
    /* The request's bytes, curl's while it is under way. */
    struct mp_buf target;
    struct mp_buf fields;
    struct curl_slist nodes[MP_REQUEST_HEADERS_MAX + 2];
    struct mp_str hidden; /* an answer that repeats it is shown with asterisks there */
    /* What came back. */
    struct mp_buf headers;
    struct mp_buf body;
    curl_off_t upload_bytes;
    size_t header_bytes; /* in all, interim responses included */
    bool headers_ended;
    bool truncated;
    bool must_wait;
    bool is_established; /* it has a connection that is whole */
    bool was_blocked;    /* an address that may not be reached was among the host's */
    bool was_opened;     /* and one that may */
    int64_t duration_us;
    char detail[CURL_ERROR_SIZE]; /* what curl, or we, say of a failure */
};

MP_MUST_CHECK int mp__transfer_init(struct mp__transfer *transfer,
                                    struct mp__curl_loop *loop,
                                    const struct mp_egress *egress,
                                    int64_t connect_max_ms);
void mp__transfer_fini(struct mp__transfer *transfer);
/* Lets go of memory that one big exchange left behind. */
void mp__transfer_trim(struct mp__transfer *transfer);

/* Begins. `request` must live until the end: the worker hears of it from
 * mp__curl_loop_drain. On failure nothing was begun; MP_EINVAL: the request can not be
 * sent, `err` says why. */
MP_MUST_CHECK int mp__transfer_start(struct mp__transfer *transfer, unsigned multi,
                                     const struct mp_request *request, int64_t timeout_ms,
                                     struct mp_error *err);
/* Ended, with this code, for a reason of the connection's own: the partner had closed it
 * before it was used again, or curl's HTTP/2 lost the stream. Nothing came back, and the
 * request may be sent once more, on a fresh connection. */
bool mp__transfer_was_lost(const struct mp__transfer *transfer, CURLcode code);
/* A connection of its own, and HTTP/1.1; or what there is. */
void mp__transfer_set_fresh(struct mp__transfer *transfer, bool is_fresh);
/* Ends it from outside. */
void mp__transfer_cancel(struct mp__transfer *transfer);
struct mp__transfer *mp__transfer_of(CURL *easy);
/* For the loop; false of a handle that is no transfer. */
bool mp__transfer_is_established(CURL *easy);
/* After its end: fills `response`, whose slices are good until the next start. */
void mp__transfer_finish(struct mp__transfer *transfer, CURLcode code,
                         struct mp_response *response);
/* The host as it is looked up: the proxy's, when there is one. */
struct mp_str mp__transfer_host(const struct mp__transfer *transfer);

/* transfer_link.c. Before a start: how it goes out from now on. MP_ENOMEM. */
MP_MUST_CHECK int mp__transfer_set_link(struct mp__transfer *transfer,
                                        const struct mp__link *link,
                                        struct mp_error *err);
/* The proxy is sent the whole url (RFC 9112 section 3.2.2), not asked for a tunnel. */
bool mp__transfer_is_forwarded(const struct mp__transfer *transfer);
/* MP_EINVAL: behind its proxy, the url's host is an address that may not be reached. */
MP_MUST_CHECK int mp__transfer_check_target(const struct mp__transfer *transfer,
                                            struct mp_error *err);
/* It is the proxy that failed, not who is behind it; `detail` says how. */
bool mp__transfer_proxy_failed(struct mp__transfer *transfer, CURLcode code, long status);
