/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "embedded.h"

static int fail(struct mp_error *err, const char *folder)
{
    return mp_error_set(err, MP_EIO, "could not open the queue in %s: %s", folder,
                        strerror(errno));
}

/* The entry of a new folder must outlive a power cut, or all in it does not. */
static void sync_parent(const char *path)
{
    char parent[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    if (length >= sizeof(parent)) {
        return;
    }
    memcpy(parent, path, length);
    parent[length] = '\0';
    const char *name = slash ? (length > 0 ? parent : "/") : ".";
    int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

static int make_folder(const char *folder, struct mp_error *err)
{
    char path[PATH_MAX];
    size_t length = strlen(folder);
    if (length == 0 || length >= sizeof(path)) {
        errno = length == 0 ? ENOENT : ENAMETOOLONG;
        return fail(err, folder);
    }
    memcpy(path, folder, length + 1);
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0') {
            continue;
        }
        char byte = path[i];
        path[i] = '\0';
        if (mkdir(path, 0700) == 0) {
            sync_parent(path);
        } else if (errno != EEXIST) {
            return fail(err, folder);
        }
        path[i] = byte;
    }
    return MP_OK;
}

static int tell_holder(int fd, const char *folder, struct mp_error *err)
{
    char pid[16] = "";
    ssize_t length = pread(fd, pid, sizeof(pid) - 1, 0);
    size_t digits = length > 0 ? strspn(pid, "0123456789") : 0;
    if (digits == 0) {
        return mp_error_set(err, MP_EBUSY,
                            "could not open the queue in %s: another process holds it",
                            folder);
    }
    return mp_error_set(err, MP_EBUSY,
                        "could not open the queue in %s: process %.*s holds it", folder,
                        (int)digits, pid);
}

int mp__folder_lock(const char *folder, int *out, struct mp_error *err)
{
    int status = make_folder(folder, err);
    if (status != MP_OK) {
        return status;
    }
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof(path), "%s/lock", folder) >= sizeof(path)) {
        errno = ENAMETOOLONG;
        return fail(err, folder);
    }
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return fail(err, folder);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        status = errno == EWOULDBLOCK ? tell_holder(fd, folder, err) : fail(err, folder);
        close(fd);
        return status;
    }
    /* The number is for people: a full disk must not keep the queue shut. */
    char pid[16];
    int length = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)length, 0) != length) {
        mp_log_warn("queue", "could not write %s: %s", path, strerror(errno));
    }
    *out = fd;
    return MP_OK;
}

void mp__folder_unlock(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}
