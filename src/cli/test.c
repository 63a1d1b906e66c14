/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "places.h"

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);
    return length > end_length && strcmp(text + length - end_length, end) == 0;
}

static bool is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static void add_once(struct mp__words *specs, const char *path)
{
    for (size_t i = 0; i < specs->count; i++) {
        if (strcmp(specs->items[i], path) == 0) {
            return;
        }
    }
    mp__words_add(specs, path);
}

/* DIR/x.lua's spec is DIR/spec/x_spec.lua. */
static void add_script(struct mp__words *specs, const char *script)
{
    char spec[MP__PATH_BYTES];
    const char *slash = strrchr(script, '/');
    const char *name = slash ? slash + 1 : script;
    if (!mp__path(spec, "%.*sspec/%.*s_spec.lua", (int)(name - script), script,
                  (int)(strlen(name) - strlen(".lua")), name)) {
        mp__complain(0, "could not find the spec of %s: %s", script, strerror(errno));
    } else if (is_file(spec)) {
        add_once(specs, spec);
    } else {
        mp__complain(0, "%s has no spec: there is no %s", script, spec);
    }
}

static int is_script(const struct dirent *item)
{
    struct mp_str name = mp_str_of(item->d_name);
    if (!ends_with(item->d_name, ".lua")) {
        return 0;
    }
    name.length -= strlen(".lua");
    return mp_partner_name_is_valid(name);
}

static int is_spec(const struct dirent *item)
{
    return item->d_name[0] != '.' && ends_with(item->d_name, "_spec.lua");
}

static int could_not_read(const char *path)
{
    return mp__complain(MP_EXIT_USAGE, "could not read %s: %s", path, strerror(errno));
}

/* Calls `each` for what is `wanted`, in order of name. */
static int add_each(struct mp__words *specs, const char *folder,
                    int (*wanted)(const struct dirent *item),
                    void (*each)(struct mp__words *specs, const char *path))
{
    struct dirent **items;
    char path[MP__PATH_BYTES];
    int count = scandir(folder, &items, wanted, alphasort);
    if (count < 0) {
        return could_not_read(folder);
    }
    for (int i = 0; i < count; i++) {
        if (mp__path(path, "%s/%s", folder, items[i]->d_name)) {
            each(specs, path);
        } else {
            could_not_read(items[i]->d_name);
        }
        free(items[i]);
    }
    free(items);
    return MP_EXIT_OK;
}

/* The specs of its scripts, then those in its spec/ that are of none. */
static int add_folder(struct mp__words *specs, const char *named)
{
    char folder[MP__PATH_BYTES], spec[MP__PATH_BYTES];
    struct stat st;
    if (!mp__folder(folder, named) || !mp__path(spec, "%s/spec", folder)) {
        return could_not_read(named);
    }
    if (strcmp(folder, "spec") == 0 || ends_with(folder, "/spec")) {
        return add_each(specs, folder, is_spec, add_once);
    }
    int code = add_each(specs, folder, is_script, add_script);
    return code || stat(spec, &st) != 0 ? code : add_each(specs, spec, is_spec, add_once);
}

static int add_path(struct mp__words *specs, const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        return could_not_read(path);
    }
    if (S_ISDIR(st.st_mode)) {
        return add_folder(specs, path);
    }
    if (!ends_with(path, ".lua")) {
        return mp__complain(MP_EXIT_USAGE, "could not test %s: it is no Lua file", path);
    }
    if (ends_with(path, "_spec.lua")) {
        add_once(specs, path);
    } else {
        add_script(specs, path);
    }
    return MP_EXIT_OK;
}

/* A partner of --scripts, a script, its spec, or a folder of scripts. */
static int add_word(struct mp__words *specs, const struct mp_settings *settings,
                    const char *word)
{
    char folder[MP__PATH_BYTES], script[MP__PATH_BYTES];
    struct stat st;
    if (!mp_partner_name_is_valid(mp_str_of(word))) {
        return add_path(specs, mp__plain_path(word));
    }
    if (!mp__folder(folder, settings->scripts) ||
        !mp__path(script, "%s/%s.lua", folder, word)) {
        return could_not_read(settings->scripts);
    }
    if (is_file(script)) {
        add_script(specs, script);
        return MP_EXIT_OK;
    }
    return add_path(specs, stat(word, &st) == 0 ? word : script);
}

/* The reload gate's (script/gate_run.c), which is the parent and leads no group of ours:
 * when it is gone, however it went, nobody else ends a spec that never does. */
static void end_all(int number)
{
    (void)number;
    kill(0, SIGKILL);
}

static void end_with_gate(void)
{
    const char *gate = getenv("MOONPOST_GATE");
    if (gate && getpgrp() == getpid()) {
        signal(SIGTERM, end_all);
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != atoi(gate)) {
            end_all(SIGTERM);
        }
    }
}

int mp_cli_test(const struct mp_settings *settings, const char **words, size_t count)
{
    struct mp__words specs = {0};
    end_with_gate();
    int code = count == 0 ? add_folder(&specs, settings->scripts) : MP_EXIT_OK;
    for (size_t i = 0; i < count && code == MP_EXIT_OK; i++) {
        code = add_word(&specs, settings, words[i]);
    }
    if (code == MP_EXIT_OK && specs.failed) {
        code = mp__complain(MP_EXIT_FAILED, "could not start busted: out of memory");
    } else if (code == MP_EXIT_OK && specs.count == 0) {
        code = mp__complain(MP_EXIT_OK, "there is no spec to run");
    } else if (code == MP_EXIT_OK) {
        code = mp__busted(&specs, settings->rest, settings->rest_count);
    }
    mp__words_fini(&specs);
    return code;
}
