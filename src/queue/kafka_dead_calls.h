/* SPDX-License-Identifier: MIT */
#pragma once

#include "kafka.h"
#include "kafka_dead_reader.h"

/* Dead letters on Kafka: what the main loop's files share. */

#define MP__DEAD_CHUNK 256 /* replays or purges under way at once, of all calls */

struct mp__kafka_dead;
struct mp__dead_change;

struct mp__kafka_dead {
    struct mp__kafka *engine;
    struct mp__dead_reader reader;
    bool is_closing;
    bool has_stopped; /* the reader */
    size_t calls;     /* under way */
    /* One changes at a time: the next sees what this one did, and so replays nothing
     * twice. */
    struct mp__dead_change *changing, *changes_tail;
    void (*on_closed)(void *arg);
    void *closed_arg;
};

/* A call has ended. */
void mp__dead_call_ended(struct mp__kafka_dead *dead);
/* Of a call's text: a copy at *at, which moves on. */
struct mp_str mp__dead_keep(char **at, struct mp_str text);

/* One that is under way. */
struct mp__dead_one {
    struct mp__kafka_send send;
    struct mp__dead_change *change;
    struct mp_record *record; /* to be replayed; NULL: only to be removed */
    bool counts;
    char *key; /* of the dead letter */
    size_t key_length;
};

/* A replay or a purge: the reader's while it is asked, the main loop's otherwise. */
struct mp__dead_change {
    struct mp__dead_ask ask;
    struct mp__dead_change *next;
    struct mp__kafka_dead *dead;
    struct mp_dead_filter filter;
    struct mp_str *ids;
    uint8_t *known;
    bool is_purge, is_dry;
    unsigned json_depth;
    struct mp__dead_targets targets;
    bool *is_through; /* of each target: read, or gone */
    size_t from;      /* all before it are through */
    struct mp__dead_one chunk[MP__DEAD_CHUNK];
    size_t chunk_count, chunk_bytes, under_way;
    struct mp_dead_count count;
    int status;
    char why[256];
    mp_dead_count_cb done;
    void *arg;
    char text[];
};

/* On the reader's thread. */
int mp__dead_select(struct mp__dead_reader *reader, struct mp__dead_ask *ask,
                    struct mp_error *err);
/* The next ones into change->chunk. */
int mp__dead_read_chunk(struct mp__dead_reader *reader, struct mp__dead_ask *ask,
                        struct mp_error *err);
