/* SPDX-License-Identifier: MIT */
#pragma once

#include "kafka.h"

/* What the owner knows of each name, and what is on its way to the topic. */

/* A record of this name, or a tombstone. */
void mp__pause_state_take(struct mp__kafka *engine, struct mp_str name,
                          const rd_kafka_message_t *message);
/* All is read that there was at the start: the owner is told. */
void mp__pause_states_loaded(struct mp__kafka *engine);
/* Now and then while there is nothing more to read. */
void mp__pause_states_at_end(struct mp__kafka *engine);
void mp__pause_states_fini(struct mp__kafka_pauses *pauses);
