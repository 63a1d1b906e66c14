/* SPDX-License-Identifier: MIT */
#include "aside.h"

#include <pthread.h>
#include <sched.h>

#include "moonpost/script.h"

static void run(void *arg)
{
    struct mp__aside *aside = arg;
    struct sched_param idle = {0};
    pthread_setname_np(pthread_self(), "mp-slow-lua");
    (void)sched_setscheduler(0, SCHED_IDLE, &idle); /* where forbidden it goes without */
    while (true) {
        uv_sem_wait(&aside->go);
        if (aside->is_ending) {
            return;
        }
        aside->body(aside->arg);
        uv_sem_post(&aside->done);
    }
}

int mp__aside_start(struct mp__aside *aside)
{
    uv_thread_options_t options = {.flags = UV_THREAD_HAS_STACK_SIZE,
                                   .stack_size = MP_SCRIPT_STACK_BYTES};
    if (uv_sem_init(&aside->go, 0) != 0) {
        return MP_ENOMEM;
    }
    if (uv_sem_init(&aside->done, 0) != 0) {
        uv_sem_destroy(&aside->go);
        return MP_ENOMEM;
    }
    if (uv_thread_create_ex(&aside->thread, &options, run, aside) != 0) {
        uv_sem_destroy(&aside->done);
        uv_sem_destroy(&aside->go);
        return MP_EAGAIN;
    }
    aside->is_open = true;
    return MP_OK;
}

void mp__aside_stop(struct mp__aside *aside)
{
    if (!aside->is_open) {
        return;
    }
    aside->is_open = false;
    aside->is_ending = true;
    uv_sem_post(&aside->go);
    uv_thread_join(&aside->thread);
    uv_sem_destroy(&aside->done);
    uv_sem_destroy(&aside->go);
}

void mp__aside_run(struct mp__aside *aside, void (*body)(void *arg), void *arg)
{
    if (!aside->is_open) {
        body(arg);
        return;
    }
    aside->body = body;
    aside->arg = arg;
    uv_sem_post(&aside->go);
    uv_sem_wait(&aside->done);
}
