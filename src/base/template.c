/* SPDX-License-Identifier: MIT */
#include "moonpost/template.h"

#include <stdlib.h>
#include <string.h>

#include "escape.h"
#include "moonpost/json.h"
#include "template_ops.h"

/* Where in a URL the compiler is: parameters are dropped only in the query. */
enum where { BEFORE_QUERY, IN_QUERY, IN_FRAGMENT };

struct compiler {
    struct mp_template *template;
    enum where where;
    size_t column; /* of the byte at hand, from 1, in the text as it is shown */
    struct mp_error *err;
};

static int add_op(struct compiler *c, struct mp__op op)
{
    struct mp_template *template = c->template;
    void *ops = template->ops;
    int status = mp__template_grow(&ops, template->op_count, sizeof(op));
    template->ops = ops;
    if (status == MP_OK) {
        template->ops[template->op_count++] = op;
    }
    return status;
}

static int add_text(struct compiler *c, const char *data, size_t length)
{
    struct mp_template *template = c->template;
    struct mp__span text = {template->pool.length, length};
    struct mp__op *last =
        template->op_count ? &template->ops[template->op_count - 1] : NULL;
    int status = mp_buf_append(&template->pool, data, length);
    if (status != MP_OK || length == 0) {
        return status;
    }
    if (last && last->kind == MP__OP_TEXT) {
        last->text.length += length;
        return MP_OK;
    }
    return add_op(c, (struct mp__op){.kind = MP__OP_TEXT, .text = text});
}

/* `?` or `&`: it has a step of its own, and stands in the pool for mp_template_prefix. */
static int add_separator(struct compiler *c, enum mp__op_kind kind, char byte)
{
    int status = mp_buf_append_char(&c->template->pool, byte);
    return status == MP_OK ? add_op(c, (struct mp__op){.kind = kind}) : status;
}

/* RFC 6570 section 3.1: what a URI may hold is copied, anything else is percent-encoded.
 */
static int add_url_literal(struct compiler *c, const char *at, size_t length)
{
    struct mp_buf encoded;
    mp_buf_init(&encoded, length * 3);
    struct mp__text text = {at, at + length, false};
    int status = mp__escape(MP__PLACE_RESERVED, text, &encoded);
    if (status == MP_OK) {
        status = add_text(c, encoded.data, encoded.length);
    }
    mp_buf_fini(&encoded);
    return status;
}

/* Moves on when `byte` changes the place, and adds what marks that. */
static int enter(struct compiler *c, char byte, bool *is_separator)
{
    *is_separator = false;
    if (c->where == BEFORE_QUERY && byte == '?') {
        c->where = IN_QUERY;
        *is_separator = true;
        return add_separator(c, MP__OP_QUERY, '?');
    }
    if (c->where == IN_QUERY && byte == '&') {
        *is_separator = true;
        return add_separator(c, MP__OP_AND, '&');
    }
    if (c->where != IN_FRAGMENT && byte == '#') {
        bool had_query = c->where == IN_QUERY;
        c->where = IN_FRAGMENT;
        return had_query ? add_op(c, (struct mp__op){.kind = MP__OP_QUERY_END}) : MP_OK;
    }
    return MP_OK;
}

static int add_literal(struct compiler *c, const char *at, size_t length)
{
    enum mp_template_kind kind = c->template->kind;
    if (kind == MP_TEMPLATE_TEXT || kind == MP_TEMPLATE_LITERAL) {
        return add_text(c, at, length);
    }
    size_t start = 0;
    int status = MP_OK;
    for (size_t i = 0; i < length && kind == MP_TEMPLATE_URL_DROP && status == MP_OK;
         i++) {
        if (!memchr("?&#", at[i], 3)) {
            continue;
        }
        status = add_url_literal(c, at + start, i - start);
        bool is_separator = false;
        if (status == MP_OK) {
            status = enter(c, at[i], &is_separator);
        }
        start = is_separator ? i + 1 : i;
    }
    return status == MP_OK ? add_url_literal(c, at + start, length - start) : status;
}

