/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "loader.h"

/* An inotify of our own: libuv's does not subscribe to IN_CLOSE_WRITE and drops
 * IN_Q_OVERFLOW. No event is believed for what it names; any event only means: look
 * again. So a lost or doubled one costs nothing. */

#define ALSO_MAX 64
#define MASK                                                                             \
    (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ATTRIB |  \
     IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

struct mp__watch {
    int fd;
    int folder; /* watch descriptors; -1: none */
    struct {
        int descriptor;
        bool is_named;
    } also[ALSO_MAX];
    size_t also_count;
};

int mp__watch_new(struct mp__watch **out)
{
    *out = NULL;
    struct mp__watch *watch = calloc(1, sizeof(*watch));
    if (!watch) {
        return MP_ENOMEM;
    }
    watch->folder = -1;
    watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watch->fd < 0) {
        free(watch);
        return MP_EIO;
    }
    *out = watch;
    return MP_OK;
}

void mp__watch_free(struct mp__watch *watch)
{
    if (watch) {
        close(watch->fd);
        free(watch);
    }
}

int mp__watch_fd(const struct mp__watch *watch)
{
    return watch->fd;
}

bool mp__watch_begin(struct mp__watch *watch, const char *folder)
{
    /* The same folder gives the same descriptor; one that took its place gives another.
     */
    int descriptor = inotify_add_watch(watch->fd, folder, MASK);
    if (watch->folder >= 0 && watch->folder != descriptor) {
        inotify_rm_watch(watch->fd, watch->folder);
    }
    watch->folder = descriptor;
    for (size_t i = 0; i < watch->also_count; i++) {
        watch->also[i].is_named = false;
    }
    return descriptor >= 0;
}

bool mp__watch_folder(struct mp__watch *watch, const char *folder)
{
    int descriptor = inotify_add_watch(watch->fd, folder, MASK);
    if (descriptor < 0 || descriptor == watch->folder) {
        return descriptor >= 0;
    }
    for (size_t i = 0; i < watch->also_count; i++) {
        if (watch->also[i].descriptor == descriptor) {
            watch->also[i].is_named = true;
            return true;
        }
    }
    if (watch->also_count == ALSO_MAX) {
        inotify_rm_watch(watch->fd, descriptor); /* the poll sees the rest */
        return false;
    }
    watch->also[watch->also_count].descriptor = descriptor;
    watch->also[watch->also_count++].is_named = true;
    return true;
}

void mp__watch_also(struct mp__watch *watch, const char *link)
{
    char target[PATH_MAX];
    if (!realpath(link, target)) {
        return;
    }
    char *slash = strrchr(target, '/');
    if (!slash) {
        return;
    }
    slash[slash == target] = '\0';
    mp__watch_folder(watch, target);
}

void mp__watch_end(struct mp__watch *watch)
{
    size_t kept = 0;
    for (size_t i = 0; i < watch->also_count; i++) {
        if (watch->also[i].is_named) {
            watch->also[kept++] = watch->also[i];
        } else {
            inotify_rm_watch(watch->fd, watch->also[i].descriptor);
        }
    }
    watch->also_count = kept;
}

bool mp__watch_drain(struct mp__watch *watch)
{
    _Alignas(struct inotify_event) char bytes[16 * 1024];
    bool matters = false;
    for (;;) {
        ssize_t got = read(watch->fd, bytes, sizeof(bytes));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return matters;
        }
        for (const char *at = bytes; at < bytes + got;) {
            const struct inotify_event *event =
                (const struct inotify_event *)(const void *)at;
            matters = matters || (event->mask & ~(uint32_t)IN_IGNORED) != 0;
            at += sizeof(*event) + event->len;
        }
    }
}
