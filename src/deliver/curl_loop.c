/* SPDX-License-Identifier: MIT */
#include "curl_loop.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct mp__multi {
    struct mp__curl_loop *loop;
    CURLM *curl;
    uv_timer_t timer;
    unsigned weight;
    bool has_news; /* worth asking for ended transfers */
};

struct mp__poll {
    uv_poll_t uv;
    struct mp__curl_loop *loop;
    struct mp__multi *multi; /* NULL: not in use by any yet */
    curl_socket_t fd;
    int events;   /* armed for */
    bool is_idle; /* curl has no interest now; it stays armed */
};

/* Polls. */

static struct mp__poll *find_poll(struct mp__curl_loop *loop, curl_socket_t fd)
{
    return (size_t)fd < loop->poll_count ? loop->polls[fd] : NULL;
}

static int grow_polls(struct mp__curl_loop *loop, curl_socket_t fd)
{
    size_t count = loop->poll_count ? loop->poll_count : 64;
    while (count <= (size_t)fd) {
        count *= 2;
    }
    struct mp__poll **polls = realloc(loop->polls, count * sizeof(struct mp__poll *));
    if (!polls) {
        return MP_ENOMEM;
    }
    memset(polls + loop->poll_count, 0, (count - loop->poll_count) * sizeof(*polls));
    loop->polls = polls;
    loop->poll_count = count;
    return MP_OK;
}

static struct mp__poll *add_poll(struct mp__curl_loop *loop, curl_socket_t fd)
{
    if ((size_t)fd >= loop->poll_count && grow_polls(loop, fd) != MP_OK) {
        return NULL;
    }
    struct mp__poll *poll = calloc(1, sizeof(*poll));
    if (!poll || uv_poll_init(loop->uv, &poll->uv, fd) != 0) {
        free(poll);
        return NULL;
    }
    poll->uv.data = poll;
    poll->loop = loop;
    poll->fd = fd;
    loop->polls[fd] = poll;
    return poll;
}

static void on_poll_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void remove_poll(struct mp__poll *poll)
{
    poll->loop->polls[poll->fd] = NULL;
    uv_close((uv_handle_t *)&poll->uv, on_poll_closed);
}

static void act(struct mp__multi *multi, curl_socket_t fd, int bits)
{
    int running;
    multi->has_news = true;
    curl_multi_socket_action(multi->curl, fd, bits, &running);
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct mp__poll *poll = handle->data;
    if (poll->is_idle || status < 0) {
        uv_poll_stop(handle);
        poll->events = 0;
    }
    if (poll->is_idle) {
        return; /* the peer closed, or spoke unasked: curl sees it when it looks again */
    }
    int bits = (events & UV_READABLE ? CURL_CSELECT_IN : 0) |
               (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0) |
               (status < 0 ? CURL_CSELECT_ERR : 0);
    act(poll->multi, poll->fd, bits);
}

static void arm(struct mp__poll *poll, int events)
{
    poll->is_idle = false;
    if (poll->events != events && uv_poll_start(&poll->uv, events, on_poll) == 0) {
        poll->events = events;
    }
}

/* curl's wish for a descriptor. A connection goes idle and busy again at every request,
 * and each disarming would cost two system calls: it stays armed until it fires in vain.
 * Only an established connection, though: a socket that is still connecting, and the
 * resolver's own, are closed by curl 7.88 without the callback for closing. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
    (void)unused;
    struct mp__multi *multi = arg;
    struct mp__poll *poll = find_poll(multi->loop, fd);
    if (what == CURL_POLL_REMOVE) {
        if (poll && multi->loop->is_established(easy)) {
            poll->is_idle = true;
        } else if (poll) {
            remove_poll(poll);
        }
        return 0;
    }
    if (!poll && !(poll = add_poll(multi->loop, fd))) {
        return -1;
    }
    poll->multi = multi;
    arm(poll, (what & CURL_POLL_IN ? UV_READABLE : 0) |
                  (what & CURL_POLL_OUT ? UV_WRITABLE : 0));
    return 0;
}

/* A poll that is there already was of a socket that curl closed unsaid, trying a host's
 * next address. When that one gets the same number and is wanted for the same events,
 * curl says nothing either: the new socket takes the old one's place. */
curl_socket_t mp__curl_loop_open_socket(struct mp__curl_loop *loop,
                                        const struct curl_sockaddr *address)
{
    curl_socket_t fd =
        socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    struct mp__poll *old = fd >= 0 ? find_poll(loop, fd) : NULL;
    if (!old) {
        return fd >= 0 ? fd : CURL_SOCKET_BAD;
    }
    struct mp__multi *multi = old->multi;
    int events = old->events;
    remove_poll(old);
    struct mp__poll *poll = add_poll(loop, fd);
    if (!poll) {
        close(fd);
        return CURL_SOCKET_BAD;
    }
    poll->multi = multi;
    arm(poll, events);
    return fd;
}

int mp__curl_loop_close_socket(void *arg, curl_socket_t fd)
{
    struct mp__curl_loop *loop = arg;
    struct mp__poll *poll = find_poll(loop, fd);
    if (poll) {
        remove_poll(poll);
    }
    return close(fd);
}

