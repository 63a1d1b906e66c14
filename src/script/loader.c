/* SPDX-License-Identifier: MIT */
#include "loader.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "moonpost/clock.h"

#define QUIET_MS     20 /* events come in bursts: a scan begins after so much quiet */
#define QUIET_MAX_MS 100

struct queue {
    struct mp__news *head, *tail;
};

struct mp__loader {
    pthread_t thread;
    int event_fd;
    uv_async_t *wake;
    mp_try_builder builder;
    struct mp__folder *folder;
    struct mp__news loaded; /* so that it cannot fail to be told */
    pthread_mutex_t mutex;  /* guards what follows */
    struct queue inbox, outbox;
    bool is_stopping, has_ended, wants_rescan;
};

struct mp__news *mp__news_new(enum mp__news_kind kind)
{
    struct mp__news *news = calloc(1, sizeof(*news));
    if (news) {
        news->kind = kind;
    }
    return news;
}

void mp__news_free(struct mp__news *news)
{
    if (!news || news->kind == MP__NEWS_LOADED) {
        return;
    }
    mp_script_unref(news->change.script);
    mp_script_unref(news->script);
    free((char *)news->change.error);
    free(news);
}

static void push(struct queue *queue, struct mp__news *news)
{
    news->next = NULL;
    if (queue->tail) {
        queue->tail->next = news;
    } else {
        queue->head = news;
    }
    queue->tail = news;
}

static struct mp__news *take_all(struct queue *queue)
{
    struct mp__news *all = queue->head;
    *queue = (struct queue){0};
    return all;
}

static void signal_thread(struct mp__loader *loader)
{
    uint64_t one = 1;
    /* It fails only when the count is full: then the thread is awake anyway. */
    ssize_t written = write(loader->event_fd, &one, sizeof(one));
    (void)written;
}

void mp__loader_tell(struct mp__loader *loader, struct mp__news *news)
{
    pthread_mutex_lock(&loader->mutex);
    push(&loader->outbox, news);
    pthread_mutex_unlock(&loader->mutex);
    uv_async_send(loader->wake);
}

void mp__loader_try(struct mp__loader *loader, struct mp__news *news)
{
    pthread_mutex_lock(&loader->mutex);
    push(&loader->inbox, news);
    pthread_mutex_unlock(&loader->mutex);
    signal_thread(loader);
}

void mp__loader_rescan(struct mp__loader *loader)
{
    pthread_mutex_lock(&loader->mutex);
    loader->wants_rescan = true;
    pthread_mutex_unlock(&loader->mutex);
    signal_thread(loader);
}

void mp__loader_stop(struct mp__loader *loader)
{
    pthread_mutex_lock(&loader->mutex);
    loader->is_stopping = true;
    pthread_mutex_unlock(&loader->mutex);
    signal_thread(loader);
}

struct mp__news *mp__loader_take(struct mp__loader *loader)
{
    pthread_mutex_lock(&loader->mutex);
    struct mp__news *all = take_all(&loader->outbox);
    pthread_mutex_unlock(&loader->mutex);
    return all;
}

static bool flag(struct mp__loader *loader, const bool *which)
{
    pthread_mutex_lock(&loader->mutex);
    bool value = *which;
    pthread_mutex_unlock(&loader->mutex);
    return value;
}

bool mp__loader_is_stopping(struct mp__loader *loader)
{
    return flag(loader, &loader->is_stopping);
}

bool mp__loader_has_ended(struct mp__loader *loader)
{
    return flag(loader, &loader->has_ended);
}

void mp__try_run(struct mp_script *script, mp_try_builder builder, struct mp_try *try_)
{
    struct mp_script_state *state = NULL;
    struct mp_error err = {0};
    int status =
        script->has_functions ? mp_script_state_new(script, &state, &err) : MP_OK;
    if (status == MP_OK) {
        builder(script, state, try_);
    } else {
        try_->status = status;
        snprintf(try_->generation, sizeof(try_->generation), "%s", script->generation);
        snprintf(try_->reason, sizeof(try_->reason), "%s",
                 err.text[0] ? err.text : mp_status_text(status));
    }
    mp_script_state_free(state);
}

void mp__loader_serve(struct mp__loader *loader)
{
    pthread_mutex_lock(&loader->mutex);
    struct mp__news *news = take_all(&loader->inbox);
    bool is_stopping = loader->is_stopping;
    pthread_mutex_unlock(&loader->mutex);
    while (news) {
        struct mp__news *next = news->next;
        if (is_stopping) {
            news->try_->status = MP_ECLOSED;
            snprintf(news->try_->reason, sizeof(news->try_->reason), "%s",
                     mp_status_text(MP_ECLOSED));
        } else {
            mp__try_run(news->script, loader->builder, news->try_);
        }
        mp__loader_tell(loader, news);
        news = next;
    }
}

struct clock {
    int64_t scan_at_ms;        /* by the poll, or because a file asked */
    int64_t first_ms, last_ms; /* of the events since the last scan; 0: none */
};

