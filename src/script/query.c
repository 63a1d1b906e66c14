/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "values.h"

/* A URL's query as a table. What a hook leaves alone stays byte for byte: only parameters
 * whose value in the table is another than before are written anew. */

struct span {
    size_t from, to; /* of the query: after `?`, up to `#` or the end */
    bool has_mark;
};

static struct span find_query(struct mp_str url)
{
    const char *hash = url.length > 0 ? memchr(url.data, '#', url.length) : NULL;
    size_t end = hash ? (size_t)(hash - url.data) : url.length;
    const char *mark = end > 0 ? memchr(url.data, '?', end) : NULL;
    return (struct span){mark ? (size_t)(mark - url.data) + 1 : end, end, mark != NULL};
}

/* The next `name=value` of `rest`, which moves on. */
static bool next_pair(struct mp_str *rest, struct mp_str *name, struct mp_str *value)
{
    if (rest->length == 0) {
        return false;
    }
    const char *amp = memchr(rest->data, '&', rest->length);
    size_t length = amp ? (size_t)(amp - rest->data) : rest->length;
    const char *equals = length > 0 ? memchr(rest->data, '=', length) : NULL;
    size_t name_length = equals ? (size_t)(equals - rest->data) : length;
    *name = (struct mp_str){rest->data, name_length};
    *value = (struct mp_str){rest->data + length, 0};
    if (equals) {
        *value = (struct mp_str){equals + 1, length - name_length - 1};
    }
    size_t used = length + (amp ? 1 : 0);
    rest->data += used;
    rest->length -= used;
    return true;
}

static int hex_of(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static void decode(lua_State *lua, struct mp_str text, struct mp_buf *out)
{
    mp_buf_reset(out);
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i] == '+' ? ' ' : text.data[i];
        if (c == '%' && text.length - i > 2 && hex_of(text.data[i + 1]) >= 0 &&
            hex_of(text.data[i + 2]) >= 0) {
            c = (char)(hex_of(text.data[i + 1]) * 16 + hex_of(text.data[i + 2]));
            i += 2;
        }
        mp__check_status(lua, mp_buf_append_char(out, c));
    }
}

static void push_decoded(struct mp_script_state *state, struct mp_str text)
{
    decode(state->lua, text, &state->scratch);
    mp__push_str(state->lua, mp_buf_str(&state->scratch));
}

static void push_hidden_value(struct mp_script_state *state, struct mp_str value,
                              struct mp_str shown)
{
    if (mp_str_equal(value, shown)) {
        push_decoded(state, value);
        return;
    }
    decode(state->lua, value, &state->scratch);
    mp__push_hidden(state, mp_buf_str(&state->scratch),
                    shown.length > 0 ? shown : mp_str_of("[secret]"));
}

/* With secrets in it the shown url is read in step; where the two differ the value is
 * hidden. A secret in a name's place, or one that has `&` in it, puts them out of step:
 * what comes from there on may be a part of it, and stays out of the table. */
void mp__query_read(struct mp_script_state *state, struct mp_str url, struct mp_str shown)
{
    lua_State *lua = state->lua;
    struct span span = find_query(url), shown_span = find_query(shown);
    struct mp_str rest = {url.data + span.from, span.to - span.from};
    struct mp_str other = {shown.data + shown_span.from, shown_span.to - shown_span.from};
    lua_newtable(lua);
    struct mp_str name, value, other_name, other_value;
    bool in_step = true;
    while (next_pair(&rest, &name, &value)) {
        in_step = next_pair(&other, &other_name, &other_value) && in_step &&
                  mp_str_equal(name, other_name);
        if (!in_step) {
            return;
        }
        if (name.length == 0) {
            continue;
        }
        push_decoded(state, name);
        push_hidden_value(state, value, other_value);
        lua_rawset(lua, -3);
    }
}

/* The value of the name on top in two tables: is it another? Pops the name, pushes the
 * new. */
static bool push_changed(lua_State *lua, int now, int old)
{
    lua_pushvalue(lua, -1);
    lua_rawget(lua, old);
    lua_insert(lua, -2);
    lua_rawget(lua, now);
    bool changed = !lua_rawequal(lua, -1, -2);
    lua_remove(lua, -2);
    return changed;
}

