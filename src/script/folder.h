/* SPDX-License-Identifier: MIT */
#pragma once

#include "around.h"
#include "moonpost/id.h"

/* One file of the folder. */
struct mp__entry {
    char name[MP_PARTNER_BYTES];
    bool is_partner; /* else its name was refused, and warned of once */
    bool is_seen;    /* by the scan under way */
    bool is_told;    /* the main loop knows of it */
    struct mp__mark mark;
    bool mark_is_sure; /* unchanged since, when the file still has this mark */
    bool has_digest;
    uint8_t digest[MP_SHA256_BYTES]; /* of the content that was last judged */
    uint8_t script_digest[MP_SHA256_BYTES];
    struct mp_script *script; /* the newest usable generation */
    char *error; /* of the content that was last judged; NULL: it is `script` */
    uint64_t around_version;   /* what that was judged with */
    unsigned unsettled;        /* specs in a row that ran beside a change */
    bool secrets_changed;      /* since the main loop was told last */
    int64_t missing_since_ms;  /* monotonic; 0: it is there */
    int64_t restless_since_ms; /* monotonic; 0: it is at rest */
    char file[];
};

struct mp__folder {
    char *path;
    struct mp__loader *loader;
    struct mp__around around;
    struct mp__watch *watch; /* NULL: no inotify */
    const char *gate;        /* the program that runs specs; NULL: there is no gate */
    int64_t gate_ms;
    struct mp__entry **entries; /* in order of file */
    size_t count;
    int64_t next_ms;
    bool is_well;
};

/* Asks for another scan in so many ms. */
void mp__folder_want(struct mp__folder *folder, int64_t in_ms);
/* Looks at one file, loads and tells it when it changed. False: it is not there. */
bool mp__entry_check(struct mp__folder *folder, struct mp__entry *entry,
                     enum mp__scan_kind kind);
/* False: out of memory, nothing was told. */
bool mp__entry_tell_gone(struct mp__folder *folder, struct mp__entry *entry);
