/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"

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

/* Known to the script from now on: it is loaded again when the value changes. */
static void note_use(struct mp_script_state *state, struct mp_str name)
{
    struct mp_script *script = state->script;
    if (!state->is_loading || mp_script_uses_secret(script, name)) {
        return;
    }
    struct mp__used_secret *used = mp__script_alloc(script, sizeof(*used) + name.length);
    if (!used) {
        luaL_error(state->lua, "out of memory");
        return;
    }
    memcpy(used + 1, name.data, name.length);
    used->name = (struct mp_str){(char *)(used + 1), name.length};
    used->next = mp__private_of(script)->used_secrets;
    mp__private_of(script)->used_secrets = used;
}

int mp__secret_new(lua_State *lua)
{
    struct mp_script_state *state = mp__state_of(lua);
    struct mp_str name = {0}, value;
    struct mp_error err;
    name.data = luaL_checklstring(lua, 1, &name.length);
    note_use(state, name);
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

static int concat(lua_State *lua)
{
    struct mp_script_state *state = mp__state_of(lua);
    size_t count = 0;
    size_t bytes = size_of(state, 1, &count);
    bytes += size_of(state, 2, &count);
    struct mp__secret *joined = push_new(state, count, bytes);
    put_all(state, 2, joined, put_all(state, 1, joined, 0));
    return 1;
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
