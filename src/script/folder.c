/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "folder.h"
#include "moonpost/clock.h"
#include "moonpost/log.h"

#define POLL_MS       2000
#define POLL_BLIND_MS 200 /* no inotify */
#define GONE_AFTER_MS 100 /* a save by rename leaves a gap */

int mp__folder_new(const struct mp_scripts_config *config, struct mp_secrets *secrets,
                   struct mp__loader *loader, struct mp__folder **out)
{
    struct mp__folder *folder = calloc(1, sizeof(*folder));
    char *path = strdup(config->folder);
    if (!folder || !path) {
        mp_secrets_unref(secrets);
        free(folder);
        free(path);
        return MP_ENOMEM;
    }
    for (size_t n = strlen(path); n > 1 && path[n - 1] == '/'; n--) {
        path[n - 1] = '\0';
    }
    if (mp__around_init(&folder->around, path, config, secrets) != MP_OK) {
        free(folder);
        free(path);
        return MP_ENOMEM;
    }
    folder->around.env.proxies = config->proxies;
    folder->around.env.proxy_count = config->proxy_count;
    folder->path = path;
    folder->loader = loader;
    folder->gate = config->gate;
    folder->gate_ms = config->gate_ms;
    if (mp__watch_new(&folder->watch) != MP_OK) {
        mp_log_warn("script",
                    "could not watch %s: inotify cannot be had; looking every %d ms",
                    folder->path, POLL_BLIND_MS);
    }
    *out = folder;
    return MP_OK;
}

static void entry_free(struct mp__entry *entry)
{
    if (entry) {
        mp_script_unref(entry->script);
        free(entry->error);
        free(entry);
    }
}

void mp__folder_free(struct mp__folder *folder)
{
    if (!folder) {
        return;
    }
    for (size_t i = 0; i < folder->count; i++) {
        entry_free(folder->entries[i]);
    }
    free(folder->entries);
    mp__watch_free(folder->watch);
    mp__around_fini(&folder->around);
    free(folder->path);
    free(folder);
}

int mp__folder_fd(const struct mp__folder *folder)
{
    return folder->watch ? mp__watch_fd(folder->watch) : -1;
}

bool mp__folder_drain(struct mp__folder *folder)
{
    return folder->watch && mp__watch_drain(folder->watch);
}

void mp__folder_want(struct mp__folder *folder, int64_t in_ms)
{
    if (in_ms < folder->next_ms) {
        folder->next_ms = in_ms > 0 ? in_ms : 1;
    }
}

