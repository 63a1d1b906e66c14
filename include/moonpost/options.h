/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moonpost/buf.h"

/* Options from one table: flag, environment name, default, help. A flag wins over the
 * environment, which wins over the default. `--data DIR`, `--data=DIR`; MOONPOST_DATA. */

enum mp_option_kind {
    MP_OPTION_FLAG, /* bool; `--no-auth`; in the environment 1, true, yes or 0, false, no
                     */
    MP_OPTION_TEXT, /* const char * */
    MP_OPTION_NUMBER,   /* int64_t */
    MP_OPTION_SIZE,     /* int64_t, bytes */
    MP_OPTION_DURATION, /* int64_t, ms */
    MP_OPTION_REPEATED  /* struct mp_option_texts: each use adds one */
};

struct mp_option_texts {
    const char **items;
    size_t count;
};

struct mp_option {
    const char *name; /* "ingest-token-file", without dashes */
    char letter;      /* 'X', or 0 */
    enum mp_option_kind kind;
    const char *argument; /* "FILE" in the help; NULL for a flag */
    const char *fallback; /* the default as one would write it; NULL: none */
    const char *help;     /* one line */
    unsigned commands;    /* bits: which commands have it */
    size_t offset;        /* of the member in the settings struct */
    int64_t min;          /* of NUMBER, SIZE, DURATION; both 0: not limited */
    int64_t max;
};

/* Fills `settings` (zeroed by the caller) from `argv[0..argc)`, `getenv` and the
 * defaults. Positional words go to `words` (room for `words_max`), `--` ends the options.
 * Texts point into argv, the environment or memory that lives as long as the process.
 * MP_EINVAL names the option, what was given and what it takes; a near miss is suggested
 * ("did you mean --listen?"). */
MP_MUST_CHECK int mp_options_parse(const struct mp_option *table, size_t count,
                                   unsigned command, int argc, char **argv,
                                   void *settings, const char **words, size_t words_max,
                                   size_t *word_count, struct mp_error *err);

/* Appends the help of a command's options, a line or two each, with default and
 * environment name, at most 100 columns. */
MP_MUST_CHECK int mp_options_help(const struct mp_option *table, size_t count,
                                  unsigned command, struct mp_buf *out);
