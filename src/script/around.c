/* SPDX-License-Identifier: MIT */
#include "around.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moonpost/clock.h"
#include "moonpost/id.h"
#include "moonpost/log.h"
#include "plan.h"

#define QUIET_MS     20 /* as of a script's file: entry.c; no clock of files is coarser */
#define QUIET_MAX_MS 100
#define MISSING_MS   200

/* NULL: out of memory. */
static char *inside(const char *folder, const char *name)
{
    size_t bytes = strlen(folder) + strlen(name) + 2;
    char *path = malloc(bytes);
    if (path) {
        snprintf(path, bytes, "%s/%s", folder, name);
    }
    return path;
}

int mp__around_init(struct mp__around *around, const char *folder,
                    const struct mp_scripts_config *config, struct mp_secrets *secrets)
{
    *around = (struct mp__around){.version = 1, .env = {.secrets = secrets}};
    around->lib.path = inside(folder, "lib");
    around->secrets.path = config->secrets ? strdup(config->secrets) : NULL;
    around->specs.path = config->gate ? inside(folder, "spec") : NULL;
    if (!around->lib.path || (config->secrets && !around->secrets.path) ||
        (config->gate && !around->specs.path)) {
        mp__around_fini(around);
        return MP_ENOMEM;
    }
    around->lib.is_told_of = around->specs.is_told_of = true; /* by the scripts' folder */
    around->specs.has_lua = true;
    around->env.lib_folder = around->lib.path;
    return MP_OK;
}

void mp__around_fini(struct mp__around *around)
{
    mp_secrets_unref(around->env.secrets);
    free(around->lib.path);
    free(around->secrets.path);
    free(around->specs.path);
    *around = (struct mp__around){0};
}

/* Every name with its mark, in whatever order they come. */
struct survey {
    uint8_t sum[32];
    int64_t youngest_ms; /* -1: there is nothing young */
    bool is_there;
};

static void add_mark(struct survey *survey, const char *name, const struct mp__mark *mark)
{
    uint8_t digest[MP_SHA256_BYTES];
    struct mp__mark plain;
    memset(&plain, 0, sizeof(plain)); /* the gaps between its members too */
    plain.device = mark->device;
    plain.inode = mark->inode;
    plain.size_bytes = mark->size_bytes;
    plain.modified_ns = mark->modified_ns;
    plain.changed_ns = mark->changed_ns;
    const struct mp_str parts[] = {mp_str_of(name),
                                   {(const char *)&plain, sizeof(plain)}};
    mp_sha256_of(parts, 2, digest);
    for (size_t i = 0; i < sizeof(digest); i++) {
        survey->sum[i] ^= digest[i];
    }
    int64_t age_ms = mp__mark_age_ms(mark);
    if (age_ms >= 0 && (survey->youngest_ms < 0 || age_ms < survey->youngest_ms)) {
        survey->youngest_ms = age_ms;
    }
}

static bool is_lua(const char *name)
{
    size_t length = strlen(name);
    return length > 4 && strcmp(name + length - 4, ".lua") == 0;
}

static void look_at(struct survey *survey, const struct mp__place *place,
                    const struct dirent *item, struct mp__watch *watch)
{
    char path[PATH_MAX];
    enum mp__file_kind kind;
    struct mp__mark mark;
    struct mp_error err;
    if (item->d_name[0] == '.' || (place->has_lua && !is_lua(item->d_name)) ||
        snprintf(path, sizeof(path), "%s/%s", place->path, item->d_name) >= PATH_MAX) {
        return;
    }
    if (watch && (item->d_type == DT_LNK || item->d_type == DT_UNKNOWN)) {
        mp__watch_also(watch, path);
    }
    if (mp__source_look(path, &kind, &mark, &err) == MP_OK && kind == MP__FILE_REGULAR) {
        add_mark(survey, item->d_name, &mark);
    }
}

static void survey_folder(struct survey *survey, const struct mp__place *place,
                          struct mp__watch *watch)
{
    *survey = (struct survey){.youngest_ms = -1};
    DIR *dir = opendir(place->path);
    if (!dir) {
        return;
    }
    survey->is_there = true;
    survey->sum[0] = 1; /* an empty folder is another than none */
    for (const struct dirent *item; (item = readdir(dir));) {
        look_at(survey, place, item, watch);
    }
    closedir(dir);
}

static void want(int64_t *want_ms, int64_t ms)
{
    *want_ms = ms < *want_ms ? ms : *want_ms;
}

enum sight { SAME, RESTLESS, CHANGED };

