/* SPDX-License-Identifier: MIT */
#include "escape.h"
#include "moonpost/json.h"
#include "template_ops.h"

struct expansion {
    const struct mp_template *template;
    mp_lookup_fn lookup;
    void *arg;
    enum mp__place place; /* of literal text and values in a text template */
    bool shown;
    struct mp_buf *out;
    /* Where parameters are dropped: the separator that the next thing written brings
     * along (0: none), and whether what stood after it went. */
    char pending;
    bool dropped;
};

/* RFC 6570 appendix A. */
struct rule {
    char symbol;
    char first;
    char separator;
    bool named;
    bool equals_when_empty;
    enum mp__place place;
};

static const struct rule rules[] = {
    {0, 0, ',', false, false, MP__PLACE_UNRESERVED},
    {'+', 0, ',', false, false, MP__PLACE_RESERVED},
    {'#', '#', ',', false, false, MP__PLACE_RESERVED},
    {'.', '.', '.', false, false, MP__PLACE_UNRESERVED},
    {'/', '/', '/', false, false, MP__PLACE_UNRESERVED},
    {';', ';', ';', true, false, MP__PLACE_UNRESERVED},
    {'?', '?', '&', true, true, MP__PLACE_UNRESERVED},
    {'&', '&', '&', true, true, MP__PLACE_UNRESERVED},
};

static const struct rule *rule_of(char symbol)
{
    const struct rule *rule = rules;
    while (rule->symbol != symbol) {
        rule++; /* the parser lets no other through */
    }
    return rule;
}

enum shape { UNDEFINED, SCALAR, LIST, OBJECT };

/* RFC 6570 section 2.3: a list or object none of whose members is defined is undefined.
 */
static bool has_defined_member(struct mp_str json)
{
    struct mp_json_iter iter;
    struct mp_str member;
    mp_json_iter_init(&iter, json);
    while (mp_json_iter_next(&iter, NULL, &member)) {
        if (mp_json_kind(member) != MP_JSON_NULL) {
            return true;
        }
    }
    return false;
}

static enum shape shape_of(const struct mp_value *value)
{
    if (value->is_text) {
        return SCALAR;
    }
    switch (mp_json_kind(value->json)) {
    case MP_JSON_NONE:
    case MP_JSON_NULL:
        return UNDEFINED;
    case MP_JSON_ARRAY:
        return has_defined_member(value->json) ? LIST : UNDEFINED;
    case MP_JSON_OBJECT:
        return has_defined_member(value->json) ? OBJECT : UNDEFINED;
    default:
        return SCALAR;
    }
}

static struct mp__text text_of_str(struct mp_str str)
{
    static const char nothing[1] = "";
    const char *data = str.data ? str.data : nothing;
    return (struct mp__text){data, data + str.length, false};
}

/* A string's content; anything else as it was sent. */
static struct mp__text text_of_json(struct mp_str json)
{
    return mp_json_kind(json) == MP_JSON_STRING ? mp__text_of_string(json)
                                                : text_of_str(json);
}

static struct mp__text text_of(const struct mp_value *value)
{
    return value->is_text ? text_of_str(value->text) : text_of_json(value->json);
}

static int put_char(struct expansion *e, char byte)
{
    return byte ? mp_buf_append_char(e->out, byte) : MP_OK;
}

/* `=value`, or what the operator has in its place when the value is empty. */
static int put_assigned(struct expansion *e, const struct rule *rule,
                        struct mp__text text)
{
    bool empty = text.at == text.end;
    int status = empty && !rule->equals_when_empty ? MP_OK : put_char(e, '=');
    return status == MP_OK && !empty ? mp__escape(rule->place, text, e->out) : status;
}

static int put_scalar(struct expansion *e, const struct rule *rule,
                      const struct mp__var *var, struct mp__text text)
{
    if (var->prefix) {
        text = mp__text_prefix(text, var->prefix, rule->place == MP__PLACE_RESERVED);
    }
    if (!rule->named) {
        return mp__escape(rule->place, text, e->out);
    }
    struct mp_str name = mp__span_str(&e->template->names, var->name);
    int status = mp_buf_append_str(e->out, name);
    return status == MP_OK ? put_assigned(e, rule, text) : status;
}

/* `name=value`, exploded. An event's own names are escaped as its values are: `&` in one
 * must not make a parameter of its own. */
