/* SPDX-License-Identifier: MIT */
#include "moonpost/id.h"
#include "moonpost/json.h"
#include "request_leaf.h"

/* The markers: text, number, hashed, xml. */

static void set_text(struct mp__got *got, struct mp_str text, struct mp_str shown)
{
    *got = (struct mp__got){.value = {.text = text, .is_text = true}};
    if (shown.length > 0) {
        got->shown = (struct mp_value){.text = shown, .is_text = true};
    }
}

static bool is_number(struct mp_str text)
{
    struct mp_str token;
    return text.length > 0 &&
           (text.data[0] == '-' || (text.data[0] >= '0' && text.data[0] <= '9')) &&
           mp_json_check(text, 1, &token, NULL) == MP_OK && token.length == text.length;
}

static int mark_number(struct mp__build *build, struct mp_str name, struct mp_str text,
                       struct mp_str shown, struct mp__got *got)
{
    if (!is_number(text)) {
        bool has_name = name.length > 0;
        return mp__build_dead(build, "%.*s is no number", has_name ? (int)name.length : 7,
                              has_name ? name.data : "a value");
    }
    set_text(got, text, shown);
    got->value = (struct mp_value){.json = text};
    return MP_OK;
}

/* As it may be shown, a secret is not hashed: its hash tells it to whoever can guess. */
static int mark_hashed(struct mp__build *build, struct mp_str text, struct mp_str shown,
                       struct mp__got *got)
{
    struct mp__kept *lower;
    struct mp__kept *hash;
    uint8_t digest[MP_SHA256_BYTES];
    char hex[2 * MP_SHA256_BYTES + 1];
    text = mp_str_trim_space(text);
    *got = (struct mp__got){0};
    if (text.length == 0) {
        return MP_OK;
    }
    int status = mp__build_keep(build, &lower);
    if (status == MP_OK) {
        status = mp_buf_append_lower(&lower->wire, text);
    }
    if (status == MP_OK) {
        status = mp__build_keep(build, &hash);
    }
    if (status != MP_OK) {
        return status;
    }
    mp_sha256(mp_buf_str(&lower->wire), digest);
    mp_hex(digest, sizeof(digest), hex);
    status = mp_buf_append_text(&hash->wire, hex);
    set_text(got, mp_buf_str(&hash->wire), shown);
    return status;
}

static int mark_xml(struct mp__build *build, struct mp_str text, struct mp_str shown,
                    struct mp__got *got)
{
    struct mp__kept *kept;
    int status = mp__build_keep(build, &kept);
    if (status == MP_OK) {
        status = mp_xml_escape(text, &kept->wire);
    }
    if (status == MP_OK) {
        status = mp_xml_escape(shown, &kept->shown);
    }
    if (status == MP_OK) {
        set_text(got, mp_buf_str(&kept->wire), mp_buf_str(&kept->shown));
    }
    return status;
}

int mp__mark(struct mp__build *build, enum mp_mark mark, struct mp_str name,
             struct mp__got *got)
{
    struct mp_str text;
    struct mp_str shown;
    if (mp__value_is_undefined(&got->value)) {
        *got = (struct mp__got){0};
        return MP_OK;
    }
    int status = mp__got_text(build, got, &text, &shown);
    if (status != MP_OK) {
        return status;
    }
    if (mp_str_equal(text, shown)) {
        shown = (struct mp_str){0}; /* it may hide one, and does not */
    }
    switch (mark) {
    case MP_MARK_NUMBER:
        return mark_number(build, name, text, shown, got);
    case MP_MARK_HASHED:
        return mark_hashed(build, text, shown, got);
    case MP_MARK_XML:
        return mark_xml(build, text, shown, got);
    case MP_MARK_TEXT:
    case MP_MARK_NONE:
        break;
    }
    set_text(got, text, shown);
    return MP_OK;
}
