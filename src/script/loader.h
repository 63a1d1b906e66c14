/* SPDX-License-Identifier: MIT */
#pragma once

#include <pthread.h>
#include <sys/types.h>

#include "moonpost/scripts.h"

/* The loader's thread and its pieces. What passes between it and the main loop are news,
 * whole and in order; all else belongs to one side. */

enum mp__news_kind { MP__NEWS_CHANGE, MP__NEWS_LOADED, MP__NEWS_TRY };
struct mp__news {
    struct mp__news *next;
    enum mp__news_kind kind;
    struct mp_scripts_change change; /* CHANGE: owns its script and error */
    struct mp_script *script;        /* TRY: a reference */
    struct mp_try *try_;             /* TRY */
};
/* MP_ENOMEM: NULL. Freeing gives its references back; NULL is allowed. */
struct mp__news *mp__news_new(enum mp__news_kind kind);
void mp__news_free(struct mp__news *news);

struct mp__loader;
/* Reads the secrets and starts the thread. `wake` is sent whenever there is news.
 * MP_EINVAL, MP_ENOMEM, MP_EIO, MP_ELIMIT. */
MP_MUST_CHECK int mp__loader_start(const struct mp_scripts_config *config,
                                   uv_async_t *wake, struct mp__loader **out,
                                   struct mp_error *err);
/* Main loop. Takes `news` (a TRY), which comes back with the rest once it is answered. */
void mp__loader_try(struct mp__loader *loader, struct mp__news *news);
void mp__loader_rescan(struct mp__loader *loader);
/* Main loop. Everything told since the last call, oldest first; the caller's to free. */
struct mp__news *mp__loader_take(struct mp__loader *loader);
/* The thread ends after the file it is at; `wake` is sent, and mp__loader_has_ended is
 * true. Tries still waiting come back as news, MP_ECLOSED. */
void mp__loader_stop(struct mp__loader *loader);
bool mp__loader_has_ended(struct mp__loader *loader);
void mp__loader_free(
    struct mp__loader *loader); /* joins: after it has ended, or blocks */

/* For the scan, on the loader's thread. */
void mp__loader_tell(struct mp__loader *loader, struct mp__news *news);
void mp__loader_serve(struct mp__loader *loader); /* answers the tries that wait */
bool mp__loader_is_stopping(struct mp__loader *loader);

/* Runs `body` with a stack that scripts need and no signals. MP_ENOMEM: there is no
 * thread. */
MP_MUST_CHECK int mp__thread_start(pthread_t *thread, void *(*body)(void *), void *arg);
/* Builds with a state of its own; a state that cannot be made is the try's answer. */
void mp__try_run(struct mp_script *script, mp_try_builder builder, struct mp_try *try_);

/* The folder as it was last seen, and its partners. Loader's thread. */
struct mp__folder;
/* Takes the reference to `secrets`, on failure too. */
MP_MUST_CHECK int mp__folder_new(const struct mp_scripts_config *config,
                                 struct mp_secrets *secrets, struct mp__loader *loader,
                                 struct mp__folder **out);
void mp__folder_free(struct mp__folder *folder);
enum mp__scan_kind {
    MP__SCAN_FIRST, /* everything is told at once, files that do not load too */
    MP__SCAN_USUAL,
    MP__SCAN_FORCED /* every file is read again, broken ones are tried again */
};
/* Looks at every file and tells what changed. Returns in how many ms it wants to look
 * again at the latest (files that were still being written, inotify that cannot be had).
 */
int64_t mp__folder_scan(struct mp__folder *folder, enum mp__scan_kind kind);
/* Becomes readable when something in the folder changed; -1: there is no inotify. */
int mp__folder_fd(const struct mp__folder *folder);
/* Reads what came. False: nothing that matters. */
bool mp__folder_drain(struct mp__folder *folder);

/* A file's identity and age: equal marks, equal content (but for a write within the
 * clock's granularity: see mp__mark_is_sure). Of what a symbolic link leads to. */
struct mp__mark {
    dev_t device;
    ino_t inode;
    off_t size_bytes;
    int64_t modified_ns, changed_ns;
};
enum mp__file_kind { MP__FILE_REGULAR, MP__FILE_NONE, MP__FILE_OTHER };
#define MP__SOURCE_MAX_BYTES ((size_t)1024 * 1024)
/* MP_OK with the kind (mark only of REGULAR), or MP_EIO with `err`. */
MP_MUST_CHECK int mp__source_look(const char *path, enum mp__file_kind *kind,
                                  struct mp__mark *mark, struct mp_error *err);
bool mp__mark_equal(const struct mp__mark *a, const struct mp__mark *b);
/* How long ago it changed; negative: clocks differ. */
int64_t mp__mark_age_ms(const struct mp__mark *mark);
/* The whole file, as it was at one moment. MP_EAGAIN: it changes under our hands, or is
 * gone; MP_ELIMIT: over 1 MiB; MP_EIO, MP_ENOMEM; with `err`. */
MP_MUST_CHECK int mp__source_read(const char *path, struct mp_buf *out,
                                  struct mp__mark *mark, struct mp_error *err);

/* What a file's name says. */
enum mp__name_kind { MP__NAME_PARTNER, MP__NAME_IGNORED, MP__NAME_REFUSED };
/* "acme.lua": PARTNER, `name` is "acme" within `file`. Editors' files are IGNORED. */
enum mp__name_kind mp__name_of_file(const char *file, struct mp_str *name);

/* inotify on the folder and on the folders that its symbolic links lead into. */
struct mp__watch;
MP_MUST_CHECK int
mp__watch_new(struct mp__watch **out); /* NULL and MP_EIO: none to be had */
void mp__watch_free(struct mp__watch *watch);
int mp__watch_fd(const struct mp__watch *watch);
/* Around a scan: begin watches `folder` (again, when it was replaced), folder another
 * beside it, also the folder of a link's target, end forgets those not named again.
 * False: the folder cannot be watched. */
bool mp__watch_begin(struct mp__watch *watch, const char *folder);
bool mp__watch_folder(struct mp__watch *watch, const char *folder);
void mp__watch_also(struct mp__watch *watch, const char *link);
void mp__watch_end(struct mp__watch *watch);
bool mp__watch_drain(struct mp__watch *watch);
