/* SPDX-License-Identifier: MIT */
#include "kafka_lane.h"

void mp__kafka_links_push(struct mp__kafka_links *links, struct mp__kafka_link *link)
{
    link->next = NULL;
    link->previous = links->last;
    *(links->last ? &links->last->next : &links->first) = link;
    links->last = link;
    link->in = links;
}

void mp__kafka_links_remove(struct mp__kafka_link *link)
{
    struct mp__kafka_links *links = link->in;
    if (!links) {
        return;
    }
    *(link->previous ? &link->previous->next : &links->first) = link->next;
    *(link->next ? &link->next->previous : &links->last) = link->previous;
    *link = (struct mp__kafka_link){0};
}

struct mp__kafka_lane *mp__kafka_lane_of_work(struct mp__kafka_link *link)
{
    return (void *)((char *)link - offsetof(struct mp__kafka_lane, work));
}

struct mp__kafka_lane *mp__kafka_lane_of_ring(struct mp__kafka_link *link)
{
    return (void *)((char *)link - offsetof(struct mp__kafka_lane, ring));
}
