/* SPDX-License-Identifier: MIT */
#include "request_leaf.h"

/* A form (application/x-www-form-urlencoded). */

static int write_text(struct mp__out out, struct mp_str text, struct mp_str shown)
{
    int status = mp_form_encode(text, out.wire);
    if (status == MP_OK && out.shown) {
        /* For people: the name in brackets stays readable, as in a template. */
        status = shown.length > 0 ? mp_buf_append_str(out.shown, shown)
                                  : mp_form_encode(text, out.shown);
    }
    return status;
}

static int write_read(struct mp__build *build, struct mp__out out,
                      const struct mp_leaf *leaf, bool *left_out)
{
    struct mp__got got;
    struct mp_str text;
    struct mp_str shown;
    int status = mp__leaf_read(build, leaf, 0, &got);
    *left_out = mp__value_is_undefined(&got.value); /* a form has no null */
    if (status == MP_OK && !*left_out) {
        status = mp__got_text(build, &got, &text, &shown);
        if (status == MP_OK) {
            status = write_text(out, text,
                                mp_str_equal(text, shown) ? (struct mp_str){0} : shown);
        }
    }
    return status;
}

static int write_leaf(struct mp__build *build, struct mp__out out,
                      const struct mp_leaf *leaf, bool *left_out)
{
    if (leaf->kind == MP_LEAF_TEMPLATE && leaf->mark == MP_MARK_NONE) {
        return mp__out_expand(out, leaf->template_, build, MP_ESCAPE_FORM);
    }
    return leaf->kind == MP_LEAF_TEXT ? write_text(out, leaf->text, (struct mp_str){0})
                                      : write_read(build, out, leaf, left_out);
}

static int write_field(struct mp__build *build, struct mp__out out,
                       const struct mp_named_leaf *field, bool *left_out)
{
    int status = out.wire->length == 0 ? MP_OK : mp__out_append(out, mp_str_of("&"));
    if (status == MP_OK) {
        status = write_text(out, field->name, (struct mp_str){0});
    }
    if (status == MP_OK) {
        status = mp__out_append(out, mp_str_of("="));
    }
    return status == MP_OK ? write_leaf(build, out, &field->leaf, left_out) : status;
}

int mp__form_write(struct mp__build *build, struct mp__out out)
{
    int status = MP_OK;
    for (size_t i = 0; i < build->script->form_count && status == MP_OK; i++) {
        size_t wire_before = out.wire->length;
        size_t shown_before = out.shown ? out.shown->length : 0;
        bool left_out = false;
        status = write_field(build, out, &build->script->form[i], &left_out);
        if (left_out) {
            out.wire->length = wire_before;
            if (out.shown) {
                out.shown->length = shown_before;
            }
        }
    }
    return status;
}
