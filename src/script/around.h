/* SPDX-License-Identifier: MIT */
#pragma once

#include "loader.h"

/* What the folder's scripts find around them: the modules of lib, the secrets and, where
 * they are asked, the specs. Loader's thread. */

/* A folder as it was when it was last read. */
struct mp__place {
    char *path;      /* NULL: there is none to look at */
    bool is_told_of; /* an event tells when it comes to be */
    bool has_lua;    /* nothing else in it matters: a spec may write what it found */
    uint8_t sum[32];
    bool is_sure;              /* unchanged since, when the sum is the same */
    int64_t restless_since_ms; /* monotonic; 0: it is at rest */
};

struct mp__around {
    struct mp__place lib, secrets, specs;
    struct mp_script_env env; /* its secrets are the newest reading */
    uint64_t version;         /* grows when something may have changed */
    int64_t changed_ms;       /* monotonic: when it last grew */
    char trouble[512];        /* why the secrets cannot be read; empty: they can */
};

/* Takes the reference to `secrets`, on failure too. MP_ENOMEM. */
MP_MUST_CHECK int mp__around_init(struct mp__around *around, const char *folder,
                                  const struct mp_scripts_config *config,
                                  struct mp_secrets *secrets);
void mp__around_fini(struct mp__around *around);
/* Looks at all of it, and has them watched (`watch` may be NULL). `*want_ms` gets lower
 * when it wants to look again sooner. False: something is being written, whoever loads a
 * script should wait for it. */
bool mp__around_look(struct mp__around *around, struct mp__watch *watch,
                     enum mp__scan_kind kind, int64_t *want_ms);
/* Whether the script was loaded with what is around now, as far as it uses it. */
bool mp__around_suits(const struct mp__around *around, const struct mp_script *script);
/* The state of the files that the script is made of, its own and its modules': the same
 * before and after, nothing was written between. */
void mp__around_marks(const struct mp_script *script, uint8_t out[32]);
/* And whether they hold what it was made of, and the secrets do. */
bool mp__around_holds(const struct mp__around *around, const struct mp_script *script);
/* The same of two generations' secrets. */
bool mp__secrets_suit(const struct mp_script *script, const struct mp_secrets *secrets);
