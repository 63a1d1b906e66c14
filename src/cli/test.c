/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "places.h"

#define PATH_BYTES 4096

extern char **environ;

/* The words of the command that is run; each is the list's own. */
struct list {
    char **items;
    size_t count;
    bool failed;
};

static void add(struct list *list, const char *text)
{
    char **more = realloc(list->items, (list->count + 2) * sizeof(*more));
    char *copy = strdup(text);
    list->items = more ? more : list->items;
    if (!more || !copy) {
        free(copy);
        list->failed = true;
        return;
    }
    list->items[list->count++] = copy;
    list->items[list->count] = NULL;
}

static void list_free(struct list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i]);
    }
    free(list->items);
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);
    return length > end_length && strcmp(text + length - end_length, end) == 0;
}

static bool is_there(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static void add_once(struct list *specs, const char *path)
{
    for (size_t i = 0; i < specs->count; i++) {
        if (strcmp(specs->items[i], path) == 0) {
            return;
        }
    }
    add(specs, path);
}

/* DIR/x.lua's spec is DIR/spec/x_spec.lua. */
static void add_script(struct list *specs, const char *script)
{
    char spec[PATH_BYTES];
    const char *slash = strrchr(script, '/');
    int folder_length = slash ? (int)(slash + 1 - script) : 0;
    const char *base = script + folder_length;
    int length = snprintf(spec, sizeof(spec), "%.*sspec/%.*s_spec.lua", folder_length,
                          script, (int)strlen(base) - 4, base);
    if (length < (int)sizeof(spec) && is_there(spec)) {
        add_once(specs, spec);
    } else {
        fprintf(stderr, "moonpost: %s has no spec: there is no %s\n", script, spec);
    }
}

static int is_script(const struct dirent *item)
{
    struct mp_str name = mp_str_of(item->d_name);
    if (!ends_with(item->d_name, ".lua")) {
        return 0;
    }
    name.length -= 4;
    return mp_partner_name_is_valid(name);
}

static int is_spec(const struct dirent *item)
{
    return item->d_name[0] != '.' && ends_with(item->d_name, "_spec.lua");
}

static void add_each(struct list *specs, const char *folder,
                     int (*wanted)(const struct dirent *item),
                     void (*each)(struct list *specs, const char *path))
{
    struct dirent **items;
    char path[PATH_BYTES];
    int count = scandir(folder, &items, wanted, alphasort);
    for (int i = 0; i < count; i++) {
        if (snprintf(path, sizeof(path), "%s/%s", folder, items[i]->d_name) <
            (int)sizeof(path)) {
            each(specs, path);
        }
        free(items[i]);
    }
    if (count >= 0) {
        free(items);
    }
}

static int add_folder(struct list *specs, const char *folder)
{
    char path[PATH_BYTES];
    struct stat st;
    int length = (int)strlen(folder);
    while (length > 1 && folder[length - 1] == '/') {
        length--;
    }
    snprintf(path, sizeof(path) - 8, "%.*s", length, folder);
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return mp__complain(MP_EXIT_USAGE, "could not read %s: there is no such folder",
                            folder);
    }
    add_each(specs, path, is_script, add_script);
    strcat(path, "/spec");
    add_each(specs, path, is_spec, add_once);
    return MP_EXIT_OK;
}

/* A script, its spec, a folder of scripts, or a partner of --scripts. */
static int add_word(struct list *specs, const struct mp_settings *settings,
                    const char *word)
{
    char path[PATH_BYTES];
    struct stat st;
    const char *file = mp__plain_path(word);
    if (mp_partner_name_is_valid(mp_str_of(word)) &&
        (stat(word, &st) != 0 || !S_ISDIR(st.st_mode))) {
        snprintf(path, sizeof(path), "%s/%s.lua", mp__plain_path(settings->scripts),
                 word);
        file = path;
    }
    if (stat(file, &st) != 0) {
        return mp__complain(MP_EXIT_USAGE, "could not read %s: %s", file,
                            strerror(errno));
    }
    if (S_ISDIR(st.st_mode)) {
        return add_folder(specs, file);
    }
    if (!ends_with(file, ".lua")) {
        return mp__complain(MP_EXIT_USAGE, "%s is neither a script nor its spec", file);
    }
    if (ends_with(file, "_spec.lua")) {
        add_once(specs, file);
    } else {
        add_script(specs, file);
    }
    return MP_EXIT_OK;
}