static int put_pair(struct expansion *e, const struct rule *rule, struct mp_str key,
                    struct mp_str member)
{
    int status = mp__escape(rule->place, mp__text_of_string(key), e->out);
    if (status != MP_OK) {
        return status;
    }
    if (rule->named) {
        return put_assigned(e, rule, text_of_json(member));
    }
    status = put_char(e, '=');
    return status == MP_OK ? mp__escape(rule->place, text_of_json(member), e->out)
                           : status;
}

static int put_member(struct expansion *e, const struct rule *rule,
                      const struct mp__var *var, enum shape shape, struct mp_str key,
                      struct mp_str member)
{
    if (var->explode) {
        return shape == OBJECT ? put_pair(e, rule, key, member)
                               : put_scalar(e, rule, var, text_of_json(member));
    }
    int status = MP_OK;
    if (shape == OBJECT) {
        status = mp__escape(rule->place, mp__text_of_string(key), e->out);
        if (status == MP_OK) {
            status = put_char(e, ',');
        }
    }
    return status == MP_OK ? mp__escape(rule->place, text_of_json(member), e->out)
                           : status;
}

static int put_composite(struct expansion *e, const struct rule *rule,
                         const struct mp__var *var, enum shape shape, struct mp_str json)
{
    int status = MP_OK;
    if (rule->named && !var->explode) {
        status = mp_buf_append_str(e->out, mp__span_str(&e->template->names, var->name));
        if (status == MP_OK) {
            status = put_char(e, '=');
        }
    }
    struct mp_json_iter iter;
    struct mp_str key;
    struct mp_str member;
    char separator = 0;
    mp_json_iter_init(&iter, json);
    while (status == MP_OK && mp_json_iter_next(&iter, &key, &member)) {
        if (mp_json_kind(member) == MP_JSON_NULL) {
            continue;
        }
        status = put_char(e, separator);
        if (status == MP_OK) {
            status = put_member(e, rule, var, shape, key, member);
        }
        separator = var->explode ? rule->separator : ',';
    }
    return status;
}

/* A prefix is not applicable to composite values (RFC 6570 section 2.4.1), nor to a
 * secret, which goes whole. */
static int put_value(struct expansion *e, const struct rule *rule,
                     const struct mp__var *var, const struct mp_value *value,
                     enum shape shape)
{
    if (var->prefix && (shape != SCALAR || value->is_secret)) {
        return MP_EINVAL;
    }
    return shape == SCALAR ? put_scalar(e, rule, var, text_of(value))
                           : put_composite(e, rule, var, shape, value->json);
}

static struct mp_value look_up(const struct expansion *e, const struct mp__var *var)
{
    return e->lookup(e->arg, mp__span_str(&e->template->names, var->name));
}

/* `first` is written before the first variable that is defined. */
static int expand_expression(struct expansion *e, const struct mp__op *op, char first,
                             bool *wrote)
{
    const struct rule *rule = rule_of(op->symbol);
    int status = MP_OK;
    *wrote = false;
    for (size_t i = 0; i < op->var_count && status == MP_OK; i++) {
        const struct mp__var *var = &e->template->vars[op->first_var + i];
        struct mp_value value = look_up(e, var);
        enum shape shape = shape_of(&value);
        if (shape == UNDEFINED) {
            continue;
        }
        status = put_char(e, *wrote ? rule->separator : first);
        *wrote = true;
        if (status == MP_OK) {
            status = put_value(e, rule, var, &value, shape);
        }
    }
    return status;
}

static int expand_text_value(struct expansion *e, const struct mp__op *op)
{
    struct mp_value value = look_up(e, &e->template->vars[op->first_var]);
    bool missing = !value.is_text && mp_json_kind(value.json) <= MP_JSON_NULL;
    return missing ? MP_OK : mp__escape(e->place, text_of(&value), e->out);
}

static int put_literal(struct expansion *e, struct mp_str text)
{
    if (e->place == MP__PLACE_PLAIN || e->place == MP__PLACE_XML) {
        return mp_buf_append_str(e->out, text);
    }
    return mp__escape(e->place, text_of_str(text), e->out);
}

static int put_secret(struct expansion *e, const struct mp__op *op)
{
    if (!e->shown) {
        struct mp_str text = mp__span_str(&e->template->pool, op->text);
        return mp__escape(e->place, text_of_str(text), e->out);
    }
    int status = mp_buf_append_text(e->out, "[secret ");
    struct mp_str name = mp__span_str(&e->template->names, op->name);
    status = status ? status : mp_buf_append_str(e->out, name);
    return status ? status : mp_buf_append_char(e->out, ']');
}

