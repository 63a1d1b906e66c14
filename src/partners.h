/* SPDX-License-Identifier: MIT */
#pragma once

#include "moonpost/console.h"
#include "moonpost/deliver.h"
#include "moonpost/queue.h"
#include "moonpost/scripts.h"

/* What state each partner is in, and why: its generation, the error of its file, its
 * pauses. The one place that decides whether a partner's deliveries may leave; it tells
 * the delivery room and the queue, and ingest through the directory. Main loop only. */

struct mp__partners;

MP_MUST_CHECK int mp__partners_new(struct mp_directory *directory,
                                   struct mp_metrics *metrics, bool is_shared,
                                   struct mp__partners **out);
void mp__partners_free(struct mp__partners *partners);
/* The rooms that are told, once they are there; queue NULL: it is going away. */
void mp__partners_attach(struct mp__partners *partners, struct mp_queue *queue,
                         struct mp_deliver *deliver);

/* Events are taken for these too, "acme,globex": their scripts are other processes'. They
 * subscribe to nothing. MP_EINVAL names the one that is no partner's name. */
MP_MUST_CHECK int mp__partners_accept(struct mp__partners *partners, struct mp_str names,
                                      struct mp_error *err);
/* Whether there is a file for it, sound or not. */
bool mp__partners_knows(const struct mp__partners *partners, struct mp_str name);

/* Takes the change's reference to the script. */
void mp__partners_change(struct mp__partners *partners,
                         const struct mp_scripts_change *change);
/* A pause that the delivery room asks for, or (with `stored`) that the queue kept. */
void mp__partners_pause(struct mp__partners *partners, const struct mp_pause *pause,
                        bool stored);
/* The queue forgot a partner's, or a lane's, pause: another process ended it. */
void mp__partners_stored_resume(struct mp__partners *partners, struct mp_str name);
/* A record came back for a partner that nobody knows: its file went while Moonpost was
 * down. */
void mp__partners_orphan(struct mp__partners *partners, struct mp_str name);
/* Once a second: forgets partners whose file is gone for 60 s and for whom nothing waits.
 */
void mp__partners_tick(struct mp__partners *partners);

/* For the API (console.h). `arg` is the struct mp__partners. */
void mp__partners_list(void *arg, struct mp_str after, size_t limit,
                       void (*each)(void *to, const struct mp_partner_view *view),
                       void *to);
int mp__partners_operator_pause(void *arg, struct mp_str name);
int mp__partners_resume(void *arg, struct mp_str name);
