/* SPDX-License-Identifier: MIT */
#include "wake.h"

#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct mp__wake *wake = (struct mp__wake *)(void *)poll;
    uint64_t count;
    if (read(wake->fd, &count, sizeof(count)) < 0) {
        return;
    }
    atomic_store(&wake->is_sent,
                 false); /* before the look: what comes later wakes again */
    wake->on_wake(wake->arg);
}

int mp__wake_init(struct mp__wake *wake, uv_loop_t *loop, void (*on_wake)(void *arg),
                  void *arg)
{
    wake->on_wake = on_wake;
    wake->arg = arg;
    wake->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake->fd < 0) {
        return MP_EIO;
    }
    if (uv_poll_init(loop, &wake->poll, wake->fd) != 0) {
        mp__wake_fini(wake);
        return MP_EIO;
    }
    wake->poll.data = arg;
    uv_poll_start(&wake->poll, UV_READABLE, on_readable);
    return MP_OK;
}

void mp__wake_send(struct mp__wake *wake)
{
    uint64_t one = 1;
    if (!atomic_exchange(&wake->is_sent, true) &&
        write(wake->fd, &one, sizeof(one)) < 0) {
        atomic_store(&wake->is_sent,
                     false); /* the counter is full, which wakes as well */
    }
}

void mp__wake_close(struct mp__wake *wake, uv_close_cb on_closed)
{
    uv_close((uv_handle_t *)&wake->poll, on_closed);
}

void mp__wake_fini(struct mp__wake *wake)
{
    close(wake->fd);
    wake->fd = -1;
}
