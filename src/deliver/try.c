/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "moonpost/clock.h"
#include "moonpost/id.h"
#include "request.h"

#define RETRIES_MAX (sizeof(((struct mp_try *)0)->retry_ms) / sizeof(int64_t))

/* The waits of the attempts that would follow this one, without jitter. */
static void fill_retries(const struct mp_script *script, struct mp_try *try_)
{
    try_->retry_count = 0;
    for (size_t i = try_->attempt - 1;
         i < script->schedule_count && try_->retry_count < RETRIES_MAX; i++) {
        try_->retry_ms[try_->retry_count++] = script->schedule_ms[i];
    }
}

static void fill_reason(struct mp_try *try_, const struct mp_verdict *verdict,
                        const struct mp_error *err)
{
    if (try_->status == MP_EDEAD) {
        snprintf(try_->reason, sizeof(try_->reason), "%s: %s",
                 mp_verdict_name(verdict->kind), verdict->why);
    } else {
        snprintf(try_->reason, sizeof(try_->reason), "%s",
                 err->text[0] ? err->text : mp_status_text(try_->status));
    }
}

static int build_request(struct mp_script *script, struct mp_script_state *state,
                         const struct mp_context *context, struct mp_try *try_,
                         struct mp_verdict *verdict, struct mp_error *err)
{
    int status = mp_request_stamp(&try_->request, context, MP_VERSION);
    return status == MP_OK
               ? mp_request_build(script, state, context, &try_->request, verdict, err)
               : status;
}

/* Of one member, whose id is the batch's too. */
static int build_batch(struct mp_script *script, struct mp_script_state *state,
                       const struct mp_context *context, struct mp_try *try_,
                       struct mp_verdict *verdict, struct mp_error *err)
{
    struct mp_item item;
    struct mp_context whole = *context;
    mp_buf_init(&item.wire, MP_REQUEST_BODY_MAX);
    mp_buf_init(&item.shown, MP_REQUEST_BODY_MAX);
    whole.members = &context->record;
    whole.items = &item;
    whole.member_count = 1;
    whole.batch_id = context->record->id;
    int status = mp_item_build(script, state, context, &item, verdict, err);
    if (status == MP_OK) {
        status = build_request(script, state, &whole, try_, verdict, err);
    }
    mp_buf_fini(&item.wire);
    mp_buf_fini(&item.shown);
    return status;
}

static int build(struct mp_script *script, struct mp_script_state *state,
                 const struct mp_context *context, struct mp_try *try_,
                 struct mp_verdict *verdict, struct mp_error *err)
{
    return script->batch.size > 0
               ? build_batch(script, state, context, try_, verdict, err)
               : build_request(script, state, context, try_, verdict, err);
}

void mp_request_try(struct mp_script *script, struct mp_script_state *state,
                    struct mp_try *try_)
{
    char id[MP_ID_BYTES];
    mp_id_new(id);
    if (try_->attempt == 0) {
        try_->attempt = 1;
    }
    struct mp_record record = {
        .id = mp_str_of(id),
        .partner = try_->partner,
        .lane = try_->partner,
        .event = try_->event,
        .type = try_->type,
        .endpoint_method = try_->endpoint_method,
        .endpoint_url = try_->endpoint_url,
        .first_ms = mp_clock_wall_ms(),
        .occurred_ms = -1,
        .attempts = try_->attempt - 1,
    };
    struct mp_context context = {.record = &record,
                                 .attempt = try_->attempt,
                                 .last = try_->attempt > script->schedule_count,
                                 .now_ms = record.first_ms};
    struct mp_verdict verdict = {0};
    struct mp_error err = {0};
    snprintf(try_->generation, sizeof(try_->generation), "%s", script->generation);
    mp_request_reset(&try_->request);
    fill_retries(script, try_);
    try_->status = build(script, state, &context, try_, &verdict, &err);
    if (try_->status != MP_OK) {
        fill_reason(try_, &verdict, &err);
    }
}
