/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "folder.h"
#include "gate.h"
#include "moonpost/clock.h"
#include "moonpost/log.h"

#define QUIET_MS      20  /* a file younger than this may still be written */
#define QUIET_MAX_MS  100 /* but is not waited for longer */
#define SURE_MS       50  /* the file systems' clock is coarser than a write */
#define FAULT_MS      100 /* a fault so young may be half a save */
#define FAULT_MAX_MS  1000
#define UNSETTLED_MAX 5

/* A reference for the news is taken here, so that what is told lives until it is heard.
 */
static bool tell(struct mp__folder *folder, struct mp__entry *entry, bool is_gone)
{
    struct mp__news *news = mp__news_new(MP__NEWS_CHANGE);
    char *error = entry->error && !is_gone ? strdup(entry->error) : NULL;
    if (!news || (entry->error && !is_gone && !error)) {
        mp__news_free(news);
        free(error);
        return false;
    }
    memcpy(news->change.name, entry->name, sizeof(news->change.name));
    news->change.error = error;
    news->change.is_gone = is_gone;
    news->change.secrets_changed = entry->secrets_changed && !is_gone;
    if (entry->script && !is_gone) {
        news->change.script = mp_script_ref(entry->script);
    }
    entry->is_told = true;
    entry->secrets_changed = false;
    mp__loader_tell(folder->loader, news);
    return true;
}

bool mp__entry_tell_gone(struct mp__folder *folder, struct mp__entry *entry)
{
    return tell(folder, entry, true);
}

/* When memory is out, the next scan judges the file again. */
static void tell_or_forget(struct mp__folder *folder, struct mp__entry *entry)
{
    if (!tell(folder, entry, false)) {
        entry->has_digest = false;
        entry->mark_is_sure = false;
        mp_log_error("script", "could not tell of %s/%s: out of memory", folder->path,
                     entry->file);
    }
}

static void fail(struct mp__folder *folder, struct mp__entry *entry, const char *text)
{
    if (entry->error && strcmp(entry->error, text) == 0) {
        return;
    }
    char *error = strdup(text);
    if (!error) {
        entry->has_digest = false;
        return;
    }
    free(entry->error);
    entry->error = error;
    tell_or_forget(folder, entry);
}

static void succeed(struct mp__folder *folder, struct mp__entry *entry,
                    struct mp_script *script)
{
    if (script) {
        entry->secrets_changed =
            entry->script && !mp__secrets_suit(entry->script, mp_script_secrets(script));
        mp_script_unref(entry->script);
        entry->script = script;
        memcpy(entry->script_digest, entry->digest, sizeof(entry->digest));
    }
    free(entry->error);
    entry->error = NULL;
    tell_or_forget(folder, entry);
}

/* How long the file has not been at rest, counted from the first time that this was
 * asked. */
static int64_t restless_ms(struct mp__entry *entry)
{
    int64_t now_ms = mp_clock_mono_ms();
    if (entry->restless_since_ms == 0) {
        entry->restless_since_ms = now_ms;
    }
    return now_ms - entry->restless_since_ms;
}

static bool is_younger(const struct mp__mark *mark, int64_t ms)
{
    int64_t age_ms = mp__mark_age_ms(mark);
    return age_ms >= 0 && age_ms < ms;
}

/* What does not load and has only just changed, itself or what it uses, may be half a
 * save: it is judged again before anybody hears of it. */
static bool may_be_half(struct mp__folder *folder, struct mp__entry *entry,
                        enum mp__scan_kind kind)
{
    int64_t around_ms = mp_clock_mono_ms() - folder->around.changed_ms;
    bool is_young = is_younger(&entry->mark, FAULT_MS);
    if (kind == MP__SCAN_FIRST || (!is_young && around_ms >= FAULT_MS) ||
        restless_ms(entry) > FAULT_MAX_MS) {
        return false;
    }
    entry->mark_is_sure = false;
    mp__folder_want(
        folder, FAULT_MS - (is_young ? mp__mark_age_ms(&entry->mark) : around_ms) + 1);
    return true;
}

/* Modules or secrets that it uses have changed since it was judged, or it does not load
 * and any have. */
static bool is_stale(const struct mp__folder *folder, struct mp__entry *entry)
{
    if (entry->around_version == folder->around.version) {
        return false;
    }
    if (entry->error ||
        (entry->script && !mp__around_suits(&folder->around, entry->script))) {
        return true;
    }
    entry->around_version = folder->around.version;
    return false;
}

/* What was shown to work is what goes live: MP_EAGAIN when the files are others since, or
 * were meanwhile. */
static int pass_gate(struct mp__folder *folder, struct mp__entry *entry, const char *path,
                     const struct mp_script *script, struct mp_error *err)
{
    uint8_t before[32], after[32];
    if (!folder->gate ||
        (entry->script && strcmp(entry->script->generation, script->generation) == 0)) {
        return MP_OK;
    }
    mp__around_marks(script, before);
    int status = MP_EAGAIN;
    if (mp__around_holds(&folder->around, script)) {
        status = mp__gate_ask(folder, entry, path, err);
    }
    mp__around_marks(script, after);
    if (status == MP_ECLOSED || (status != MP_EAGAIN && memcmp(before, after, 32) == 0 &&
                                 mp__around_holds(&folder->around, script))) {
        entry->unsettled = 0;
        return status;
    }
    if (++entry->unsettled < UNSETTLED_MAX) {
        return MP_EAGAIN;
    }
    entry->unsettled = 0;
    return mp_error_set(err, MP_ESCRIPT,
                        "%s: its spec shows nothing: the script or a module of it "
                        "changes each time while the spec runs",
                        path);
}

