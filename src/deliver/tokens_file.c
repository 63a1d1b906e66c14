/* SPDX-License-Identifier: MIT */
#include "tokens_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "moonpost/json.h"

#define FILE_BYTES_MAX (2 * MP__REFRESH_BYTES_MAX)

static int failed(struct mp_error *err, const char *what, const char *path)
{
    return mp_error_set(err, MP_EIO, "could not %s %s: %s", what, path, strerror(errno));
}

static int read_all(int fd, struct mp_buf *out)
{
    for (;;) {
        if (mp_buf_reserve(out, 4096) != MP_OK) {
            return MP_EINVAL;
        }
        ssize_t length = read(fd, out->data + out->length, 4096);
        if (length <= 0) {
            return length == 0 ? MP_OK : MP_EIO;
        }
        out->length += (size_t)length;
    }
}

static int take_token(struct mp_str text, struct mp_buf *out)
{
    struct mp_str object, token;
    if (mp_json_check(text, 2, &object, NULL) != MP_OK ||
        mp_json_kind(object) != MP_JSON_OBJECT ||
        !mp_json_member(object, mp_str_of("refresh_token"), &token) ||
        mp_json_kind(token) != MP_JSON_STRING) {
        return MP_EINVAL;
    }
    return mp_json_unescape(token, out);
}

int mp__token_file_read(const char *folder, const char *name, struct mp_buf *out,
                        struct mp_error *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/oauth2/%s.json", folder, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? MP_OK : failed(err, "read", path);
    }
    struct mp_buf text;
    mp_buf_init(&text, FILE_BYTES_MAX);
    int status = read_all(fd, &text);
    if (status == MP_EIO) {
        failed(err, "read", path);
    } else if (status == MP_OK) {
        status = take_token(mp_buf_str(&text), out);
    }
    if (status != MP_OK && status != MP_EIO) {
        mp_error_set(err, status, "could not read %s: it holds no refresh_token", path);
    }
    mp_buf_fini(&text);
    close(fd);
    return status;
}

static int write_all(int fd, struct mp_str text)
{
    while (text.length > 0) {
        ssize_t length = write(fd, text.data, text.length);
        if (length < 0 && errno != EINTR) {
            return MP_EIO;
        }
        if (length > 0) {
            text.data += length;
            text.length -= (size_t)length;
        }
    }
    return fsync(fd) == 0 ? MP_OK : MP_EIO;
}

static int sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int status = fd >= 0 && fsync(fd) == 0 ? MP_OK : MP_EIO;
    if (fd >= 0) {
        close(fd);
    }
    return status;
}

static int replace(const char *folder, const char *path, struct mp_str text,
                   struct mp_error *err)
{
    char fresh[PATH_MAX + 256];
    snprintf(fresh, sizeof(fresh), "%s.new", path);
    unlink(fresh); /* of a process that ended in the middle, with a mode of its own */
    int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (fd < 0) {
        return failed(err, "write", fresh);
    }
    int status = write_all(fd, text);
    if (status != MP_OK) {
        failed(err, "write", fresh);
    }
    close(fd);
    if (status == MP_OK && (rename(fresh, path) != 0 || sync_folder(folder) != MP_OK)) {
        status = failed(err, "write", path);
    }
    if (status != MP_OK) {
        unlink(fresh);
    }
    return status;
}

int mp__token_file_write(const char *folder, const char *name, struct mp_str refresh,
                         struct mp_error *err)
{
    char own[PATH_MAX], path[PATH_MAX + 128];
    struct mp_buf text;
    snprintf(own, sizeof(own), "%s/oauth2", folder);
    snprintf(path, sizeof(path), "%s/%s.json", own, name);
    if (mkdir(own, S_IRWXU) == 0) {
        if (sync_folder(folder) != MP_OK) {
            return failed(err, "write", folder);
        }
    } else if (errno != EEXIST) {
        return failed(err, "make", own);
    }
    mp_buf_init(&text, FILE_BYTES_MAX);
    int status = mp_buf_append_text(&text, "{\"refresh_token\":");
    if (status == MP_OK) {
        status = mp_json_write_string(&text, refresh);
    }
    if (status == MP_OK) {
        status = mp_buf_append_text(&text, "}\n");
    }
    status = status == MP_OK ? replace(own, path, mp_buf_str(&text), err)
                             : mp_error_set(err, status, "could not write %s: %s", path,
                                            mp_status_text(status));
    mp_buf_fini(&text);
    return status;
}
