/* SPDX-License-Identifier: MIT */
#include "gate.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "moonpost/clock.h"

#define OUTPUT_BYTES                                                                     \
    ((size_t)64 * 1024) /* of what a spec prints, the rest is not read                   \
                         */
#define TICK_MS 20      /* tries, and the end, wait no longer */

extern char **environ;

/* The program that runs a spec, and what it said. */
struct run {
    pid_t pid;
    int fd; /* what it prints, both kinds */
    int64_t until_ms;
    struct mp_buf said;
};

/* Nothing of the runtime's own settings and secrets: a spec's secrets are invented. The
 * strings are the environment's. */
static char **plain_environment(void)
{
    size_t count = 0, kept = 0;
    while (environ[count]) {
        count++;
    }
    char **out = calloc(count + 1, sizeof(*out));
    for (size_t i = 0; out && i < count; i++) {
        if (strncmp(environ[i], "MOONPOST_", 9) != 0) {
            out[kept++] = environ[i];
        }
    }
    return out;
}

/* A group of its own, so that all that it starts ends with it; no descriptor of ours. */
static int prepare(posix_spawnattr_t *attributes, posix_spawn_file_actions_t *actions,
                   int out)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int code = posix_spawnattr_setsigmask(attributes, &none);
    code = code ? code : posix_spawnattr_setsigdefault(attributes, &all);
    code = code ? code : posix_spawnattr_setpgroup(attributes, 0);
    code = code ? code
                : posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP |
                                                           POSIX_SPAWN_SETSIGMASK |
                                                           POSIX_SPAWN_SETSIGDEF);
    code = code ? code
                : posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
    code = code ? code : posix_spawn_file_actions_adddup2(actions, out, 1);
    code = code ? code : posix_spawn_file_actions_adddup2(actions, out, 2);
    return code ? code : posix_spawn_file_actions_addclosefrom_np(actions, 3);
}

