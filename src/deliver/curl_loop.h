/* SPDX-License-Identifier: MIT */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>
#include <uv.h>

#include "moonpost/status.h"

/* libcurl's multi interface on libuv: the only file that knows both. One for each worker,
 * used on its thread alone. Several multis share the loop, because a multi walks its
 * whole connection cache at every transfer: past some 128 connections another one is
 * cheaper. */

#define MP__MULTIS_MAX  16
#define MP__MULTI_SHARE 128 /* connections that one multi is meant for */

struct mp__multi;
struct mp__poll;

struct mp__curl_loop {
    uv_loop_t *uv;
    CURLSH *share;                      /* one DNS cache */
    bool (*is_established)(CURL *easy); /* its connection is: no other may stay armed */
    struct mp__multi *multis[MP__MULTIS_MAX];
    unsigned drain_first;
    struct mp__poll **polls; /* by descriptor */
    size_t poll_count;
};

MP_MUST_CHECK int mp__curl_loop_init(struct mp__curl_loop *loop, uv_loop_t *uv,
                                     bool (*is_established)(CURL *easy));
/* Closes every connection; the handles' closing takes one more turn of the loop. No
 * transfer may be under way. */
void mp__curl_loop_close(struct mp__curl_loop *loop);
/* After the loop ran out of handles, and after every easy handle is gone. */
void mp__curl_loop_fini(struct mp__curl_loop *loop);

/* Finds room for a lane of so many connections; give the same weight back with release.
 */
unsigned mp__curl_loop_reserve(struct mp__curl_loop *loop, unsigned weight);
void mp__curl_loop_release(struct mp__curl_loop *loop, unsigned multi, unsigned weight);

/* Begins a transfer on the multi of that number (made when new). It must end in a drain
 * or with remove. Not from within libcurl's callbacks. */
MP_MUST_CHECK int mp__curl_loop_add(struct mp__curl_loop *loop, unsigned multi,
                                    CURL *easy);
void mp__curl_loop_remove(struct mp__curl_loop *loop, unsigned multi, CURL *easy);
/* Calls `on_done` for each transfer that ended, its handle removed and free for the next,
 * until it says false: true, there may be more, and the next drain begins with another
 * multi. */
bool mp__curl_loop_drain(struct mp__curl_loop *loop,
                         bool (*on_done)(void *arg, CURL *easy, CURLcode code),
                         void *arg);

/* For CURLOPT_OPENSOCKETFUNCTION: a socket for `address`, or CURL_SOCKET_BAD. */
curl_socket_t mp__curl_loop_open_socket(struct mp__curl_loop *loop,
                                        const struct curl_sockaddr *address);
/* For CURLOPT_CLOSESOCKETFUNCTION; `loop` is the struct mp__curl_loop. */
int mp__curl_loop_close_socket(void *loop, curl_socket_t fd);
