/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "moonpost/engine.h"

/* The queue's probe: what its files share. All of it is on the main loop. */

#define MP__PROBE_WORDS 16

struct mp__probe {
    uv_loop_t loop;
    struct mp_queue *queue; /* NULL once closed */
    struct mp_record_list hand;
    enum mp_outcome_kind at_once; /* what is done with what is taken; NONE: kept */
    bool quiet;
    size_t taken, fullest;
    void (*on_open)(void); /* of Kafka: it can be used; NULL: nobody asks */
};
extern struct mp__probe mp__probe;

/* A line on stdout. */
void mp__probe_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void mp__probe_resolve_hand(void);
/* An mp_queue_close callback: stops the loop. */
void mp__probe_on_closed(void *arg);
long mp__probe_rss_kib(void);

/* One record of `lane` at the end of `append`; its partner is the lane's first word. */
void mp__probe_add(struct mp_append *append, const char *lane, const char *id,
                   struct mp_str event);

/* A command: its words, the verb first. */
void mp__probe_run(char **word, int count);
void mp__probe_append(char **word, int count);
void mp__probe_many(char **word, int count);
void mp__probe_list(char **word, int count);
void mp__probe_show(char **word, int count);
void mp__probe_dead(char **word, int count);
void mp__probe_disk(char **word, int count);
void mp__probe_random(char **word, int count);
void mp__probe_begin(char **word, int count);
void mp__probe_lag(char **word, int count);

/* Says so when one of the records is of a lane that `random` holds. */
void mp__probe_check_held(const struct mp_record_list *records);

/* Files opened from here on fail when `disk` says so; before any is open. */
void mp__probe_put_disk_between(void);

/* BOOTSTRAP PREFIX [name=value …] */
MP_MUST_CHECK int mp__probe_open_kafka(const struct mp_queue_owner *owner, bool delivers,
                                       char **word, int count, struct mp_error *err);
/* The owner was told whether the engine can be used. */
void mp__probe_kafka_ready(const char *why);

/* EVENTS PRODUCERS BYTES settle|keep: closes the queue at the end. */
void mp__probe_bench(char **argv);
/* EVENTS PRODUCERS BYTES append|take|both: Kafka's, once it is open. */
void mp__probe_bench_kafka(char **argv);
/* A JSON object of so many bytes (2 at least); the caller's. */
char *mp__probe_event(size_t bytes);
