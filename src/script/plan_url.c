/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "plan.h"

#define HOSTS_MAX 64
#define PARTS_MAX 256

/* The parts of the string or secret on top. Popped by the caller, for they point into it.
 */
static size_t parts_of(struct mp__plan *plan, struct mp_template_part parts[PARTS_MAX])
{
    const struct mp__secret *secret = mp__secret_at(plan->state, -1);
    if (!secret) {
        parts[0] = (struct mp_template_part){.text = mp__str_at(plan->lua, -1)};
        return 1;
    }
    size_t count = mp__secret_count(secret);
    if (count > PARTS_MAX) {
        mp__plan_fail(plan, "it has more than %d pieces", PARTS_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        parts[i] = mp__secret_part(secret, i);
    }
    return count;
}

struct mp_template *mp__plan_template(struct mp__plan *plan, enum mp_template_kind kind)
{
    struct mp_template_part parts[PARTS_MAX];
    size_t count = parts_of(plan, parts);
    struct mp_template *compiled;
    struct mp_error err;
    if (mp_template_compile(parts, count, kind, &compiled, &err) != MP_OK) {
        mp__plan_fail(plan, "%s", err.text);
    }
    if (mp__script_own(plan->script, compiled) != MP_OK) {
        mp__plan_fail(plan, "out of memory");
    }
    lua_pop(plan->lua, 1);
    return compiled;
}

static void add_host(struct mp__plan *plan, const char *authority)
{
    struct mp_script *script = plan->script;
    for (size_t i = 0; i < script->host_count; i++) {
        if (mp_str_is(script->hosts[i], authority)) {
            return;
        }
    }
    if (!script->hosts) {
        script->hosts = mp__plan_alloc(plan, HOSTS_MAX + 1, sizeof(struct mp_str));
    }
    script->hosts[script->host_count++] = mp__plan_copy(plan, mp_str_of(authority));
}

/* The authority is looked for in the whole text, secrets as they are, so that an
 * expression anywhere in it is seen. Its error may show none of the url: it may be a
 * secret. */
static void check_authority(struct mp__plan *plan)
{
    struct mp_template_part parts[PARTS_MAX];
    size_t count = parts_of(plan, parts);
    struct mp_buf *url = &plan->state->scratch;
    mp_buf_reset(url);
    for (size_t i = 0; i < count; i++) {
        mp__check_status(plan->lua, mp_buf_append_str(url, parts[i].text));
    }
    char authority[MP_LANE_BYTES];
    struct mp_error err;
    if (mp_authority_of(mp_buf_str(url), authority, NULL, &err) != MP_OK) {
        mp__plan_fail(plan,
                      "%s: scheme, host and port are written out, expressions begin "
                      "after them",
                      err.text);
    }
    add_host(plan, authority);
}

static bool is_text(struct mp__plan *plan)
{
    return lua_type(plan->lua, -1) == LUA_TSTRING || mp__secret_at(plan->state, -1);
}

static struct mp_value no_value(void *arg, struct mp_str name)
{
    (void)arg;
    (void)name;
    return (struct mp_value){0};
}

void mp__plan_url(struct mp__plan *plan)
{
    struct mp_script *script = plan->script;
    if (lua_isfunction(plan->lua, -1)) {
        script->url = (struct mp_leaf){.kind = MP_LEAF_FUNCTION};
        script->url.function = mp__plan_function(plan);
        return;
    }
    if (!is_text(plan)) {
        mp__plan_fail(plan, "it is a %s: write a string", luaL_typename(plan->lua, -1));
    }
    check_authority(plan);
    struct mp_template *compiled = mp__plan_template(
        plan, script->missing_drop ? MP_TEMPLATE_URL_DROP : MP_TEMPLATE_URL);
    script->url = (struct mp_leaf){.kind = MP_LEAF_TEMPLATE, .template_ = compiled};
    if (mp_template_has_expression(compiled) || mp_template_has_secret(compiled)) {
        return;
    }
    struct mp_buf *text = &plan->state->scratch;
    mp_buf_reset(text);
    mp__check_status(plan->lua,
                     mp_template_expand(compiled, no_value, NULL, MP_ESCAPE_NONE, text));
    script->url.kind = MP_LEAF_TEXT;
    script->url.text = mp__plan_copy(plan, mp_buf_str(text));
}

static void read_host(struct mp__plan *plan, size_t index, void *arg)
{
    (void)index;
    (void)arg;
    struct mp_str url = mp__plan_string(plan, "a host");
    char authority[MP_LANE_BYTES];
    struct mp_error err;
    size_t path_at;
    if (mp_authority_of(url, authority, &path_at, &err) != MP_OK) {
        mp__plan_fail(plan, "%s: write \"https://eu.acme.example\"", err.text);
    }
    if (path_at < url.length &&
        !mp_str_is((struct mp_str){url.data + path_at, url.length - path_at}, "/")) {
        mp__plan_fail(plan, "a host has no path: write \"https://eu.acme.example\"");
    }
    add_host(plan, authority);
}

void mp__plan_hosts(struct mp__plan *plan)
{
    mp__plan_list_length(plan, "it", HOSTS_MAX);
    mp__plan_list(plan, read_host, NULL);
}
