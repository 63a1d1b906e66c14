/* SPDX-License-Identifier: MIT */
#pragma once

#include "moonpost/status.h"

/* Diagnostics: one line a fact on stderr, `2026-11-23T22:04:19.123Z error queue: could
 * not …`. The attempt log on stdout is not this: see deliver.h. Any thread may call. A
 * line is one write(2), so lines never mix. Never given a secret, a whole event or a
 * whole URL. */

enum mp_log_level { MP_LOG_DEBUG, MP_LOG_INFO, MP_LOG_WARN, MP_LOG_ERROR };

/* Lines below `level` are dropped; MP_LOG_INFO until called. Call before threads start.
 */
void mp_log_set_level(enum mp_log_level level);
/* "debug" "info" "warn" "error"; MP_EINVAL otherwise. */
int mp_log_level_parse(const char *name, enum mp_log_level *level);

/* `room` is the folder's name. Control bytes in the text are written as \xNN, so that
 * what a stranger sent cannot forge a line. */
void mp_log(enum mp_log_level level, const char *room, const char *format, ...)
    MP_PRINTF(3, 4);

#define mp_log_debug(room, ...) mp_log(MP_LOG_DEBUG, room, __VA_ARGS__)
#define mp_log_info(room, ...)  mp_log(MP_LOG_INFO, room, __VA_ARGS__)
#define mp_log_warn(room, ...)  mp_log(MP_LOG_WARN, room, __VA_ARGS__)
#define mp_log_error(room, ...) mp_log(MP_LOG_ERROR, room, __VA_ARGS__)