static int not_installed(const char *name)
{
    return mp__complain(MP_EXIT_REACH,
                        "could not find %s: specs run in busted, under LuaJIT; on Debian "
                        "apt-get install lua-busted luajit lua-cjson",
                        name);
}

/* Debian's busted is a Lua script, which LuaJIT can run itself; elsewhere it may be a
 * shell's, which is asked to start LuaJIT. */
static bool is_lua(const char *program)
{
    char line[128] = "";
    FILE *file = fopen(program, "rb");
    bool answer = file && fgets(line, sizeof(line), file) &&
                  strncmp(line, "#!", 2) == 0 && strstr(line, "lua");
    if (file) {
        fclose(file);
    }
    return answer;
}

static int add_program(struct list *command)
{
    char busted[PATH_BYTES], luajit[PATH_BYTES];
    if (!mp__program_find("busted", busted)) {
        return not_installed("busted");
    }
    if (!mp__program_find("luajit", luajit)) {
        return not_installed("luajit");
    }
    if (is_lua(busted)) {
        add(command, luajit);
        add(command, busted);
        add(command, "--ignore-lua");
    } else {
        add(command, busted);
        add(command, "--lua=luajit");
    }
    return MP_EXIT_OK;
}

/* So that specs find moonpost.testing wherever they are started. */
static int set_environment(void)
{
    struct mp__places places;
    struct mp_error err;
    char path[2 * PATH_BYTES];
    if (mp__places_find(&places, &err)) {
        return mp__complain(MP_EXIT_REACH, "%s", err.text);
    }
    const char *before = getenv("LUA_PATH");
    snprintf(path, sizeof(path), "%s/?.lua;%s", places.modules,
             before && *before ? before : ";");
    return setenv("LUA_PATH", path, 1) || setenv("MOONPOST_LIBRARY", places.library, 1)
               ? mp__complain(MP_EXIT_FAILED, "could not start busted: out of memory")
               : MP_EXIT_OK;
}

static int run(struct list *command)
{
    pid_t pid;
    int state;
    int code = posix_spawn(&pid, command->items[0], NULL, NULL, command->items, environ);
    if (code != 0) {
        return mp__complain(MP_EXIT_REACH, "could not start %s: %s", command->items[0],
                            strerror(code));
    }
    while (waitpid(pid, &state, 0) < 0) {
        if (errno != EINTR) {
            return mp__complain(MP_EXIT_FAILED, "could not wait for busted: %s",
                                strerror(errno));
        }
    }
    if (WIFSIGNALED(state)) {
        return mp__complain(MP_EXIT_FAILED, "busted was ended by signal %d",
                            WTERMSIG(state));
    }
    return WEXITSTATUS(state) == 0 ? MP_EXIT_OK : MP_EXIT_FAILED;
}

static int run_specs(const struct list *specs, const struct mp_settings *settings)
{
    struct list command = {0};
    int code = add_program(&command);
    code = code ? code : set_environment();
    for (size_t i = 0; i < settings->rest_count; i++) {
        add(&command, settings->rest[i]);
    }
    for (size_t i = 0; i < specs->count; i++) {
        add(&command, specs->items[i]);
    }
    if (code == MP_EXIT_OK) {
        code = command.failed || specs->failed
                   ? mp__complain(MP_EXIT_FAILED, "could not start busted: out of memory")
                   : run(&command);
    }
    list_free(&command);
    return code;
}

int mp_cli_test(const struct mp_settings *settings, const char **words, size_t count)
{
    struct list specs = {0};
    int code =
        count == 0 ? add_folder(&specs, mp__plain_path(settings->scripts)) : MP_EXIT_OK;
    for (size_t i = 0; i < count && code == MP_EXIT_OK; i++) {
        code = add_word(&specs, settings, words[i]);
    }
    if (code == MP_EXIT_OK && specs.count == 0) {
        fputs("moonpost: there is no spec to run\n", stderr);
    } else if (code == MP_EXIT_OK) {
        code = run_specs(&specs, settings);
    }
    list_free(&specs);
    return code;
}
