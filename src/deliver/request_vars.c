/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moonpost/json.h"
#include "request_leaf.h"

/* A script's `vars`: each is made once a build, when it is first asked for. */

struct mp__var {
    bool is_made;
    struct mp__got got;
};

void mp__vars_free(struct mp__build *build)
{
    free(build->vars);
    build->vars = NULL;
}

static bool find(const struct mp_script *script, struct mp_str name, size_t *index)
{
    size_t low = 0;
    size_t high = script->var_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = mp_str_order(name, script->vars[middle].name);
        if (order == 0) {
            *index = middle;
            return true;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return false;
}

static int make(struct mp__build *build, size_t index, struct mp__got *out)
{
    const struct mp_named_leaf *var = &build->script->vars[index];
    char what[128];
    build->in_var = true;
    int status = mp__build_met(build, mp__leaf_read(build, &var->leaf, MP__AS_JSON, out));
    build->in_var = false;
    if (status == MP_OK) {
        return MP_OK;
    }
    *out = (struct mp__got){0};
    snprintf(what, sizeof(what), "var %.*s", (int)var->name.length, var->name.data);
    return mp__build_limit(build, status, what, "16 MiB");
}

/* What fails is remembered, for a lookup cannot tell, and reads as missing. */
static const struct mp__got *var_at(struct mp__build *build, size_t index)
{
    static const struct mp__got nothing;
    if (!build->vars) {
        build->vars = calloc(build->script->var_count, sizeof(*build->vars));
    }
    if (!build->vars) {
        build->failed = mp_error_set(build->err, MP_ENOMEM, "out of memory");
        return &nothing;
    }
    struct mp__var *var = &build->vars[index];
    if (!var->is_made) {
        var->is_made = true;
        int status = make(build, index, &var->got);
        build->failed = mp__build_met(build, status);
    }
    return &var->got;
}

bool mp__vars_look(struct mp__build *build, struct mp_str name, struct mp__got *out)
{
    size_t index;
    if (find(build->script, name, &index)) {
        *out = *var_at(build, index);
        return true;
    }
    for (size_t i = name.length; i-- > 0;) {
        if (name.data[i] != '.' ||
            !find(build->script, (struct mp_str){name.data, i}, &index)) {
            continue;
        }
        const struct mp__got *got = var_at(build, index);
        if (got->value.is_text) {
            continue;
        }
        struct mp_str rest = {name.data + i + 1, name.length - i - 1};
        *out = (struct mp__got){0};
        if (got->value.json.length > 0 &&
            mp_json_path(got->value.json, rest, &out->value.json)) {
            out->shown = got->shown; /* the whole, if it hides any */
        }
        return true;
    }
    return false;
}

/* By then `required` and accepts have had their say, so that no function meets an event
 * that the script does not want. */
int mp__call_vars(struct mp__build *build)
{
    const struct mp_script *script = build->script;
    for (size_t i = 0; script->has_functions && i < script->var_count; i++) {
        enum mp_leaf_kind kind = script->vars[i].leaf.kind;
        if (kind == MP_LEAF_FUNCTION || kind == MP_LEAF_BY) {
            (void)var_at(build, i);
        }
        if (build->failed != MP_OK) {
            return build->failed;
        }
    }
    return MP_OK;
}
