/* SPDX-License-Identifier: MIT */
#pragma once

#include <pthread.h>
#include <stdint.h>

#include "moonpost/secrets.h"

/* What secrets are made of: secrets.c keeps them, secrets_read.c finds them,
 * secrets_hide.c looks for them in texts. */

struct mp__secret_entry {
    struct mp_str name;  /* of a file; of a variable what follows MOONPOST_SECRET_ */
    struct mp_str shown; /* the name, as scripts write it */
    struct mp_str value;
    bool is_variable;
};
struct mp__secret_invented;
struct mp__hider;

struct mp_secrets {
    _Atomic unsigned references;
    char *folder;  /* NULL: none */
    bool is_given; /* by a spec: there is nowhere else to look */
    bool invents;
    struct mp__secret_entry *entries; /* files before variables, each by name */
    size_t count, capacity;
    struct mp__hider *hider;
    pthread_mutex_t mutex; /* guards what follows */
    struct mp__secret_invented *invented;
};

#define MP__SECRET_VARIABLE "MOONPOST_SECRET_"

bool mp__secret_name_is_valid(struct mp_str name);
/* Copies. MP_ENOMEM. */
MP_MUST_CHECK int mp__secrets_add(struct mp_secrets *secrets, struct mp_str name,
                                  struct mp_str value, bool is_variable);
/* One reference, without entries. NULL: out of memory. */
struct mp_secrets *mp__secrets_new(void);
/* Once all are added: puts them in order and makes the hider. MP_ENOMEM. */
MP_MUST_CHECK int mp__secrets_finish(struct mp_secrets *secrets);

/* Of the entries as they are, which must stay. MP_ENOMEM. */
MP_MUST_CHECK int mp__hider_new(const struct mp_secrets *secrets, struct mp__hider **out);
void mp__hider_free(struct mp__hider *hider); /* NULL is allowed */
