/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "places.h"

/* A program of that name in PATH. */
static bool find_program(const char *name, char path[MP__PATH_BYTES])
{
    const char *at = getenv("PATH");
    struct stat st;
    while (at && *at) {
        int length = (int)strcspn(at, ":");
        if (length > 0 && mp__path(path, "%.*s/%s", length, at, name) &&
            stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0) {
            return true;
        }
        at += length + (at[length] == ':');
    }
    return false;
}

/* What runs a spec. */
struct programs {
    char busted[MP__PATH_BYTES], luajit[MP__PATH_BYTES];
};

static int find_programs(struct programs *programs, struct mp_error *err)
{
    const char *missing = !find_program("busted", programs->busted)   ? "busted"
                          : !find_program("luajit", programs->luajit) ? "luajit"
                                                                      : NULL;
    return missing ? mp_error_set(err, MP_ENOTFOUND,
                                  "could not find %s: specs run in busted, under LuaJIT; "
                                  "on Debian apt-get install lua-busted luajit lua-cjson",
                                  missing)
                   : MP_OK;
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

static int add_program(struct mp__words *command)
{
    struct programs programs;
    struct mp_error err;
    if (find_programs(&programs, &err) != MP_OK) {
        return mp__complain(MP_EXIT_REACH, "%s", err.text);
    }
    if (is_lua(programs.busted)) {
        mp__words_add(command, programs.luajit);
        mp__words_add(command, programs.busted);
        mp__words_add(command, "--ignore-lua");
    } else {
        mp__words_add(command, programs.busted);
        mp__words_add(command, "--lua=luajit");
    }
    return MP_EXIT_OK;
}

int mp_cli_can_test(struct mp_error *err)
{
    struct programs programs;
    struct mp__places places;
    int status = find_programs(&programs, err);
    return status ? status : mp__places_find(&places, err);
}

static int no_memory(void)
{
    return mp__complain(MP_EXIT_FAILED, "could not start busted: out of memory");
}

/* So that specs find moonpost.testing wherever they are started. */
static int set_environment(void)
{
    struct mp__places places;
    struct mp_error err;
    struct mp_buf path;
    if (mp__places_find(&places, &err)) {
        return mp__complain(MP_EXIT_REACH, "%s", err.text);
    }
    const char *before = getenv("LUA_PATH");
    mp_buf_init(&path, MP_CLI_BYTES_MAX);
    bool failed = mp_buf_printf(&path, "%s/?.lua;%s", places.modules,
                                before && *before ? before : ";") ||
                  !mp_buf_cstr(&path) || setenv("LUA_PATH", path.data, 1) != 0 ||
                  setenv("MOONPOST_LIBRARY", places.library, 1) != 0;
    mp_buf_fini(&path);
    return failed ? no_memory() : MP_EXIT_OK;
}

/* In the child. It ends when we do, however that is. */
static void become(struct mp__words *command, pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && getppid() == parent) {
        execv(command->items[0], command->items);
        mp__complain(0, "could not start %s: %s", command->items[0], strerror(errno));
    }
    _exit(MP_EXIT_FAILED);
}

/* Ctrl-C reaches busted too: we wait for what it has to say. */
static int wait_for(pid_t pid)
{
    int state;
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

static int run(struct mp__words *command)
{
    pid_t self = getpid();
    void (*on_int)(int) = signal(SIGINT, SIG_IGN);
    void (*on_quit)(int) = signal(SIGQUIT, SIG_IGN);
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGINT, on_int);
        signal(SIGQUIT, on_quit);
        become(command, self);
    }
    int code = pid < 0 ? mp__complain(MP_EXIT_FAILED, "could not start busted: %s",
                                      strerror(errno))
                       : wait_for(pid);
    signal(SIGINT, on_int);
    signal(SIGQUIT, on_quit);
    return code;
}

int mp__busted(const struct mp__words *specs, char **rest, size_t rest_count)
{
    struct mp__words command = {0};
    int code = add_program(&command);
    code = code ? code : set_environment();
    for (size_t i = 0; i < rest_count; i++) {
        mp__words_add(&command, rest[i]);
    }
    for (size_t i = 0; i < specs->count; i++) {
        mp__words_add(&command, specs->items[i]);
    }
    if (code == MP_EXIT_OK) {
        code = command.failed ? no_memory() : run(&command);
    }
    mp__words_fini(&command);
    return code;
}
