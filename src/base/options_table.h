/* SPDX-License-Identifier: MIT */
#pragma once

#include "moonpost/options.h"

#define MP__ENVIRONMENT_NAME_BYTES 80

/* MOONPOST_ and the name in upper case, with _ for -. */
void mp__option_environment(const struct mp_option *option,
                            char out[MP__ENVIRONMENT_NAME_BYTES]);

/* Parses `text` into the option's member of `settings`. `origin` is how the user gave it:
 * "--data" or "MOONPOST_DATA". A REPEATED option gets one more text. */
int mp__option_store(const struct mp_option *option, const char *origin, const char *text,
                     void *settings, struct mp_error *err);
