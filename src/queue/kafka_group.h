/* SPDX-License-Identifier: MIT */
#pragma once

#include <librdkafka/rdkafka.h>

#include "kafka_conf.h"
#include "kafka_lanes.h"
#include "kafka_partition.h"

/* The deliverers' share of the topics: joins the group, reads its partitions, keeps a
 * tracker for each, commits. Main loop only; what would block runs on another thread. */
struct mp__kafka;
struct mp__kafka_load;
struct mp__kafka_farewell;

enum mp__kafka_group_state {
    MP__KAFKA_GROUP_OFF,     /* not subscribed */
    MP__KAFKA_GROUP_JOINING, /* subscribed, no partitions */
    MP__KAFKA_GROUP_LOADING, /* reads what was committed of what it got */
    MP__KAFKA_GROUP_READING,
    MP__KAFKA_GROUP_DRAINING,   /* lets end what is under way, 2 s at most */
    MP__KAFKA_GROUP_COMMITTING, /* what it gives back, 2 s at most */
    MP__KAFKA_GROUP_LEAVING,    /* 10 s at most */
    MP__KAFKA_GROUP_GONE        /* the handle is being destroyed, or is */
};

struct mp__kafka_group {
    rd_kafka_t *handle;
    rd_kafka_queue_t *queue; /* rebalances, commits' results, errors */
    enum mp__kafka_group_state state;
    int64_t until_ms; /* monotonic: when the state is over, whatever has not ended */
    struct mp__kafka_partition *partitions;
    struct mp__kafka_partition **assigned;
    size_t assigned_count, turn; /* whose turn it is to be read first */
    uint32_t assignment;         /* counted up at each */
    bool is_revoked;             /* librdkafka waits for its partitions */
    bool is_closing;
    bool is_committing;                              /* one at a time */
    int64_t commit_at_ms, commit_wait_ms, lag_at_ms; /* monotonic */
    size_t map_bytes;  /* what a commit's map may take: less once a broker refused */
    struct mp_buf map; /* scratch */
    int64_t due_ms;    /* wall: nothing in the heaps is due earlier */
    size_t held_bytes; /* of the 5s tier's heaps */
    size_t head_bytes; /* of the other tiers': one record each, there for hours */
    struct mp__kafka_load *load;         /* of LOADING */
    size_t loads;                        /* on the pool, also those nobody wants */
    struct mp__kafka_farewell *farewell; /* of GONE, while it is being destroyed */
};

/* Opens the handle; subscribes when told that the topics are there. */
MP_MUST_CHECK int mp__kafka_group_open(struct mp__kafka *engine, struct mp_error *err);
void mp__kafka_group_subscribe(struct mp__kafka *engine);
/* Rebalances, errors, and commits: every 20 to 200 ms, by their size. At least every
 * 500 ms. False: there is more. */
bool mp__kafka_group_poll(struct mp__kafka *engine);
/* Reads at most `most` records, turn by turn of its partitions, into the lanes, the
 * heaps, the dead letters. False: there is more, and it may be read. */
bool mp__kafka_group_read(struct mp__kafka *engine, size_t most);
/* Gives to the lanes what has become due. The next time (wall) at which something will;
 * INT64_MAX: none. */
int64_t mp__kafka_group_due(struct mp__kafka *engine);
/* Every 100 ms: commits also what no turn came for, ends what has had its time. */
void mp__kafka_group_tick(struct mp__kafka *engine);

/* The item's offset is done, for good: delivered, or stored elsewhere and acked. Of the
 * partition's present log only, whichever its assignment: what happened, happened. Frees
 * the item, and a record still in it. */
void mp__kafka_item_done(struct mp__kafka *engine, struct mp__kafka_item *item);
/* It is not done, and nobody works on it any more: it will be read again by whom the
 * partition goes to; when that is us, within a minute. Frees it. */
void mp__kafka_item_drop(struct mp__kafka *engine, struct mp__kafka_item *item);
/* Whether its partition is still ours under the same assignment: what became of it may be
 * stored. */
bool mp__kafka_item_is_ours(const struct mp__kafka_item *item);
/* Whether it may wait in a lane: ours, and not about to be given back. */
bool mp__kafka_item_may_wait(const struct mp__kafka *engine,
                             const struct mp__kafka_item *item);

/* Leaves the group: reads nothing more, lets end what is under way, commits, closes (each
 * in its time, then it is let go). mp__kafka_group_has_closed is called, from a tick; the
 * partitions stay for items that come back until `fini`, which ends what close did not.
 */
void mp__kafka_group_close(struct mp__kafka *engine);
void mp__kafka_group_fini(struct mp__kafka *engine);
