/* SPDX-License-Identifier: MIT */
#include "server.h"

static struct mp_record draft_of(const struct mp__item *item, struct mp_str partner)
{
    return (struct mp_record){
        .partner = partner,
        .event = item->event,
        .type = item->type,
        .source = item->source,
        .subject = item->subject,
        .event_id = item->id,
        .partition_key = item->partition_key,
        .occurred_ms = item->occurred_ms,
    };
}

static int add_for_partner(struct mp_call *call, const struct mp__item *item)
{
    struct mp_record draft = draft_of(item, call->partner);
    return mp__intake_add(call, &draft, item->index, false);
}

static void take_items(struct mp_call *call, mp__each_item each, const char *scope,
                       bool tells_deliveries)
{
    if (mp__intake_begin(call) != MP_OK) {
        return;
    }
    if (mp__items_each(call, each) != MP_OK) {
        mp__intake_abandon(call);
        return;
    }
    mp__intake_commit(call, scope, tells_deliveries);
}

void mp__partner_events(struct mp_call *call)
{
    take_items(call, add_for_partner, "/events/", false);
}

struct fan {
    struct mp_call *call;
    const struct mp__item *item;
    int status;
};

static void add_subscriber(void *arg, struct mp_str partner)
{
    struct fan *fan = arg;
    /* A delivery to postback needs an endpoint, which no event of a fan-out has. */
    if (fan->status == MP_OK && !mp_str_is(partner, "postback")) {
        struct mp_record draft = draft_of(fan->item, partner);
        fan->status = mp__intake_add(fan->call, &draft, fan->item->index, true);
    }
}

static int add_for_all(struct mp_call *call, const struct mp__item *item)
{
    struct fan fan = {call, item, MP_OK};
    mp_directory_subscribers(call->connection->server->config.directory, item->type,
                             add_subscriber, &fan);
    return fan.status;
}

void mp__fan_out(struct mp_call *call)
{
    take_items(call, add_for_all, "/events", true);
}
