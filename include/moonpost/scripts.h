/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "moonpost/script.h"

/* The scripts folder, kept loaded. A thread of its own (the loader) reads, checks and
 * swaps; the main loop hears of each change once it is whole. Also answers `try`, with
 * the request builder that app hands in, so that nothing here knows the delivery room. */

struct mp_scripts;

/* One partner's news. */
struct mp_scripts_change {
    char name[MP_PARTNER_BYTES];
    struct mp_script *script; /* the newest usable generation, a reference for the callee;
                                 NULL: none (broken or gone) */
    const char
        *error;   /* the file as it is now does not load: file:line and why; NULL: ok */
    bool is_gone; /* the file is no longer there */
    bool secrets_changed; /* same file, a secret's value changed */
};

/* POST /api/try. Slices are the caller's until done; so is `request`, which it inits
 * before and finis after. */
struct mp_try {
    struct mp_str partner;
    struct mp_str event;                         /* a checked JSON object */
    struct mp_str endpoint_method, endpoint_url; /* postback */
    struct mp_str type;
    uint32_t attempt; /* from 1 */
    /* Filled by the builder: MP_OK and the request, or the reason. */
    int status;
    char generation[MP_GENERATION_BYTES];
    struct mp_request request;
    int64_t retry_ms[64];
    size_t retry_count;
    char reason[512];
    void (*done)(struct mp_try *try_);
    void *arg;
};
/* Runs on the loader thread with a fresh state (NULL when the script has no functions).
 */
typedef void (*mp_try_builder)(struct mp_script *script, struct mp_script_state *state,
                               struct mp_try *try_);

#ifndef MP_CDEF
#include <uv.h>

struct mp_scripts_config {
    const char *folder;
    const char *secrets;          /* --secrets, watched like the folder; NULL: none */
    const struct mp_str *proxies; /* their names */
    size_t proxy_count;
    /* The program whose `test SPEC` runs a spec: a generation is told only once its
     * partner's passes. NULL: there is no gate. The strings live as long as the scripts.
     */
    const char *gate;
    int64_t gate_ms; /* the most that a spec may take */
    mp_try_builder builder;
    void (*on_change)(void *arg, const struct mp_scripts_change *change); /* main loop */
    void (*on_loaded)(void *arg); /* main loop: once, after the first whole pass */
    void *arg;
};
/* Every file of the folder is told through on_change, then on_loaded. A missing folder is
 * an error, secrets that cannot be read too; a broken file is not. */
MP_MUST_CHECK int mp_scripts_start(uv_loop_t *loop,
                                   const struct mp_scripts_config *config,
                                   struct mp_scripts **out, struct mp_error *err);
/* MP_ENOTFOUND: no such partner, or no usable generation; MP_ENOMEM, MP_ECLOSED. On MP_OK
 * `done` runs on the main loop, with status MP_ECLOSED when the scripts are closed
 * before. */
MP_MUST_CHECK int mp_scripts_try(struct mp_scripts *scripts, struct mp_try *try_);
/* Reads every file again now (SIGHUP), and tries those that are broken once more. */
void mp_scripts_rescan(struct mp_scripts *scripts);
/* Tells nothing more, answers every try that waits, ends the thread. */
void mp_scripts_close(struct mp_scripts *scripts, void (*on_closed)(void *arg),
                      void *arg);

/* `moonpost check`: loads each file (or every file of a folder), calls `each` with the
 * error or NULL. Blocks. Returns how many failed. */
int mp_scripts_check(const char *path, const char *secrets,
                     void (*each)(void *arg, const char *file, struct mp_script *script,
                                  const char *error),
                     void *arg);
/* `moonpost try` without a server: loads the partner's file from `folder` and builds.
 * Blocks. */
MP_MUST_CHECK int mp_scripts_try_file(const char *folder, const char *secrets,
                                      mp_try_builder builder, struct mp_try *try_,
                                      struct mp_error *err);
#endif
