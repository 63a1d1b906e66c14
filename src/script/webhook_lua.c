/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "crypto.h"
#include "moonpost/base64.h"
#include "tools.h"

/* Standard Webhooks 1.0.0: webhook-id is the delivery's, the same at every attempt;
 * webhook-timestamp is the attempt's; both and the body's bytes are signed. */

#define FUNCTION "webhook.sign(request, secret)"
#define KEYS_MAX 8

struct signing {
    struct mp_script_state *state;
    struct mp_str parts[5]; /* id . timestamp . body */
    char timestamp[24];
    struct mp_buf *key;       /* decoded: the state's scratch */
    char text[KEYS_MAX * 96]; /* the signatures, a space between */
    size_t length;
};

static void take_moment(struct signing *signing)
{
    const struct mp_context *context = signing->state->context;
    lua_State *lua = signing->state->lua;
    if (!context) {
        luaL_error(lua, "webhook.sign works in functions and hooks, where there is a "
                        "delivery");
        return;
    }
    bool in_batch = context->members && context->batch_id.length > 0;
    struct mp_str id = in_batch ? context->batch_id : context->record->id;
    if (id.length == 0 || memchr(id.data, '.', id.length)) {
        luaL_error(lua, "webhook.sign: an id with a dot, or none, cannot be signed");
    }
    int64_t now_ms = context->now_ms;
    snprintf(signing->timestamp, sizeof(signing->timestamp), "%lld",
             (long long)((now_ms - (now_ms < 0 ? 999 : 0)) / 1000));
    signing->parts[0] = id;
    signing->parts[1] = signing->parts[3] = (struct mp_str){".", 1};
    signing->parts[2] = mp_str_of(signing->timestamp);
}

/* What it pushes stays, so that the bytes do. */
static void take_body(struct signing *signing)
{
    lua_State *lua = signing->state->lua;
    lua_getfield(lua, 1, "body"); /* what a request's own __index makes of it */
    if (!lua_isnil(lua, -1)) {
        signing->parts[4] =
            mp__check_bytes(signing->state, lua_gettop(lua), FUNCTION, "request's body");
    }
}

static void add_signature(struct signing *signing, const char *version,
                          const uint8_t *bytes, size_t length)
{
    struct mp_buf *text = signing->key; /* which has served */
    struct mp_str signature = {(const char *)bytes, length};
    mp_buf_reset(text);
    mp__check_status(signing->state->lua, mp_base64_encode(signature, MP_BASE64, text));
    int written =
        snprintf(signing->text + signing->length, sizeof(signing->text) - signing->length,
                 "%s%s,%.*s", signing->length > 0 ? " " : "", version, (int)text->length,
                 text->data);
    signing->length += (size_t)written;
}

/* The key is the seed, with or without its public key behind it. */
static void sign_ed25519(struct signing *signing, int number)
{
    struct mp_script_state *state = signing->state;
    lua_State *lua = state->lua;
    uint8_t seed[MP__ED25519_SEED], public_key[MP__ED25519_SEED];
    uint8_t signature[MP__ED25519_BYTES];
    size_t length = signing->key->length;
    if (length != MP__ED25519_SEED && length != 2 * MP__ED25519_SEED) {
        luaL_error(lua,
                   "webhook.sign: key %d has %d bytes: whsk_ takes a seed of 32, or "
                   "it and its public key",
                   number, (int)length);
    }
    memcpy(seed, signing->key->data, sizeof(seed));
    mp__ed25519_public(state, seed, public_key);
    if (length > sizeof(seed) &&
        memcmp(signing->key->data + sizeof(seed), public_key, sizeof(public_key)) != 0) {
        luaL_error(lua, "webhook.sign: key %d is not a seed and its public key", number);
    }
    struct mp_buf *message = &state->shown;
    mp_buf_reset(message);
    for (size_t i = 0; i < 5; i++) {
        mp__check_status(lua, mp_buf_append_str(message, signing->parts[i]));
    }
    mp__ed25519_sign(state, seed, mp_buf_str(message), signature);
    add_signature(signing, "v1a", signature, sizeof(signature));
}

/* One key, at `index`. Of its text an error shows nothing. */
static void sign_with(struct signing *signing, int index, int number)
{
    struct mp_script_state *state = signing->state;
    struct mp_str text = mp__check_bytes(state, index, FUNCTION, "secret");
    bool is_ed25519 = mp__str_begins(text, "whsk_");
    if (mp__str_begins(text, "whpk_")) {
        luaL_error(state->lua,
                   "webhook.sign: key %d is a public key (whpk_): sign with the private "
                   "one (whsk_)",
                   number);
    }
    size_t prefix = is_ed25519 ? 5 : mp__str_begins(text, "whsec_") ? 6 : 0;
    text = (struct mp_str){text.data + prefix, text.length - prefix};
    mp_buf_reset(signing->key);
    int status = mp_base64_decode(text, signing->key);
    if (status == MP_EINVAL) {
        luaL_error(state->lua, "webhook.sign: key %d is not base64", number);
    }
    mp__check_status(state->lua, status);
    if (signing->key->length == 0) {
        luaL_error(state->lua, "webhook.sign: key %d is empty", number);
    }
    if (is_ed25519) {
        sign_ed25519(signing, number);
        return;
    }
    uint8_t bytes[MP__DIGEST_BYTES];
    size_t length =
        mp__hmac(state, MP__SHA256, mp_buf_str(signing->key), signing->parts, 5, bytes);
    add_signature(signing, "v1", bytes, length);
}

static void sign_with_all(struct signing *signing)
{
    lua_State *lua = signing->state->lua;
    if (!lua_istable(lua, 2)) {
        sign_with(signing, 2, 1);
        return;
    }
    size_t count = lua_objlen(lua, 2);
    if (count < 1 || count > KEYS_MAX) {
        luaL_error(lua, FUNCTION ": the list has %d keys: pass { new, old }, at most %d",
                   (int)count, KEYS_MAX);
    }
    for (size_t i = 1; i <= count; i++) {
        lua_rawgeti(lua, 2, (int)i);
        sign_with(signing, lua_gettop(lua), (int)i);
    }
}

static void set_header(lua_State *lua, int headers, const char *name, struct mp_str value)
{
    lua_pushstring(lua, name);
    mp__push_str(lua, value);
    lua_settable(lua, headers); /* a request's own take a name in any case */
}

/* Sets the three fields and returns the signature, for a header's own function. */
static int sign(lua_State *lua)
{
    struct mp_script_state *state = mp__state_of(lua);
    struct signing signing = {.state = state, .key = &state->scratch};
    lua_settop(lua, 2);
    if (!lua_istable(lua, 1)) {
        return luaL_error(lua, FUNCTION ": the request is a %s: pass the hook's request",
                          luaL_typename(lua, 1));
    }
    take_moment(&signing);
    take_body(&signing);
    sign_with_all(&signing);
    lua_getfield(lua, 1, "headers");
    if (lua_istable(lua, -1)) {
        int headers = lua_gettop(lua);
        set_header(lua, headers, "webhook-id", signing.parts[0]);
        set_header(lua, headers, "webhook-timestamp", signing.parts[2]);
        set_header(lua, headers, "webhook-signature",
                   (struct mp_str){signing.text, signing.length});
    }
    lua_pushlstring(lua, signing.text, signing.length);
    return 1;
}

const luaL_Reg mp__webhook_functions[] = {{"sign", sign}, {NULL, NULL}};