static int add_expression(struct compiler *c, struct mp_str inside)
{
    struct mp__op op;
    struct mp__parse_fault fault;
    if (c->template->var_count == 0) {
        c->template->prefix_bytes = c->template->pool.length;
    }
    int status = mp__template_parse(c->template, inside, &op, &fault);
    if (status == MP_EINVAL) {
        return mp_error_set(c->err, status, "column %zu: %s",
                            c->column + 1 + fault.offset, fault.reason);
    }
    if (status == MP_OK && c->template->kind == MP_TEMPLATE_URL_DROP) {
        if (op.symbol == '#' && c->where == IN_QUERY) {
            status = add_op(c, (struct mp__op){.kind = MP__OP_QUERY_END});
        }
        if (op.symbol == '#') {
            c->where = IN_FRAGMENT;
        } else if ((op.symbol == '?' || op.symbol == '&') && c->where == BEFORE_QUERY) {
            c->where = IN_QUERY;
        }
    }
    return status == MP_OK ? add_op(c, op) : status;
}

static int add_plain(struct compiler *c, struct mp_str text)
{
    const char *at = text.data;
    const char *end = text.data + text.length;
    while (at < end) {
        const char *stop = at;
        while (stop < end && *stop != '{' && *stop != '}') {
            stop++;
        }
        int status = add_literal(c, at, (size_t)(stop - at));
        c->column += (size_t)(stop - at);
        if (status != MP_OK || stop == end) {
            return status;
        }
        if (*stop == '}') {
            return mp_error_set(c->err, MP_EINVAL,
                                "column %zu: `}` closes nothing: write %%7D", c->column);
        }
        const char *close = memchr(stop, '}', (size_t)(end - stop));
        if (!close) {
            return mp_error_set(c->err, MP_EINVAL,
                                "column %zu: `{` is not closed: write }, or %%7B",
                                c->column);
        }
        status = add_expression(c, (struct mp_str){stop + 1, (size_t)(close - stop - 1)});
        if (status != MP_OK) {
            return status;
        }
        c->column += (size_t)(close + 1 - stop);
        at = close + 1;
    }
    return MP_OK;
}

static int add_secret(struct compiler *c, const struct mp_template_part *part)
{
    struct mp_template *template = c->template;
    struct mp__op op = {.kind = MP__OP_SECRET,
                        .text = {template->pool.length, part->text.length},
                        .name = {template->names.length, part->secret.length}};
    int status = mp_buf_append_str(&template->pool, part->text);
    if (status == MP_OK) {
        status = mp_buf_append_str(&template->names, part->secret);
    }
    template->has_secret = true;
    c->column += part->secret.length + strlen("[secret ]");
    for (size_t i = 0; i < part->text.length; i++) {
        if (part->text.data[i] == '#') {
            c->where = IN_FRAGMENT;
        } else if (part->text.data[i] == '?' && c->where == BEFORE_QUERY) {
            c->where = IN_QUERY;
        }
    }
    return status == MP_OK ? add_op(c, op) : status;
}

/* `name=` before a simple expression of one variable, which ends with its parameter. */
static bool is_param(const struct mp_template *template, size_t at)
{
    const struct mp__op *ops = template->ops + at;
    if (at + 2 >= template->op_count ||
        (ops[0].kind != MP__OP_QUERY && ops[0].kind != MP__OP_AND) ||
        ops[1].kind != MP__OP_TEXT || ops[2].kind != MP__OP_EXPRESSION || ops[2].symbol ||
        ops[2].var_count != 1) {
        return false;
    }
    struct mp_str text = mp__span_str(&template->pool, ops[1].text);
    if (text.length < 2 ||
        memchr(text.data, '=', text.length) != text.data + text.length - 1) {
        return false;
    }
    if (at + 3 == template->op_count) {
        return true;
    }
    return ops[3].kind == MP__OP_AND || ops[3].kind == MP__OP_QUERY_END ||
           (ops[3].kind == MP__OP_EXPRESSION && ops[3].symbol == '&');
}

