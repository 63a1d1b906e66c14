/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "moonpost/json.h"
#include "request_leaf.h"

/* Batches: one event's piece, what a batch's members have in common, and the pieces where
 * they stand in the body. */

static int write_item(struct mp__build *build, struct mp__out out)
{
    const struct mp_batch_plan *plan = &build->script->batch;
    bool left_out = false;
    if (!plan->has_item) {
        return mp__out_append(out, build->context->record->event);
    }
    const struct mp_node *node;
    int status = mp__by_resolve(build, &plan->item, &node);
    if (status == MP_OK) {
        status = mp__json_write(build, out, node, &left_out);
    }
    if (status == MP_OK && left_out && node->kind == MP_NODE_LEAF) {
        return mp__build_dead(build, "there is no item for it");
    }
    return status;
}

int mp_item_build(struct mp_script *script, struct mp_script_state *state,
                  const struct mp_context *context, struct mp_item *item,
                  struct mp_verdict *verdict, struct mp_error *err)
{
    static const mp__build_step steps[] = {mp__check_age, mp__check_required,
                                           mp__ask_accepts, mp__call_vars};
    struct mp__build build;
    char most[32];
    snprintf(most, sizeof(most), "%zu bytes", item->wire.max_bytes);
    mp_buf_reset(&item->wire);
    mp_buf_reset(&item->shown);
    mp__build_init(&build, script, state, context, verdict, err);
    int status = mp__build_run(&build, steps, sizeof(steps) / sizeof(*steps));
    if (status == MP_OK) {
        struct mp__out out = {&item->wire, script->has_secrets ? &item->shown : NULL};
        status = mp__build_limit(&build, write_item(&build, out), "item", most);
    }
    mp__build_fini(&build);
    if (mp_str_equal(mp_buf_str(&item->wire), mp_buf_str(&item->shown))) {
        mp_buf_reset(&item->shown);
    }
    return status;
}

int mp__item_check_age(struct mp_script *script, const struct mp_context *context,
                       struct mp_verdict *verdict)
{
    struct mp__build build;
    struct mp_error err;
    if (script->max_age_ms < 0) {
        return MP_OK;
    }
    mp__build_init(&build, script, NULL, context, verdict, &err);
    int status = mp__check_age(&build);
    mp__build_fini(&build);
    return status == MP_EDEAD ? MP_EDEAD : MP_OK;
}

static int write_key(struct mp__build *build, struct mp_str name, struct mp_buf *out)
{
    struct mp_value value = mp__build_lookup(build, name);
    if (build->failed != MP_OK) {
        return build->failed;
    }
    if (value.is_text) {
        return mp_json_write_string(out, value.text);
    }
    return mp__value_is_undefined(&value) ? mp_buf_append_text(out, "null")
                                          : mp_buf_append_str(out, value.json);
}

static int write_keys(struct mp__build *build, struct mp_buf *out)
{
    const struct mp_batch_plan *plan = &build->script->batch;
    int status = mp_buf_append_char(out, '[');
    for (size_t i = 0; i < plan->by_count && status == MP_OK; i++) {
        status = i == 0 ? MP_OK : mp_buf_append_char(out, ',');
        if (status == MP_OK) {
            status = write_key(build, plan->by[i], out);
        }
    }
    return status == MP_OK ? mp_buf_append_char(out, ']') : status;
}

int mp_batch_key(const struct mp_script *script, const struct mp_record *record,
                 struct mp_buf *out)
{
    struct mp_context context = {
        .record = record, .attempt = record->attempts + 1, .now_ms = record->first_ms};
    struct mp_verdict verdict;
    struct mp__build build;
    size_t before = out->length;
    mp__build_init(&build, script, NULL, &context, &verdict, NULL);
    int status = write_keys(&build, out);
    if (status == MP_ESCRIPT || status == MP_EDEAD) {
        /* A var that only Lua, or nothing, can make: it goes alone. */
        out->length = before;
        status = mp_json_write_string(out, record->id);
    }
    mp__build_fini(&build);
    if (status != MP_OK) {
        out->length = before;
    }
    return status;
}

/* A line of NDJSON has no line break; in JSON one is white space, nothing else. */
static int append_line(struct mp_buf *out, struct mp_str piece)
{
    size_t start = out->length;
    int status = mp_buf_append_str(out, piece);
    for (size_t i = start; i < out->length && status == MP_OK; i++) {
        if (out->data[i] == '\n' || out->data[i] == '\r') {
            out->data[i] = ' ';
        }
    }
    return status == MP_OK ? mp_buf_append_char(out, '\n') : status;
}

static int write_pieces(const struct mp_context *context, bool is_ndjson, bool is_shown,
                        struct mp_buf *out)
{
    int status = is_ndjson ? MP_OK : mp_buf_append_char(out, '[');
    for (size_t i = 0; i < context->member_count && status == MP_OK; i++) {
        const struct mp_item *item = &context->items[i];
        bool hides = is_shown && item->shown.length > 0;
        struct mp_str piece = mp_buf_str(hides ? &item->shown : &item->wire);
        if (is_ndjson) {
            status = append_line(out, piece);
            continue;
        }
        status = i == 0 ? MP_OK : mp_buf_append_char(out, ',');
        if (status == MP_OK) {
            status = mp_buf_append_str(out, piece);
        }
    }
    return status == MP_OK && !is_ndjson ? mp_buf_append_char(out, ']') : status;
}

int mp__items_write(struct mp__build *build, struct mp__out out, bool is_ndjson)
{
    int status = write_pieces(build->context, is_ndjson, false, out.wire);
    if (status == MP_OK && out.shown) {
        status = write_pieces(build->context, is_ndjson, true, out.shown);
    }
    return status;
}
