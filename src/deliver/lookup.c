/* SPDX-License-Identifier: MIT */
#include "lookup.h"

#include <stdlib.h>
#include <string.h>

#include "attempt.h"

static struct mp__lookup *find(const struct mp__lookups *lookups, struct mp_str host)
{
    struct mp__map_node *node = mp__map_find(&lookups->by_host, host, mp__hash(host));
    return (struct mp__lookup *)(void *)node;
}

bool mp__lookup_begin(struct mp__lookups *lookups, struct mp__attempt *attempt,
                      struct mp_str host)
{
    if (attempt->lookup) {
        return true;
    }
    if (lookups->count >= lookups->max || find(lookups, host)) {
        return false;
    }
    struct mp__lookup *lookup = calloc(1, sizeof(*lookup) + host.length);
    if (!lookup) {
        return true; /* uncounted is better than never */
    }
    memcpy(lookup->host, host.data, host.length);
    lookup->node.key = (struct mp_str){lookup->host, host.length};
    if (mp__map_add(&lookups->by_host, &lookup->node) != MP_OK) {
        free(lookup);
        return true;
    }
    lookups->count++;
    attempt->lookup = lookup;
    return true;
}

static void wait_in(struct mp__attempt **list, struct mp__attempt *attempt)
{
    attempt->wait_next = *list;
    if (*list) {
        (*list)->wait_link = &attempt->wait_next;
    }
    attempt->wait_link = list;
    *list = attempt;
}

bool mp__lookup_wait(struct mp__lookups *lookups, struct mp__attempt *attempt,
                     struct mp_str host)
{
    struct mp__lookup *lookup = find(lookups, host);
    if (lookup) {
        wait_in(&lookup->waiting, attempt);
    } else if (lookups->count >= lookups->max) {
        wait_in(&lookups->waiting, attempt);
    }
    return attempt->wait_link != NULL;
}

void mp__lookup_forget(struct mp__attempt *attempt)
{
    if (!attempt->wait_link) {
        return;
    }
    *attempt->wait_link = attempt->wait_next;
    if (attempt->wait_next) {
        attempt->wait_next->wait_link = attempt->wait_link;
    }
    attempt->wait_next = NULL;
    attempt->wait_link = NULL;
}

struct mp__attempt *mp__lookup_end(struct mp__lookups *lookups,
                                   struct mp__attempt *attempt)
{
    struct mp__lookup *lookup = attempt->lookup;
    struct mp__attempt *released = NULL;
    if (!lookup) {
        return NULL;
    }
    attempt->lookup = NULL;
    struct mp__attempt *waiter;
    while ((waiter = lookup->waiting) || (waiter = lookups->waiting)) {
        bool was_for_place = waiter != lookup->waiting;
        mp__lookup_forget(waiter);
        waiter->wait_next = released;
        released = waiter;
        if (was_for_place) {
            break; /* one place, one attempt */
        }
    }
    mp__map_remove(&lookups->by_host, &lookup->node);
    lookups->count--;
    free(lookup);
    return released;
}

static void free_node(void *arg, struct mp__map_node *node)
{
    (void)arg;
    free(node);
}

void mp__lookups_fini(struct mp__lookups *lookups)
{
    mp__map_each(&lookups->by_host, free_node, NULL);
    mp__map_fini(&lookups->by_host);
}
