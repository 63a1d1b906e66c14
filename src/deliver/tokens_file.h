/* SPDX-License-Identifier: MIT */
#pragma once

#include "moonpost/buf.h"

/* Refresh tokens that an endpoint rotated: <folder>/oauth2/<name>.json, readable by its
 * owner alone. Both block for the disk; no lock may be held. */

#define MP__REFRESH_BYTES_MAX ((size_t)64 * 1024)

/* Appends the token; nothing when there is no file. MP_EIO; MP_EINVAL: there is a file,
 * and it is not ours; MP_ENOMEM. */
MP_MUST_CHECK int mp__token_file_read(const char *folder, const char *name,
                                      struct mp_buf *out, struct mp_error *err);
/* Whole or not at all, and on disk when it returns. MP_EIO, MP_ENOMEM. */
MP_MUST_CHECK int mp__token_file_write(const char *folder, const char *name,
                                       struct mp_str refresh, struct mp_error *err);
