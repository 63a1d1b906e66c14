/* SPDX-License-Identifier: MIT */
#include "crypto.h"

#include <string.h>

#include "moonpost/base64.h"
#include "moonpost/id.h"
#include "tools.h"

/* Digests and encodings for scripts: of strings and secrets. A digest of a secret is a
 * plain string; what can be turned back into the secret is one itself. */

enum encoding { HEX, BASE64, BASE64_URL, RAW };
static const char *const encodings[] = {"hex", "base64", "base64url", "raw"};

static enum encoding encoding_at(lua_State *lua, int index, const char *function,
                                 enum encoding first, enum encoding last)
{
    if (lua_isnoneornil(lua, index)) {
        return first;
    }
    struct mp_str word = {"", 0};
    if (lua_type(lua, index) == LUA_TSTRING) {
        word = mp__str_at(lua, index);
    }
    for (int i = (int)first; i <= (int)last; i++) {
        if (mp_str_is(word, encodings[i])) {
            return (enum encoding)i;
        }
    }
    const char *words = first == HEX ? "\"hex\", \"base64\", \"base64url\" or \"raw\""
                                     : "\"base64\" or \"base64url\"";
    luaL_error(lua, "%s: the encoding is %s", function, words);
    return first;
}

/* Into the scratch, so that nothing leaks when the text has no room in the state. */
static struct mp_str encode(struct mp_script_state *state, struct mp_str data,
                            enum encoding encoding)
{
    struct mp_buf *out = &state->scratch;
    mp_buf_reset(out);
    if (encoding == BASE64 || encoding == BASE64_URL) {
        mp__check_status(
            state->lua,
            mp_base64_encode(data, encoding == BASE64 ? MP_BASE64 : MP_BASE64_URL, out));
    } else if (encoding == HEX) {
        mp__check_status(state->lua, mp_buf_reserve(out, data.length * 2 + 1));
        mp_hex((const uint8_t *)data.data, data.length, out->data);
        out->length = data.length * 2;
    } else {
        return data;
    }
    return mp_buf_str(out);
}

static int push_encoded(struct mp_script_state *state, const uint8_t *bytes,
                        size_t length, enum encoding encoding)
{
    struct mp_str digest = {(const char *)bytes, length};
    mp__push_str(state->lua, encode(state, digest, encoding));
    return 1;
}

static int digest(lua_State *lua, const char *function, enum mp__digest which)
{
    struct mp_script_state *state = mp__state_of(lua);
    lua_settop(lua, 2);
    enum encoding encoding = encoding_at(lua, 2, function, HEX, RAW);
    uint8_t bytes[MP__DIGEST_BYTES];
    mp__refuse_expression(state, 1, function);
    size_t length =
        mp__digest(state, which, mp__check_bytes(state, 1, function, "data"), bytes);
    return push_encoded(state, bytes, length, encoding);
}

static int md5(lua_State *lua)
{
    return digest(lua, "md5(data)", MP__MD5);
}

static int sha1(lua_State *lua)
{
    return digest(lua, "sha1(data)", MP__SHA1);
}

static int sha256(lua_State *lua)
{
    return digest(lua, "sha256(data)", MP__SHA256);
}

static int hmac(lua_State *lua, const char *function, enum mp__digest which)
{
    struct mp_script_state *state = mp__state_of(lua);
    lua_settop(lua, 3);
    enum encoding encoding = encoding_at(lua, 3, function, HEX, RAW);
    struct mp_str key = mp__check_bytes(state, 1, function, "key");
    struct mp_str data = mp__check_bytes(state, 2, function, "data");
    mp__refuse_expression(state, 2, function);
    uint8_t bytes[MP__DIGEST_BYTES];
    size_t length = mp__hmac(state, which, key, &data, 1, bytes);
    return push_encoded(state, bytes, length, encoding);
}

static int hmac_sha1(lua_State *lua)
{
    return hmac(lua, "hmac.sha1(key, data)", MP__SHA1);
}

static int hmac_sha256(lua_State *lua)
{
    return hmac(lua, "hmac.sha256(key, data)", MP__SHA256);
}

static int hmac_sha512(lua_State *lua)
{
    return hmac(lua, "hmac.sha512(key, data)", MP__SHA512);
}

static int reversible(lua_State *lua, const char *function, enum encoding encoding)
{
    struct mp_script_state *state = mp__state_of(lua);
    struct mp__label label = {.length = 0};
    struct mp_str data = mp__check_bytes(state, 1, function, "data");
    mp__refuse_expression(state, 1, function);
    mp__label_add(state, 1, &label);
    mp__push_labelled(state, encode(state, data, encoding), &label);
    return 1;
}

static int base64(lua_State *lua)
{
    static const char function[] = "base64(data)";
    lua_settop(lua, 2);
    return reversible(lua, function, encoding_at(lua, 2, function, BASE64, BASE64_URL));
}

static int hex(lua_State *lua)
{
    lua_settop(lua, 1);
    return reversible(lua, "hex(data)", HEX);
}

/* RFC 7617. Hidden whatever the password is: a header's value is shown in many places. */
static int basic(lua_State *lua)
{
    static const char function[] = "basic(user, password)";
    struct mp_script_state *state = mp__state_of(lua);
    lua_settop(lua, 2);
    struct mp_str user = mp__check_bytes(state, 1, function, "user");
    struct mp_str password = mp__check_bytes(state, 2, function, "password");
    mp__refuse_expression(state, 1, function);
    mp__refuse_expression(state, 2, function);
    if (user.length > 0 && memchr(user.data, ':', user.length)) {
        return luaL_error(lua, "%s: a user's name has no colon (RFC 7617)", function);
    }
    struct mp__label label = {.length = 0};
    mp__label_add(state, 1, &label);
    mp__label_add(state, 2, &label);
    if (label.length == 0) {
        label = (struct mp__label){"password", strlen("password")};
    }
    struct mp_buf *pair = &state->shown;
    mp_buf_reset(pair);
    mp__check_status(lua, mp_buf_append_str(pair, user));
    mp__check_status(lua, mp_buf_append_char(pair, ':'));
    mp__check_status(lua, mp_buf_append_str(pair, password));
    lua_pushliteral(lua, "Basic ");
    mp__push_labelled(state, encode(state, mp_buf_str(pair), BASE64), &label);
    mp__join(state);
    return 1;
}

const luaL_Reg mp__crypto_functions[] = {
    {"sha256", sha256}, {"sha1", sha1},   {"md5", md5}, {"base64", base64},
    {"hex", hex},       {"basic", basic}, {NULL, NULL}};
const luaL_Reg mp__hmac_functions[] = {
    {"sha256", hmac_sha256}, {"sha1", hmac_sha1}, {"sha512", hmac_sha512}, {NULL, NULL}};
