/* SPDX-License-Identifier: MIT */
#pragma once

#include "folder.h"

/* --reload-gate: a generation goes live once its partner's spec passes, which is
 * spec/<partner>_spec.lua in the scripts' folder. Loader's thread, which waits for it:
 * one spec at a time. */

/* Runs the spec, on the files as they lie. MP_OK: it passes. MP_ESCRIPT: it does not, or
 * there is none; `err` says why, in a line that begins with `shown`, the script's path.
 * MP_ECLOSED: the loader stops. Tries are answered meanwhile. */
MP_MUST_CHECK int mp__gate_ask(const struct mp__folder *folder,
                               const struct mp__entry *entry, const char *shown,
                               struct mp_error *err);
