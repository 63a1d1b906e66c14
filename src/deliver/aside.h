/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "moonpost/status.h"

/* A thread beside the slow worker's, on which it has scripts' calls done and waits for
 * them. The kernel runs it when nothing else wants the processor, so that on few
 * processors a script that always takes its 50 ms is in nobody's way; it holds no lock
 * that another thread waits for. On a machine that is busy without end that would be
 * hardly ever: a call that had to wait far too long gives the next ones a tenth of that
 * time on the caller's own thread, so that slow scripts go on, and hostile ones come to
 * their pause. */

struct mp__aside {
    uv_thread_t thread;
    uv_sem_t go, done;
    void (*body)(void *arg);
    void *arg;
    int64_t cpu_us;    /* what the last call there took */
    int64_t credit_us; /* the caller's own: for calls on its thread */
    bool is_open, is_ending;
};

MP_MUST_CHECK int mp__aside_start(struct mp__aside *aside);
/* Nothing when it was not started. */
void mp__aside_stop(struct mp__aside *aside);
/* Returns when `body` has. Not started, or with credit: on this very thread. */
void mp__aside_run(struct mp__aside *aside, void (*body)(void *arg), void *arg);
