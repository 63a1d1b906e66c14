/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "moonpost/json.h"
#include "request.h"

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
        return mp__build_dead(build, "%s: a prefix, as in {x:3}, of a list or object",
                              what);
    }
    if (status == MP_ENOMEM) {
        mp_error_set(build->err, status, "could not build the %s: %s", what,
                     mp_status_text(status));
    }
    return status;
}

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

struct mp_value mp__build_lookup(void *arg, struct mp_str name)
{
    struct mp__build *build = arg;
    struct mp_value value = {0};
    if (name.length > 4 && memcmp(name.data, "ctx.", 4) == 0) {
        value = context_value(build, (struct mp_str){name.data + 4, name.length - 4});
    } else if (!mp_json_path(build->context->record->event, name, &value.json)) {
        value.json = (struct mp_str){0};
    }
    if (build->script->default_count > 0 && mp__value_is_undefined(&value)) {
        use_default(build->script, name, &value);
    }
    return value;
}

int mp__out_append_hiding(struct mp__out out, struct mp_str bytes, struct mp_str shown)
{
    int status = mp_buf_append_str(out.wire, bytes);
    if (status == MP_OK && out.shown) {
        status = mp_buf_append_str(out.shown, shown.length > 0 ? shown : bytes);
    }
    return status;
}

int mp__out_append(struct mp__out out, struct mp_str bytes)
{
    return mp__out_append_hiding(out, bytes, (struct mp_str){0});
}

int mp__out_expand(struct mp__out out, const struct mp_template *template_,
                   struct mp__build *build, enum mp_template_escape escape)
{
    int status = mp_template_expand(template_, mp__build_lookup, build, escape, out.wire);
    if (status == MP_OK && out.shown) {
        status = mp_template_expand_shown(template_, mp__build_lookup, build, escape,
                                          out.shown);
    }
    return status;
}
