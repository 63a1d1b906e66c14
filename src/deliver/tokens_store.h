/* SPDX-License-Identifier: MIT */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "map.h"
#include "tokens.h"
#include "wake.h"

/* What the store's files share. All of it is under the lock, but what is said to be
 * another's. */

#define MP__TOKEN_NAME  65 /* SHA-256 in hex, and a NUL */
#define MP__TOKEN_TEXTS 8

struct mp__token_store {
    pthread_mutex_t lock;
    struct mp__token_store_config config; /* unchanged */
    struct mp__map tokens, families;
    struct mp__wake **listeners;
    unsigned listener_count;
    uint64_t numbers; /* given to tokens so far */
    _Atomic uint64_t version;
};

/* A refresh token and what it was rotated to. Several access tokens may come of one, but
 * only one at a time is fetched with it. */
struct mp__family {
    struct mp__map_node node;
    char name[MP__TOKEN_NAME];
    struct mp_buf refresh; /* the newest; empty: the script's own. Changed, under the
                              lock, by who fetches alone */
    bool is_read;          /* from its file; who fetches' own */
    bool is_busy;
};

struct mp__token {
    struct mp__map_node node;
    char name[MP__TOKEN_NAME];
    struct mp__token_store *tokens;
    struct mp__family *family; /* NULL: client credentials */
    unsigned uses;
    struct mp_buf access; /* the last there was: who was let in with it still sends it */
    uint64_t number;
    bool is_good;
    bool was_refused; /* by a partner; the next one replaces it */
    bool replaces;    /* one that was refused */
    int64_t given_ms, refresh_ms, ends_ms;
    bool is_fetched; /* somebody is at it */
    unsigned failures;
    int64_t next_ms;
    bool is_refused; /* by the endpoint */
    char why[256];
    uint64_t told; /* a hash of what the last fetch came to; 0: a token */
};

/* Under the lock. */
void mp__token_store_changed(struct mp__token_store *tokens);
