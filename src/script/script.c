/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moonpost/id.h"
#include "plan.h"

struct mp__private *mp__private_of(const struct mp_script *script)
{
    return script->private_;
}

void *mp__script_alloc(struct mp_script *script, size_t bytes)
{
    void **block = calloc(1, sizeof(max_align_t) + bytes);
    if (!block) {
        return NULL;
    }
    struct mp__private *own = mp__private_of(script);
    *block = own->blocks;
    own->blocks = block;
    return (char *)block + sizeof(max_align_t);
}

int mp__script_own(struct mp_script *script, struct mp_template *template_)
{
    struct template_entry *entry = mp__script_alloc(script, sizeof(*entry));
    if (!entry) {
        mp_template_free(template_);
        return MP_ENOMEM;
    }
    struct mp__private *own = mp__private_of(script);
    *entry = (struct template_entry){template_, own->templates};
    own->templates = entry;
    return MP_OK;
}

static struct mp_str copy(struct mp_script *script, struct mp_str text)
{
    char *bytes = mp__script_alloc(script, text.length + 1);
    if (bytes && text.length > 0) {
        memcpy(bytes, text.data, text.length);
    }
    return (struct mp_str){bytes, text.length};
}

static int adopt_env(struct mp__private *own, const struct mp_script_env *env)
{
    if (env) {
        own->env = *env;
    }
    if (own->env.secrets) {
        mp_secrets_ref(own->env.secrets);
        return MP_OK;
    }
    return mp_secrets_read(NULL, &own->env.secrets, NULL);
}

/* After the script's own source, so that without modules it is the file's digest. */
static int name_generation(struct mp_script *script)
{
    const struct mp__module *first = mp__private_of(script)->modules;
    const struct mp_str separator = {"\0", 1};
    size_t count = 1;
    for (const struct mp__module *each = first; each; each = each->next) {
        count += each->source.data ? 4 : 0;
    }
    struct mp_str *parts = calloc(count, sizeof(*parts));
    if (!parts) {
        return MP_ENOMEM;
    }
    struct mp_str *at = parts;
    *at++ = script->source;
    for (const struct mp__module *each = first; each; each = each->next) {
        if (each->source.data) {
            *at++ = separator;
            *at++ = each->name;
            *at++ = separator;
            *at++ = each->source;
        }
    }
    uint8_t digest[MP_SHA256_BYTES];
    mp_sha256_of(parts, count, digest);
    mp_hex(digest, (MP_GENERATION_BYTES - 1) / 2, script->generation);
    free(parts);
    return MP_OK;
}

struct mp_script *mp__script_new(struct mp_str name, struct mp_str source,
                                 const char *shown, const struct mp_script_env *env)
{
    struct mp_script *script = calloc(1, sizeof(*script));
    struct mp__private *own = calloc(1, sizeof(*own));
    if (!script || !own || adopt_env(own, env) != MP_OK) {
        free(script);
        free(own);
        return NULL;
    }
    script->private_ = own;
    atomic_init(&own->references, 1);
    snprintf(script->name, sizeof(script->name), "%.*s", (int)name.length, name.data);
    script->path = copy(script, mp_str_of(shown));
    script->source = copy(script, source);
    if (!script->path.data || !script->source.data) {
        mp_script_unref(script);
        return NULL;
    }
    return script;
}

struct mp_script *mp_script_ref(struct mp_script *script)
{
    atomic_fetch_add(&mp__private_of(script)->references, 1);
    return script;
}

void mp_script_unref(struct mp_script *script)
{
    if (!script || atomic_fetch_sub(&mp__private_of(script)->references, 1) > 1) {
        return;
    }
    struct mp__private *own = mp__private_of(script);
    for (struct template_entry *entry = own->templates; entry; entry = entry->next) {
        mp_template_free(entry->template_);
    }
    while (own->blocks) {
        void *next = *(void **)own->blocks;
        free(own->blocks);
        own->blocks = next;
    }
    mp_secrets_unref(own->env.secrets);
    free(own);
    free(script);
}

const struct mp_secrets *mp_script_secrets(const struct mp_script *script)
{
    return mp__private_of(script)->env.secrets;
}

bool mp_script_uses_lib(const struct mp_script *script, struct mp_str module)
{
    const struct mp__module *each = mp__private_of(script)->modules;
    while (each && !mp_str_equal(each->name, module)) {
        each = each->next;
    }
    return each != NULL;
}

bool mp_script_uses_secret(const struct mp_script *script, struct mp_str name)
{
    const struct mp__used_secret *each = mp__private_of(script)->used_secrets;
    while (each && !mp_str_equal(each->name, name)) {
        each = each->next;
    }
    return each != NULL;
}

int mp_script_load(struct mp_str name, struct mp_str source, const char *shown,
                   const struct mp_script_env *env, struct mp_script **out,
                   struct mp_error *err)
{
    if (!mp_partner_name_is_valid(name)) {
        return mp_error_set(err, MP_EINVAL,
                            "%s: a partner's name is [a-z0-9][a-z0-9_-]{0,63}: rename it",
                            shown);
    }
    if (source.length > MP__SOURCE_BYTES) {
        return mp_error_set(err, MP_ELIMIT, "%s: the script has more than 1 MiB", shown);
    }
    struct mp_script *script = mp__script_new(name, source, shown, env);
    if (!script) {
        return mp_error_set(err, MP_ENOMEM, "could not load %s: out of memory", shown);
    }
    struct mp_script_state *state;
    int status = mp__state_open(script, &state, err);
    if (status != MP_OK) {
        mp_script_unref(script);
        return status;
    }
    status = name_generation(script);
    if (status != MP_OK) {
        mp_error_set(err, status, "could not load %s: out of memory", shown);
    }
    status = status ? status : mp__script_meet_secrets(script, err);
    if (status == MP_OK) {
        *out = mp_script_ref(script);
    }
    mp_script_state_free(state); /* drops a reference */
    return status;
}
