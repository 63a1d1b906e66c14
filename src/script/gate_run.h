/* SPDX-License-Identifier: MIT */
#pragma once

#include "loader.h"

/* The program that runs a spec: begun, listened to, and ended with all that it began. */

#define MP__GATE_LINE_BYTES 8192 /* read of a line that it prints */

enum mp__gate_end { MP__GATE_ENDED, MP__GATE_LATE, MP__GATE_STOPPED };

struct mp__gate_run {
    pid_t pid;
    int fd; /* what it prints, both kinds */
    int64_t until_ms;
    bool has_ended;                                 /* the program, not what it began */
    int state;                                      /* as waitpid gives it */
    void (*on_line)(void *arg, struct mp_str line); /* each that it prints, tidy */
    void *arg;
    char line[MP__GATE_LINE_BYTES];
    size_t line_length;
};

/* 0, or errno: then there is nothing to finish. `on_line` and `arg` are the caller's. */
MP_MUST_CHECK int mp__gate_begin(struct mp__gate_run *run, const char *program,
                                 const char *spec, int64_t most_ms);
/* Until it has ended and all is read, its time is up or the loader stops. Tries are
 * answered meanwhile. */
enum mp__gate_end mp__gate_wait(struct mp__gate_run *run, struct mp__loader *loader);
void mp__gate_finish(struct mp__gate_run *run);