static void join_params(struct mp_template *template)
{
    size_t kept = 0;
    for (size_t i = 0; i < template->op_count; i++) {
        struct mp__op op = template->ops[i];
        bool param = is_param(template, i);
        template->ops[kept++] = op;
        if (param) {
            op = template->ops[i + 2];
            op.kind = MP__OP_PARAM;
            op.text = template->ops[i + 1].text;
            template->ops[kept++] = op;
            i += 2;
        }
    }
    template->op_count = kept;
}

static int compile_parts(struct compiler *c, const struct mp_template_part *parts,
                         size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct mp_str text = parts[i].text;
        bool is_literal = c->template->kind == MP_TEMPLATE_LITERAL;
        int status = parts[i].secret.data ? add_secret(c, &parts[i])
                     : is_literal         ? add_literal(c, text.data, text.length)
                                          : add_plain(c, text);
        if (status != MP_OK) {
            return status;
        }
    }
    return MP_OK;
}

int mp_template_compile(const struct mp_template_part *parts, size_t count,
                        enum mp_template_kind kind, struct mp_template **out,
                        struct mp_error *err)
{
    struct mp_template *template = calloc(1, sizeof(*template));
    if (!template) {
        return mp_error_set(err, MP_ENOMEM, "out of memory");
    }
    template->kind = kind;
    mp_buf_init(&template->pool, SIZE_MAX);
    mp_buf_init(&template->names, SIZE_MAX);
    struct compiler compiler = {.template = template, .column = 1, .err = err};
    int status = compile_parts(&compiler, parts, count);
    if (status != MP_OK) {
        mp_template_free(template);
        return status == MP_EINVAL ? status : mp_error_set(err, status, "out of memory");
    }
    if (template->var_count == 0) {
        template->prefix_bytes = template->pool.length;
    }
    if (kind == MP_TEMPLATE_URL_DROP) {
        join_params(template);
    } else if (kind == MP_TEMPLATE_LITERAL) {
        template->kind = MP_TEMPLATE_TEXT;
    }
    *out = template;
    return MP_OK;
}

void mp_template_free(struct mp_template *template)
{
    if (!template) {
        return;
    }
    mp_buf_fini(&template->pool);
    mp_buf_fini(&template->names);
    free(template->ops);
    free(template->vars);
    free(template);
}

bool mp_template_has_secret(const struct mp_template *template)
{
    return template->has_secret;
}

bool mp_template_has_expression(const struct mp_template *template)
{
    return template->var_count > 0;
}

bool mp_template_is_value(const struct mp_template *template, struct mp_str *name)
{
    const struct mp__op *op = template->ops;
    if (template->op_count != 1 || op->kind != MP__OP_EXPRESSION || op->symbol ||
        op->var_count != 1 || template->vars[0].prefix || template->vars[0].explode) {
        return false;
    }
    *name = mp__span_str(&template->names, template->vars[0].name);
    return true;
}

struct mp_str mp_template_prefix(const struct mp_template *template)
{
    return (struct mp_str){template->pool.data, template->prefix_bytes};
}

void mp_template_each_name(const struct mp_template *template,
                           void (*each)(void *arg, struct mp_str name), void *arg)
{
    for (size_t i = 0; i < template->var_count; i++) {
        struct mp_str name = mp__span_str(&template->names, template->vars[i].name);
        bool again = false;
        for (size_t j = 0; j < i && !again; j++) {
            again = mp_str_equal(name,
                                 mp__span_str(&template->names, template->vars[j].name));
        }
        if (!again) {
            each(arg, name);
        }
    }
}

struct mp_value mp_lookup_json(void *arg, struct mp_str name)
{
    const struct mp_str *object = arg;
    struct mp_value value = {0};
    if (!mp_json_path(*object, name, &value.json)) {
        value.json = (struct mp_str){0};
    }
    return value;
}
