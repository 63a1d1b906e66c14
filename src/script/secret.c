/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"
#include "tools.h"

/* A secret is a userdatum of pieces, plain and hidden, each with its bytes and how it
 * shows. Nothing that Lua offers turns it into a string but `tostring`, which shows the
 * latter. */

#define SHOWN_BEFORE "[secret "
#define SHOWN_AFTER  "]"

struct piece {
    uint32_t text_at, text_length;
    uint32_t name_at, name_length; /* without "[secret " and "]"; none: plain */
    bool is_whole; /* `name` is the shown form itself, as of a whole url */
};
struct mp__secret {
    uint32_t count, used;
    struct piece pieces[];
};

static const char *bytes_of(const struct mp__secret *secret)
{
    return (const char *)&secret->pieces[secret->count];
}

const struct mp__secret *mp__secret_at(struct mp_script_state *state, int index)
{
    lua_State *lua = state->lua;
    if (lua_type(lua, index) != LUA_TUSERDATA || !lua_getmetatable(lua, index)) {
        return NULL;
    }
    mp__push_kept(state, MP__KEPT_SECRET);
    bool is_secret = lua_rawequal(lua, -1, -2);
    lua_pop(lua, 2);
    return is_secret ? lua_touserdata(lua, index) : NULL;
}

size_t mp__secret_count(const struct mp__secret *secret)
{
    return secret->count;
}

struct mp_template_part mp__secret_part(const struct mp__secret *secret, size_t index)
{
    const struct piece *piece = &secret->pieces[index];
    const char *bytes = bytes_of(secret);
    struct mp_template_part part = {.text = {bytes + piece->text_at, piece->text_length}};
    if (piece->name_length > 0) {
        part.secret = (struct mp_str){bytes + piece->name_at, piece->name_length};
    }
    return part;
}

static struct mp__secret *push_new(struct mp_script_state *state, size_t count,
                                   size_t bytes)
{
    lua_State *lua = state->lua;
    if (count > 1024 || bytes > MP_REQUEST_BODY_MAX) {
        luaL_error(lua, "a secret has too many pieces or bytes");
    }
    size_t size = sizeof(struct mp__secret) + count * sizeof(struct piece) + bytes;
    struct mp__secret *secret = lua_newuserdata(lua, size);
    *secret = (struct mp__secret){.count = (uint32_t)count};
    mp__push_kept(state, MP__KEPT_SECRET);
    lua_setmetatable(lua, -2);
    state->uses_secrets = true;
    return secret;
}

static void put(struct mp__secret *secret, size_t index, struct mp_template_part part,
                bool is_whole)
{
    char *bytes = (char *)&secret->pieces[secret->count];
    struct piece *piece = &secret->pieces[index];
    *piece = (struct piece){.text_at = secret->used,
                            .text_length = (uint32_t)part.text.length,
                            .name_length = (uint32_t)part.secret.length,
                            .is_whole = is_whole};
    piece->name_at = secret->used + piece->text_length;
    if (part.text.length > 0) {
        memcpy(bytes + piece->text_at, part.text.data, part.text.length);
    }
    if (part.secret.length > 0) {
        memcpy(bytes + piece->name_at, part.secret.data, part.secret.length);
    }
    secret->used += piece->text_length + piece->name_length;
}

void mp__push_hidden(struct mp_script_state *state, struct mp_str text,
                     struct mp_str shown)
{
    if (shown.length == 0 || mp_str_equal(text, shown)) {
        mp__push_str(state->lua, text);
        return;
    }
    struct mp__secret *secret = push_new(state, 1, text.length + shown.length);
    put(secret, 0, (struct mp_template_part){text, shown}, true);
}

void mp__push_piece(struct mp_script_state *state, const struct mp__secret *secret,
                    size_t index)
{
    struct mp_template_part part = mp__secret_part(secret, index);
    if (part.secret.length == 0) {
        mp__push_str(state->lua, part.text);
        return;
    }
    put(push_new(state, 1, part.text.length + part.secret.length), 0, part,
        secret->pieces[index].is_whole);
}

void mp__push_labelled(struct mp_script_state *state, struct mp_str text,
                       const struct mp__label *label)
{
    if (label->length == 0) {
        mp__push_str(state->lua, text);
        return;
    }
    struct mp_template_part part = {text, {label->text, label->length}};
    put(push_new(state, 1, text.length + label->length), 0, part, false);
}

