/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "moonpost/json.h"
#include "moonpost/template.h"
#include "tools.h"

/* URLs for scripts. What holds a secret gives a secret, of which only the parts that come
 * from one are hidden. */

#define EXPAND "uri.expand(template, values)"

static int encode(lua_State *lua)
{
    struct mp_script_state *state = mp__state_of(lua);
    struct mp__label label = {.length = 0};
    lua_settop(lua, 1);
    struct mp_str text = mp__check_bytes(state, 1, "uri.encode(text)", "text");
    mp__refuse_expression(state, 1, "uri.encode(text)");
    mp__label_add(state, 1, &label);
    mp_buf_reset(&state->scratch);
    mp__check_status(lua, mp_percent_encode(text, &state->scratch));
    mp__push_labelled(state, mp_buf_str(&state->scratch), &label);
    return 1;
}

/* The table, read before any template is made, for reading it may throw. */
struct values {
    struct mp_script_state *state;
    struct mp_str json; /* what is no secret, as one object */
    struct hidden {
        struct mp_str name, text;
        const struct mp__secret *secret;
    } * hidden;
    size_t hidden_count;
    struct mp__label used; /* names of the secrets that were looked up */
};

static struct mp_value lookup(void *arg, struct mp_str name)
{
    struct values *values = arg;
    if (mp__budget_is_spent(values->state)) {
        return (struct mp_value){0}; /* to the end quickly: there it is thrown */
    }
    for (size_t i = 0; i < values->hidden_count; i++) {
        if (mp_str_equal(values->hidden[i].name, name)) {
            mp__label_add_secret(values->hidden[i].secret, &values->used);
            return (struct mp_value){
                .text = values->hidden[i].text, .is_text = true, .is_secret = true};
        }
    }
    return mp_lookup_json(&values->json, name);
}

static void add_value(struct values *values, struct mp_str name, int index)
{
    struct mp_script_state *state = values->state;
    struct mp_buf *json = &state->scratch;
    const struct mp__secret *secret = mp__secret_at(state, index);
    if (secret) {
        struct mp_str text = mp__check_bytes(state, index, EXPAND, "value");
        values->hidden[values->hidden_count++] = (struct hidden){name, text, secret};
        return;
    }
    if (lua_isfunction(state->lua, index)) {
        luaL_error(state->lua, EXPAND ": `%s` is a function: pass its result", name.data);
    }
    mp__check_status(state->lua, mp_buf_append_char(json, json->length > 1 ? ',' : ' '));
    mp__check_status(state->lua, mp_json_write_string(json, name));
    mp__check_status(state->lua, mp_buf_append_char(json, ':'));
    mp__write_json(state, index, json);
}

/* What it pushes stays: the values' bytes lie there. */
static void read_values(struct values *values)
{
    struct mp_script_state *state = values->state;
    lua_State *lua = state->lua;
    struct mp_buf *json = &state->scratch;
    struct mp__shape shape = mp__push_shape(state, 2);
    bool is_list = shape.kind == MP__SHAPE_LIST && shape.count > 0;
    if (is_list || mp__shape_fault(shape.kind)) {
        luaL_error(lua, EXPAND ": the table %s",
                   is_list ? "is a list: write names, { id = 1 }"
                           : mp__shape_fault(shape.kind));
    }
    values->hidden = lua_newuserdata(lua, (shape.count + 1) * sizeof(*values->hidden));
    mp_buf_reset(json);
    mp__check_status(lua, mp_buf_append_char(json, '{'));
    for (size_t i = 0; i < shape.count; i++) {
        luaL_checkstack(lua, 8, "too many values");
        mp__push_str(lua, shape.keys[i]);
        lua_rawget(lua, 2);
        int top = lua_gettop(lua);
        add_value(values, shape.keys[i], top);
        if (lua_gettop(lua) == top) {
            lua_pop(lua, 1); /* it lies in the table */
        }
    }
    mp__check_status(lua, mp_buf_append_char(json, '}'));
    values->json = mp_buf_str(json);
}