static void append_encoded(struct mp_script_state *state, struct mp_buf *out, bool hide)
{
    lua_State *lua = state->lua;
    struct mp_buf *text = &state->scratch, *shown = &state->shown;
    mp_buf_reset(text);
    mp_buf_reset(shown);
    bool is_secret;
    if (!mp__text_at(state, lua_gettop(lua), text, shown, &is_secret)) {
        luaL_error(lua,
                   "request.query: a value is a %s: it is a string, number or boolean",
                   luaL_typename(lua, -1));
    }
    if (is_secret && hide) {
        mp__check_status(lua, mp_buf_append_str(out, mp_buf_str(shown)));
    } else {
        mp__check_status(lua, mp_percent_encode(mp_buf_str(text), out));
    }
}

static bool is_gone(lua_State *lua, int index)
{
    return lua_isnil(lua, index) ||
           (lua_isboolean(lua, index) && !lua_toboolean(lua, index));
}

struct writing {
    struct mp_script_state *state;
    int now, old, done; /* stack places; `done`: names that are written */
    bool hide, is_first;
    struct mp_buf *out;
};

static void append_pair(struct writing *writing, struct mp_str name, bool encode)
{
    lua_State *lua = writing->state->lua;
    struct mp_buf *out = writing->out;
    mp__check_status(lua, mp_buf_append_char(out, writing->is_first ? '?' : '&'));
    writing->is_first = false;
    mp__check_status(lua, encode ? mp_percent_encode(name, out)
                                 : mp_buf_append_str(out, name));
}

/* One parameter that was there: as it is, with its new value once, or not at all. */
static void write_old(struct writing *writing, struct mp_str name, struct mp_str pair)
{
    lua_State *lua = writing->state->lua;
    if (pair.length == 0 && writing->is_first) {
        return;
    }
    push_decoded(writing->state, name);
    int key = lua_gettop(lua);
    lua_pushvalue(lua, key);
    if (name.length == 0 || !push_changed(lua, writing->now, writing->old)) {
        append_pair(writing, pair, false);
    } else {
        lua_pushvalue(lua, key);
        lua_rawget(lua, writing->done);
        bool is_done = !lua_isnil(lua, -1);
        lua_pop(lua, 1);
        if (!is_done && !is_gone(lua, -1)) {
            append_pair(writing, name, false);
            mp__check_status(lua, mp_buf_append_char(writing->out, '='));
            append_encoded(writing->state, writing->out, writing->hide);
        }
        lua_pushvalue(lua, key);
        lua_pushboolean(lua, 1);
        lua_rawset(lua, writing->done);
    }
    lua_settop(lua, key - 1);
}

static void write_new(struct writing *writing)
{
    struct mp_script_state *state = writing->state;
    lua_State *lua = state->lua;
    struct mp__shape shape = mp__push_shape(state, writing->now);
    if (mp__shape_fault(shape.kind) ||
        (shape.kind == MP__SHAPE_LIST && shape.count > 0)) {
        luaL_error(lua, "request.query is a table of names");
    }
    for (size_t i = 0; i < shape.count; i++) {
        mp__push_str(lua, shape.keys[i]);
        lua_pushvalue(lua, -1);
        lua_rawget(lua, writing->done);
        bool is_done = !lua_isnil(lua, -1);
        lua_pop(lua, 1);
        if (!is_done && push_changed(lua, writing->now, writing->old) &&
            !is_gone(lua, -1)) {
            append_pair(writing, shape.keys[i], true);
            mp__check_status(lua, mp_buf_append_char(writing->out, '='));
            append_encoded(state, writing->out, writing->hide);
        }
        lua_pop(lua, 1);
    }
    lua_pop(lua, 1);
}

void mp__query_write(struct mp_script_state *state, int now, int old, bool hide,
                     struct mp_buf *url)
{
    lua_State *lua = state->lua;
    struct mp_str before = mp_buf_str(url);
    mp__push_str(lua, before); /* a copy, for the url is written over */
    before.data = lua_tostring(lua, -1);
    struct span span = find_query(before);
    mp_buf_reset(url);
    mp__check_status(lua, mp_buf_append(url, before.data, span.from - span.has_mark));
    lua_newtable(lua);
    struct writing writing = {state, now, old, lua_gettop(lua), hide, true, url};
    struct mp_str rest = {before.data + span.from, span.to - span.from};
    struct mp_str name, value;
    const char *start = rest.data;
    while (next_pair(&rest, &name, &value)) {
        struct mp_str pair = {start, (size_t)(value.data + value.length - start)};
        write_old(&writing, name, pair);
        start = rest.data;
    }
    write_new(&writing);
    mp__check_status(lua,
                     mp_buf_append(url, before.data + span.to, before.length - span.to));
    lua_pop(lua, 2);
}