static void add_name(struct mp__label *label, struct mp_str name)
{
    size_t at = 0;
    while (at < label->length) {
        const char *start = label->text + at;
        const char *plus = memchr(start, '+', label->length - at);
        size_t length = plus ? (size_t)(plus - start) : label->length - at;
        if (mp_str_equal((struct mp_str){start, length}, name)) {
            return;
        }
        at += length + 1;
    }
    size_t before = label->length > 0 ? 1 : 0;
    if (name.length + before > sizeof(label->text) - label->length) {
        return; /* the names that are there are enough to know it by */
    }
    if (before) {
        label->text[label->length++] = '+';
    }
    memcpy(label->text + label->length, name.data, name.length);
    label->length += name.length;
}

/* The names in a shown form, such as "https://a.example/?t=[secret x]". */
static void add_shown_names(struct mp__label *label, struct mp_str shown)
{
    const char *end = shown.data + shown.length;
    const char *at = shown.data;
    while ((at = memmem(at, (size_t)(end - at), SHOWN_BEFORE, strlen(SHOWN_BEFORE)))) {
        at += strlen(SHOWN_BEFORE);
        const char *close = memchr(at, ']', (size_t)(end - at));
        if (!close) {
            break;
        }
        add_name(label, (struct mp_str){at, (size_t)(close - at)});
        at = close;
    }
}

void mp__label_add_secret(const struct mp__secret *secret, struct mp__label *label)
{
    for (size_t i = 0; i < secret->count; i++) {
        struct mp_str name = mp__secret_part(secret, i).secret;
        if (name.length > 0 && secret->pieces[i].is_whole) {
            add_shown_names(label, name);
        } else if (name.length > 0) {
            add_name(label, name);
        }
    }
    if (label->length == 0) { /* hidden all the same */
        add_name(label, mp_str_of("value"));
    }
}

void mp__label_add(struct mp_script_state *state, int index, struct mp__label *label)
{
    const struct mp__secret *secret = mp__secret_at(state, index);
    if (secret) {
        mp__label_add_secret(secret, label);
    }
}

static struct mp_str push_joined(struct mp_script_state *state,
                                 const struct mp__secret *secret)
{
    char *bytes = lua_newuserdata(state->lua, secret->used + 1);
    size_t length = 0;
    for (size_t i = 0; i < secret->count; i++) {
        struct mp_str text = mp__secret_part(secret, i).text;
        memcpy(bytes + length, text.data, text.length);
        length += text.length;
    }
    return (struct mp_str){bytes, length};
}

struct mp_str mp__check_bytes(struct mp_script_state *state, int index,
                              const char *function, const char *what)
{
    lua_State *lua = state->lua;
    mp__budget_check(state);
    const struct mp__secret *secret = mp__secret_at(state, index);
    if (secret) {
        luaL_checkstack(lua, 2, "too many values");
        return secret->count == 1 ? mp__secret_part(secret, 0).text
                                  : push_joined(state, secret);
    }
    int type = lua_type(lua, index);
    if (type != LUA_TSTRING && type != LUA_TNUMBER) {
        bool is_nil = type == LUA_TNIL || type == LUA_TNONE;
        luaL_error(lua, "%s: the %s is %s%s: pass a string or a secret", function, what,
                   is_nil ? "" : "a ", is_nil ? "nil" : luaL_typename(lua, index));
    }
    return mp__str_at(lua, index);
}

int mp__secret_new(lua_State *lua)
{
    struct mp_script_state *state = mp__state_of(lua);
    struct mp_str name = {0}, value;
    struct mp_error err;
    name.data = luaL_checklstring(lua, 1, &name.length);
    if (state->is_loading && mp__script_note_secret(state->script, name) != MP_OK) {
        return luaL_error(lua, "out of memory");
    }
    if (mp_secrets_find(mp_script_secrets(state->script), name, &value, &err) != MP_OK) {
        return luaL_error(lua, "%s", err.text);
    }
    struct mp_template_part part = {value, name};
    put(push_new(state, 1, value.length + name.length), 0, part, false);
    return 1;
}

static size_t size_of(struct mp_script_state *state, int index, size_t *count)
{
    const struct mp__secret *secret = mp__secret_at(state, index);
    if (secret) {
        *count += secret->count;
        return secret->used;
    }
    int type = lua_type(state->lua, index);
    if (type != LUA_TSTRING && type != LUA_TNUMBER) {
        luaL_error(state->lua, "attempt to concatenate a secret and a %s",
                   luaL_typename(state->lua, index));
    }
    *count += 1;
    return mp__str_at(state->lua, index).length;
}

static size_t put_all(struct mp_script_state *state, int index, struct mp__secret *to,
                      size_t at)
{
    const struct mp__secret *secret = mp__secret_at(state, index);
    if (!secret) {
        put(to, at, (struct mp_template_part){.text = mp__str_at(state->lua, index)},
            false);
        return at + 1;
    }
    for (size_t i = 0; i < secret->count; i++) {
        put(to, at++, mp__secret_part(secret, i), secret->pieces[i].is_whole);
    }
    return at;
}

