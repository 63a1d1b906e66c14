/* SPDX-License-Identifier: MIT */
#pragma once

#include "embedded_store.h"
#include "moonpost/queue.h"

/* What the storage thread is asked to do, and what it answers. In embedded_work.c. */

struct mp__lane;

enum mp__op_kind { MP__OP_APPEND, MP__OP_FETCH, MP__OP_PAUSE, MP__OP_DEAD };

/* One thing for the storage thread to do; it belongs to the side that has it. */
struct mp__op {
    struct mp__op *next;
    enum mp__op_kind kind;
    int status;
    const char *why; /* static */
};
struct mp__append_op {
    struct mp__op op;
    struct mp_append *append;
    struct mp_record_list records;
};
struct mp__fetch_op {
    struct mp__op op;
    struct mp__lane *lane;
    struct mp__fetch from; /* as it was asked, to begin again when it fails */
    struct mp__fetch fetch;
};
struct mp__pause_op {
    struct mp__op op;
    struct mp_pause pause;
    bool clear;
};
struct mp__dead_job;
struct mp__dead_op {
    struct mp__op op;
    struct mp__dead_job *job;
    struct mp__dead_portion portion;
};

struct mp__work {
    uint64_t *settled;
    size_t settled_count, settled_capacity;
    struct mp_record_list changed; /* their outcome says how */
    struct mp__op *head, *tail;
};
void mp__work_add(struct mp__work *work, struct mp__op *op);
void mp__work_settle(struct mp__work *work, struct mp_record *record); /* takes it */
void mp__work_move(struct mp__work *to, struct mp__work *from);