static int spawn(struct run *run, const char *program, const char *spec, int out)
{
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    char *const words[] = {"moonpost", "test", (char *)(uintptr_t)spec,
                           "--",       "-o",   "moonpost.testing.brief",
                           NULL};
    char **environment = plain_environment();
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

/* 0, or errno. */
static int begin(struct run *run, const char *program, const char *spec)
{
    int ends[2];
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

/* The end of what it says counts: of more than there is room for the older half goes.
 * False: it has closed its side. */
static bool read_some(struct run *run)
{
    char bytes[4096];
    ssize_t got = read(run->fd, bytes, sizeof(bytes));
    if (got > 0 && run->said.length + (size_t)got > OUTPUT_BYTES) {
        size_t kept = OUTPUT_BYTES / 2;
        memmove(run->said.data, run->said.data + run->said.length - kept, kept);
        run->said.length = kept;
    }
    if (got > 0 && mp_buf_append(&run->said, bytes, (size_t)got) != MP_OK) {
        mp_buf_reset(&run->said);
    }
    return got > 0 || (got < 0 && errno == EINTR);
}

enum end { ENDED, LATE, STOPPED };

/* Until the program has ended and all is read, its time is up or the loader stops. */
static enum end wait_for(struct run *run, struct mp__loader *loader, int *state)
{
    bool is_open = true;
    while (mp_clock_mono_ms() < run->until_ms) {
        struct pollfd out = {.fd = is_open ? run->fd : -1, .events = POLLIN};
        if (poll(&out, 1, TICK_MS) > 0) {
            is_open = read_some(run);
        } else if (run->pid == 0 || waitpid(run->pid, state, WNOHANG) == run->pid) {
            run->pid = 0;
            return ENDED;
        }
        mp__loader_serve(loader);
        if (mp__loader_is_stopping(loader)) {
            return STOPPED;
        }
    }
    return LATE;
}

/* Whatever of the group is left, be it what the spec began and forgot. */
static void finish(struct run *run, pid_t group)
{
    kill(-group, SIGKILL);
    if (run->pid != 0) {
        while (waitpid(run->pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    close(run->fd);
}

/* The line at `at`, and where the next begins. */
static struct mp_str take_line(struct mp_str *text)
{
    const char *end = memchr(text->data, '\n', text->length);
    size_t length = end ? (size_t)(end - text->data) : text->length;
    struct mp_str line = {text->data, length};
    size_t taken = end ? length + 1 : length;
    *text = (struct mp_str){text->data + taken, text->length - taken};
    return line;
}

/* What moonpost.testing.brief and what came before it said. */
struct report {
    struct mp_str first_failure; /* without its "not ok: " */
    struct mp_str last;          /* the last line that is not empty */
    unsigned failures, passed;
};

static struct report read_report(struct mp_str said)
{
    static const char mark[] = "not ok: ";
    struct report report = {0};
    while (said.length > 0) {
        struct mp_str line = take_line(&said);
        size_t skip = sizeof(mark) - 1;
        if (line.length > skip && memcmp(line.data, mark, skip) == 0) {
            struct mp_str failure = {line.data + skip, line.length - skip};
            report.first_failure = report.failures ? report.first_failure : failure;
            report.failures++;
        }
        report.last = line.length > 0 ? line : report.last;
    }
    char last[64];
    unsigned failed;
    snprintf(last, sizeof(last), "%.*s", (int)report.last.length, report.last.data);
    if (sscanf(last, "%u passed, %u failed", &report.passed, &failed) != 2) {
        report.passed = 0;
    }
    return report;
}

static int judge(const struct run *run, int state, const char *shown, const char *spec,
                 struct mp_error *err)
{
    struct report report = read_report(mp_buf_str(&run->said));
    bool is_well = WIFEXITED(state) && WEXITSTATUS(state) == 0;
    if (is_well && report.passed > 0) {
        return MP_OK;
    }
    if (report.failures > 0) {
        char more[32] = "";
        if (report.failures > 1) {
            snprintf(more, sizeof(more), " (and %u more)", report.failures - 1);
        }
        return mp_error_set(err, MP_ESCRIPT, "%s: its spec fails: %.*s%s", shown,
                            (int)report.first_failure.length, report.first_failure.data,
                            more);
    }
    if (is_well) {
        return mp_error_set(err, MP_ESCRIPT,
                            "%s: its spec shows nothing: no example "
                            "of %s was run to its end",
                            shown, spec);
    }
    return mp_error_set(err, MP_ESCRIPT, "%s: its spec could not be run: %s %d%s%.*s",
                        shown, WIFEXITED(state) ? "it ended with code" : "it got signal",
                        WIFEXITED(state) ? WEXITSTATUS(state) : WTERMSIG(state),
                        report.last.length > 0 ? ", after: " : "",
                        (int)report.last.length, report.last.data);
}

static int run_spec(const struct mp__folder *folder, const char *shown, const char *spec,
                    struct mp_error *err)
{
    struct run run = {.until_ms = mp_clock_mono_ms() + folder->gate_ms};
    int state = 0;
    int code = begin(&run, folder->gate, spec);
    if (code != 0) {
        return mp_error_set(err, MP_ESCRIPT, "%s: its spec could not be run: %s", shown,
                            strerror(code));
    }
    pid_t group = run.pid;
    mp_buf_init(&run.said, OUTPUT_BYTES);
    enum end end = wait_for(&run, folder->loader, &state);
    finish(&run, group);
    int status = end == STOPPED ? MP_ECLOSED
                 : end == ENDED
                     ? judge(&run, state, shown, spec, err)
                     : mp_error_set(err, MP_ESCRIPT,
                                    "%s: its spec %s takes longer than %g s "
                                    "(--reload-gate-timeout)",
                                    shown, spec, (double)folder->gate_ms / 1000);
    mp_buf_fini(&run.said);
    return status;
}

int mp__gate_ask(const struct mp__folder *folder, const struct mp__entry *entry,
                 const char *shown, struct mp_error *err)
{
    char spec[PATH_MAX];
    int length =
        snprintf(spec, sizeof(spec), "%s/spec/%s_spec.lua", folder->path, entry->name);
    if (length >= PATH_MAX || access(spec, F_OK) != 0) {
        return mp_error_set(err, MP_ESCRIPT,
                            "%s: it has no spec: write %s, or run without --reload-gate",
                            shown, spec);
    }
    return run_spec(folder, shown, spec, err);
}
