/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "moonpost/buf.h"

/* Secrets: values by name, from the environment (MOONPOST_SECRET_ACME_TOKEN is
 * "acme_token") and from a folder of files, as Docker and Kubernetes mount them. What was
 * read once never changes and is shared by count, so any thread may look at it. */

#define MP_SECRET_NAME_BYTES 129
#define MP_SECRET_BYTES      ((size_t)64 * 1024)

struct mp_secrets;

/* Reads both, now. `folder` may be NULL: the environment alone. The file x, or what a
 * link x leads to, is the secret "x", without one line's end at its end; it wins over the
 * environment. Passed over: folders, names that begin with a dot, names that are not
 * [A-Za-z0-9_-]{1,128}. An empty one is as none: half a save. MP_EIO, MP_ELIMIT (one over
 * 64 KiB), MP_ENOMEM; `err` names the file, never a value. */
MP_MUST_CHECK int mp_secrets_read(const char *folder, struct mp_secrets **out,
                                  struct mp_error *err);
/* For specs of scripts: exactly these; with `invents` any other x is "test-x". */
struct mp_secret_value {
    struct mp_str name, value;
};
MP_MUST_CHECK int mp_secrets_of(const struct mp_secret_value *values, size_t count,
                                bool invents, struct mp_secrets **out);
struct mp_secrets *mp_secrets_ref(struct mp_secrets *secrets);
void mp_secrets_unref(struct mp_secrets *secrets); /* NULL is allowed */

/* MP_OK with a value that lives as long as the secrets; MP_ENOTFOUND, with `err` saying
 * where it was looked for; MP_EINVAL: no such name can be. */
MP_MUST_CHECK int mp_secrets_find(const struct mp_secrets *secrets, struct mp_str name,
                                  struct mp_str *value, struct mp_error *err);
/* Is it the same in both: the same value, or in neither? */
bool mp_secrets_agree(const struct mp_secrets *a, const struct mp_secrets *b,
                      struct mp_str name);
/* Are all the same in both? */
bool mp_secrets_equal(const struct mp_secrets *a, const struct mp_secrets *b);
/* Appends `text` with every value of four bytes or more, also as it stands in URLs, JSON
 * strings, HTML and base64 (with "user:" before it, too), and from eight bytes on in hex
 * and in capitals or small letters alone, written [secret name]. Of a value with several
 * lines each line of 16 bytes or more is hidden alone, since others join and indent them;
 * of one that is a URL its path, and each part of that of 16 bytes or more, since others
 * say which was not found; one that the text's end cuts, from 8 bytes or half of it on.
 * For what others say: a partner's answer, an error. On failure `out` is as before. */
MP_MUST_CHECK int mp_secrets_hide(const struct mp_secrets *secrets, struct mp_str text,
                                  struct mp_buf *out);
/* The same in place, in `size` bytes, NUL included; what no longer fits is cut. */
void mp_secrets_hide_text(const struct mp_secrets *secrets, char *text, size_t size);
