/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <uv.h>

#include "moonpost/deliver.h"
#include "moonpost/json.h"

/* Runs the loader alone, for its specs: prints what it tells as JSON lines, takes
 * commands from a FIFO.
 * mp_scripts_probe FOLDER FIFO     try PARTNER JSON, rescan, close, abandon PARTNER JSON
 *                                  (a hundred tries, then close)
 * mp_scripts_probe check PATH      what `moonpost check` is told
 * mp_scripts_probe try FOLDER PARTNER JSON
 * In the environment, PROBE_SECRETS is the folder of secrets, PROBE_GATE the program that
 * runs specs, which have PROBE_GATE_MS; with PROBE_BLIND there is no inotify, as on a
 * machine that is out of it; with PROBE_FIRST orphans are its own, as they are process
 * 1's; with PROBE_HEEDLESS it was started by who does not wait for children. */

int inotify_init1(int flags)
{
    if (getenv("PROBE_BLIND")) {
        errno = EMFILE;
        return -1;
    }
    return (int)syscall(SYS_inotify_init1, flags);
}

static struct mp_scripts *scripts;
static uv_pipe_t commands;
static char line[64 * 1024];
static size_t line_length;

static void print(struct mp_buf *out)
{
    if (mp_buf_append_char(out, '\n') != MP_OK) {
        abort();
    }
    fwrite(out->data, 1, out->length, stdout);
    fflush(stdout);
    mp_buf_fini(out);
}

static void member(struct mp_buf *out, const char *name, struct mp_str text)
{
    int status = mp_buf_printf(out, "%s\"%s\":", out->length ? "," : "{", name);
    status = status ? status : mp_json_write_string(out, text);
    if (status != MP_OK) {
        abort();
    }
}

static void finish(struct mp_buf *out, const char *rest)
{
    if (mp_buf_append_text(out, rest) != MP_OK) {
        abort();
    }
    print(out);
}

static void on_change(void *arg, const struct mp_scripts_change *change)
{
    (void)arg;
    struct mp_buf out;
    mp_buf_init(&out, 8 * 1024 * 1024);
    member(&out, "change", mp_str_of(change->name));
    if (change->script) {
        member(&out, "generation", mp_str_of(change->script->generation));
        member(&out, "source", change->script->source);
    }
    if (change->error) {
        member(&out, "error", mp_str_of(change->error));
    }
    finish(&out, change->is_gone           ? ",\"gone\":true}"
                 : change->secrets_changed ? ",\"secrets_changed\":true}"
                                           : "}");
    mp_script_unref(change->script);
}

static void on_loaded(void *arg)
{
    (void)arg;
    puts("{\"loaded\":true}");
    fflush(stdout);
}

static void on_scripts_closed(void *arg)
{
    (void)arg;
    uv_close((uv_handle_t *)&commands, NULL);
}

static void print_try(const struct mp_try *try_)
{
    struct mp_buf out;
    mp_buf_init(&out, 8 * 1024 * 1024);
    member(&out, "try", try_->partner);
    member(&out, "status", mp_str_of(mp_status_name(try_->status)));
    member(&out, "generation", mp_str_of(try_->generation));
    if (try_->status == MP_OK) {
        member(&out, "method", mp_str_of(try_->request.method));
        member(&out, "url", mp_request_url_shown(&try_->request));
        member(&out, "body", mp_request_body(&try_->request));
    } else {
        member(&out, "reason", mp_str_of(try_->reason));
    }
    finish(&out, "}");
}

struct job {
    struct mp_try try_;
    char text[8 * 1024];
};

static void on_try(struct mp_try *try_)
{
    print_try(try_);
    mp_request_fini(&try_->request);
    free(try_->arg);
}

static void start_try(const char *words)
{
    struct job *job = calloc(1, sizeof(*job));
    if (!job) {
        abort();
    }
    snprintf(job->text, sizeof(job->text), "%s", words);
    char *event = strchr(job->text, ' ');
    *event++ = '\0';
    job->try_.partner = mp_str_of(job->text);
    job->try_.event = mp_str_of(event);
    job->try_.attempt = 1;
    job->try_.done = on_try;
    job->try_.arg = job;
    mp_request_init(&job->try_.request);
    int status = mp_scripts_try(scripts, &job->try_);
    if (status != MP_OK) {
        job->try_.status = status;
        on_try(&job->try_);
    }
}

