/* SPDX-License-Identifier: MIT */
#include "moonpost/secrets.h"

#include <ctype.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct mp_secrets {
    _Atomic unsigned references;
};

int mp_secrets_read(const char *folder, struct mp_secrets **out, struct mp_error *err)
{
    (void)folder;
    struct mp_secrets *secrets = calloc(1, sizeof(*secrets));
    if (!secrets) {
        return mp_error_set(err, MP_ENOMEM, "could not read the secrets: out of memory");
    }
    atomic_init(&secrets->references, 1);
    *out = secrets;
    return MP_OK;
}

struct mp_secrets *mp_secrets_ref(struct mp_secrets *secrets)
{
    atomic_fetch_add(&secrets->references, 1);
    return secrets;
}

void mp_secrets_unref(struct mp_secrets *secrets)
{
    if (secrets && atomic_fetch_sub(&secrets->references, 1) == 1) {
        free(secrets);
    }
}

int mp_secrets_find(const struct mp_secrets *secrets, struct mp_str name,
                    struct mp_str *value, struct mp_error *err)
{
    (void)secrets;
    char variable[sizeof("MOONPOST_SECRET_") + MP_SECRET_NAME_BYTES] = "MOONPOST_SECRET_";
    size_t at = strlen(variable);
    bool good = name.length > 0 && name.length < MP_SECRET_NAME_BYTES;
    for (size_t i = 0; i < name.length && good; i++) {
        int c = (unsigned char)name.data[i];
        good = c < 0x80 && (isalnum(c) || c == '_' || c == '-');
        variable[at++] = (char)(c == '-' ? '_' : toupper(c));
    }
    if (!good) {
        return mp_error_set(err, MP_EINVAL,
                            "a secret's name has letters, digits, _ and -, 1 to %d of "
                            "them",
                            MP_SECRET_NAME_BYTES - 1);
    }
    variable[at] = '\0';
    const char *found = getenv(variable);
    if (!found) {
        return mp_error_set(err, MP_ENOTFOUND,
                            "there is no secret \"%.*s\": set %s in the environment",
                            (int)name.length, name.data, variable);
    }
    *value = mp_str_of(found);
    return MP_OK;
}
