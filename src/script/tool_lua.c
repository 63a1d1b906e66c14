/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "moonpost/id.h"
#include "tools.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"

/* Small tools for scripts. */

void mp__refuse_expression(struct mp_script_state *state, int index, const char *function)
{
    lua_State *lua = state->lua;
    if (!state->is_loading || lua_type(lua, index) != LUA_TSTRING) {
        return;
    }
    const char *at = lua_tostring(lua, index); /* to its first NUL is far enough */
    while ((at = strchr(at, '{'))) {
        at++;
        size_t length = strspn(at, LETTERS);
        length += length > 0 ? strspn(at + length, LETTERS "0123456789.") : 0;
        if (length > 0 && at[length] == '}') {
            lua_pushlstring(lua, at, length);
            luaL_error(lua,
                       "%s: {%s} has no value while the script loads: write a function, "
                       "name = function(event) return … end",
                       function, lua_tostring(lua, -1));
        }
    }
}

/* False: the value is no number. */
static bool read_decimal(struct mp_script_state *state, int index,
                         struct mp__decimal *out)
{
    lua_State *lua = state->lua;
    if (lua_type(lua, index) == LUA_TSTRING) {
        return mp__decimal_read(mp__str_at(lua, index), out);
    }
    if (lua_type(lua, index) != LUA_TNUMBER || !isfinite(lua_tonumber(lua, index))) {
        return false;
    }
    mp_buf_reset(&state->scratch);
    mp__write_number(lua, lua_tonumber(lua, index), &state->scratch);
    return mp__decimal_read(mp_buf_str(&state->scratch), out);
}

static int decimal(lua_State *lua)
{
    struct mp_script_state *state = mp__state_of(lua);
    struct mp__decimal number, factor, product;
    char text[MP__DECIMAL_BYTES];
    lua_settop(lua, 3);
    mp__budget_check(state);
    mp__refuse_expression(state, 1, "decimal(text, places)");
    double places = lua_type(lua, 2) == LUA_TNUMBER ? lua_tonumber(lua, 2) : -1;
    if (!(places >= 0 && places <= MP__DECIMAL_PLACES && floor(places) >= places)) {
        return luaL_error(lua,
                          "decimal(text, places): places is a whole number from 0 to %d",
                          MP__DECIMAL_PLACES);
    }
    if (mp__secret_at(state, 1)) {
        return luaL_error(lua, "decimal(text, places): the text is a secret: pass a "
                               "string or a number");
    }
    bool has_factor = !lua_isnil(lua, 3);
    if (has_factor && !read_decimal(state, 3, &factor)) {
        return luaL_error(lua, "decimal(text, places, factor): the factor is no number: "
                               "pass one such as 100 or \"0.01\"");
    }
    if (!read_decimal(state, 1, &number)) {
        lua_pushnil(lua);
        return 1;
    }
    if (has_factor) {
        mp__decimal_multiply(&number, &factor, &product);
    }
    size_t length =
        mp__decimal_write(has_factor ? &product : &number, (unsigned)places, text);
    lua_pushlstring(lua, text, length);
    return 1;
}

/* Version 4: partners that check an id's version check for it. */
static int uuid(lua_State *lua)
{
    uint8_t bytes[16];
    char hex[33], text[MP_ID_BYTES];
    mp_random_bytes(bytes, sizeof(bytes));
    bytes[6] = (uint8_t)((bytes[6] & 0x0F) | 0x40);
    bytes[8] = (uint8_t)((bytes[8] & 0x3F) | 0x80);
    mp_hex(bytes, sizeof(bytes), hex);
    char *at = text;
    for (size_t i = 0; i < 32; i++) {
        if (i == 8 || i == 12 || i == 16 || i == 20) {
            *at++ = '-';
        }
        *at++ = hex[i];
    }
    lua_pushlstring(lua, text, (size_t)(at - text));
    return 1;
}

const luaL_Reg mp__tool_functions[] = {
    {"decimal", decimal}, {"uuid", uuid}, {"log", mp__log}, {NULL, NULL}};
