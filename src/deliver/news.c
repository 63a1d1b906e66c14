/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdlib.h>

#include "room.h"
#include "tokens.h"

static void on_room_closed(uv_handle_t *handle)
{
    struct mp_deliver *deliver = handle->data;
    if (--deliver->handles_open > 0) {
        return;
    }
    void (*on_closed)(void *arg) = deliver->on_closed;
    void *arg = deliver->closed_arg;
    mp__wake_fini(&deliver->room.inbox.wake);
    mp__route_fini(deliver);
    mp__token_store_free(deliver->room.tokens);
    mp_record_list_free(&deliver->room.inbox.outcomes);
    pthread_mutex_destroy(&deliver->room.inbox.lock);
    free(deliver->workers);
    free(deliver->gathered);
    free(deliver);
    curl_global_cleanup();
    if (on_closed) {
        on_closed(arg);
    }
}

void mp__room_close_handles(struct mp_deliver *deliver)
{
    mp__attempt_log_free(deliver->room.log);
    mp__wake_close(&deliver->room.inbox.wake, on_room_closed);
    uv_close((uv_handle_t *)&deliver->log_stopped, on_room_closed);
    uv_close((uv_handle_t *)&deliver->deadline, on_room_closed);
}

static void worker_stopped(struct mp_deliver *deliver, struct mp__worker *worker)
{
    mp__worker_join(worker);
    if (++deliver->stopped == deliver->worker_count) {
        mp__attempt_log_stop(deliver->room.log);
    }
}

/* Not of what is paused: the queue's last hold wins, and a pause is the longer one. */
static void tell_hold(struct mp_deliver *deliver, const struct mp__news *news)
{
    struct mp_str name = mp_str_of(news->pause.name);
    struct mp_record any = {.partner = name, .lane = name};
    if (!mp__route_is_paused(deliver, &any)) {
        deliver->config.on_hold(deliver->config.arg, name, news->until_ms);
    }
}

static void heard(struct mp_deliver *deliver, struct mp__news *news)
{
    const struct mp_deliver_config *config = &deliver->config;
    switch (news->kind) {
    case MP__NEWS_HOLD:
        tell_hold(deliver, news);
        break;
    case MP__NEWS_PAUSE:
        mp__route_set_paused(deliver, mp_str_of(news->pause.name), true);
        config->on_pause(config->arg, &news->pause);
        break;
    case MP__NEWS_SLOW:
    case MP__NEWS_CLEAN:
        if (!deliver->is_closing) {
            mp__route_move(deliver, news, news->kind == MP__NEWS_SLOW);
        }
        break;
    case MP__NEWS_OVERRAN:
        if (!deliver->is_closing) {
            mp__route_overran(deliver, news);
        }
        mp_script_unref(news->script);
        break;
    case MP__NEWS_LEFT:
        if (!deliver->is_closing) {
            mp__route_order(deliver, news->shared, MP__ORDER_KICK,
                            news->shared->node.key);
        }
        break;
    case MP__NEWS_DRAINED:
        deliver->drained++;
        break;
    case MP__NEWS_STOPPED:
        worker_stopped(deliver, news->worker);
        break;
    }
}

static void wake_workers(struct mp_deliver *deliver)
{
    if (!deliver->is_closing && atomic_exchange(&deliver->log_has_room, false)) {
        for (unsigned i = 0; i < deliver->worker_count; i++) {
            mp__wake_send(&deliver->workers[i].wake);
        }
    }
}

static void tell_drained(struct mp_deliver *deliver)
{
    if (deliver->is_draining && !deliver->told_drained && deliver->out == 0 &&
        deliver->drained == deliver->worker_count) {
        deliver->told_drained = true;
        uv_timer_stop(&deliver->deadline);
        deliver->on_drained(deliver->drained_arg);
    }
}

/* News before records: a record that comes back parked is given again at once, unless its
 * lane was held first. */
void mp__news_arrived(void *arg)
{
    struct mp_deliver *deliver = arg;
    struct mp__inbox *inbox = &deliver->room.inbox;
    pthread_mutex_lock(&inbox->lock);
    struct mp_record_list records = inbox->outcomes;
    struct mp__news *news = inbox->news;
    inbox->outcomes = (struct mp_record_list){0};
    inbox->news = inbox->news_tail = NULL;
    pthread_mutex_unlock(&inbox->lock);
    while (news) {
        struct mp__news *next = news->next;
        heard(deliver, news);
        free(news);
        news = next;
    }
    if (records.count > 0) {
        assert(deliver->out >= records.count);
        deliver->out -= records.count;
        deliver->config.on_outcomes(deliver->config.arg, &records);
    }
    wake_workers(deliver);
    tell_drained(deliver);
}

void mp__news_park(struct mp_deliver *deliver, struct mp_record_list *records)
{
    struct mp__inbox *inbox = &deliver->room.inbox;
    for (struct mp_record *record = records->head; record; record = record->next) {
        record->outcome.kind = MP_OUTCOME_PARK;
    }
    pthread_mutex_lock(&inbox->lock);
    mp_record_list_append(&inbox->outcomes, records);
    pthread_mutex_unlock(&inbox->lock);
    mp__wake_send(&inbox->wake);
}
