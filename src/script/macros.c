/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "moonpost/template.h"
#include "tools.h"

/* uri.macros(text[, names]): a URL with another platform's macros as a template of ours.
 *
 * Macros are {x} {{x}} ${x} %%x%% (x) [x] #x#, read from left to right, the longer form
 * first; {{ x }} may have blanks. %x% is none: %AD%20 would be one.
 *
 * With `names`, { CLICK_ID = "click_id" }: a macro whose inside is a key, letter for
 * letter, becomes the expression of its value ("click_id", "user.id", "ctx.id"). Without:
 * a macro whose inside is an identifier (letters, digits and _, not a digit first, single
 * dots inside) becomes the expression of the same name.
 *
 * A {x} that becomes none, and begins as a name does, is an error: it would be sent as
 * it stands. All else stays the text it is: $100, (2), items[0], #fragment. So does [x]
 * or (x) that ends a parameter's name: user[id]=. A brace that stays is written %7B or
 * %7D, which is what it is in a URL. Nothing inside a secret is read. */

#define INSIDE_MAX 128

struct macros {
    struct mp_script_state *state;
    bool has_names; /* the table at 2 */
    struct mp_buf *out;
};
struct syntax {
    const char *open, *close;
    bool is_bracket, has_blanks;
};
static const struct syntax syntaxes[] = {
    {"{{", "}}", false, true},  {"${", "}", false, false}, {"{", "}", false, false},
    {"%%", "%%", false, false}, {"(", ")", true, false},   {"[", "]", true, false},
    {"#", "#", false, false},
};

static bool is_identifier(struct mp_str text)
{
    bool first = true;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        bool digit = c >= '0' && c <= '9';
        if (c == '.' && !first && i + 1 < text.length && text.data[i + 1] != '.') {
            continue;
        }
        if (!letter && (!digit || first)) {
            return false;
        }
        first = false;
    }
    return !first;
}

/* `at` is behind a bracket: do more brackets and a `=` follow? */
static bool ends_a_name(const char *at, const char *end)
{
    while (at < end && (*at == '[' || *at == '(')) {
        size_t left = (size_t)(end - at);
        const char *close = memchr(at, *at == '[' ? ']' : ')',
                                   left <= INSIDE_MAX ? left : INSIDE_MAX + 1);
        if (!close) {
            return false;
        }
        at = close + 1;
    }
    return at < end && *at == '=';
}

/* Writes the expression that `inside` stands for; false: it stands for none. */
static bool write_expression(struct macros *macros, struct mp_str inside)
{
    lua_State *lua = macros->state->lua;
    struct mp_str name = inside;
    if (macros->has_names) {
        mp__push_str(lua, inside);
        lua_rawget(lua, 2);
        name = lua_isnil(lua, -1) ? (struct mp_str){0} : mp__str_at(lua, -1);
        lua_pop(lua, 1); /* the table holds it */
    } else if (!is_identifier(inside)) {
        return false;
    }
    if (name.length == 0) {
        return false;
    }
    mp__check_status(lua, mp_buf_append_char(macros->out, '{'));
    mp__check_status(lua, mp_buf_append_str(macros->out, name));
    mp__check_status(lua, mp_buf_append_char(macros->out, '}'));
    return true;
}

/* Where the macro at `at` ends; NULL: there is none. */
static const char *convert_one(struct macros *macros, const struct syntax *syntax,
                               const char *at, const char *end)
{
    size_t open = strlen(syntax->open), close = strlen(syntax->close);
    if ((size_t)(end - at) < open || memcmp(at, syntax->open, open) != 0) {
        return NULL;
    }
    at += open;
    size_t left = (size_t)(end - at);
    size_t most = left < INSIDE_MAX + close ? left : INSIDE_MAX + close;
    const char *stop = memmem(at, most, syntax->close, close);
    if (!stop || (syntax->is_bracket && ends_a_name(stop + close, end))) {
        return NULL;
    }
    struct mp_str inside = {at, (size_t)(stop - at)};
    if (syntax->has_blanks) {
        inside = mp_str_trim(inside);
    }
    return write_expression(macros, inside) ? stop + close : NULL;
}

