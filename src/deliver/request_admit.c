/* SPDX-License-Identifier: MIT */
#include "moonpost/clock.h"
#include "moonpost/json.h"
#include "request_leaf.h"

/* What ends an attempt before there is a request: its age, what it lacks, what the script
 * says. */

/* Of the named field; when it is missing or no moment, of the acceptance. */
static int began_at(struct mp__build *build, int64_t *out_ms)
{
    const struct mp_script *script = build->script;
    *out_ms = build->context->record->first_ms;
    if (script->max_age_of.length == 0) {
        return MP_OK;
    }
    struct mp_value value = mp__build_lookup(build, script->max_age_of);
    struct mp_str text;
    int64_t read_ms;
    int status = build->failed;
    if (status != MP_OK || mp__value_is_undefined(&value)) {
        return status;
    }
    status = mp__value_text(build, &value, &text);
    if (status == MP_OK && mp_time_read(text, &read_ms) == MP_OK) {
        *out_ms = read_ms;
    }
    return status;
}

int mp__check_age(struct mp__build *build)
{
    int64_t began_ms;
    if (build->script->max_age_ms < 0) {
        return MP_OK;
    }
    int status = began_at(build, &began_ms);
    if (status != MP_OK) {
        return status;
    }
    return began_ms < build->context->now_ms - build->script->max_age_ms
               ? mp__build_dead(build, "expired")
               : MP_OK;
}

static bool is_nothing(const struct mp_value *value)
{
    if (value->is_text) {
        return value->text.length == 0;
    }
    return mp__value_is_missing(value) || mp_json_kind(value->json) == MP_JSON_NULL ||
           mp_str_is(value->json, "\"\"");
}

int mp__check_required(struct mp__build *build)
{
    for (size_t i = 0; i < build->script->required_count; i++) {
        struct mp_str name = build->script->required[i];
        struct mp_value value = mp__build_lookup(build, name);
        if (build->failed != MP_OK) {
            return build->failed;
        }
        if (is_nothing(&value)) {
            return mp__build_dead(build, "missing %.*s", (int)name.length, name.data);
        }
    }
    return MP_OK;
}

int mp__ask_accepts(struct mp__build *build)
{
    if (!(build->script->hooks & MP_HOOK_ACCEPTS)) {
        return MP_OK;
    }
    bool accepted = true;
    char why[256] = "";
    int status =
        mp_script_call_accepts(build->state, build->context, &accepted, why, build->err);
    if (status == MP_OK && !accepted) {
        mp_verdict_set(build->verdict, MP_VERDICT_SKIPPED, "%s",
                       why[0] ? why : "not accepted");
        build->verdict->delay_ms = -1;
        status = MP_EDEAD;
    }
    return status;
}
