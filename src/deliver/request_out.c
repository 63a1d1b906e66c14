/* SPDX-License-Identifier: MIT */
#include "request_leaf.h"

/* What is written twice: for the wire, and as it may be shown. */

struct mp__out mp__body_out(struct mp__build *build)
{
    struct mp_request *request = build->request;
    return (struct mp__out){&request->body,
                            build->script->has_secrets ? &request->body_shown : NULL};
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
        status = mp_template_expand_shown(template_, mp__build_lookup_shown, build,
                                          escape, out.shown);
    }
    return mp__build_met(build, status);
}

bool mp__template_hides(const struct mp__build *build,
                        const struct mp_template *template_)
{
    return build->script->has_secrets &&
           (build->script->var_count > 0 || mp_template_has_secret(template_));
}
