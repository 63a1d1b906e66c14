/* SPDX-License-Identifier: MIT */
#include "gate_run.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "moonpost/clock.h"

#define TICK_MS  20  /* tries, and the end, wait no longer */
#define TAIL_MS  500 /* once it has ended: for what it said, or what it began says on */
#define PASSES   100 /* over what it began, until all of it is gone */
#define PAUSE_MS 2

extern char **environ;

/* Nothing of the runtime's own settings and secrets: a spec's secrets are invented. The
 * strings are the environment's, and `own`. */
static char **plain_environment(char *own)
{
    size_t count = 0, kept = 0;
    while (environ[count]) {
        count++;
    }
    char **out = calloc(count + 2, sizeof(*out));
    for (size_t i = 0; out && i < count; i++) {
        if (strncmp(environ[i], "MOONPOST_", 9) != 0) {
            out[kept++] = environ[i];
        }
    }
    if (out) {
        out[kept] = own;
    }
    return out;
}

/* A session of its own, so that all that it starts can be found; no descriptor of ours.
 */
static int prepare(posix_spawnattr_t *attributes, posix_spawn_file_actions_t *actions,
                   int out)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int code = posix_spawnattr_setsigmask(attributes, &none);
    code = code ? code : posix_spawnattr_setsigdefault(attributes, &all);
    code = code ? code
                : posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSID |
                                                           POSIX_SPAWN_SETSIGMASK |
                                                           POSIX_SPAWN_SETSIGDEF);
    code = code ? code
                : posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
    code = code ? code : posix_spawn_file_actions_adddup2(actions, out, 1);
    code = code ? code : posix_spawn_file_actions_adddup2(actions, out, 2);
    return code ? code : posix_spawn_file_actions_addclosefrom_np(actions, 3);
}

static int spawn(struct mp__gate_run *run, const char *program, const char *spec, int out)
{
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    char *const words[] = {"moonpost", "test", (char *)(uintptr_t)spec,
                           "--",       "-o",   "moonpost.testing.brief",
                           NULL};
    char own[48]; /* it ends when we do: cli/test.c */
    snprintf(own, sizeof(own), "MOONPOST_GATE=%d", (int)getpid());
    char **environment = plain_environment(own);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_init(&actions);
    int code = environment ? prepare(&attributes, &actions, out) : ENOMEM;
    code =
        code ? code
             : posix_spawn(&run->pid, program, &actions, &attributes, words, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    free(environment);
    return code;
}

int mp__gate_begin(struct mp__gate_run *run, const char *program, const char *spec,
                   int64_t most_ms)
{
    int ends[2];
    run->until_ms = mp_clock_mono_ms() + most_ms;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return errno;
    }
    int code = spawn(run, program, spec, ends[1]);
    close(ends[1]);
    if (code != 0) {
        close(ends[0]);
        return code;
    }
    run->fd = ends[0];
    return 0;
}

/* No NUL, nothing that moves a terminal's cursor. */
static void tidy(char *line, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)line[i];
        bool is_c1 =
            c >= 0x80 && c <= 0x9F && i > 0 && (unsigned char)line[i - 1] == 0xC2;
        if (is_c1) {
            line[i - 1] = ' ';
        }
        if (is_c1 || c < ' ' || c == 0x7F) {
            line[i] = ' ';
        }
    }
}

static void end_line(struct mp__gate_run *run)
{
    if (run->line_length > 0) {
        tidy(run->line, run->line_length);
        run->on_line(run->arg, (struct mp_str){run->line, run->line_length});
    }
    run->line_length = 0;
}

static void take(struct mp__gate_run *run, const char *at, size_t left)
{
    while (left > 0) {
        const char *end = memchr(at, '\n', left);
        size_t length = end ? (size_t)(end - at) : left;
        size_t room = sizeof(run->line) - run->line_length;
        size_t kept = length < room ? length : room;
        memcpy(run->line + run->line_length, at, kept);
        run->line_length += kept;
        if (end) {
            end_line(run);
        }
        length += end != NULL;
        at += length;
        left -= length;
    }
}

/* False: it has closed its side. */
static bool read_some(struct mp__gate_run *run)
{
    char bytes[16 * 1024];
    ssize_t got = read(run->fd, bytes, sizeof(bytes));
    take(run, bytes, got > 0 ? (size_t)got : 0);
    return got > 0 || (got < 0 && errno == EINTR);
}

/* It stays a zombie: till the last of its session is gone nobody else gets its number. */
static void look_for_end(struct mp__gate_run *run)
{
    siginfo_t info = {0};
    int options = WEXITED | WNOHANG | WNOWAIT;
    if (!run->has_ended && waitid(P_PID, (id_t)run->pid, &info, options) == 0 &&
        info.si_pid == run->pid) {
        int64_t tail_ms = mp_clock_mono_ms() + TAIL_MS;
        run->until_ms = tail_ms < run->until_ms ? tail_ms : run->until_ms;
        run->has_ended = true;
    }
}

enum mp__gate_end mp__gate_wait(struct mp__gate_run *run, struct mp__loader *loader)
{
    bool is_open = true;
    while (mp_clock_mono_ms() < run->until_ms) {
        struct pollfd out = {.fd = is_open ? run->fd : -1, .events = POLLIN};
        bool has_said = poll(&out, 1, TICK_MS) > 0;
        if (has_said) {
            is_open = read_some(run);
        } else if (run->has_ended) {
            break;
        }
        look_for_end(run);
        mp__loader_serve(loader);
        if (mp__loader_is_stopping(loader)) {
            return MP__GATE_STOPPED;
        }
    }
    end_line(run);
    return run->has_ended ? MP__GATE_ENDED : MP__GATE_LATE;
}

/* What it began, also in groups of their own. As process 1 we are the parent of those
 * whose own is gone: then they are waited for. False: nobody is left. */
static bool end_session(pid_t leader)
{
    bool is_left = false;
    DIR *proc = opendir("/proc");
    for (const struct dirent *item; proc && (item = readdir(proc));) {
        pid_t pid = isdigit((unsigned char)item->d_name[0]) ? atoi(item->d_name) : 0;
        if (pid > 1 && pid != leader && getsid(pid) == leader) {
            kill(pid, SIGKILL);
            waitpid(pid, NULL, WNOHANG);
            is_left = true;
        }
    }
    if (proc) {
        closedir(proc);
    }
    return is_left;
}

void mp__gate_finish(struct mp__gate_run *run)
{
    kill(-run->pid, SIGKILL); /* at once, so that none of them can begin another */
    for (int pass = 0; pass < PASSES && end_session(run->pid); pass++) {
        poll(NULL, 0, PAUSE_MS);
    }
    while (waitpid(run->pid, &run->state, 0) < 0 && errno == EINTR) {
    }
    close(run->fd);
}
