/* SPDX-License-Identifier: MIT */
#include "gate.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gate_run.h"

/* What moonpost.testing.brief and what came before it said. */
struct report {
    char first_failure[400]; /* without its "not ok: " */
    char last[256];          /* line */
    unsigned passed, failed;
};

/* No character is cut in two. */
static void copy(char *to, size_t size, struct mp_str text)
{
    size_t length = mp_str_fit(text, size - 1);
    memcpy(to, text.data, length);
    to[length] = '\0';
}

/* False: the line does not begin with the mark. */
static bool take_mark(struct mp_str line, const char *mark, struct mp_str *rest)
{
    size_t skip = strlen(mark);
    if (line.length <= skip || memcmp(line.data, mark, skip) != 0) {
        return false;
    }
    *rest = (struct mp_str){line.data + skip, line.length - skip};
    return true;
}

/* The last such line counts: what the spec began may say on. */
static void read_counts(struct mp_str line, struct report *report)
{
    char text[64];
    unsigned passed, failed;
    snprintf(text, sizeof(text), "%.*s", (int)line.length, line.data);
    if (sscanf(text, "%u passed, %u failed", &passed, &failed) == 2) {
        report->passed = passed;
        report->failed = failed;
    }
}

static void read_line(void *arg, struct mp_str line)
{
    struct report *report = arg;
    struct mp_str rest;
    if (!report->first_failure[0] && take_mark(line, "not ok: ", &rest)) {
        copy(report->first_failure, sizeof(report->first_failure), rest);
    }
    read_counts(line, report);
    copy(report->last, sizeof(report->last), line);
}

static int judge(const struct report *report, int state, const char *shown,
                 const char *spec, struct mp_error *err)
{
    bool is_well = WIFEXITED(state) && WEXITSTATUS(state) == 0;
    if (report->first_failure[0] && (!is_well || report->failed > 0)) {
        char more[32] = "";
        if (report->failed > 1) {
            snprintf(more, sizeof(more), " (and %u more)", report->failed - 1);
        }
        return mp_error_set(err, MP_ESCRIPT, "%s: its spec fails: %s%s", shown,
                            report->first_failure, more);
    }
    if (is_well && report->failed == 0) {
        return report->passed > 0
                   ? MP_OK
                   : mp_error_set(err, MP_ESCRIPT,
                                  "%s: its spec shows nothing: no example of %s was run "
                                  "to its end",
                                  shown, spec);
    }
    return mp_error_set(err, MP_ESCRIPT, "%s: its spec could not be run: %s %d%s%s",
                        shown, WIFEXITED(state) ? "it ended with code" : "it got signal",
                        WIFEXITED(state) ? WEXITSTATUS(state) : WTERMSIG(state),
                        report->last[0] ? ", after: " : "", report->last);
}

static int run_spec(const struct mp__folder *folder, const char *shown, const char *spec,
                    struct mp_error *err)
{
    struct report report = {0};
    struct mp__gate_run run = {.on_line = read_line, .arg = &report};
    int code = mp__gate_begin(&run, folder->gate, spec, folder->gate_ms);
    if (code != 0) {
        return mp_error_set(err, MP_ESCRIPT, "%s: its spec could not be run: %s", shown,
                            strerror(code));
    }
    enum mp__gate_end end = mp__gate_wait(&run, folder->loader);
    mp__gate_finish(&run);
    if (end == MP__GATE_STOPPED) {
        return MP_ECLOSED;
    }
    int status = end == MP__GATE_ENDED
                     ? judge(&report, run.state, shown, spec, err)
                     : mp_error_set(err, MP_ESCRIPT,
                                    "%s: its spec %s takes longer than %g s "
                                    "(--reload-gate-timeout)",
                                    shown, spec, (double)folder->gate_ms / 1000);
    if (status != MP_OK) {
        mp_secrets_hide_text(folder->around.env.secrets, err->text, sizeof(err->text));
    }
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
