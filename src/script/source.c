/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "loader.h"

static int64_t ns_of(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static struct mp__mark mark_of(const struct stat *st)
{
    return (struct mp__mark){st->st_dev, st->st_ino, st->st_size, ns_of(st->st_mtim),
                             ns_of(st->st_ctim)};
}

bool mp__mark_equal(const struct mp__mark *a, const struct mp__mark *b)
{
    return a->device == b->device && a->inode == b->inode &&
           a->size_bytes == b->size_bytes && a->modified_ns == b->modified_ns &&
           a->changed_ns == b->changed_ns;
}

int64_t mp__mark_age_ms(const struct mp__mark *mark)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now); /* the clock that file systems write */
    int64_t age_ns = ns_of(now) - mark->changed_ns;
    return age_ns < 0 ? -1 : age_ns / 1000000;
}

static int refuse(struct mp_error *err, int status, const char *path, int code)
{
    return mp_error_set(err, status, "could not read %s: %s", path, strerror(code));
}

int mp__source_look(const char *path, enum mp__file_kind *kind, struct mp__mark *mark,
                    struct mp_error *err)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        *kind = MP__FILE_NONE;
        return errno == ENOENT || errno == ENOTDIR ? MP_OK
                                                   : refuse(err, MP_EIO, path, errno);
    }
    *kind = S_ISREG(st.st_mode) ? MP__FILE_REGULAR : MP__FILE_OTHER;
    *mark = mark_of(&st);
    return MP_OK;
}

static int read_all(int fd, const char *path, struct mp_buf *out, struct mp_error *err)
{
    for (;;) {
        if (mp_buf_reserve(out, 1) == MP_ELIMIT) {
            return mp_error_set(err, MP_ELIMIT, "%s:1: a script has at most %zu KiB",
                                path, MP__SOURCE_MAX_BYTES / 1024);
        }
        size_t most = out->max_bytes - out->length;
        size_t room = most < 16 * 1024 ? most : 16 * 1024;
        if (mp_buf_reserve(out, room) != MP_OK) {
            return mp_error_set(err, MP_ENOMEM, "could not read %s: out of memory", path);
        }
        ssize_t got = read(fd, out->data + out->length, room);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got == 0 ? MP_OK : refuse(err, MP_EIO, path, errno);
        }
        out->length += (size_t)got;
    }
}

/* The same file before and after, also by its name: what was read is then one state of
 * it. */
static int read_between_looks(int fd, const char *path, struct mp_buf *out,
                              struct mp__mark *mark, struct mp_error *err)
{
    struct stat before, after, named;
    if (fstat(fd, &before) != 0) {
        return refuse(err, MP_EIO, path, errno);
    }
    if (!S_ISREG(before.st_mode)) {
        return mp_error_set(err, MP_EAGAIN, "could not read %s: it is no file", path);
    }
    int status = read_all(fd, path, out, err);
    if (status != MP_OK) {
        return status;
    }
    if (fstat(fd, &after) != 0 || stat(path, &named) != 0) {
        return refuse(err, MP_EAGAIN, path, errno);
    }
    struct mp__mark marks[3] = {mark_of(&before), mark_of(&after), mark_of(&named)};
    *mark = marks[1];
    bool is_whole = mp__mark_equal(&marks[0], &marks[1]) &&
                    mp__mark_equal(&marks[1], &marks[2]) &&
                    (off_t)out->length == after.st_size;
    return is_whole ? MP_OK
                    : mp_error_set(err, MP_EAGAIN, "could not read %s: it changes", path);
}

int mp__source_read(const char *path, struct mp_buf *out, struct mp__mark *mark,
                    struct mp_error *err)
{
    int status = MP_EAGAIN;
    for (int tries = 0; tries < 3 && status == MP_EAGAIN; tries++) {
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0) {
            return refuse(err, errno == ENOENT ? MP_EAGAIN : MP_EIO, path, errno);
        }
        mp_buf_reset(out);
        status = read_between_looks(fd, path, out, mark, err);
        close(fd);
    }
    return status;
}

enum mp__name_kind mp__name_of_file(const char *file, struct mp_str *name)
{
    struct mp_str whole = mp_str_of(file);
    if (whole.length <= 4 || file[0] == '.' || file[0] == '#' ||
        strcmp(file + whole.length - 4, ".lua") != 0) {
        return MP__NAME_IGNORED;
    }
    *name = (struct mp_str){file, whole.length - 4};
    return mp_partner_name_is_valid(*name) ? MP__NAME_PARTNER : MP__NAME_REFUSED;
}
