/* SPDX-License-Identifier: MIT */
#pragma once

#include "map.h"
#include "moonpost/exchange.h"
#include "moonpost/id.h"
#include "moonpost/plan.h"

/* Deliveries that go together: how a lane's records gather into batches, and how one that
 * was refused goes in halves. No clock, no lane, no side effect. A zeroed struct
 * mp__groups is empty. */

struct mp__batch {
    struct mp__map_node node; /* while it gathers: by what its members have in common */
    struct mp__batch *next, *prev;
    struct mp_record **members; /* its own; NULL: it is elsewhere by now */
    struct mp_item *items;
    struct mp_verdict *verdicts; /* room for each one's, made by mp__batch_reserve */
    size_t count, capacity;
    size_t bytes;         /* of all pieces on the wire */
    int64_t due_us;       /* monotonic: its oldest has waited long enough */
    char id[MP_ID_BYTES]; /* from when it no longer gathers */
    char key[];
};
struct mp__batches {
    struct mp__batch *head, *tail;
};
struct mp__groups {
    struct mp__map by_key;
    struct mp__batches gathering; /* the oldest first */
    struct mp__batches ready;
    size_t ready_count;
    size_t gathering_records;
};

/* The record and its piece become a group's; a group that has its fill, or cannot take
 * this piece, is ready. MP_ENOMEM: both are still the caller's. */
MP_MUST_CHECK int mp__groups_join(struct mp__groups *groups,
                                  const struct mp_batch_plan *plan, struct mp_str key,
                                  struct mp_record *record, struct mp_item *item,
                                  int64_t now_us);
/* The oldest is ready, whatever it has. */
void mp__groups_close_oldest(struct mp__groups *groups);
/* Those whose oldest came `wait` ago by then are ready; INT64_MAX: all. */
void mp__groups_close(struct mp__groups *groups, int64_t due_us);
/* The next that is ready, the caller's then; NULL: none. And back again. */
struct mp__batch *mp__groups_next(struct mp__groups *groups);
void mp__groups_put_back(struct mp__groups *groups, struct mp__batch *batch);
/* All records, onto `out`; the pieces are dropped. */
void mp__groups_empty(struct mp__groups *groups, struct mp_record_list *out);
void mp__groups_fini(struct mp__groups *groups); /* empty ones */
bool mp__groups_are_empty(const struct mp__groups *groups);
/* Those of `batch` whose verdict is SPLIT move on in two halves, in order, with the
 * pieces they have: the next two that are ready (one, when it is a single one).
 * MP_ENOMEM: nothing moved. */
MP_MUST_CHECK int mp__groups_split(struct mp__groups *groups, struct mp__batch *batch);

/* A member goes its own way; its piece is dropped. */
void mp__batch_remove(struct mp__batch *batch, size_t index);
/* Room for the verdicts. */
MP_MUST_CHECK int mp__batch_reserve(struct mp__batch *batch);
/* Its id on the wire: a batch of one is its delivery. */
struct mp_str mp__batch_id(const struct mp__batch *batch);
uint32_t mp__batch_attempts(const struct mp__batch *batch); /* the most a member made */
/* With the pieces; the members are the caller's. */
void mp__batch_free(struct mp__batch *batch);
