/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "loader.h"

/* The commands that look at scripts without a server. They load on a thread, since a
 * script may need a deeper stack than the main thread has. */

/* With the lib beside the file. */
static int load_file(struct mp_str name, const char *path, struct mp_secrets *secrets,
                     struct mp_script **out, struct mp_error *err)
{
    struct mp_buf source;
    struct mp__mark mark;
    char lib[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int folder = slash ? (int)(slash - path) + 1 : 0;
    if (snprintf(lib, sizeof(lib), "%.*slib", folder, path) >= PATH_MAX) {
        return mp_error_set(err, MP_EIO, "could not read %s: %s", path,
                            strerror(ENAMETOOLONG));
    }
    const struct mp_script_env env = {.lib_folder = lib, .secrets = secrets};
    mp_buf_init(&source, MP__SOURCE_MAX_BYTES);
    int status = mp__source_read(path, &source, &mark, err);
    if (status == MP_OK) {
        status = mp_script_load(name, mp_buf_str(&source), path, &env, out, err);
    }
    mp_buf_fini(&source);
    return status;
}

struct check {
    const char *path;
    struct mp_secrets *secrets;
    void (*each)(void *arg, const char *file, struct mp_script *script,
                 const char *error);
    void *arg;
    int failed;
};

static void check_file(struct check *check, const char *path)
{
    const char *slash = strrchr(path, '/');
    struct mp_script *script = NULL;
    struct mp_error err = {0};
    struct mp_str name;
    int status = MP_EINVAL;
    if (mp__name_of_file(slash ? slash + 1 : path, &name) == MP__NAME_PARTNER) {
        status = load_file(name, path, check->secrets, &script, &err);
    } else {
        mp_error_set(&err, status,
                     "%s is no partner: name it <partner>.lua, with a-z, 0-9, _ "
                     "and -, at most 64 of them",
                     path);
    }
    if (status != MP_OK && err.text[0] == '\0') {
        mp_error_set(&err, status, "could not load %s: %s", path, mp_status_text(status));
    }
    check->failed += status != MP_OK;
    check->each(check->arg, path, script, status == MP_OK ? NULL : err.text);
    mp_script_unref(script);
}

static int is_script(const struct dirent *item)
{
    struct mp_str name;
    return mp__name_of_file(item->d_name, &name) != MP__NAME_IGNORED;
}

static void refuse(struct check *check, int code)
{
    struct mp_error err;
    mp_error_set(&err, MP_EIO, "could not read %s: %s", check->path, strerror(code));
    check->failed++;
    check->each(check->arg, check->path, NULL, err.text);
}

static void check_folder(struct check *check)
{
    struct dirent **items;
    int count = scandir(check->path, &items, is_script, alphasort);
    if (count < 0) {
        refuse(check, errno);
        return;
    }
    int length = (int)strlen(check->path);
    while (length > 1 && check->path[length - 1] == '/') {
        length--;
    }
    for (int i = 0; i < count; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof(path), "%.*s/%s", length, check->path, items[i]->d_name);
        check_file(check, path);
        free(items[i]);
    }
    free(items);
}

static void *run_check(void *arg)
{
    struct check *check = arg;
    struct stat st;
    if (stat(check->path, &st) != 0) {
        refuse(check, errno);
    } else if (S_ISDIR(st.st_mode)) {
        check_folder(check);
    } else {
        check_file(check, check->path);
    }
    return NULL;
}

int mp_scripts_check(const char *path, const char *secrets,
                     void (*each)(void *arg, const char *file, struct mp_script *script,
                                  const char *error),
                     void *arg)
{
    struct check check = {.path = path, .each = each, .arg = arg};
    struct mp_error err = {0};
    if (mp_secrets_read(secrets, &check.secrets, &err) != MP_OK) {
        each(arg, path, NULL, err.text);
        return 1;
    }
    if (mp_script_apart(run_check, &check) != MP_OK) {
        refuse(&check, ENOMEM);
    }
    mp_secrets_unref(check.secrets);
    return check.failed;
}

struct attempt {
    const char *folder;
    struct mp_secrets *secrets;
    mp_try_builder builder;
    struct mp_try *try_;
    struct mp_error *err;
    int status;
};

static void *run_attempt(void *arg)
{
    struct attempt *attempt = arg;
    struct mp_str name = attempt->try_->partner;
    struct mp_script *script = NULL;
    char path[PATH_MAX];
    struct stat st;
    if (!mp_partner_name_is_valid(name) ||
        snprintf(path, sizeof(path), "%s/%.*s.lua", attempt->folder, (int)name.length,
                 name.data) >= PATH_MAX ||
        (stat(path, &st) != 0 && errno == ENOENT)) {
        attempt->status = mp_error_set(
            attempt->err, MP_ENOTFOUND, "could not try %.*s: there is no %s/%.*s.lua",
            (int)name.length, name.data, attempt->folder, (int)name.length, name.data);
        return NULL;
    }
    attempt->status = load_file(name, path, attempt->secrets, &script, attempt->err);
    if (attempt->status == MP_OK) {
        mp__try_run(script, attempt->builder, attempt->try_);
        mp_script_unref(script);
    }
    return NULL;
}

int mp_scripts_try_file(const char *folder, const char *secrets, mp_try_builder builder,
                        struct mp_try *try_, struct mp_error *err)
{
    struct attempt attempt = {folder, NULL, builder, try_, err, MP_OK};
    int status = mp_secrets_read(secrets, &attempt.secrets, err);
    if (status != MP_OK) {
        return status;
    }
    if (mp_script_apart(run_attempt, &attempt) != MP_OK) {
        attempt.status =
            mp_error_set(err, MP_ENOMEM, "could not start a thread: out of memory");
    }
    mp_secrets_unref(attempt.secrets);
    return attempt.status;
}