static void judge(struct mp__folder *folder, struct mp__entry *entry, const char *path,
                  struct mp_str source, const uint8_t *digest, enum mp__scan_kind kind)
{
    bool is_back = entry->script &&
                   memcmp(digest, entry->script_digest, MP_SHA256_BYTES) == 0 &&
                   mp__around_suits(&folder->around, entry->script);
    struct mp_script *script = NULL;
    struct mp_error err = {0};
    int status = is_back ? MP_OK
                         : mp_script_load(mp_str_of(entry->name), source, path,
                                          &folder->around.env, &script, &err);
    if (status == MP_OK && script) {
        status = pass_gate(folder, entry, path, script, &err);
    }
    if (status != MP_OK) {
        mp_script_unref(script);
        script = NULL;
    }
    if (status == MP_ECLOSED) {
        return;
    }
    if (status == MP_EAGAIN) {
        entry->mark_is_sure = false;
        mp__folder_want(folder, QUIET_MS);
    }
    if (status == MP_EAGAIN || (status != MP_OK && may_be_half(folder, entry, kind))) {
        /* A spec is asked again, also of what was refused and saved as it was. */
        entry->has_digest = entry->has_digest && !folder->gate;
        return;
    }
    memcpy(entry->digest, digest, sizeof(entry->digest));
    entry->has_digest = true;
    entry->around_version = folder->around.version;
    entry->restless_since_ms = 0;
    if (status == MP_OK) {
        succeed(folder, entry, script);
    } else {
        fail(folder, entry, err.text[0] ? err.text : mp_status_text(status));
    }
}

/* Whoever saves what was refused wants it judged again: a spec may find otherwise. */
static bool asks_again(const struct mp__folder *folder, const struct mp__entry *entry,
                       enum mp__scan_kind kind, bool is_saved)
{
    return entry->error && (kind == MP__SCAN_FORCED || (folder->gate && is_saved));
}

static void use_source(struct mp__folder *folder, struct mp__entry *entry,
                       const char *path, struct mp_str source, enum mp__scan_kind kind,
                       bool is_saved)
{
    uint8_t digest[MP_SHA256_BYTES];
    mp_sha256(source, digest);
    entry->mark_is_sure = !is_younger(&entry->mark, SURE_MS);
    if (!entry->mark_is_sure) {
        mp__folder_want(folder, SURE_MS + 1);
    }
    bool is_same =
        entry->has_digest && memcmp(digest, entry->digest, sizeof(digest)) == 0;
    if (is_same && !asks_again(folder, entry, kind, is_saved) &&
        !is_stale(folder, entry)) {
        entry->restless_since_ms = 0;
    } else {
        judge(folder, entry, path, source, digest, kind);
    }
}

/* Once it can be read again it is told of again, also when it is the same. */
static void cannot_read(struct mp__folder *folder, struct mp__entry *entry,
                        const char *why)
{
    entry->mark_is_sure = false;
    entry->has_digest = false;
    fail(folder, entry, why);
}

static void read_and_use(struct mp__folder *folder, struct mp__entry *entry,
                         const char *path, enum mp__scan_kind kind)
{
    struct mp_buf source;
    struct mp_error err = {0};
    struct mp__mark before = entry->mark;
    mp_buf_init(&source, MP__SOURCE_MAX_BYTES);
    int status = mp__source_read(path, &source, &entry->mark, &err);
    if (status == MP_OK) {
        use_source(folder, entry, path, mp_buf_str(&source), kind,
                   !mp__mark_equal(&before, &entry->mark));
    } else if (status == MP_EAGAIN) {
        entry->mark = before;
        entry->mark_is_sure = false;
        mp__folder_want(folder, QUIET_MS);
    } else {
        cannot_read(folder, entry, err.text);
    }
    mp_buf_fini(&source);
}

bool mp__entry_check(struct mp__folder *folder, struct mp__entry *entry,
                     enum mp__scan_kind kind)
{
    char path[PATH_MAX];
    struct mp__mark mark;
    struct mp_error err;
    enum mp__file_kind file_kind;
    if (snprintf(path, sizeof(path), "%s/%s", folder->path, entry->file) >= PATH_MAX) {
        return false;
    }
    if (mp__source_look(path, &file_kind, &mark, &err) != MP_OK) {
        cannot_read(folder, entry, err.text);
        return true;
    }
    if (file_kind != MP__FILE_REGULAR) {
        return false;
    }
    if (kind != MP__SCAN_FORCED && entry->mark_is_sure &&
        mp__mark_equal(&mark, &entry->mark) && !is_stale(folder, entry)) {
        entry->restless_since_ms = 0;
        return true;
    }
    if (kind == MP__SCAN_USUAL && is_younger(&mark, QUIET_MS) &&
        restless_ms(entry) < QUIET_MAX_MS) {
        mp__folder_want(folder, QUIET_MS);
        return true;
    }
    read_and_use(folder, entry, path, kind);
    return true;
}
