/* SPDX-License-Identifier: MIT */
#include "moonpost/engine.h"

int mp_queue_append(struct mp_queue *queue, struct mp_append *append)
{
    return queue->ops->append(queue, append);
}

void mp_queue_resolve(struct mp_queue *queue, struct mp_record_list *records)
{
    queue->ops->resolve(queue, records);
}

void mp_queue_hold(struct mp_queue *queue, struct mp_str name, int64_t until_ms)
{
    queue->ops->hold(queue, name, until_ms);
}

void mp_queue_release(struct mp_queue *queue, struct mp_str name)
{
    queue->ops->release(queue, name);
}

int mp_queue_set_pause(struct mp_queue *queue, const struct mp_pause *pause)
{
    return queue->ops->set_pause(queue, pause);
}

int mp_queue_clear_pause(struct mp_queue *queue, struct mp_str name)
{
    return queue->ops->clear_pause(queue, name);
}

void mp_queue_set_depth(struct mp_queue *queue, struct mp_str partner, size_t records)
{
    queue->ops->set_depth(queue, partner, records);
}

uint64_t mp_queue_waiting(struct mp_queue *queue, struct mp_str partner)
{
    return queue->ops->waiting(queue, partner);
}

int mp_queue_dead_list(struct mp_queue *queue, struct mp_str partner, size_t limit,
                       struct mp_str cursor, mp_dead_page_cb done, void *arg)
{
    return queue->ops->dead_list(queue, partner, limit, cursor, done, arg);
}

int mp_queue_dead_show(struct mp_queue *queue, struct mp_str id, mp_dead_page_cb done,
                       void *arg)
{
    return queue->ops->dead_show(queue, id, done, arg);
}

int mp_queue_dead_replay(struct mp_queue *queue, const struct mp_dead_filter *filter,
                         bool dry_run, mp_dead_count_cb done, void *arg)
{
    return queue->ops->dead_replay(queue, filter, dry_run, done, arg);
}

int mp_queue_dead_purge(struct mp_queue *queue, const struct mp_dead_filter *filter,
                        bool dry_run, mp_dead_count_cb done, void *arg)
{
    return queue->ops->dead_purge(queue, filter, dry_run, done, arg);
}

void mp_queue_rest(struct mp_queue *queue)
{
    if (queue->ops->rest) {
        queue->ops->rest(queue);
    }
}

void mp_queue_close(struct mp_queue *queue, void (*on_closed)(void *arg), void *arg)
{
    queue->ops->close(queue, on_closed, arg);
}
