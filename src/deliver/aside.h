/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "moonpost/status.h"

/* A thread beside the slow worker's, on which it has scripts' calls done and waits for
 * them. The kernel runs it when nothing else wants the processor, so that on few
 * processors a script that always takes its 50 ms is in nobody's way; it holds no lock
 * that another thread waits for. */

struct mp__aside {
    uv_thread_t thread;
    uv_sem_t go, done;
    void (*body)(void *arg);
    void *arg;
    bool is_open, is_ending;
};

MP_MUST_CHECK int mp__aside_start(struct mp__aside *aside);
/* Nothing when it was not started. */
void mp__aside_stop(struct mp__aside *aside);
/* Returns when `body` has. Not started: on this very thread. */
void mp__aside_run(struct mp__aside *aside, void (*body)(void *arg), void *arg);
