/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "loader.h"

/* The main loop's side: hears the loader's news in order, and keeps the newest usable
 * generation of each partner for `try`. */

struct partner {
    char name[MP_PARTNER_BYTES];
    struct mp_script *script;
};

struct mp_scripts {
    uv_async_t wake;
    struct mp_scripts_config config;
    struct mp__loader *loader;
    struct partner *partners; /* in order of name */
    size_t count;
    bool is_closing;
    void (*on_closed)(void *arg);
    void *closed_arg;
};

/* Where the partner is, or would be. */
static size_t place_of(const struct mp_scripts *scripts, struct mp_str name, bool *found)
{
    size_t low = 0, high = scripts->count;
    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct mp_str other = mp_str_of(scripts->partners[middle].name);
        size_t shared = name.length < other.length ? name.length : other.length;
        int order = memcmp(other.data, name.data, shared);
        if (order == 0 && other.length == name.length) {
            *found = true;
            return middle;
        }
        if (order < 0 || (order == 0 && other.length < name.length)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void forget(struct mp_scripts *scripts, size_t place)
{
    mp_script_unref(scripts->partners[place].script);
    scripts->count--;
    memmove(&scripts->partners[place], &scripts->partners[place + 1],
            (scripts->count - place) * sizeof(*scripts->partners));
}

static struct partner *make_room(struct mp_scripts *scripts, size_t place)
{
    struct partner *more =
        realloc(scripts->partners, (scripts->count + 1) * sizeof(*scripts->partners));
    if (!more) {
        return NULL;
    }
    scripts->partners = more;
    memmove(&more[place + 1], &more[place], (scripts->count - place) * sizeof(*more));
    scripts->count++;
    more[place] = (struct partner){0};
    return &more[place];
}

/* Without memory the partner cannot be tried, but is delivered to. */
static void keep(struct mp_scripts *scripts, const struct mp_scripts_change *change)
{
    bool found;
    size_t place = place_of(scripts, mp_str_of(change->name), &found);
    if (!change->script) {
        if (found) {
            forget(scripts, place);
        }
        return;
    }
    struct partner *partner =
        found ? &scripts->partners[place] : make_room(scripts, place);
    if (partner) {
        mp_script_unref(partner->script);
        memcpy(partner->name, change->name, sizeof(partner->name));
        partner->script = mp_script_ref(change->script);
    }
}

/* A callback may close the scripts: what follows in the same batch is dropped then. */
static void hear(struct mp_scripts *scripts, struct mp__news *news)
{
    if (news->kind == MP__NEWS_TRY) {
        news->try_->done(news->try_);
    } else if (scripts->is_closing) {
        return;
    } else if (news->kind == MP__NEWS_LOADED) {
        scripts->config.on_loaded(scripts->config.arg);
    } else {
        keep(scripts, &news->change);
        scripts->config.on_change(scripts->config.arg, &news->change);
        news->change.script = NULL; /* a reference for the callee */
    }
}

static void on_wake_closed(uv_handle_t *handle)
{
    struct mp_scripts *scripts = handle->data;
    void (*on_closed)(void *) = scripts->on_closed;
    void *arg = scripts->closed_arg;
    free(scripts->partners);
    free(scripts);
    on_closed(arg);
}

static void end(struct mp_scripts *scripts)
{
    mp__loader_free(scripts->loader);
    scripts->loader = NULL;
    while (scripts->count > 0) {
        forget(scripts, scripts->count - 1);
    }
    uv_close((uv_handle_t *)&scripts->wake, on_wake_closed);
}

static void on_wake(uv_async_t *wake)
{
    struct mp_scripts *scripts = wake->data;
    /* Asked first: all that was told before the end is in the outbox then. */
    bool has_ended = mp__loader_has_ended(scripts->loader);
    struct mp__news *news = mp__loader_take(scripts->loader);
    while (news) {
        struct mp__news *next = news->next;
        hear(scripts, news);
        mp__news_free(news);
        news = next;
    }
    if (has_ended) {
        end(scripts);
    }
}

static int check_folder(const char *folder, struct mp_error *err)
{
    struct stat st;
    if (stat(folder, &st) != 0) {
        return mp_error_set(err, MP_ENOTFOUND, "could not read the scripts folder %s: %s",
                            folder, strerror(errno));
    }
    return S_ISDIR(st.st_mode)
               ? MP_OK
               : mp_error_set(err, MP_EINVAL,
                              "could not read the scripts folder %s: it is no folder",
                              folder);
}

static void on_failed_closed(uv_handle_t *handle)
{
    free(handle->data);
}

int mp_scripts_start(uv_loop_t *loop, const struct mp_scripts_config *config,
                     struct mp_scripts **out, struct mp_error *err)
{
    int status = check_folder(config->folder, err);
    if (status != MP_OK) {
        return status;
    }
    struct mp_scripts *scripts = calloc(1, sizeof(*scripts));
    if (!scripts || uv_async_init(loop, &scripts->wake, on_wake) != 0) {
        free(scripts);
        return mp_error_set(err, MP_ENOMEM, "could not start the loader: out of memory");
    }
    scripts->wake.data = scripts;
    scripts->config = *config;
    status = mp__loader_start(config, &scripts->wake, &scripts->loader, err);
    if (status != MP_OK) {
        uv_close((uv_handle_t *)&scripts->wake, on_failed_closed);
        return status;
    }
    *out = scripts;
    return MP_OK;
}

int mp_scripts_try(struct mp_scripts *scripts, struct mp_try *try_)
{
    bool found;
    if (scripts->is_closing) {
        return MP_ECLOSED;
    }
    size_t place = place_of(scripts, try_->partner, &found);
    if (!found) {
        return MP_ENOTFOUND;
    }
    struct mp__news *news = mp__news_new(MP__NEWS_TRY);
    if (!news) {
        return MP_ENOMEM;
    }
    news->script = mp_script_ref(scripts->partners[place].script);
    news->try_ = try_;
    mp__loader_try(scripts->loader, news);
    return MP_OK;
}

void mp_scripts_rescan(struct mp_scripts *scripts)
{
    if (!scripts->is_closing) {
        mp__loader_rescan(scripts->loader);
    }
}

void mp_scripts_close(struct mp_scripts *scripts, void (*on_closed)(void *arg), void *arg)
{
    scripts->is_closing = true;
    scripts->on_closed = on_closed;
    scripts->closed_arg = arg;
    mp__loader_stop(scripts->loader);
}