static int bring_separator(struct expansion *e)
{
    char byte = e->pending;
    e->pending = 0;
    e->dropped = false;
    return put_char(e, byte);
}

static int end_query(struct expansion *e)
{
    e->pending = e->dropped ? 0 : e->pending;
    return bring_separator(e);
}

static int expand_param(struct expansion *e, const struct mp__op *op)
{
    const struct mp__var *var = &e->template->vars[op->first_var];
    const struct rule *rule = rule_of(0);
    struct mp_value value = look_up(e, var);
    enum shape shape = shape_of(&value);
    struct mp__text text = text_of(&value);
    if (shape == UNDEFINED || (shape == SCALAR && text.at == text.end)) {
        e->dropped = true;
        return MP_OK;
    }
    int status = bring_separator(e);
    struct mp_str before = mp__span_str(&e->template->pool, op->text);
    status = status ? status : put_literal(e, before);
    return status == MP_OK ? put_value(e, rule, var, &value, shape) : status;
}

/* An expression that brings its own `&` takes over the separator of parameters that went.
 */
static int expand_in_query(struct expansion *e, const struct mp__op *op)
{
    bool wrote;
    char first = rule_of(op->symbol)->first;
    if (!e->dropped || first != '&') {
        int status = bring_separator(e);
        return status == MP_OK ? expand_expression(e, op, first, &wrote) : status;
    }
    int status = expand_expression(e, op, e->pending, &wrote);
    if (wrote) {
        e->pending = 0;
        e->dropped = false;
    }
    return status;
}

static int expand_op(struct expansion *e, const struct mp__op *op)
{
    int status;
    switch (op->kind) {
    case MP__OP_TEXT:
    case MP__OP_SECRET:
        status = bring_separator(e);
        if (status != MP_OK) {
            return status;
        }
        return op->kind == MP__OP_SECRET
                   ? put_secret(e, op)
                   : put_literal(e, mp__span_str(&e->template->pool, op->text));
    case MP__OP_EXPRESSION:
        return e->template->kind == MP_TEMPLATE_TEXT ? expand_text_value(e, op)
                                                     : expand_in_query(e, op);
    case MP__OP_PARAM:
        return expand_param(e, op);
    case MP__OP_QUERY:
        status = bring_separator(e);
        e->pending = '?';
        return status;
    case MP__OP_AND:
        if (e->dropped) {
            e->dropped = false; /* the separator before what went serves what comes */
            return MP_OK;
        }
        status = bring_separator(e);
        e->pending = '&';
        return status;
    case MP__OP_QUERY_END:
        return end_query(e);
    }
    return MP_OK;
}

static enum mp__place place_of(const struct mp_template *template,
                               enum mp_template_escape escape)
{
    static const enum mp__place places[] = {
        [MP_ESCAPE_NONE] = MP__PLACE_PLAIN,
        [MP_ESCAPE_JSON] = MP__PLACE_JSON,
        [MP_ESCAPE_FORM] = MP__PLACE_FORM,
        [MP_ESCAPE_XML] = MP__PLACE_XML,
    };
    bool is_url =
        template->kind == MP_TEMPLATE_URL || template->kind == MP_TEMPLATE_URL_DROP;
    return is_url ? MP__PLACE_PLAIN : places[escape];
}

static int expand(struct expansion *e)
{
    size_t before = e->out->length;
    int status = MP_OK;
    for (size_t i = 0; i < e->template->op_count && status == MP_OK; i++) {
        status = expand_op(e, &e->template->ops[i]);
    }
    if (status == MP_OK) {
        status = end_query(e);
    }
    if (status != MP_OK) {
        e->out->length = before;
    }
    return status;
}

int mp_template_expand(const struct mp_template *template, mp_lookup_fn lookup, void *arg,
                       enum mp_template_escape escape, struct mp_buf *out)
{
    struct expansion e = {.template = template,
                          .lookup = lookup,
                          .arg = arg,
                          .place = place_of(template, escape),
                          .out = out};
    return expand(&e);
}

int mp_template_expand_shown(const struct mp_template *template, mp_lookup_fn lookup,
                             void *arg, enum mp_template_escape escape,
                             struct mp_buf *out)
{
    struct expansion e = {.template = template,
                          .lookup = lookup,
                          .arg = arg,
                          .place = place_of(template, escape),
                          .shown = true,
                          .out = out};
    return expand(&e);
}