/* `at` is a brace that no syntax took. Throws when a name stands in it. */
static void check_forgotten(const struct macros *macros, const char *at, const char *end)
{
    size_t left = (size_t)(end - at);
    const char *stop = memchr(at, '}', left < INSIDE_MAX ? left : INSIDE_MAX);
    struct mp_str inside = {at + 1, stop ? (size_t)(stop - at - 1) : 0};
    inside = mp_str_trim(inside);
    if (inside.length == 0 || !is_identifier((struct mp_str){inside.data, 1})) {
        return;
    }
    lua_State *lua = macros->state->lua;
    mp__push_str(lua, inside);
    const char *name = lua_tostring(lua, -1);
    luaL_error(lua,
               "uri.macros(text, names): {%s} is none that it knows: put [\"%s\"] = "
               "\"<our name>\" into names, or write %%7B for a brace that is meant",
               name, name);
}

static void convert(struct macros *macros, struct mp_str text)
{
    lua_State *lua = macros->state->lua;
    const char *end = text.data + text.length;
    mp_buf_reset(macros->out);
    for (const char *at = text.data; at < end;) {
        const char *next = NULL;
        mp__budget_check(macros->state);
        for (size_t i = 0; i < sizeof(syntaxes) / sizeof(*syntaxes) && !next; i++) {
            next = convert_one(macros, &syntaxes[i], at, end);
        }
        if (next) {
            at = next;
            continue;
        }
        if (*at == '{') {
            check_forgotten(macros, at, end);
        }
        if (*at == '{' || *at == '}') {
            mp__check_status(lua,
                             mp_buf_append_text(macros->out, *at == '{' ? "%7B" : "%7D"));
        } else {
            mp__check_status(lua, mp_buf_append_char(macros->out, *at));
        }
        at++;
    }
}

/* Each must be what may stand in a template: a wrong one is told here, by its key. */
static void check_names(struct macros *macros)
{
    struct mp_script_state *state = macros->state;
    lua_State *lua = state->lua;
    struct mp__shape shape = mp__push_shape(state, 2);
    if (mp__shape_fault(shape.kind) || shape.kind == MP__SHAPE_LIST) {
        luaL_error(lua, "uri.macros(text, names): names is a table such as "
                        "{ CLICK_ID = \"click_id\" }");
    }
    for (size_t i = 0; i < shape.count; i++) {
        mp__push_str(lua, shape.keys[i]);
        lua_rawget(lua, 2);
        if (lua_type(lua, -1) != LUA_TSTRING) {
            luaL_error(lua,
                       "uri.macros(text, names): names.%s is a %s: write the name of "
                       "a value, such as \"click_id\"",
                       shape.keys[i].data, luaL_typename(lua, -1));
        }
        lua_pushliteral(lua, "{");
        lua_insert(lua, -2);
        lua_pushliteral(lua, "}");
        lua_concat(lua, 3);
        struct mp_template_part part = {.text = mp__str_at(lua, -1)};
        struct mp_template *compiled;
        struct mp_error err;
        if (mp_template_compile(&part, 1, MP_TEMPLATE_URL, &compiled, &err) != MP_OK) {
            luaL_error(lua, "uri.macros(text, names): names.%s: %s", shape.keys[i].data,
                       err.text);
        }
        mp_template_free(compiled);
        lua_pop(lua, 1);
    }
    macros->has_names = true;
}

int mp__macros(lua_State *lua)
{
    struct mp_script_state *state = mp__state_of(lua);
    struct macros macros = {.state = state, .out = &state->scratch};
    lua_settop(lua, 2);
    mp__budget_check(state);
    if (!state->is_loading) {
        return luaL_error(lua, "uri.macros makes a template: call it while the script "
                               "loads, outside its functions");
    }
    if (lua_istable(lua, 2)) {
        check_names(&macros);
    } else if (!lua_isnil(lua, 2)) {
        return luaL_error(lua, "uri.macros(text, names): names is a %s: pass a table",
                          luaL_typename(lua, 2));
    }
    const struct mp__secret *secret = mp__secret_at(state, 1);
    if (!secret && lua_type(lua, 1) != LUA_TSTRING) {
        return luaL_error(lua, "uri.macros(text): the text is a %s: pass a string",
                          luaL_typename(lua, 1));
    }
    size_t count = secret ? mp__secret_count(secret) : 1;
    for (size_t i = 0; i < count; i++) {
        struct mp_str text =
            secret ? mp__secret_part(secret, i).text : mp__str_at(lua, 1);
        if (secret && mp__secret_part(secret, i).secret.length > 0) {
            mp__push_piece(state, secret, i);
        } else {
            convert(&macros, text);
            mp__push_str(lua, mp_buf_str(macros.out));
        }
        if (i > 0) {
            mp__join(state);
        }
    }
    return 1;
}