static enum sight look(struct mp__place *place, struct mp__watch *watch,
                       enum mp__scan_kind kind, int64_t *want_ms)
{
    struct survey survey;
    if (!place->path) {
        return SAME;
    }
    /* Watch first, then look: what changes between the two is told by the watch. */
    bool is_watched = watch && mp__watch_folder(watch, place->path);
    survey_folder(&survey, place, watch);
    if (!is_watched && !place->is_told_of) {
        want(want_ms, MISSING_MS);
    }
    bool is_same = memcmp(survey.sum, place->sum, sizeof(survey.sum)) == 0;
    if (is_same && place->is_sure && kind != MP__SCAN_FORCED) {
        place->restless_since_ms = 0;
        return SAME;
    }
    int64_t now_ms = mp_clock_mono_ms();
    bool is_young = survey.youngest_ms >= 0 && survey.youngest_ms < QUIET_MS;
    if (place->restless_since_ms == 0) {
        place->restless_since_ms = now_ms;
    }
    if (kind == MP__SCAN_USUAL && is_young &&
        now_ms - place->restless_since_ms < QUIET_MAX_MS) {
        want(want_ms, QUIET_MS);
        return RESTLESS;
    }
    place->restless_since_ms = 0;
    memcpy(place->sum, survey.sum, sizeof(survey.sum));
    place->is_sure = survey.youngest_ms < 0 || survey.youngest_ms >= QUIET_MS;
    if (!place->is_sure) {
        want(want_ms, QUIET_MS + 1);
    }
    return CHANGED;
}

static void grow(struct mp__around *around)
{
    around->version++;
    around->changed_ms = mp_clock_mono_ms();
}

static void read_secrets(struct mp__around *around)
{
    struct mp_secrets *secrets = NULL;
    struct mp_error err = {0};
    int status = mp_secrets_read(around->secrets.path, &secrets, &err);
    if (status != MP_OK) {
        around->secrets.is_sure = false;
        if (strcmp(around->trouble, err.text) != 0) {
            memcpy(around->trouble, err.text, sizeof(around->trouble));
            mp_log_warn("script", "%s (the values read before stay)", err.text);
        }
        return;
    }
    if (around->trouble[0]) {
        around->trouble[0] = '\0';
        mp_log_info("script", "the secrets in %s can be read again",
                    around->secrets.path);
    }
    if (mp_secrets_equal(secrets, around->env.secrets)) {
        mp_secrets_unref(secrets);
        return;
    }
    mp_secrets_unref(around->env.secrets);
    around->env.secrets = secrets;
    grow(around);
}

bool mp__around_look(struct mp__around *around, struct mp__watch *watch,
                     enum mp__scan_kind kind, int64_t *want_ms)
{
    enum sight lib = look(&around->lib, watch, kind, want_ms);
    enum sight secrets = look(&around->secrets, watch, kind, want_ms);
    enum sight specs = look(&around->specs, watch, kind, want_ms);
    if (lib == CHANGED || specs == CHANGED) {
        grow(around);
    }
    if (secrets == CHANGED) {
        read_secrets(around);
    }
    return lib != RESTLESS && secrets != RESTLESS && specs != RESTLESS;
}

bool mp__secrets_suit(const struct mp_script *script, const struct mp_secrets *secrets)
{
    const struct mp_secrets *own = mp_script_secrets(script);
    const struct mp__private *private_ = mp__private_of(script);
    if (own == secrets) {
        return true;
    }
    for (const struct mp__used_secret *each = private_->used_secrets; each;
         each = each->next) {
        if (!mp_secrets_agree(own, secrets, each->name)) {
            return false;
        }
    }
    return !private_->names_any_secret || mp_secrets_equal(own, secrets);
}

/* A file that cannot be read suits as long as it could not before. */
static bool holds(struct mp_str path, struct mp_str wanted)
{
    struct mp_buf source;
    struct mp__mark mark;
    mp_buf_init(&source, MP__SOURCE_MAX_BYTES);
    bool can_read = mp__source_read(path.data, &source, &mark, NULL) == MP_OK;
    bool is_same = can_read == (wanted.data != NULL) &&
                   (!can_read || mp_str_equal(mp_buf_str(&source), wanted));
    mp_buf_fini(&source);
    return is_same;
}

bool mp__around_suits(const struct mp__around *around, const struct mp_script *script)
{
    for (const struct mp__module *each = mp__private_of(script)->modules; each;
         each = each->next) {
        if (!holds(each->path, each->source)) {
            return false;
        }
    }
    return mp__secrets_suit(script, around->env.secrets);
}

bool mp__around_holds(const struct mp__around *around, const struct mp_script *script)
{
    return holds(script->path, script->source) && mp__around_suits(around, script);
}

static void survey_file(struct survey *survey, struct mp_str path)
{
    enum mp__file_kind kind;
    struct mp__mark mark;
    if (mp__source_look(path.data, &kind, &mark, NULL) == MP_OK &&
        kind == MP__FILE_REGULAR) {
        add_mark(survey, path.data, &mark);
    }
}

void mp__around_marks(const struct mp_script *script, uint8_t out[32])
{
    struct survey survey = {.youngest_ms = -1};
    survey_file(&survey, script->path);
    for (const struct mp__module *each = mp__private_of(script)->modules; each;
         each = each->next) {
        survey_file(&survey, each->path);
    }
    memcpy(out, survey.sum, sizeof(survey.sum));
}
