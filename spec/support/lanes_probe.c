/* SPDX-License-Identifier: MIT */
/* mp_lanes_probe simulate OPTION=NUMBER… GROUP…  |  random SEED STEPS  |  bench */
#include "lanes_probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mp__play_name(struct mp_record *record, int number, bool of_postback)
{
    char text[64];
    snprintf(text, sizeof(text),
             of_postback ? "postback https://host-%d:443" : "partner-%d", number);
    *record = (struct mp_record){.lane = mp_str_of(strdup(text))};
    const char *space = strchr(record->lane.data, ' ');
    record->partner = record->lane;
    if (space) {
        record->partner.length = (size_t)(space - record->lane.data);
    }
}

int main(int count, char **word)
{
    const char *what = count > 1 ? word[1] : "";
    if (strcmp(what, "simulate") == 0) {
        return mp__play_simulation(count - 2, word + 2);
    }
    if (strcmp(what, "random") == 0) {
        return mp__play_random(count - 2, word + 2);
    }
    if (strcmp(what, "bench") == 0) {
        return mp__play_bench(count - 2, word + 2);
    }
    fputs("simulate, random or bench\n", stderr);
    return 2;
}
