/* SPDX-License-Identifier: MIT */
#pragma once

#include <pthread.h>
#include <uv.h>

#include "health.h"
#include "partner.h"
#include "wake.h"

/* What crosses between the main loop and the workers: orders to them, news and records
 * back. Both are lists under a lock, handed over once a turn. */

struct mp__worker;

enum mp__order_kind {
    MP__ORDER_TAKE,    /* records */
    MP__ORDER_SCRIPT,  /* shared, script (a reference, or NULL) */
    MP__ORDER_LEAVE,   /* shared: another worker has it now */
    MP__ORDER_ADOPT,   /* shared, name, health: of a lane that came from another worker */
    MP__ORDER_OVERRAN, /* shared, name of a lane, why: its script did, elsewhere */
    MP__ORDER_KICK,    /* shared: its attempts elsewhere have ended */
    MP__ORDER_PAUSE,   /* name */
    MP__ORDER_RESUME,  /* name */
    MP__ORDER_RECALL,
    MP__ORDER_DRAIN,
    MP__ORDER_ABORT,
    MP__ORDER_STOP
};
struct mp__order {
    struct mp__order *next;
    enum mp__order_kind kind;
    struct mp_record_list records;
    struct mp__partner_shared *shared;
    struct mp_script *script;
    struct mp__health health;
    char name[MP_LANE_BYTES];
    char why[256];
};

enum mp__news_kind {
    MP__NEWS_HOLD,    /* pause.name, until_ms */
    MP__NEWS_PAUSE,   /* pause */
    MP__NEWS_SLOW,    /* shared, pause.name, health: it belongs on the slow worker */
    MP__NEWS_CLEAN,   /* shared: it may come back from there */
    MP__NEWS_OVERRAN, /* shared, script (a reference), pause.name, pause.reason */
    MP__NEWS_LEFT,    /* shared: its last attempt here has ended */
    MP__NEWS_DRAINED,
    MP__NEWS_STOPPED
};
struct mp__news {
    struct mp__news *next;
    enum mp__news_kind kind;
    struct mp__worker *worker;
    struct mp__partner_shared *shared;
    struct mp_script *script;
    struct mp_pause pause;
    struct mp__health health;
    int64_t until_ms;
};

/* What the workers tell the main loop; theirs to fill, under lock. */
struct mp__inbox {
    pthread_mutex_t lock;
    struct mp_record_list outcomes;
    struct mp__news *news, *news_tail;
    struct mp__wake wake; /* the main loop's */
};
