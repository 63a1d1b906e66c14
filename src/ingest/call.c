/* SPDX-License-Identifier: MIT */
#include "connection.h"

struct mp_str mp_call_method(const struct mp_call *call)
{
    if (call->is_head) {
        return mp_str_of("GET");
    }
    return mp__slice(call->base, call->head.method_name);
}

struct mp_str mp_call_path(const struct mp_call *call)
{
    return mp__slice(call->base, call->head.path);
}

struct mp_str mp_call_body(const struct mp_call *call)
{
    return call->body;
}

struct mp_str mp_call_header(const struct mp_call *call, const char *name)
{
    struct mp_str wanted = mp_str_of(name);
    for (size_t i = 0; i < call->head.field_count; i++) {
        if (mp_str_equal_nocase(mp__slice(call->base, call->head.fields[i].name),
                                wanted)) {
            return mp__slice(call->base, call->head.fields[i].value);
        }
    }
    return (struct mp_str){NULL, 0};
}

static int hex_of(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* The byte at `at`, decoded; `at` moves past it. A stray percent sign stands for itself.
 */
static char decode_byte(struct mp_str text, size_t *at)
{
    char c = text.data[(*at)++];
    if (c != '%' || *at + 1 >= text.length) {
        return c;
    }
    int high = hex_of(text.data[*at]), low = hex_of(text.data[*at + 1]);
    if (high < 0 || low < 0) {
        return c;
    }
    *at += 2;
    return (char)(high * 16 + low);
}

int mp__percent_decode(struct mp_str text, struct mp_buf *out)
{
    int status = MP_OK;
    for (size_t at = 0; at < text.length && status == MP_OK;) {
        status = mp_buf_append_char(out, decode_byte(text, &at));
    }
    return status;
}

static bool name_is(struct mp_str coded, struct mp_str name)
{
    size_t at = 0, i = 0;
    while (at < coded.length && i < name.length) {
        if (decode_byte(coded, &at) != name.data[i++]) {
            return false;
        }
    }
    return at == coded.length && i == name.length;
}

bool mp_call_query(const struct mp_call *call, const char *name, struct mp_buf *out)
{
    struct mp_str query = mp__slice(call->base, call->head.query);
    struct mp_str wanted = mp_str_of(name);
    for (size_t from = 0; from < query.length;) {
        size_t end = from, equals = query.length;
        for (; end < query.length && query.data[end] != '&'; end++) {
            if (query.data[end] == '=' && equals == query.length) {
                equals = end;
            }
        }
        size_t name_end = equals < end ? equals : end;
        if (name_is((struct mp_str){query.data + from, name_end - from}, wanted)) {
            size_t value = name_end < end ? name_end + 1 : end;
            return mp__percent_decode((struct mp_str){query.data + value, end - value},
                                      out) == MP_OK;
        }
        from = end + 1;
    }
    return false;
}