/* Into `state->shown`; nothing is thrown while there is a template. */
static void expand_parts(struct values *values, const struct mp_template_part *parts,
                         size_t count)
{
    struct mp_script_state *state = values->state;
    struct mp_template *compiled;
    struct mp_error err;
    mp__budget_check(state);
    mp_buf_reset(&state->shown);
    values->used.length = 0;
    if (mp_template_compile(parts, count, MP_TEMPLATE_URL, &compiled, &err) != MP_OK) {
        luaL_error(state->lua, EXPAND ": %s", err.text);
    }
    int status =
        mp_template_expand(compiled, lookup, values, MP_ESCAPE_NONE, &state->shown);
    mp_template_free(compiled);
    if (status == MP_EINVAL) {
        luaL_error(state->lua, EXPAND ": a prefix, as in {x:3}, of a list, an object or "
                                      "a secret");
    }
    mp__check_status(state->lua, status);
    mp__budget_check(state);
}

static void join(struct mp_script_state *state, int *pieces)
{
    if (++*pieces > 1) {
        mp__join(state);
    }
}

/* Text and expressions one by one, so that what is plain stays so. Whole, it has been
 * compiled before: its braces are in order. */
static void expand_apart(struct values *values, struct mp_str text, int *pieces)
{
    struct mp_script_state *state = values->state;
    const char *end = text.data + text.length;
    for (const char *at = text.data; at < end;) {
        char until = *at == '{' ? '}' : '{';
        const char *stop = memchr(at, until, (size_t)(end - at));
        const char *next = !stop ? end : until == '}' ? stop + 1 : stop;
        struct mp_template_part part = {.text = {at, (size_t)(next - at)}};
        expand_parts(values, &part, 1);
        mp__push_labelled(state, mp_buf_str(&state->shown), &values->used);
        join(state, pieces);
        at = next;
    }
}

static int expand_with_secrets(struct values *values, const struct mp__secret *secret,
                               const struct mp_template_part *parts, size_t count)
{
    int pieces = 0;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].secret.data) {
            mp__push_piece(values->state, secret, i);
            join(values->state, &pieces);
        } else {
            expand_apart(values, parts[i].text, &pieces);
        }
    }
    return 1;
}

static int expand(lua_State *lua)
{
    struct mp_script_state *state = mp__state_of(lua);
    struct values values = {.state = state};
    lua_settop(lua, 2);
    const struct mp__secret *secret = mp__secret_at(state, 1);
    if (!secret && lua_type(lua, 1) != LUA_TSTRING) {
        return luaL_error(lua, EXPAND ": the template is a %s: pass a string",
                          luaL_typename(lua, 1));
    }
    if (!lua_istable(lua, 2)) {
        return luaL_error(lua, EXPAND ": the values are a %s: pass a table",
                          luaL_typename(lua, 2));
    }
    read_values(&values);
    size_t count = secret ? mp__secret_count(secret) : 1;
    luaL_checkstack(lua, 8, "too many values");
    struct mp_template_part *parts = lua_newuserdata(lua, count * sizeof(*parts));
    bool is_hidden = false;
    for (size_t i = 0; i < count; i++) {
        parts[i] = secret ? mp__secret_part(secret, i)
                          : (struct mp_template_part){.text = mp__str_at(lua, 1)};
        is_hidden = is_hidden || parts[i].secret.data;
    }
    expand_parts(&values, parts, count);
    if (is_hidden || values.used.length > 0) {
        return expand_with_secrets(&values, secret, parts, count);
    }
    mp__push_str(lua, mp_buf_str(&state->shown));
    return 1;
}

const luaL_Reg mp__uri_functions[] = {
    {"encode", encode}, {"expand", expand}, {"macros", mp__macros}, {NULL, NULL}};
