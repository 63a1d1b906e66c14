/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "moonpost/clock.h"
#include "moonpost/json.h"
#include "request_leaf.h"

/* What a name stands for: the delivery's, a var's, the event's, a default. */

#define LOOKUPS_FEW  4
#define BUILD_MS_MAX 50

static struct mp_value of_text(struct mp_str text)
{
    struct mp_value value = {.text = text, .is_text = text.length > 0};
    return value;
}

static struct mp_value of_token(const char *token)
{
    struct mp_value value = {.json = mp_str_of(token)};
    return value;
}

static struct mp_value of_number(char room[24], int64_t number)
{
    snprintf(room, 24, "%lld", (long long)number);
    return of_token(room);
}

static struct mp_value endpoint_json(struct mp__build *build)
{
    const struct mp_record *record = build->context->record;
    struct mp_value none = {0};
    if (record->endpoint_url.length == 0) {
        return none;
    }
    if (build->endpoint.length == 0 &&
        (mp_buf_append_text(&build->endpoint, "{\"method\":") != MP_OK ||
         mp_json_write_string(&build->endpoint, record->endpoint_method) != MP_OK ||
         mp_buf_append_text(&build->endpoint, ",\"url\":") != MP_OK ||
         mp_json_write_string(&build->endpoint, record->endpoint_url) != MP_OK ||
         mp_buf_append_char(&build->endpoint, '}') != MP_OK)) {
        mp_buf_reset(&build->endpoint);
        return none;
    }
    struct mp_value value = {.json = mp_buf_str(&build->endpoint)};
    return value;
}

/* Times are whole seconds, as partners' parameters write them. */
static struct mp_value context_number(struct mp__build *build, struct mp_str name)
{
    const struct mp_context *context = build->context;
    const struct mp_record *record = context->record;
    struct mp_value none = {0};
    if (mp_str_is(name, "attempt")) {
        return of_number(build->numbers[0], context->attempt);
    }
    if (mp_str_is(name, "received_at")) {
        return of_number(build->numbers[1], record->first_ms / 1000);
    }
    if (mp_str_is(name, "occurred_at")) {
        return record->occurred_ms < 0
                   ? none
                   : of_number(build->numbers[2], record->occurred_ms / 1000);
    }
    if (mp_str_is(name, "previous.status")) {
        return record->last_status == 0
                   ? none
                   : of_number(build->numbers[3], record->last_status);
    }
    return none;
}

static struct mp_value context_value(struct mp__build *build, struct mp_str name)
{
    const struct mp_record *record = build->context->record;
    const struct {
        const char *name;
        struct mp_str text;
    } texts[] = {
        {"id", record->id},
        {"partner", record->partner},
        {"type", record->type},
        {"source", record->source},
        {"subject", record->subject},
        {"endpoint.method", record->endpoint_method},
        {"endpoint.url", record->endpoint_url},
        {"previous.verdict",
         mp_str_of(mp_verdict_name((enum mp_verdict_kind)record->last_verdict))},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        if (mp_str_is(name, texts[i].name)) {
            return of_text(texts[i].text);
        }
    }
    if (mp_str_is(name, "last")) {
        return of_token(build->context->last ? "true" : "false");
    }
    return mp_str_is(name, "endpoint") ? endpoint_json(build)
                                       : context_number(build, name);
}

bool mp__value_is_missing(const struct mp_value *value)
{
    return !value->is_text && value->json.length == 0;
}

bool mp__value_is_undefined(const struct mp_value *value)
{
    if (value->is_text) {
        return false;
    }
    struct mp_json_iter iter;
    switch (mp_json_kind(value->json)) {
    case MP_JSON_NONE:
    case MP_JSON_NULL:
        return true;
    case MP_JSON_ARRAY:
    case MP_JSON_OBJECT:
        mp_json_iter_init(&iter, value->json);
        return !mp_json_iter_next(&iter, NULL, &(struct mp_str){0});
    default:
        return false;
    }
}

static void use_default(const struct mp_script *script, struct mp_str name,
                        struct mp_value *value)
{
    for (size_t i = 0; i < script->default_count; i++) {
        if (mp_str_equal(script->defaults[i].name, name)) {
            *value = (struct mp_value){.json = script->defaults[i].json};
            return;
        }
    }
}

static bool is_late(struct mp__build *build)
{
    int64_t now_us = mp_clock_cpu_us();
    build->since_us = build->since_us ? build->since_us : now_us;
    if (now_us - build->since_us < BUILD_MS_MAX * 1000) {
        return false;
    }
    build->failed = mp_error_set(build->err, MP_EBUDGET,
                                 "%s: its templates took more than %d ms of processor "
                                 "time to find their values in an event of %zu bytes",
                                 build->script->path.data, BUILD_MS_MAX,
                                 build->context->record->event.length);
    return true;
}

/* A template costs no Lua, but thousands of places and a great event are seconds. */
static bool look_in_event(struct mp__build *build, struct mp_str name,
                          struct mp_str *found)
{
    struct mp_str event = build->context->record->event;
    if (event.length < MP__LARGE_EVENT_BYTES) {
        return mp_json_path(event, name, found);
    }
    if (build->failed != MP_OK || is_late(build)) {
        return false;
    }
    if (++build->lookups == LOOKUPS_FEW) {
        build->index = mp_json_index_new(event);
    }
    return build->index ? mp_json_index_path(build->index, name, found)
                        : mp_json_path(event, name, found);
}

static bool is_context(struct mp_str name)
{
    return name.length > 4 && memcmp(name.data, "ctx.", 4) == 0;
}

static bool look_in_vars(struct mp__build *build, struct mp_str name, bool is_shown,
                         struct mp_value *value)
{
    struct mp__got got;
    if (build->in_var || is_context(name) || !mp__vars_look(build, name, &got)) {
        return false;
    }
    bool hides = !mp__value_is_missing(&got.shown);
    *value = hides && is_shown ? got.shown : got.value;
    value->is_secret = hides && !(mp_str_equal(got.shown.text, got.value.text) &&
                                  mp_str_equal(got.shown.json, got.value.json));
    return true;
}

static inline struct mp_value look(struct mp__build *build, struct mp_str name,
                                   bool is_shown)
{
    const struct mp_script *script = build->script;
    struct mp_value value = {0};
    bool is_var = script->var_count > 0 && look_in_vars(build, name, is_shown, &value);
    if (is_context(name)) {
        value = context_value(build, (struct mp_str){name.data + 4, name.length - 4});
    } else if (!is_var && !look_in_event(build, name, &value.json)) {
        value.json = (struct mp_str){0};
    }
    if (script->default_count > 0 && mp__value_is_undefined(&value)) {
        use_default(script, name, &value);
    }
    return value;
}

struct mp_value mp__build_lookup(void *arg, struct mp_str name)
{
    return look(arg, name, false);
}

struct mp_value mp__build_lookup_shown(void *arg, struct mp_str name)
{
    return look(arg, name, true);
}

int mp__build_met(const struct mp__build *build, int status)
{
    return build->failed != MP_OK ? build->failed : status;
}