static int64_t due_ms(const struct clock *clock)
{
    if (clock->first_ms == 0) {
        return clock->scan_at_ms;
    }
    int64_t quiet_ms = clock->last_ms + QUIET_MS;
    int64_t most_ms = clock->first_ms + QUIET_MAX_MS;
    int64_t event_ms = quiet_ms < most_ms ? quiet_ms : most_ms;
    return event_ms < clock->scan_at_ms ? event_ms : clock->scan_at_ms;
}

static void wait_until(struct mp__loader *loader, struct clock *clock)
{
    struct pollfd fds[2] = {{.fd = loader->event_fd, .events = POLLIN},
                            {.fd = mp__folder_fd(loader->folder), .events = POLLIN}};
    int64_t left_ms = due_ms(clock) - mp_clock_mono_ms();
    if (poll(fds, 2, left_ms > 0 ? (int)left_ms : 0) <= 0) {
        return;
    }
    if (fds[0].revents) {
        uint64_t count;
        ssize_t got = read(loader->event_fd, &count, sizeof(count));
        (void)got; /* what to do is in the flags */
    }
    if (fds[1].revents && mp__folder_drain(loader->folder)) {
        clock->last_ms = mp_clock_mono_ms();
        clock->first_ms = clock->first_ms ? clock->first_ms : clock->last_ms;
    }
}

static bool take_rescan(struct mp__loader *loader)
{
    pthread_mutex_lock(&loader->mutex);
    bool wanted = loader->wants_rescan;
    loader->wants_rescan = false;
    pthread_mutex_unlock(&loader->mutex);
    return wanted;
}

static void scan(struct mp__loader *loader, struct clock *clock, enum mp__scan_kind kind)
{
    int64_t wait_ms = mp__folder_scan(loader->folder, kind);
    *clock = (struct clock){.scan_at_ms = mp_clock_mono_ms() + wait_ms};
}

static void *run(void *arg)
{
    struct mp__loader *loader = arg;
    struct clock clock = {0};
    scan(loader, &clock, MP__SCAN_FIRST);
    mp__loader_tell(loader, &loader->loaded);
    while (!mp__loader_is_stopping(loader)) {
        wait_until(loader, &clock);
        mp__loader_serve(loader);
        bool is_forced = take_rescan(loader);
        if (is_forced || mp_clock_mono_ms() >= due_ms(&clock)) {
            scan(loader, &clock, is_forced ? MP__SCAN_FORCED : MP__SCAN_USUAL);
        }
    }
    mp__loader_serve(loader);
    mp__folder_free(loader->folder);
    loader->folder = NULL;
    pthread_mutex_lock(&loader->mutex);
    loader->has_ended = true;
    uv_async_send(
        loader->wake); /* under the lock: who sees the flag may close the async */
    pthread_mutex_unlock(&loader->mutex);
    return NULL;
}

int mp__thread_start(pthread_t *thread, void *(*body)(void *), void *arg)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    if (pthread_attr_init(&attributes) != 0) {
        return MP_ENOMEM;
    }
    /* Signals are the main loop's; a new thread inherits the mask. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_attr_setstacksize(&attributes, MP_SCRIPT_STACK_BYTES);
    code = code ? code : pthread_create(thread, &attributes, body, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return code ? MP_ENOMEM : MP_OK;
}

static int start(struct mp__loader *loader, const struct mp_scripts_config *config,
                 struct mp_secrets *secrets)
{
    loader->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loader->event_fd < 0) {
        mp_secrets_unref(secrets);
        return MP_EIO;
    }
    if (config->gate) {
        signal(SIGCHLD, SIG_DFL); /* who started us may not have wanted to wait */
    }
    int status = mp__folder_new(config, secrets, loader, &loader->folder);
    if (status == MP_OK) {
        status = mp__thread_start(&loader->thread, run, loader);
    }
    if (status != MP_OK) {
        mp__folder_free(loader->folder);
        close(loader->event_fd);
    }
    return status;
}

int mp__loader_start(const struct mp_scripts_config *config, uv_async_t *wake,
                     struct mp__loader **out, struct mp_error *err)
{
    struct mp_secrets *secrets;
    int status = mp_secrets_read(config->secrets, &secrets, err);
    if (status != MP_OK) {
        return status;
    }
    struct mp__loader *loader = calloc(1, sizeof(*loader));
    if (!loader || pthread_mutex_init(&loader->mutex, NULL) != 0) {
        mp_secrets_unref(secrets);
        free(loader);
        return mp_error_set(err, MP_ENOMEM, "could not start the loader: out of memory");
    }
    loader->builder = config->builder;
    loader->wake = wake;
    loader->loaded.kind = MP__NEWS_LOADED;
    status = start(loader, config, secrets);
    if (status != MP_OK) {
        pthread_mutex_destroy(&loader->mutex);
        free(loader);
        return mp_error_set(err, status, "could not start the loader: %s",
                            mp_status_text(status));
    }
    *out = loader;
    return MP_OK;
}

static void free_all(struct mp__news *news)
{
    while (news) {
        struct mp__news *next = news->next;
        mp__news_free(news);
        news = next;
    }
}

void mp__loader_free(struct mp__loader *loader)
{
    pthread_join(loader->thread, NULL);
    free_all(take_all(&loader->inbox));
    free_all(take_all(&loader->outbox));
    close(loader->event_fd);
    pthread_mutex_destroy(&loader->mutex);
    free(loader);
}