static void push_both(struct mp_script_state *state, int first, int second)
{
    size_t count = 0;
    size_t bytes = size_of(state, first, &count);
    bytes += size_of(state, second, &count);
    struct mp__secret *joined = push_new(state, count, bytes);
    put_all(state, second, joined, put_all(state, first, joined, 0));
}

static int concat(lua_State *lua)
{
    push_both(mp__state_of(lua), 1, 2);
    return 1;
}

/* LuaJIT's lua_concat gives a metamethod other values than those two. */
void mp__join(struct mp_script_state *state)
{
    lua_State *lua = state->lua;
    if (!mp__secret_at(state, -1) && !mp__secret_at(state, -2)) {
        lua_concat(lua, 2);
        return;
    }
    int top = lua_gettop(lua);
    push_both(state, top - 1, top);
    lua_replace(lua, top - 1);
    lua_settop(lua, top - 1);
}

static void show(lua_State *lua, const struct mp__secret *secret, struct mp_buf *shown)
{
    for (size_t i = 0; i < secret->count; i++) {
        struct mp_template_part part = mp__secret_part(secret, i);
        if (part.secret.length == 0) {
            mp__check_status(lua, mp_buf_append_str(shown, part.text));
        } else if (secret->pieces[i].is_whole) {
            mp__check_status(lua, mp_buf_append_str(shown, part.secret));
        } else {
            mp__check_status(lua, mp_buf_append_text(shown, SHOWN_BEFORE));
            mp__check_status(lua, mp_buf_append_str(shown, part.secret));
            mp__check_status(lua, mp_buf_append_text(shown, SHOWN_AFTER));
        }
    }
}

static void text_of_number(lua_State *lua, int index, struct mp_buf *text)
{
    double number = lua_tonumber(lua, index);
    char digits[40];
    if (!isfinite(number)) {
        luaL_error(lua, "a number that is no number cannot be sent");
    }
    snprintf(digits, sizeof(digits), "%.14g", number);
    mp__check_status(lua, mp_buf_append_text(text, digits));
}

bool mp__text_at(struct mp_script_state *state, int index, struct mp_buf *text,
                 struct mp_buf *shown, bool *is_secret)
{
    lua_State *lua = state->lua;
    *is_secret = false;
    switch (lua_type(lua, index)) {
    case LUA_TSTRING:
        mp__check_status(lua, mp_buf_append_str(text, mp__str_at(lua, index)));
        return true;
    case LUA_TNUMBER:
        text_of_number(lua, index, text);
        return true;
    case LUA_TBOOLEAN:
        mp__check_status(
            lua, mp_buf_append_text(text, lua_toboolean(lua, index) ? "true" : "false"));
        return true;
    default:
        break;
    }
    const struct mp__secret *secret = mp__secret_at(state, index);
    if (!secret) {
        return false;
    }
    *is_secret = true;
    for (size_t i = 0; i < secret->count; i++) {
        mp__check_status(lua, mp_buf_append_str(text, mp__secret_part(secret, i).text));
    }
    show(lua, secret, shown);
    return true;
}

int mp__tostring(lua_State *lua)
{
    struct mp_script_state *state = mp__state_of(lua);
    luaL_checkany(lua, 1);
    const struct mp__secret *secret = mp__secret_at(state, 1);
    struct mp_buf *text = &state->scratch;
    mp_buf_reset(text);
    if (secret) {
        show(lua, secret, text);
        mp__push_str(lua, mp_buf_str(text));
        return 1;
    }
    switch (lua_type(lua, 1)) {
    case LUA_TNIL:
        lua_pushliteral(lua, "nil");
        break;
    case LUA_TSTRING:
        lua_pushvalue(lua, 1);
        break;
    case LUA_TNUMBER:
        lua_pushvalue(lua, 1);
        lua_tostring(lua, -1);
        break;
    case LUA_TBOOLEAN:
        lua_pushstring(lua, lua_toboolean(lua, 1) ? "true" : "false");
        break;
    default: /* without the address that Lua would add */
        lua_pushstring(lua, mp__is_null(lua, 1) ? "null" : luaL_typename(lua, 1));
    }
    return 1;
}

void mp__secret_open(struct mp_script_state *state)
{
    lua_State *lua = state->lua;
    lua_newtable(lua);
    lua_pushcfunction(lua, concat);
    lua_setfield(lua, -2, "__concat");
    lua_pushboolean(lua, 0);
    lua_setfield(lua, -2, "__metatable");
    mp__keep(state, MP__KEPT_SECRET);
}
