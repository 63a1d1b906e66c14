/* SPDX-License-Identifier: MIT */
#pragma once

#include "moonpost/buf.h"

/* Base64 (RFC 4648): the standard alphabet with padding (section 4), and the one for URLs
 * and file names (section 5), which is written without padding. */

enum mp_base64 { MP_BASE64, MP_BASE64_URL };

/* Appends `data` in base64. MP_ELIMIT, MP_ENOMEM: `out` is as before. */
MP_MUST_CHECK int mp_base64_encode(struct mp_str data, enum mp_base64 alphabet,
                                   struct mp_buf *out);
/* Appends what standard base64 says, its padding there or not. MP_EINVAL for any other
 * byte, white space too; `out` is as before. */
MP_MUST_CHECK int mp_base64_decode(struct mp_str text, struct mp_buf *out);
