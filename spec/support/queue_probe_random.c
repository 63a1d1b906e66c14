/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "moonpost/clock.h"
#include "queue_probe.h"

/* What an owner may do, in any order, told line by line. */

static const char *const random_lanes[] = {"l1", "l2", "l3"};
static bool random_held[3];
static unsigned random_seed;
static long random_left; /* to be settled */
static uv_timer_t random_timer;

static unsigned draw(unsigned below)
{
    return (unsigned)rand_r(&random_seed) % below;
}

static void resolve_at_random(void)
{
    static const char *const names[] = {"", "settle", "retry", "bury", "park"};
    struct mp_record_list kept = {0};
    struct mp_record_list done = {0};
    struct mp_record *record;
    while ((record = mp_record_list_pop(&mp__probe.hand))) {
        unsigned what = draw(10);
        if (what >= 7) {
            mp_record_list_push(&kept, record);
            continue;
        }
        record->outcome.kind = what < 3   ? MP_OUTCOME_SETTLE
                               : what < 5 ? MP_OUTCOME_PARK
                                          : MP_OUTCOME_RETRY;
        record->outcome.due_ms = mp_clock_wall_ms() + draw(20) - 5;
        random_left -= record->outcome.kind == MP_OUTCOME_SETTLE;
        mp__probe_say("%s\t%.*s", names[record->outcome.kind], (int)record->id.length,
                      record->id.data);
        mp_record_list_push(&done, record);
    }
    mp__probe.hand = kept;
    mp_queue_resolve(mp__probe.queue, &done);
}

static void on_random(uv_timer_t *timer)
{
    unsigned lane = draw(3);
    if (draw(4) == 0) {
        random_held[lane] = !random_held[lane];
        struct mp_str name = mp_str_of(random_lanes[lane]);
        if (random_held[lane]) {
            mp_queue_hold(mp__probe.queue, name, INT64_MAX);
        } else {
            mp_queue_release(mp__probe.queue, name);
        }
    }
    resolve_at_random();
    if (random_left == 0) {
        uv_close((uv_handle_t *)timer, NULL);
        mp__probe_say("random\tdone");
    }
}

void mp__probe_check_held(const struct mp_record_list *records)
{
    for (const struct mp_record *r = records->head; r; r = r->next) {
        for (size_t i = 0; i < 3; i++) {
            if (random_held[i] && mp_str_is(r->lane, random_lanes[i])) {
                mp__probe_say("error\t%s is held and was given a record",
                              random_lanes[i]);
            }
        }
    }
}

/* random SEED COUNT: until so many are settled */
void mp__probe_random(char **word, int count)
{
    (void)count;
    random_seed = (unsigned)atoi(word[1]);
    random_left = atol(word[2]);
    uv_timer_init(&mp__probe.loop, &random_timer);
    uv_timer_start(&random_timer, on_random, 1, 1);
}
