/* SPDX-License-Identifier: MIT */
#include "attempt_log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "moonpost/clock.h"
#include "moonpost/log.h"

#define ROOM        "deliver"
#define SPARES      8
#define SPARE_BYTES ((size_t)256 * 1024)
#define LINES_MAX   ((size_t)1024 * 1024 * 1024)

struct chunk {
    struct chunk *next;
    struct mp_buf lines;
};

struct mp__attempt_log {
    struct mp__attempt_log_config config;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t given;
    struct chunk *head, *tail; /* with lock */
    struct chunk *spares;      /* with lock: written ones, to fill again */
    unsigned spare_count;
    bool is_stopping; /* with lock */
    bool writer_waits;
    _Atomic size_t bytes; /* given and not yet written */
    atomic_bool room_is_wanted;
    /* The writer's own. */
    int fd;
    bool is_own;       /* to be closed */
    bool may_block;    /* a write to it might */
    bool is_broken;    /* the reader is gone */
    bool is_full_disk; /* and that was said */
    int64_t waited_ms; /* since the stop */
};

/* A description of the file that is ours, so that it alone does not block: what we were
 * given may be shared with other programs. A regular file never blocks for long, and its
 * position is shared on purpose. -1: there is none to be had. */
static int open_own(int fd)
{
    struct stat stat;
    char path[32];
    if (fstat(fd, &stat) != 0 || !(S_ISFIFO(stat.st_mode) || S_ISCHR(stat.st_mode))) {
        return -1;
    }
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static bool is_regular(int fd)
{
    struct stat stat;
    return fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode);
}

/* Waits for 100 ms at most, for the reader or for room on the disk. False: nothing moved
 * for too long after the stop. */
static bool wait_a_moment(struct mp__attempt_log *log, bool for_reader)
{
    struct pollfd poll_fd = {.fd = for_reader ? log->fd : -1, .events = POLLOUT};
    if (poll(&poll_fd, 1, 100) != 0) {
        log->waited_ms = 0;
        return true;
    }
    pthread_mutex_lock(&log->lock);
    bool is_stopping = log->is_stopping;
    pthread_mutex_unlock(&log->lock);
    log->waited_ms = is_stopping ? log->waited_ms + 100 : 0;
    return log->waited_ms < log->config.stop_ms;
}

static void give_up(struct mp__attempt_log *log, int why)
{
    log->is_broken = true;
    mp_log_error(ROOM,
                 "could not write the attempt log: %s; its lines are lost from here on",
                 strerror(why));
}

static void complain_of_disk(struct mp__attempt_log *log, int why)
{
    if (!log->is_full_disk) {
        log->is_full_disk = true;
        mp_log_error(ROOM, "could not write the attempt log: %s; lanes wait for room",
                     strerror(why));
    }
}

/* Where a write might block, poll is asked first: it promises PIPE_BUF bytes and no more.
 */
static void write_out(struct mp__attempt_log *log, struct mp_str lines)
{
    while (lines.length > 0 && !log->is_broken) {
        size_t length = lines.length;
        if (log->may_block) {
            struct pollfd poll_fd = {.fd = log->fd, .events = POLLOUT};
            length = length < PIPE_BUF ? length : PIPE_BUF;
            length = poll(&poll_fd, 1, 0) != 0 ? length : 0;
        }
        ssize_t written = length > 0 ? write(log->fd, lines.data, length) : -1;
        int why = length > 0 ? errno : EAGAIN;
        if (written >= 0) {
            lines.data += written;
            lines.length -= (size_t)written;
            log->is_full_disk = false;
        } else if (why == ENOSPC || why == EDQUOT) {
            complain_of_disk(log, why);
            if (!wait_a_moment(log, false)) {
                give_up(log, why);
            }
        } else if (why == EAGAIN) {
            if (!wait_a_moment(log, true)) {
                give_up(log, ETIMEDOUT);
            }
        } else if (why != EINTR) {
            give_up(log, why);
        }
    }
}

static void recycle(struct mp__attempt_log *log, struct chunk *chunk)
{
    if (log->spare_count < SPARES && chunk->lines.capacity <= SPARE_BYTES) {
        mp_buf_reset(&chunk->lines);
        chunk->next = log->spares;
        log->spares = chunk;
        log->spare_count++;
    } else {
        mp_buf_fini(&chunk->lines);
        free(chunk);
    }
}

static void write_chunk(struct mp__attempt_log *log, struct chunk *chunk)
{
    size_t length = chunk->lines.length;
    write_out(log, mp_buf_str(&chunk->lines));
    atomic_fetch_sub(&log->bytes, length);
    pthread_mutex_lock(&log->lock);
    recycle(log, chunk);
    pthread_mutex_unlock(&log->lock);
    if (!mp__attempt_log_is_full(log) && atomic_exchange(&log->room_is_wanted, false)) {
        log->config.on_room(log->config.arg);
    }
}

