/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "moonpost/json.h"
#include "request.h"
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

static int check_required(struct mp__build *build)
{
    for (size_t i = 0; i < build->script->required_count; i++) {
        struct mp_str name = build->script->required[i];
        struct mp_value value = mp__build_lookup(build, name);
        if (mp__value_is_missing(&value) ||
            (!value.is_text && (mp_json_kind(value.json) == MP_JSON_NULL ||
                                mp_str_is(value.json, "\"\"")))) {
            return mp__build_dead(build, "missing %.*s", (int)name.length, name.data);
        }
    }
    return MP_OK;
}

static int ask_accepts(struct mp__build *build)
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

static int check_field(struct mp__build *build, struct mp_str name, struct mp_str value)
{
    for (size_t i = 0; i < value.length; i++) {
        char c = value.data[i];
        if (c == '\r' || c == '\n' || c == '\0') {
            return mp__build_dead(build, "header %.*s has a %s", (int)name.length,
                                  name.data, c ? "line break" : "NUL");
        }
    }
    return MP_OK;
}

static int set_header(struct mp__build *build, struct mp_str name, struct mp_str value,
                      struct mp_str shown)
{
    struct mp_error why;
    int status = check_field(build, name, value);
    if (status != MP_OK) {
        return status;
    }
    status = mp_request_set_header(build->request, name, value, shown, &why);
    if (status == MP_ENOMEM) {
        return mp_error_set(build->err, status, "%s", why.text);
    }
    return status == MP_OK ? MP_OK : mp__build_dead(build, "%s", why.text);
}

static int set_from_template(struct mp__build *build, struct mp_str name,
                             const struct mp_template *template_)
{
    struct mp_buf wire, shown;
    mp_buf_init(&wire, MP_REQUEST_URL_MAX);
    mp_buf_init(&shown, MP_REQUEST_URL_MAX);
    bool hides = build->script->has_secrets && mp_template_has_secret(template_);
    struct mp__out out = {&wire, hides ? &shown : NULL};
    int status = mp__build_limit(
        build, mp__out_expand(out, template_, build, MP_ESCAPE_NONE), "header", "64 KiB");
    if (status == MP_OK) {
        status = set_header(build, name, mp_buf_str(&wire), mp_buf_str(&shown));
    }
    mp_buf_fini(&wire);
    mp_buf_fini(&shown);
    return status;
}

static int set_from_function(struct mp__build *build, struct mp_str name, int function)
{
    struct mp_leaf_result result = {.kind = MP_RESULT_NONE};
    mp_buf_init(&result.bytes, MP_REQUEST_URL_MAX);
    int status = mp_script_call_leaf(build->state, function, build->context,
                                     build->request, false, &result, build->err);
    if (status == MP_OK && result.kind != MP_RESULT_NONE) {
        status = set_header(build, name, mp_buf_str(&result.bytes), result.shown);
    }
    mp_buf_fini(&result.bytes);
    return mp__build_limit(build, status, "header", "64 KiB");
}

static int build_header(struct mp__build *build, const struct mp_named_leaf *header)
{
    const struct mp_leaf *leaf = &header->leaf;
    if (leaf->kind == MP_LEAF_FUNCTION) {
        return set_from_function(build, header->name, leaf->function);
    }
    if (leaf->kind == MP_LEAF_VALUE) {
        struct mp_value value = mp__build_lookup(build, leaf->text);
        if (mp__value_is_undefined(&value)) {
            return MP_OK;
        }
    }
    return leaf->template_
               ? set_from_template(build, header->name, leaf->template_)
               : set_header(build, header->name, leaf->text, (struct mp_str){0});
}

static int build_headers(struct mp__build *build)
{
    int status = MP_OK;
    for (size_t i = 0; i < build->script->header_count && status == MP_OK; i++) {
        status = build_header(build, &build->script->headers[i]);
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
    return set_header(build, name, place, place);
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
        status =
            check_field(build, mp_header_name(request, i), mp_header_value(request, i));
    }
    return status;
}

int mp_request_build(struct mp_script *script, struct mp_script_state *state,
                     const struct mp_context *context, struct mp_request *request,
                     struct mp_verdict *verdict, struct mp_error *err)
{
    static int (*const steps[])(struct mp__build *) = {
        check_required, ask_accepts,  mp__build_method, mp__build_url, mp__build_body,
        build_headers,  call_request, place_token,      check_request,
    };
    struct mp__build build = {.script = script,
                              .state = state,
                              .context = context,
                              .request = request,
                              .verdict = verdict,
                              .err = err};
    mp_buf_init(&build.endpoint, MP_REQUEST_URL_MAX);
    int status = MP_OK;
    mp_script_turn_begin(state);
    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps) && status == MP_OK; i++) {
        status = steps[i](&build);
    }
    mp_script_turn_end(state);
    mp_buf_fini(&build.endpoint);
    return status;
}