/* Multis. */

static void on_timeout(uv_timer_t *timer)
{
    act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static int on_timer(CURLM *curl, long timeout_ms, void *arg)
{
    (void)curl;
    struct mp__multi *multi = arg;
    if (timeout_ms < 0) {
        return uv_timer_stop(&multi->timer);
    }
    return uv_timer_start(&multi->timer, on_timeout, (uint64_t)timeout_ms, 0);
}

static struct mp__multi *multi_new(struct mp__curl_loop *loop)
{
    struct mp__multi *multi = calloc(1, sizeof(*multi));
    if (!multi) {
        return NULL;
    }
    multi->curl = curl_multi_init();
    if (!multi->curl) {
        free(multi);
        return NULL;
    }
    multi->loop = loop;
    uv_timer_init(loop->uv, &multi->timer);
    multi->timer.data = multi;
    curl_multi_setopt(multi->curl, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(multi->curl, CURLMOPT_SOCKETDATA, multi);
    curl_multi_setopt(multi->curl, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(multi->curl, CURLMOPT_TIMERDATA, multi);
    curl_multi_setopt(multi->curl, CURLMOPT_MAXCONNECTS, (long)MP__MULTI_SHARE + 32);
    return multi;
}

static struct mp__multi *multi_of(struct mp__curl_loop *loop, unsigned number)
{
    unsigned index = number % MP__MULTIS_MAX;
    if (!loop->multis[index]) {
        loop->multis[index] = multi_new(loop);
    }
    return loop->multis[index];
}

int mp__curl_loop_init(struct mp__curl_loop *loop, uv_loop_t *uv,
                       bool (*is_established)(CURL *easy))
{
    *loop = (struct mp__curl_loop){
        .uv = uv, .share = curl_share_init(), .is_established = is_established};
    if (!loop->share || !multi_of(loop, 0)) {
        mp__curl_loop_fini(loop);
        return MP_ENOMEM;
    }
    curl_share_setopt(loop->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
    return MP_OK;
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void mp__curl_loop_close(struct mp__curl_loop *loop)
{
    for (unsigned i = 0; i < MP__MULTIS_MAX; i++) {
        struct mp__multi *multi = loop->multis[i];
        if (multi) {
            curl_multi_cleanup(multi->curl);
            uv_close((uv_handle_t *)&multi->timer, on_timer_closed);
            loop->multis[i] = NULL;
        }
    }
}

void mp__curl_loop_fini(struct mp__curl_loop *loop)
{
    if (loop->share) {
        curl_share_cleanup(loop->share);
    }
    free(loop->polls);
    *loop = (struct mp__curl_loop){0};
}

unsigned mp__curl_loop_reserve(struct mp__curl_loop *loop, unsigned weight)
{
    unsigned best = 0;
    unsigned least = (unsigned)-1;
    for (unsigned i = 0; i < MP__MULTIS_MAX; i++) {
        unsigned used = loop->multis[i] ? loop->multis[i]->weight : 0;
        if (used + weight <= MP__MULTI_SHARE) {
            best = i; /* the first with room: few lanes, few multis */
            break;
        }
        if (used < least) {
            least = used;
            best = i;
        }
    }
    struct mp__multi *multi = multi_of(loop, best);
    if (multi) {
        multi->weight += weight;
    }
    return best;
}

void mp__curl_loop_release(struct mp__curl_loop *loop, unsigned number, unsigned weight)
{
    struct mp__multi *multi = loop->multis[number % MP__MULTIS_MAX];
    if (multi && multi->weight >= weight) {
        multi->weight -= weight;
    }
}

int mp__curl_loop_add(struct mp__curl_loop *loop, unsigned number, CURL *easy)
{
    struct mp__multi *multi = multi_of(loop, number);
    if (!multi || curl_multi_add_handle(multi->curl, easy) != CURLM_OK) {
        return MP_ENOMEM;
    }
    return MP_OK;
}

void mp__curl_loop_remove(struct mp__curl_loop *loop, unsigned number, CURL *easy)
{
    curl_multi_remove_handle(loop->multis[number % MP__MULTIS_MAX]->curl, easy);
}

bool mp__curl_loop_drain(struct mp__curl_loop *loop,
                         bool (*on_done)(void *arg, CURL *easy, CURLcode code), void *arg)
{
    unsigned first = loop->drain_first;
    for (unsigned i = 0; i < MP__MULTIS_MAX; i++) {
        struct mp__multi *multi = loop->multis[(first + i) % MP__MULTIS_MAX];
        if (!multi || !multi->has_news) {
            continue;
        }
        multi->has_news = false;
        int left;
        CURLMsg *message;
        while ((message = curl_multi_info_read(multi->curl, &left))) {
            CURL *easy = message->easy_handle;
            CURLcode code = message->data.result;
            curl_multi_remove_handle(multi->curl, easy);
            if (!on_done(arg, easy, code)) {
                multi->has_news = true;
                loop->drain_first = (first + i + 1) % MP__MULTIS_MAX;
                return true;
            }
        }
    }
    return false;
}
