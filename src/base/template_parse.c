/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "template_ops.h"

#define PREFIX_MAX 9999 /* RFC 6570 section 2.4.1 */

struct parser {
    struct mp_template *template;
    struct mp_str inside;
    size_t at;
    struct mp__parse_fault *fault;
};

int mp__template_grow(void **items, size_t count, size_t size)
{
    bool full = count == 0 || (count >= 8 && (count & (count - 1)) == 0);
    if (!full) {
        return MP_OK;
    }
    void *grown = realloc(*items, (count == 0 ? 8 : count * 2) * size);
    if (!grown) {
        return MP_ENOMEM;
    }
    *items = grown;
    return MP_OK;
}

static int fail(struct parser *parser, const char *reason)
{
    parser->fault->offset = parser->at;
    snprintf(parser->fault->reason, sizeof(parser->fault->reason), "%s", reason);
    return MP_EINVAL;
}

static char peek(const struct parser *parser)
{
    return parser->at < parser->inside.length ? parser->inside.data[parser->at] : '\0';
}

static bool at_end(const struct parser *parser)
{
    return parser->at == parser->inside.length;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* How many bytes of a varchar (RFC 6570 section 2.3) stand here. */
static size_t varchar_length(const struct parser *parser)
{
    const char *at = parser->inside.data + parser->at;
    size_t left = parser->inside.length - parser->at;
    if (left == 0) {
        return 0;
    }
    if ((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || is_digit(*at) ||
        *at == '_') {
        return 1;
    }
    return *at == '%' && left >= 3 && is_hex(at[1]) && is_hex(at[2]) ? 3 : 0;
}

static int name_fault(struct parser *parser)
{
    char c = peek(parser);
    if (at_end(parser) || c == ',') {
        return fail(parser, "a name was expected");
    }
    if (c == '.') {
        return fail(parser, "a name has single dots, between its parts");
    }
    if (c == '{') {
        return fail(parser, "braces are single: write {x}");
    }
    char reason[96];
    bool printable = c > ' ' && c < 0x7F;
    snprintf(reason, sizeof(reason),
             "%s%.*s%s may not stand in a name: letters, digits, _ and dots may",
             printable  ? "`"
             : c == ' ' ? "a space"
                        : "this character",
             printable ? 1 : 0, &c, printable ? "`" : "");
    return fail(parser, reason);
}

static int parse_name(struct parser *parser, struct mp__var *var)
{
    size_t start = parser->at;
    for (;;) {
        size_t length = varchar_length(parser);
        if (length == 0) {
            return name_fault(parser);
        }
        while (length > 0) {
            parser->at += length;
            length = varchar_length(parser);
        }
        if (peek(parser) != '.') {
            break;
        }
        parser->at++;
    }
    struct mp_buf *names = &parser->template->names;
    var->name = (struct mp__span){names->length, parser->at - start};
    return mp_buf_append(names, parser->inside.data + start, var->name.length);
}

static int parse_prefix(struct parser *parser, struct mp__var *var)
{
    static const char range[] = "a prefix is a number from 1 to 9999";
    parser->at++;
    if (peek(parser) == '0' || !is_digit(peek(parser))) {
        return fail(parser, range);
    }
    while (is_digit(peek(parser))) {
        var->prefix = var->prefix * 10 + (unsigned)(peek(parser) - '0');
        if (var->prefix > PREFIX_MAX) {
            return fail(parser, range);
        }
        parser->at++;
    }
    return MP_OK;
}

static int parse_modifier(struct parser *parser, struct mp__var *var)
{
    if (peek(parser) == '*') {
        var->explode = true;
        parser->at++;
    } else if (peek(parser) == ':') {
        int status = parse_prefix(parser, var);
        if (status != MP_OK) {
            return status;
        }
    }
    if (at_end(parser) || peek(parser) == ',') {
        return MP_OK;
    }
    if (var->explode || var->prefix) {
        return fail(parser, "a name takes one modifier, `*` or `:` and a number");
    }
    return name_fault(parser);
}

static int parse_variable(struct parser *parser)
{
    struct mp_template *template = parser->template;
    struct mp__var var = {0};
    int status = parse_name(parser, &var);
    if (status == MP_OK) {
        status = parse_modifier(parser, &var);
    }
    if (status == MP_OK) {
        void *vars = template->vars;
        status = mp__template_grow(&vars, template->var_count, sizeof(var));
        template->vars = vars;
    }
    if (status == MP_OK) {
        template->vars[template->var_count++] = var;
    }
    return status;
}

static int parse_operator(struct parser *parser, struct mp__op *op)
{
    char c = peek(parser);
    if (at_end(parser)) {
        return fail(parser, "a name was expected between `{` and `}`");
    }
    if (strchr("+#./;?&", c)) {
        op->symbol = c;
        parser->at++;
        return MP_OK;
    }
    if (strchr("=,!@|", c)) {
        char reason[80];
        snprintf(reason, sizeof(reason),
                 "the operator `%c` is reserved: + # . / ; ? & may stand here", c);
        return fail(parser, reason);
    }
    return MP_OK;
}

/* What a text template cannot have is told as such, not as a name gone wrong. */
static int check_simple(struct parser *parser)
{
    static const char allowed[] =
        "only simple expressions such as `{user.email}` are allowed "
        "here: no operator, modifier or list of names";
    for (size_t i = 0; i < parser->inside.length; i++) {
        char c = parser->inside.data[i];
        if (c == '\0' || !strchr(i == 0 ? "+#./;?&=,!@|" : ",:*", c)) {
            continue;
        }
        parser->at = i;
        return fail(parser, allowed);
    }
    return MP_OK;
}

int mp__template_parse(struct mp_template *template, struct mp_str inside,
                       struct mp__op *op, struct mp__parse_fault *fault)
{
    struct parser parser = {template, inside, 0, fault};
    *op = (struct mp__op){.kind = MP__OP_EXPRESSION, .first_var = template->var_count};
    int status = template->kind == MP_TEMPLATE_TEXT ? check_simple(&parser) : MP_OK;
    if (status == MP_OK) {
        status = parse_operator(&parser, op);
    }
    while (status == MP_OK) {
        status = parse_variable(&parser);
        if (status != MP_OK || at_end(&parser)) {
            break;
        }
        parser.at++; /* the comma */
    }
    op->var_count = template->var_count - op->first_var;
    return status;
}
