/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

#include "moonpost/status.h"

/* Wakes a loop from another thread. Like uv_async_t, but the woken thread never spins:
 * libuv's waits for a sender that has been preempted between its two steps, which on a
 * busy machine cost a sixth of a delivery's CPU. */
struct mp__wake {
    uv_poll_t poll;
    int fd;
    atomic_bool is_sent;
    void (*on_wake)(void *arg);
    void *arg;
};

MP_MUST_CHECK int mp__wake_init(struct mp__wake *wake, uv_loop_t *loop,
                                void (*on_wake)(void *arg), void *arg);
/* Any thread. Several before the loop's turn are one. */
void mp__wake_send(struct mp__wake *wake);
/* The loop's thread; `on_closed` gets the uv_poll_t, whose data is `arg`. Sending is
 * still allowed until mp__wake_fini, and does nothing. */
void mp__wake_close(struct mp__wake *wake, uv_close_cb on_closed);
void mp__wake_fini(struct mp__wake *wake);
