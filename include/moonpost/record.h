/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moonpost/buf.h"

/* The delivery record: one event on its way to one partner. It has one owner at a time
 * and moves whole, between rooms and between threads; nothing in it is shared, so nothing
 * is locked. */

/* What became of a record in the delivery room, told to the queue. */
enum mp_outcome_kind {
    MP_OUTCOME_NONE,
    MP_OUTCOME_SETTLE, /* delivered or skipped: forget it */
    MP_OUTCOME_RETRY, /* again at outcome.due_ms; attempts and last_* have been counted up
                       */
    MP_OUTCOME_BURY,  /* to the dead letters, with outcome.reason */
    MP_OUTCOME_PARK   /* given back as it was taken, no attempt spent */
};

struct mp_outcome {
    enum mp_outcome_kind kind;
    int64_t due_ms; /* wall; of RETRY */
    char *reason;   /* of BURY; heap, freed with the record */
};

/* A partner's name: [a-z0-9][a-z0-9_-]{0,63}. */
#define MP_PARTNER_BYTES 65
/* A lane's name: the partner's, or "postback https://host:port". */
#define MP_LANE_BYTES 320

/* Every slice points into the record's own block. Slices that were not given are empty.
 * Fields up to `attempts` never change once made; those after it are the owner's to
 * change. */
struct mp_record {
    struct mp_record *next; /* the owner's list */
    struct mp_str id;       /* 1 to 128 bytes */
    struct mp_str partner;
    struct mp_str lane;
    struct mp_str event; /* a JSON object, as sent */
    struct mp_str type, source,
        subject;            /* CloudEvents attributes, or the event's own `type` */
    struct mp_str event_id; /* a CloudEvents producer's own id */
    struct mp_str partition_key;
    struct mp_str endpoint_method, endpoint_url; /* of /postback; the url is a template */
    int64_t first_ms;                            /* wall: accepted */
    int64_t occurred_ms; /* wall: CloudEvents `time`; -1 when not told */
    uint32_t replays;
    uint32_t attempts;    /* made and spent so far */
    uint16_t last_status; /* of the last attempt; 0: no answer, or none made */
    uint8_t last_verdict; /* enum mp_verdict_kind */
    int64_t due_ms;       /* wall */
    int64_t last_ms;      /* wall: the last attempt's end; 0: none */
    struct mp_outcome outcome;
    uint64_t seq;      /* the queue's own number for it */
    void *queue_lane;  /* the queue's own */
    size_t size_bytes; /* of the whole block */
};

/* Copies every slice of `draft` into one new block that the caller owns. With an empty
 * lane the lane is the partner. MP_ENOMEM. */
MP_MUST_CHECK int mp_record_new(const struct mp_record *draft, struct mp_record **out);
void mp_record_free(struct mp_record *record); /* NULL is allowed */

/* A list owns its records. Zeroed is empty. */
struct mp_record_list {
    struct mp_record *head, *tail;
    size_t count;
    size_t bytes;
};
void mp_record_list_push(struct mp_record_list *list, struct mp_record *record);
struct mp_record *
mp_record_list_pop(struct mp_record_list *list); /* the oldest; NULL: empty */
/* Moves all of `from` behind `to`'s; `from` is empty then. */
void mp_record_list_append(struct mp_record_list *to, struct mp_record_list *from);
void mp_record_list_free(struct mp_record_list *list);

bool mp_partner_name_is_valid(struct mp_str name);

/* The scheme, host and port of an absolute http(s) URL or URL template, normalised: lower
 * case, the port always written, IPv6 in brackets: "https://host:443". MP_EINVAL says why
 * not: not absolute, not http(s), user information, no host, a bad port, an expression
 * before the authority's end ("https://host{/x}{?y}" is well: those bring their own
 * delimiter). `path_at` (may be NULL) is where the rest begins. */
MP_MUST_CHECK int mp_authority_of(struct mp_str url, char out[MP_LANE_BYTES],
                                  size_t *path_at, struct mp_error *err);

/* Who there is to deliver to. App fills it from the scripts, ingest asks it; main loop
 * only. */
struct mp_directory;

MP_MUST_CHECK int mp_directory_new(struct mp_directory **out);
void mp_directory_free(struct mp_directory *directory);
/* Adds or replaces. `patterns` are the script's `subscribes`, copied. */
MP_MUST_CHECK int mp_directory_set(struct mp_directory *directory, struct mp_str partner,
                                   const struct mp_str *patterns, size_t count);
void mp_directory_remove(struct mp_directory *directory, struct mp_str partner);
bool mp_directory_has(const struct mp_directory *directory, struct mp_str partner);
/* Calls `each` for every partner that takes events of `type`, in order of name. `*`
 * matches any run of characters; an empty type is matched only by a bare `*`. */
void mp_directory_subscribers(const struct mp_directory *directory, struct mp_str type,
                              void (*each)(void *arg, struct mp_str partner), void *arg);
