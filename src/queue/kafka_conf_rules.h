/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

#include "kafka_conf.h"

/* What the files that make settings share. */

/* NULL: the user may set it so. Otherwise why not, as a sentence goes on. */
const char *mp__kafka_refuse(const char *name, const char *value);
/* Before 2.5.0 a connection that is lost at the wrong time is a fatal error (fixed in
 * 2.3.0 and once more in 2.5.0). */
bool mp__kafka_is_idempotence_sound(void);

/* One of the user's settings. `where` is "-X" or "file:line". Returns other than MP_OK to
 * stop. */
typedef int (*mp__kafka_setting_cb)(void *arg, const char *name, const char *value,
                                    const char *where, struct mp_error *err);
/* The file's settings and then the others, in their order. MP_EINVAL: what is no setting,
 * told without its text, or what `each` returned. */
MP_MUST_CHECK int mp__kafka_each_setting(const struct mp_kafka_cluster *cluster,
                                         mp__kafka_setting_cb each, void *arg,
                                         struct mp_error *err);