static struct mp__entry *find(struct mp__folder *folder, size_t count, const char *file)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(folder->entries[middle]->file, file);
        if (order == 0) {
            return folder->entries[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

static int by_file(const void *a, const void *b)
{
    return strcmp((*(struct mp__entry *const *)a)->file,
                  (*(struct mp__entry *const *)b)->file);
}

static int add(struct mp__folder *folder, const char *file, struct mp_str name,
               bool is_partner)
{
    size_t length = strlen(file);
    struct mp__entry *entry = calloc(1, sizeof(*entry) + length + 1);
    struct mp__entry **more =
        realloc(folder->entries, (folder->count + 1) * sizeof(*folder->entries));
    if (more) {
        folder->entries = more;
    }
    if (!entry || !more) {
        free(entry);
        return MP_ENOMEM;
    }
    memcpy(entry->file, file, length + 1);
    entry->is_seen = true;
    entry->is_partner = is_partner;
    if (is_partner) {
        memcpy(entry->name, name.data, name.length);
    } else {
        mp_log_warn(
            "script",
            "%s/%s is no partner: a name has a-z, 0-9, _ and -, at most 64 of them",
            folder->path, file);
    }
    folder->entries[folder->count++] = entry;
    return MP_OK;
}

static void note_link(struct mp__folder *folder, const struct dirent *item)
{
    char path[PATH_MAX];
    if ((item->d_type == DT_LNK || item->d_type == DT_UNKNOWN) && folder->watch &&
        snprintf(path, sizeof(path), "%s/%s", folder->path, item->d_name) < PATH_MAX) {
        mp__watch_also(folder->watch, path);
    }
}

/* Marks what is there. False: the folder could not be read wholly, so nothing may be
 * missed. */
static bool list(struct mp__folder *folder, DIR *dir)
{
    size_t sorted = folder->count;
    bool is_whole = true;
    for (;;) {
        errno = 0;
        const struct dirent *item = readdir(dir);
        if (!item) {
            is_whole = is_whole && errno == 0;
            break;
        }
        struct mp_str name;
        enum mp__name_kind kind = mp__name_of_file(item->d_name, &name);
        if (kind == MP__NAME_IGNORED) {
            continue;
        }
        note_link(folder, item);
        /* What was added in this walk is not in order yet; a folder names each file once.
         */
        struct mp__entry *entry = find(folder, sorted, item->d_name);
        if (entry) {
            entry->is_seen = true;
        } else if (add(folder, item->d_name, name, kind == MP__NAME_PARTNER) != MP_OK) {
            is_whole = false;
        }
    }
    if (folder->count > sorted) {
        qsort(folder->entries, folder->count, sizeof(*folder->entries), by_file);
    }
    return is_whole;
}

static bool list_folder(struct mp__folder *folder)
{
    for (size_t i = 0; i < folder->count; i++) {
        folder->entries[i]->is_seen = false;
    }
    DIR *dir = opendir(folder->path);
    int code = dir ? 0 : errno;
    bool is_whole = dir ? list(folder, dir) : code == ENOENT || code == ENOTDIR;
    if (dir) {
        closedir(dir);
    }
    bool is_well = dir && is_whole;
    if (is_well != folder->is_well && !is_well) {
        mp_log_error("script", "could not read %s: %s", folder->path,
                     code ? strerror(code) : "it could not be listed");
    }
    folder->is_well = is_well;
    return is_whole;
}

/* True: the entry is done with. */
static bool check_missing(struct mp__folder *folder, struct mp__entry *entry)
{
    int64_t now_ms = mp_clock_mono_ms();
    if (entry->missing_since_ms == 0) {
        entry->missing_since_ms = now_ms;
    }
    int64_t missing_ms = now_ms - entry->missing_since_ms;
    if (entry->is_told && missing_ms < GONE_AFTER_MS) {
        mp__folder_want(folder, GONE_AFTER_MS - missing_ms);
        return false;
    }
    return !entry->is_told || mp__entry_tell_gone(folder, entry);
}

static void check_all(struct mp__folder *folder, enum mp__scan_kind kind)
{
    size_t kept = 0;
    for (size_t i = 0; i < folder->count; i++) {
        struct mp__entry *entry = folder->entries[i];
        bool is_there = entry->is_seen;
        bool is_done = false;
        if (mp__loader_is_stopping(folder->loader)) {
            folder->entries[kept++] = entry;
            continue;
        }
        if (is_there && entry->is_partner) {
            is_there = mp__entry_check(folder, entry, kind);
        }
        if (is_there) {
            entry->missing_since_ms = 0;
        } else {
            is_done = check_missing(folder, entry);
        }
        if (is_done) {
            entry_free(entry);
        } else {
            folder->entries[kept++] = entry;
        }
        mp__loader_serve(folder->loader);
    }
    folder->count = kept;
}

int64_t mp__folder_scan(struct mp__folder *folder, enum mp__scan_kind kind)
{
    /* Watch first, then look: what changes between the two is told by the watch. */
    bool is_watched = folder->watch && mp__watch_begin(folder->watch, folder->path);
    folder->next_ms = is_watched ? POLL_MS : POLL_BLIND_MS;
    folder->is_well = folder->is_well || kind == MP__SCAN_FIRST;
    /* A script beside a module that is being written would be loaded twice. */
    bool is_quiet =
        mp__around_look(&folder->around, folder->watch, kind, &folder->next_ms);
    if (list_folder(folder) && is_quiet) {
        check_all(folder, kind);
    }
    if (folder->watch) {
        mp__watch_end(folder->watch);
    }
    return folder->next_ms;
}
