/* SPDX-License-Identifier: MIT */
#pragma once

#include "moonpost/cli.h"

/* `moonpost run`: builds the rooms in the order of the path, runs the main loop until
 * SIGTERM or SIGINT, drains them in the order of the path. Blocks. MP_OK after a clean
 * end; else `err` says what could not be started. */
MP_MUST_CHECK int mp_app_run(const struct mp_settings *settings, struct mp_error *err);
