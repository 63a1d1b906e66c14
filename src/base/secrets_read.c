/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "secrets_table.h"

/* Where secrets come from: the environment and a folder. */

#define TRIES 3

extern char **environ;

static int too_long(struct mp_error *err, const char *folder, const char *what)
{
    return mp_error_set(err, MP_ELIMIT,
                        "could not read %s%s%s: a secret has at most %zu KiB", folder,
                        *folder ? "/" : "", what, MP_SECRET_BYTES / 1024);
}

/* What no script can ask for is left out. */
static bool is_variable_name(struct mp_str name)
{
    bool is_one = mp__secret_name_is_valid(name);
    for (size_t i = 0; i < name.length && is_one; i++) {
        is_one = name.data[i] != '-' && !islower((unsigned char)name.data[i]);
    }
    return is_one;
}

static int read_environment(struct mp_secrets *secrets, struct mp_error *err)
{
    size_t before = strlen(MP__SECRET_VARIABLE);
    int status = MP_OK;
    for (char **at = environ; at && *at && status == MP_OK; at++) {
        const char *equals = strchr(*at, '=');
        if (!equals || strncmp(*at, MP__SECRET_VARIABLE, before) != 0) {
            continue;
        }
        struct mp_str name = {*at + before, (size_t)(equals - *at) - before};
        struct mp_str value = mp_str_of(equals + 1);
        if (!is_variable_name(name)) {
            continue;
        }
        if (value.length > MP_SECRET_BYTES) {
            char variable[sizeof(MP__SECRET_VARIABLE) + MP_SECRET_NAME_BYTES] = {0};
            memcpy(variable, *at, (size_t)(equals - *at));
            return too_long(err, "", variable);
        }
        status = mp__secrets_add(secrets, name, value, true);
    }
    return status;
}

/* MP_ENOTFOUND: no file, to be passed over. `buffer` has a byte more than a secret may
 * have. */
static int read_file(int folder, const char *name, char *buffer, size_t *length)
{
    struct stat st;
    int fd = -1;
    /* A mount that is swapped leads a link nowhere for a moment. */
    for (int i = 0; i < TRIES && fd < 0; i++) {
        fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0 && errno != ENOENT && errno != ESTALE) {
            return errno == ENXIO || errno == ELOOP ? MP_ENOTFOUND : MP_EIO;
        }
    }
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        if (fd >= 0) {
            close(fd);
        }
        return MP_ENOTFOUND;
    }
    *length = 0;
    ssize_t got = 0;
    while (*length <= MP_SECRET_BYTES) {
        got = read(fd, buffer + *length, MP_SECRET_BYTES + 1 - *length);
        if (got <= 0 && !(got < 0 && errno == EINTR)) {
            break;
        }
        *length += got > 0 ? (size_t)got : 0;
    }
    int code = errno;
    close(fd);
    errno = code;
    return got < 0 ? MP_EIO : *length > MP_SECRET_BYTES ? MP_ELIMIT : MP_OK;
}

static int add_file(struct mp_secrets *secrets, DIR *dir, const char *name, char *buffer,
                    struct mp_error *err)
{
    size_t length;
    int status = read_file(dirfd(dir), name, buffer, &length);
    if (status == MP_ENOTFOUND) {
        return MP_OK;
    }
    if (status == MP_ELIMIT) {
        return too_long(err, secrets->folder, name);
    }
    if (status != MP_OK) {
        return mp_error_set(err, status, "could not read %s/%s: %s", secrets->folder,
                            name, strerror(errno));
    }
    if (length > 0 && buffer[length - 1] == '\n') {
        length--;
        length -= length > 0 && buffer[length - 1] == '\r';
    }
    return mp__secrets_add(secrets, mp_str_of(name), (struct mp_str){buffer, length},
                           false);
}

static int read_entries(struct mp_secrets *secrets, DIR *dir, char *buffer,
                        struct mp_error *err)
{
    int status = MP_OK;
    while (status == MP_OK) {
        errno = 0;
        const struct dirent *item = readdir(dir);
        if (!item && errno) {
            return mp_error_set(err, MP_EIO, "could not read the secrets folder %s: %s",
                                secrets->folder, strerror(errno));
        }
        if (!item) {
            break;
        }
        if (mp__secret_name_is_valid(mp_str_of(item->d_name))) {
            status = add_file(secrets, dir, item->d_name, buffer, err);
        }
    }
    return status;
}

static int read_folder(struct mp_secrets *secrets, const char *folder,
                       struct mp_error *err)
{
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/') {
        length--;
    }
    secrets->folder = strndup(folder, length);
    char *buffer = malloc(MP_SECRET_BYTES + 1);
    if (!secrets->folder || !buffer) {
        free(buffer);
        return MP_ENOMEM;
    }
    DIR *dir = opendir(secrets->folder);
    int status =
        dir ? read_entries(secrets, dir, buffer, err)
            : mp_error_set(err, MP_EIO, "could not read the secrets folder %s: %s",
                           secrets->folder, strerror(errno));
    if (dir) {
        closedir(dir);
    }
    explicit_bzero(buffer, MP_SECRET_BYTES + 1);
    free(buffer);
    return status;
}

int mp_secrets_read(const char *folder, struct mp_secrets **out, struct mp_error *err)
{
    struct mp_secrets *secrets = mp__secrets_new();
    int status = secrets ? read_environment(secrets, err) : MP_ENOMEM;
    if (status == MP_OK && folder) {
        status = read_folder(secrets, folder, err);
    }
    if (status == MP_OK) {
        status = mp__secrets_finish(secrets);
    }
    if (status != MP_OK) {
        mp_secrets_unref(secrets);
        return status == MP_ENOMEM
                   ? mp_error_set(err, status,
                                  "could not read the secrets: out of memory")
                   : status;
    }
    *out = secrets;
    return MP_OK;
}
