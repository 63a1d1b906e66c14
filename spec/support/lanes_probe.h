/* SPDX-License-Identifier: MIT */
#pragma once

#include "src/queue/kafka_lanes.h"

/* Plays the owner of Kafka's lanes on a clock of its own, for the specs: figures, a line
 * each, on stdout. */

/* A record and its item in one; several items share the record of their lane. */
struct mp__played {
    struct mp__kafka_item item; /* first: the lanes' owner casts */
    struct mp__played *next;    /* of the list it is in */
    int lane;
    int64_t at_ms; /* arrived, will be finished, … */
    bool spilled;
};

int mp__play_simulation(int count, char **word);
int mp__play_random(int count, char **word);
int mp__play_bench(int count, char **word);

/* A lane of its own partner, or one of postback's. */
void mp__play_name(struct mp_record *record, int number, bool of_postback);
