/* SPDX-License-Identifier: MIT */
#pragma once

#include "../../src/deliver/tuning.h"
#include "moonpost/json.h"
#include "moonpost/metrics.h"

/* The delivery room's probe: what its files share. All of it is on the main loop. */

struct mp__probe {
    uv_loop_t loop;
    struct mp_deliver *deliver;
    struct mp_metrics *metrics;
    struct mp__deliver_tuning tuning;
    bool is_drained;
    int64_t bench_total, bench_out; /* 0: no bench; and those the room has now */
    char bench_partner[MP_PARTNER_BYTES];
};
extern struct mp__probe mp__probe;

/* Ends the process, with a line on stderr. */
void mp__probe_fail(const char *what, const char *why);

/* A line of JSON, put together and told on stderr, which frees it. */
struct mp_buf mp__probe_line(void);
void mp__probe_put(struct mp_buf *line, const char *text);
void mp__probe_put_text(struct mp_buf *line, const char *name, struct mp_str text);
void mp__probe_put_number(struct mp_buf *line, const char *name, int64_t number);
void mp__probe_say(struct mp_buf *line);

/* Does what a line of stdin says. */
void mp__probe_obey(struct mp_str command);
void mp__probe_load_script(struct mp_str partner, const char *path);

/* An mp_deliver_drain callback: closes the room. */
void mp__probe_on_last_drained(void *arg);

/* Whether names are looked up, or waited for. */
void mp__probe_hold_lookups(bool hold);

void mp__probe_bench(void);
/* Some of them came back. */
void mp__probe_bench_more(void);
