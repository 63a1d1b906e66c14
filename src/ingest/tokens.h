/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

#include "moonpost/buf.h"

/* A file of bearer tokens, one a line, `#` comments. Only their digests stay in memory.
 */

struct mp__tokens;

/* MP_EIO, MP_EINVAL (the line's number is told, never the line; also when there is none).
 */
MP_MUST_CHECK int mp__tokens_open(const char *path, struct mp__tokens **out,
                                  struct mp_error *err);
void mp__tokens_free(struct mp__tokens *tokens);
/* Looks at the file again when it changed, at most once a second. What cannot be read
 * leaves the old tokens valid. Every token is compared, each in constant time. */
bool mp__tokens_has(struct mp__tokens *tokens, struct mp_str token);
