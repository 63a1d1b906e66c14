/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "marker.h"
#include "plan_keys.h"

#define HOSTS_MAX     64
#define ALL_HOSTS_MAX 1024 /* also those of a url's `by` */
#define PARTS_MAX     256

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
    for (size_t i = 0; i < count; i++) {
        mp__plan_charge(plan, 64 + parts[i].text.length);
    }
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
    size_t count = script->host_count;
    if (count == ALL_HOSTS_MAX) {
        mp__plan_fail(plan, "there are more than %d hosts", ALL_HOSTS_MAX);
    }
    if ((count & (count - 1)) == 0) { /* full: 0, 1, 2, 4, … */
        struct mp_str *more =
            mp__plan_alloc(plan, count > 0 ? count * 2 : 1, sizeof(*more));
        if (count > 0) {
            memcpy(more, script->hosts, count * sizeof(*more));
        }
        script->hosts = more;
    }
    script->hosts[script->host_count++] = mp__plan_copy(plan, mp_str_of(authority));
}

static bool is_printable(struct mp_str text)
{
    for (size_t i = 0; i < text.length; i++) {
        if ((unsigned char)text.data[i] <= ' ' || text.data[i] == 0x7f) {
            return false;
        }
    }
    return true;
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
        if (parts[i].secret.length > 0 && !is_printable(parts[i].text)) {
            mp__plan_fail(plan,
                          "[secret %.*s] has a space or a line's end, which no url has",
                          (int)parts[i].secret.length, parts[i].secret.data);
        }
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

struct mp_leaf mp__plan_url_leaf(struct mp__plan *plan)
{
    check_authority(plan);
    struct mp_template *compiled = mp__plan_template(
        plan, plan->script->missing_drop ? MP_TEMPLATE_URL_DROP : MP_TEMPLATE_URL);
    if (mp_template_has_expression(compiled) || mp_template_has_secret(compiled)) {
        return (struct mp_leaf){.kind = MP_LEAF_TEMPLATE, .template_ = compiled};
    }
    struct mp_leaf leaf = mp__plan_constant(plan, compiled);
    leaf.template_ = compiled;
    return leaf;
}

void mp__plan_url(struct mp__plan *plan)
{
    plan->script->url = mp__plan_leaf(plan, MP__PLACE_URL);
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
