/* SPDX-License-Identifier: MIT */
#include "auth.h"

#include "worker.h"

int mp__auth_attach(struct mp__worker *worker, struct mp__generation *generation)
{
    (void)worker;
    (void)generation;
    return MP_OK;
}

void mp__auth_detach(struct mp__generation *generation)
{
    (void)generation;
}

bool mp__auth_admits(struct mp__worker *worker, struct mp__lane *lane)
{
    (void)worker;
    (void)lane;
    return true;
}

bool mp__auth_turn(struct mp__worker *worker)
{
    (void)worker;
    return false;
}

void mp__auth_resumed(struct mp__worker *worker, struct mp__lane *lane)
{
    (void)worker;
    (void)lane;
}

int mp__auth_stamp(struct mp__attempt *attempt, struct mp_error *err)
{
    (void)attempt;
    (void)err;
    return MP_OK;
}

bool mp__auth_refused(struct mp__attempt *attempt, struct mp__ending *ending)
{
    (void)attempt;
    (void)ending;
    return false;
}

void mp__auth_open(struct mp__worker *worker)
{
    uv_timer_init(&worker->loop, &worker->auth.timer);
    worker->auth.timer.data = worker;
}

void mp__auth_drain(struct mp__worker *worker)
{
    (void)worker;
}

void mp__auth_abort(struct mp__worker *worker)
{
    (void)worker;
}

void mp__auth_close(struct mp__worker *worker)
{
    uv_close((uv_handle_t *)&worker->auth.timer, NULL);
}
