/* SPDX-License-Identifier: MIT */
#include "aside.h"

#include <pthread.h>
#include <sched.h>

#include "moonpost/clock.h"
#include "moonpost/script.h"

#define SHARE         10 /* it is owed one part in so many of a busy processor */
#define NEVERMIND_US  20000
#define CREDIT_MAX_US 500000

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
        int64_t since_us = mp_clock_cpu_us();
        aside->body(aside->arg);
        aside->cpu_us = mp_clock_cpu_us() - since_us;
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

static void run_here(struct mp__aside *aside, void (*body)(void *arg), void *arg)
{
    int64_t since_us = mp_clock_cpu_us();
    body(arg);
    aside->credit_us -= mp_clock_cpu_us() - since_us;
}

static void give_credit(struct mp__aside *aside, int64_t took_us)
{
    int64_t waited_us = took_us - aside->cpu_us;
    if (waited_us < aside->cpu_us * (SHARE - 1) + NEVERMIND_US) {
        aside->credit_us = 0;
        return;
    }
    int64_t credit_us = aside->credit_us + waited_us / SHARE;
    aside->credit_us = credit_us < CREDIT_MAX_US ? credit_us : CREDIT_MAX_US;
}

void mp__aside_run(struct mp__aside *aside, void (*body)(void *arg), void *arg)
{
    if (!aside->is_open) {
        body(arg);
        return;
    }
    if (aside->credit_us > 0) {
        run_here(aside, body, arg);
        return;
    }
    int64_t since_us = mp_clock_mono_us();
    aside->body = body;
    aside->arg = arg;
    uv_sem_post(&aside->go);
    uv_sem_wait(&aside->done);
    give_credit(aside, mp_clock_mono_us() - since_us);
}
