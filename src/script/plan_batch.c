/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "marker.h"
#include "moonpost/clock.h"
#include "plan_keys.h"

#define SIZE        100
#define MEMBERS_MAX 10000
#define WAIT_MS     1000
#define WAIT_MAX_MS 3600000
#define BYTES       (1024 * 1024)
#define BYTES_MAX   (16 * 1024 * 1024)
#define BY_MAX      16

static void read_wait(struct mp__plan *plan)
{
    plan->script->batch.wait_ms = mp__plan_duration(plan, -1);
    if (plan->script->batch.wait_ms > WAIT_MAX_MS) {
        mp__plan_fail(plan, "it is from 0 to 1h");
    }
}

static void read_bytes(struct mp__plan *plan)
{
    lua_State *lua = plan->lua;
    uint64_t bytes = 0;
    bool good = lua_type(lua, -1) == LUA_TSTRING &&
                mp_size_parse(mp__str_at(lua, -1), &bytes) == MP_OK;
    if (lua_type(lua, -1) == LUA_TNUMBER) {
        bytes = (uint64_t)mp__plan_integer(plan, 1, BYTES_MAX);
        good = true;
    }
    if (!good) {
        mp__plan_fail(plan,
                      "it is no size: write \"1MiB\", \"256KiB\" or a number of bytes");
    }
    if (bytes < 1 || bytes > BYTES_MAX) {
        mp__plan_fail(plan, "it is from 1 byte to 16MiB");
    }
    plan->script->batch.bytes = (int64_t)bytes;
}

static void read_by_name(struct mp__plan *plan, size_t index, void *arg)
{
    static const char *const known[] = {"ctx.type", "ctx.source", "ctx.subject",
                                        "ctx.partner", NULL};
    struct mp_str *names = arg;
    struct mp_str name = names[index] = mp__plan_name(plan, "a name");
    if (!mp__str_begins(name, "ctx.")) {
        return;
    }
    for (const char *const *each = known; *each; each++) {
        if (mp_str_is(name, *each)) {
            return;
        }
    }
    mp__plan_fail(plan,
                  "%s differs with each delivery: of ctx there are ctx.type, ctx.source "
                  "and ctx.subject",
                  name.data);
}

static void read_by(struct mp__plan *plan)
{
    struct mp_batch_plan *batch = &plan->script->batch;
    batch->by_count = mp__plan_list_length(plan, "it", BY_MAX);
    batch->by = mp__plan_alloc(plan, batch->by_count, sizeof(*batch->by));
    mp__plan_list(plan, read_by_name, batch->by);
}

static void read_format(struct mp__plan *plan)
{
    struct mp_str word = mp__plan_string(plan, "it");
    plan->script->batch.is_ndjson = mp_str_is(word, "ndjson");
    if (!plan->script->batch.is_ndjson && !mp_str_is(word, "json")) {
        mp__plan_fail(plan, "it is \"json\" or \"ndjson\"");
    }
}

void mp__plan_batch(struct mp__plan *plan)
{
    static const char *const known[] = {"size", "wait", "bytes", "by", "format", NULL};
    struct mp_batch_plan *batch = &plan->script->batch;
    int table = lua_gettop(plan->lua);
    mp__plan_known(plan, "batch", known);
    batch->size = SIZE;
    batch->wait_ms = WAIT_MS;
    batch->bytes = BYTES;
    if (mp__plan_field(plan, table, "size")) {
        batch->size = mp__plan_integer(plan, 1, MEMBERS_MAX);
    }
    if (mp__plan_field(plan, table, "wait")) {
        read_wait(plan);
    }
    if (mp__plan_field(plan, table, "bytes")) {
        read_bytes(plan);
    }
    if (mp__plan_field(plan, table, "by")) {
        read_by(plan);
    }
    if (mp__plan_field(plan, table, "format")) {
        read_format(plan);
    }
}

void mp__plan_item(struct mp__plan *plan)
{
    plan->script->batch.has_item = true;
    mp__plan_node(plan, MP__PLACE_JSON, MP__JSON_DEPTH, &plan->script->batch.item);
}