static void run_command(const char *command)
{
    if (strncmp(command, "try ", 4) == 0) {
        start_try(command + 4);
    } else if (strcmp(command, "rescan") == 0) {
        mp_scripts_rescan(scripts);
    } else if (strncmp(command, "abandon ", 8) == 0) {
        for (int i = 0; i < 100; i++) {
            start_try(command + 8);
        }
        mp_scripts_close(scripts, on_scripts_closed, NULL);
    } else {
        mp_scripts_close(scripts, on_scripts_closed, NULL);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)handle;
    (void)suggested;
    *buf = uv_buf_init(line + line_length, (unsigned)(sizeof(line) - line_length));
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    (void)stream;
    (void)buf;
    line_length += got > 0 ? (size_t)got : 0;
    char *end;
    while ((end = memchr(line, '\n', line_length)) != NULL) {
        *end = '\0';
        run_command(line);
        line_length -= (size_t)(end + 1 - line);
        memmove(line, end + 1, line_length);
    }
}

static int run(const char *folder, const char *fifo)
{
    uv_loop_t *loop = uv_default_loop();
    const char *gate_ms = getenv("PROBE_GATE_MS");
    struct mp_scripts_config config = {.folder = folder,
                                       .secrets = getenv("PROBE_SECRETS"),
                                       .gate = getenv("PROBE_GATE"),
                                       .gate_ms = atoi(gate_ms ? gate_ms : "0"),
                                       .builder = mp_request_try,
                                       .on_change = on_change,
                                       .on_loaded = on_loaded};
    struct mp_error err;
    uv_pipe_init(loop, &commands, 0);
    uv_pipe_open(&commands, open(fifo, O_RDWR | O_NONBLOCK | O_CLOEXEC));
    uv_read_start((uv_stream_t *)&commands, on_alloc, on_read);
    if (mp_scripts_start(loop, &config, &scripts, &err) != MP_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    uv_run(loop, UV_RUN_DEFAULT);
    uv_loop_close(loop);
    puts("{\"closed\":true}");
    return 0;
}

static void on_checked(void *arg, const char *file, struct mp_script *script,
                       const char *error)
{
    (void)arg;
    struct mp_buf out;
    mp_buf_init(&out, 1024 * 1024);
    member(&out, "file", mp_str_of(file));
    if (script) {
        member(&out, "generation", mp_str_of(script->generation));
    }
    if (error) {
        member(&out, "error", mp_str_of(error));
    }
    finish(&out, "}");
}

static int try_file(const char *folder, const char *partner, const char *event)
{
    static struct mp_try try_;
    struct mp_error err;
    try_.partner = mp_str_of(partner);
    try_.event = mp_str_of(event);
    mp_request_init(&try_.request);
    int status =
        mp_scripts_try_file(folder, getenv("PROBE_SECRETS"), mp_request_try, &try_, &err);
    if (status == MP_OK) {
        print_try(&try_);
    } else {
        fprintf(stderr, "%s\n", err.text);
    }
    mp_request_fini(&try_.request);
    return status != MP_OK;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "check") == 0) {
        return mp_scripts_check(argv[2], getenv("PROBE_SECRETS"), on_checked, NULL);
    }
    if (argc == 5 && strcmp(argv[1], "try") == 0) {
        return try_file(argv[2], argv[3], argv[4]);
    }
    if (getenv("PROBE_FIRST")) {
        prctl(PR_SET_CHILD_SUBREAPER, 1);
    }
    if (getenv("PROBE_HEEDLESS")) {
        signal(SIGCHLD, SIG_IGN);
    }
    if (argc != 3 || mp_script_watchdog_start() != MP_OK) {
        return 2;
    }
    int code = run(argv[1], argv[2]);
    mp_script_watchdog_stop();
    return code;
}
