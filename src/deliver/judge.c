/* SPDX-License-Identifier: MIT */
#include "moonpost/deliver.h"

/* What an exchange means. */

static bool may_be_one_bad(int status)
{
    return status == 400 || status == 413 || status == 422;
}

/* One event that a partner cannot take must not take the others with it. */
static void judge_by_status(const struct mp_response *response, size_t count,
                            struct mp_verdict *verdict)
{
    mp_verdict_default(response, verdict);
    if (count > 1 && may_be_one_bad(response->status)) {
        verdict->kind = MP_VERDICT_SPLIT;
    }
}

/* There is nobody to be told from: the status decides. Only a refusal is split, so that
 * a 2xx delivered nothing. */
static void end_split(const struct mp_response *response, struct mp_verdict *verdict)
{
    if (verdict->kind != MP_VERDICT_SPLIT) {
        return;
    }
    struct mp_verdict usual;
    mp_verdict_default(response, &usual);
    if (usual.kind != MP_VERDICT_DELIVERED) {
        *verdict = (struct mp_verdict){.kind = MP_VERDICT_NONE, .delay_ms = -1};
    } else if (verdict->why[0] != '\0') {
        verdict->kind = MP_VERDICT_DEAD;
    } else {
        mp_verdict_set(verdict, MP_VERDICT_DEAD, "refused alone: %s", usual.why);
    }
}

static bool names_one(const struct mp_verdict *members, size_t count)
{
    for (size_t i = 0; members && i < count; i++) {
        if (members[i].kind != MP_VERDICT_NONE) {
            return true;
        }
    }
    return false;
}

int mp_judge(struct mp_script *script, struct mp_script_state *state,
             const struct mp_context *context, const struct mp_response *response,
             struct mp_verdict *verdict, struct mp_verdict *members, const char **by,
             struct mp_error *err)
{
    size_t count = context->members ? context->member_count : 1;
    int status = MP_OK;
    *verdict = (struct mp_verdict){.kind = MP_VERDICT_NONE, .delay_ms = -1};
    for (size_t i = 0; members && i < count; i++) {
        members[i] = *verdict;
    }
    *by = "answers";
    if (!mp_verdict_answers(script, response, verdict)) {
        *by = "verdict";
        if ((script->hooks & MP_HOOK_VERDICT) && state) {
            status =
                mp_script_call_verdict(state, context, response, verdict, members, err);
        }
    }
    if (count == 1) {
        end_split(response, verdict);
    }
    if (count == 1 && members) {
        end_split(response, &members[0]);
    }
    bool has_table = names_one(members, count);
    if (verdict->kind == MP_VERDICT_NONE) {
        *by = has_table ? *by : "default";
        judge_by_status(response, count, verdict);
    }
    for (size_t i = 0; members && i < count; i++) {
        members[i] = members[i].kind == MP_VERDICT_NONE ? *verdict : members[i];
    }
    return status;
}
