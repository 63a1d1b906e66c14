/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A lane whose partner takes batches: its waiting records are made into pieces, one
 * verdict each, and join their groups; batches that are ready begin as attempts do. */

struct mp__worker;
struct mp__lane;
struct mp__attempt;

bool mp__lane_batches(const struct mp__lane *lane);
/* Is there anything to gather, and any use in it now? */
bool mp__gather_admits(const struct mp__worker *worker, const struct mp__lane *lane);
/* Some of the waiting records, so that others have their turn. */
void mp__gather(struct mp__worker *worker, struct mp__lane *lane);
/* The next batch that is ready loses what has grown too old since it joined. */
void mp__gather_expire(struct mp__worker *worker, struct mp__lane *lane);
/* The queue gives a lane twice a batch's size, or 256, and no more: when it has all that
 * and none can be had to fill its groups, the oldest is not to wait for it. */
void mp__gather_relieve(struct mp__lane *lane);
/* When the oldest will have waited long enough; INT64_MAX: none gathers. */
int64_t mp__gather_due_us(const struct mp__worker *worker, const struct mp__lane *lane);
/* What has waited long enough is ready. */
void mp__gather_close_due(struct mp__worker *worker, struct mp__lane *lane);
/* All that was gathered waits again, before the others: its pieces are to be made anew.
 */
void mp__gather_undo(struct mp__lane *lane);
/* After its verdicts: what is to be split goes on in halves, or is parked when the lane
 * cannot have it. */
void mp__gather_split(struct mp__attempt *attempt);
