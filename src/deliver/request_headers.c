/* SPDX-License-Identifier: MIT */
#include "request_leaf.h"

/* The script's `headers`. */

int mp__check_field(struct mp__build *build, struct mp_str name, struct mp_str value)
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

int mp__set_header(struct mp__build *build, struct mp_str name, struct mp_str value,
                   struct mp_str shown)
{
    struct mp_error why;
    int status = mp__check_field(build, name, value);
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
    struct mp__out out = {&wire, mp__template_hides(build, template_) ? &shown : NULL};
    int status = mp__build_limit(
        build, mp__out_expand(out, template_, build, MP_ESCAPE_NONE), "header", "64 KiB");
    if (status == MP_OK) {
        status = mp__set_header(build, name, mp_buf_str(&wire), mp_buf_str(&shown));
    }
    mp_buf_fini(&wire);
    mp_buf_fini(&shown);
    return status;
}

static int set_from_leaf(struct mp__build *build, struct mp_str name,
                         const struct mp_leaf *leaf)
{
    struct mp__got got;
    struct mp_str text;
    struct mp_str shown;
    int status = mp__leaf_read(build, leaf, MP__SEES_REQUEST, &got);
    if (status == MP_OK && !mp__value_is_undefined(&got.value)) {
        status = mp__got_text(build, &got, &text, &shown);
        if (status == MP_OK && text.length > MP_REQUEST_URL_MAX) {
            status = MP_ELIMIT;
        }
        if (status == MP_OK) {
            return mp__set_header(build, name, text, shown);
        }
    }
    return mp__build_limit(build, status, "header", "64 KiB");
}

static int build_header(struct mp__build *build, const struct mp_named_leaf *header)
{
    const struct mp_leaf *leaf = &header->leaf;
    if (leaf->kind == MP_LEAF_TEXT) {
        return mp__set_header(build, header->name, leaf->text, (struct mp_str){0});
    }
    return leaf->kind == MP_LEAF_TEMPLATE && leaf->mark == MP_MARK_NONE
               ? set_from_template(build, header->name, leaf->template_)
               : set_from_leaf(build, header->name, leaf);
}

int mp__build_headers(struct mp__build *build)
{
    int status = MP_OK;
    for (size_t i = 0; i < build->script->header_count && status == MP_OK; i++) {
        status = build_header(build, &build->script->headers[i]);
    }
    return status;
}
