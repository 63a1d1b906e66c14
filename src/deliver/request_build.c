/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moonpost/json.h"
#include "request_leaf.h"
#include "tokens.h"

static int add_unless_there(struct mp_request *request, const char *name,
                            struct mp_str value)
{
    struct mp_str field = mp_str_of(name);
    return mp_request_find_header(request, field) >= 0
               ? MP_OK
               : mp_request_set_header(request, field, value, (struct mp_str){0}, NULL);
}

int mp_request_stamp(struct mp_request *request, const struct mp_context *context,
                     const char *version)
{
    char number[12];
    char agent[64];
    snprintf(number, sizeof(number), "%u", (unsigned)context->attempt);
    snprintf(agent, sizeof(agent), "Moonpost/%s", version);
    struct mp_str id = context->members ? context->batch_id : context->record->id;
    int status = add_unless_there(request, "Moonpost-Id", id);
    if (status == MP_OK) {
        status = add_unless_there(request, "Moonpost-Attempt", mp_str_of(number));
    }
    return status == MP_OK ? add_unless_there(request, "User-Agent", mp_str_of(agent))
                           : status;
}

int mp__build_dead(struct mp__build *build, const char *format, ...)
{
    char why[sizeof(build->verdict->why)];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof(why), format, args);
    va_end(args);
    mp_verdict_set(build->verdict, MP_VERDICT_DEAD, "%s", why);
    build->verdict->delay_ms = -1;
    return MP_EDEAD;
}

int mp__build_limit(struct mp__build *build, int status, const char *what,
                    const char *most)
{
    if (status == MP_ELIMIT) {
        return mp__build_dead(build, "%s over %s", what, most);
    }
    if (status == MP_EINVAL) {
        return mp__build_dead(
            build, "%s: a prefix, as in {x:3}, of a list, an object or a secret", what);
    }
    if (status == MP_ENOMEM) {
        mp_error_set(build->err, status, "could not build the %s: %s", what,
                     mp_status_text(status));
    }
    return status;
}

void mp__build_init(struct mp__build *build, const struct mp_script *script,
                    struct mp_script_state *state, const struct mp_context *context,
                    struct mp_verdict *verdict, struct mp_error *err)
{
    /* Field by field: the rooms for numbers are written before they are read. */
    build->script = script;
    build->state = state;
    build->context = context;
    build->request = NULL;
    build->verdict = verdict;
    build->err = err;
    build->url_leaf = &script->url;
    build->url_template = NULL;
    build->lookups = 0;
    build->index = NULL;
    build->since_us = 0;
    build->vars = NULL;
    build->in_var = false;
    build->failed = MP_OK;
    build->depth = 0;
    build->kept = NULL;
    mp_buf_init(&build->endpoint, MP_REQUEST_URL_MAX);
    mp_script_turn_begin(state);
}

void mp__build_fini(struct mp__build *build)
{
    mp_script_turn_end(build->state);
    mp_json_index_free(build->index);
    mp_buf_fini(&build->endpoint);
    mp__vars_free(build);
    while (build->kept) {
        struct mp__kept *kept = build->kept;
        build->kept = kept->next;
        mp_buf_fini(&kept->wire);
        mp_buf_fini(&kept->shown);
        free(kept);
    }
}

int mp__build_run(struct mp__build *build, const mp__build_step *steps, size_t count)
{
    int status = MP_OK;
    for (size_t i = 0; i < count && status == MP_OK; i++) {
        status = steps[i](build);
    }
    return status;
}

static int call_request(struct mp__build *build)
{
    if (!(build->script->hooks & MP_HOOK_REQUEST)) {
        return MP_OK;
    }
    struct mp_error why = {0};
    int status =
        mp_script_call_request(build->state, build->context, build->request, &why);
    if (status == MP_EDEAD) {
        return mp__build_dead(build, "%s", why.text);
    }
    return status == MP_OK ? MP_OK : mp_error_set(build->err, status, "%s", why.text);
}

/* After the hook, which never sees the token: its place, unless the script has put an
 * Authorization of its own there. */
static int place_token(struct mp__build *build)
{
    struct mp_str name = mp_str_of("Authorization");
    struct mp_str place = mp_str_of(MP__TOKEN_SHOWN);
    if (!build->script->oauth2 || mp_request_find_header(build->request, name) >= 0) {
        return MP_OK;
    }
    return mp__set_header(build, name, place, place);
}

/* What functions made is checked where it enters, and once more as a whole: a hook may
 * have changed any of it. */
static int check_request(struct mp__build *build)
{
    int status = mp__check_method(build);
    if (status == MP_OK) {
        status = mp__check_url(build);
    }
    struct mp_request *request = build->request;
    for (size_t i = 0; i < request->header_count && status == MP_OK; i++) {
        status = mp__check_field(build, mp_header_name(request, i),
                                 mp_header_value(request, i));
    }
    return status;
}

int mp_request_build(struct mp_script *script, struct mp_script_state *state,
                     const struct mp_context *context, struct mp_request *request,
                     struct mp_verdict *verdict, struct mp_error *err)
{
    static const mp__build_step steps[] = {
        mp__check_age,    mp__check_required, mp__ask_accepts, mp__call_vars,
        mp__build_method, mp__build_url,      mp__build_body,  mp__build_headers,
        call_request,     place_token,        check_request,
    };
    /* Each member of a batch went through these when its piece was built. */
    size_t done = context->members ? 4 : 0;
    struct mp__build build;
    mp__build_init(&build, script, state, context, verdict, err);
    build.request = request;
    int status =
        mp__build_run(&build, steps + done, sizeof(steps) / sizeof(*steps) - done);
    mp__build_fini(&build);
    return status;
}