static struct chunk *next_chunk(struct mp__attempt_log *log)
{
    pthread_mutex_lock(&log->lock);
    while (!log->head && !log->is_stopping) {
        log->writer_waits = true;
        pthread_cond_wait(&log->given, &log->lock);
    }
    log->writer_waits = false;
    struct chunk *chunk = log->head;
    if (chunk) {
        log->head = chunk->next;
        log->tail = log->head ? log->tail : NULL;
    }
    pthread_mutex_unlock(&log->lock);
    return chunk;
}

static void *run(void *arg)
{
    struct mp__attempt_log *log = arg;
    sigset_t all;
    sigfillset(&all); /* a closed pipe is an error to tell, not a signal to die of */
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    pthread_setname_np(pthread_self(), "mp-attempt-log");
    struct chunk *chunk;
    while ((chunk = next_chunk(log))) {
        write_chunk(log, chunk);
    }
    log->config.on_stopped(log->config.arg);
    return NULL;
}

int mp__attempt_log_start(const struct mp__attempt_log_config *config,
                          struct mp__attempt_log **out, struct mp_error *err)
{
    struct mp__attempt_log *log = calloc(1, sizeof(*log));
    if (!log) {
        return mp_error_set(err, MP_ENOMEM,
                            "could not start the attempt log: out of memory");
    }
    log->config = *config;
    int own = open_own(config->fd);
    log->is_own = own >= 0;
    log->fd = log->is_own ? own : config->fd;
    log->may_block = !log->is_own && !is_regular(config->fd);
    pthread_mutex_init(&log->lock, NULL);
    pthread_cond_init(&log->given, NULL);
    int failed = pthread_create(&log->thread, NULL, run, log);
    if (failed) {
        mp__attempt_log_free(log);
        return mp_error_set(err, MP_EIO, "could not start the attempt log: %s",
                            strerror(failed));
    }
    *out = log;
    return MP_OK;
}

bool mp__attempt_log_is_full(struct mp__attempt_log *log)
{
    if (atomic_load(&log->bytes) < log->config.max_bytes) {
        return false;
    }
    /* Asked for before the second look, so that the writer cannot miss it. */
    atomic_store(&log->room_is_wanted, true);
    return atomic_load(&log->bytes) >= log->config.max_bytes;
}

static struct chunk *take_spare(struct mp__attempt_log *log)
{
    struct chunk *chunk = log->spares;
    if (chunk) {
        log->spares = chunk->next;
        log->spare_count--;
    }
    return chunk;
}

void mp__attempt_log_give(struct mp__attempt_log *log, struct mp_buf *lines)
{
    if (lines->length == 0) {
        return;
    }
    pthread_mutex_lock(&log->lock);
    struct chunk *chunk = take_spare(log);
    pthread_mutex_unlock(&log->lock);
    if (!chunk) {
        chunk = calloc(1, sizeof(*chunk));
        if (!chunk) {
            return; /* they stay with the worker, for its next turn */
        }
        mp_buf_init(&chunk->lines, LINES_MAX);
    }
    struct mp_buf empty = chunk->lines;
    chunk->lines = *lines;
    chunk->next = NULL;
    *lines = empty;
    atomic_fetch_add(&log->bytes, chunk->lines.length);
    pthread_mutex_lock(&log->lock);
    if (log->tail) {
        log->tail->next = chunk;
    } else {
        log->head = chunk;
    }
    log->tail = chunk;
    bool wake = log->writer_waits;
    log->writer_waits = false;
    pthread_mutex_unlock(&log->lock);
    if (wake) {
        pthread_cond_signal(&log->given);
    }
}

void mp__attempt_log_stop(struct mp__attempt_log *log)
{
    pthread_mutex_lock(&log->lock);
    log->is_stopping = true;
    pthread_mutex_unlock(&log->lock);
    pthread_cond_signal(&log->given);
}

static void free_chunks(struct chunk *chunk)
{
    while (chunk) {
        struct chunk *next = chunk->next;
        mp_buf_fini(&chunk->lines);
        free(chunk);
        chunk = next;
    }
}

void mp__attempt_log_free(struct mp__attempt_log *log)
{
    if (!log) {
        return;
    }
    if (log->is_stopping) {
        pthread_join(log->thread, NULL);
    }
    if (log->is_own) {
        close(log->fd);
    }
    free_chunks(log->head);
    free_chunks(log->spares);
    pthread_cond_destroy(&log->given);
    pthread_mutex_destroy(&log->lock);
    free(log);
}
