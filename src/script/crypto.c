/* SPDX-License-Identifier: MIT */
#include "crypto.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdlib.h>

/* Between two looks at the budget: well under a millisecond each. */
#define CHUNK_BYTES ((size_t)128 * 1024)
#define DIGESTS     4

/* Fetching an algorithm costs more than using it, so it is done once; and each thread
 * keeps its contexts, which a throw in the middle then cannot leak. */
static const char *const names[DIGESTS] = {"MD5", "SHA1", "SHA256", "SHA512"};
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t contexts_key;
static bool has_key;
static EVP_MD *algorithms[DIGESTS];
static EVP_MAC *hmac;

struct contexts {
    EVP_MD_CTX *digests[DIGESTS];
    EVP_MAC_CTX *macs[DIGESTS];
};

static void free_contexts(void *arg)
{
    struct contexts *contexts = arg;
    for (int i = 0; i < DIGESTS; i++) {
        EVP_MD_CTX_free(contexts->digests[i]);
        EVP_MAC_CTX_free(contexts->macs[i]);
    }
    free(contexts);
}

static void fetch(void)
{
    has_key = pthread_key_create(&contexts_key, free_contexts) == 0;
    for (int i = 0; i < DIGESTS; i++) {
        algorithms[i] = EVP_MD_fetch(NULL, names[i], NULL);
    }
    hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
}

static _Noreturn void fail(struct mp_script_state *state, const char *what)
{
    luaL_error(state->lua, "this machine's OpenSSL does not offer %s", what);
    __builtin_unreachable();
}

static struct contexts *thread_contexts(struct mp_script_state *state)
{
    pthread_once(&once, fetch);
    struct contexts *contexts = has_key ? pthread_getspecific(contexts_key) : NULL;
    if (!contexts) {
        contexts = has_key ? calloc(1, sizeof(*contexts)) : NULL;
        if (!contexts || pthread_setspecific(contexts_key, contexts) != 0) {
            free(contexts);
            luaL_error(state->lua, "out of memory");
        }
    }
    return contexts;
}

static EVP_MD_CTX *digest_context(struct mp_script_state *state, enum mp__digest which)
{
    struct contexts *contexts = thread_contexts(state);
    EVP_MD_CTX **context = &contexts->digests[which];
    if (!*context) {
        *context = EVP_MD_CTX_new();
    }
    if (!*context || !algorithms[which] ||
        !EVP_DigestInit_ex2(*context, algorithms[which], NULL)) {
        fail(state, names[which]);
    }
    return *context;
}

size_t mp__digest(struct mp_script_state *state, enum mp__digest which,
                  struct mp_str data, uint8_t out[MP__DIGEST_BYTES])
{
    EVP_MD_CTX *context = digest_context(state, which);
    unsigned length = 0;
    bool ok = true;
    for (size_t at = 0; at < data.length && ok;) {
        size_t left = data.length - at;
        size_t chunk = left < CHUNK_BYTES ? left : CHUNK_BYTES;
        mp__budget_check(state);
        ok = EVP_DigestUpdate(context, data.data + at, chunk);
        at += chunk;
    }
    if (!ok || !EVP_DigestFinal_ex(context, out, &length)) {
        fail(state, names[which]);
    }
    return length;
}

static EVP_MAC_CTX *new_mac(enum mp__digest which)
{
    EVP_MAC_CTX *context = hmac && algorithms[which] ? EVP_MAC_CTX_new(hmac) : NULL;
    char name[8] = "";
    for (size_t i = 0; names[which][i]; i++) {
        name[i] = names[which][i]; /* what takes it is not const */
    }
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
        OSSL_PARAM_construct_end()};
    if (context && !EVP_MAC_CTX_set_params(context, params)) {
        EVP_MAC_CTX_free(context);
        return NULL;
    }
    return context;
}

static EVP_MAC_CTX *mac_context(struct mp_script_state *state, enum mp__digest which,
                                struct mp_str key)
{
    struct contexts *contexts = thread_contexts(state);
    EVP_MAC_CTX **context = &contexts->macs[which];
    if (!*context) {
        *context = new_mac(which);
    }
    const char *bytes = key.length > 0 ? key.data : ""; /* NULL would keep the last key */
    if (!*context ||
        !EVP_MAC_init(*context, (const unsigned char *)bytes, key.length, NULL)) {
        fail(state, "HMAC of that digest");
    }
    return *context;
}

static bool feed_mac(struct mp_script_state *state, EVP_MAC_CTX *context,
                     struct mp_str data)
{
    for (size_t at = 0; at < data.length;) {
        size_t left = data.length - at;
        size_t chunk = left < CHUNK_BYTES ? left : CHUNK_BYTES;
        mp__budget_check(state);
        if (!EVP_MAC_update(context, (const unsigned char *)data.data + at, chunk)) {
            return false;
        }
        at += chunk;
    }
    return true;
}

size_t mp__hmac(struct mp_script_state *state, enum mp__digest which, struct mp_str key,
                const struct mp_str *parts, size_t count, uint8_t out[MP__DIGEST_BYTES])
{
    EVP_MAC_CTX *context = mac_context(state, which, key);
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++) {
        ok = feed_mac(state, context, parts[i]);
    }
    size_t length = 0;
    if (!ok || !EVP_MAC_final(context, out, &length, MP__DIGEST_BYTES)) {
        fail(state, "HMAC of that digest");
    }
    return length;
}

void mp__ed25519_public(struct mp_script_state *state, const uint8_t *seed,
                        uint8_t out[MP__ED25519_SEED])
{
    size_t length = MP__ED25519_SEED;
    EVP_PKEY *key =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, MP__ED25519_SEED);
    bool ok = key && EVP_PKEY_get_raw_public_key(key, out, &length);
    EVP_PKEY_free(key);
    if (!ok) {
        fail(state, "Ed25519");
    }
}

/* In one piece, with nothing that throws between what is made and freed. */
void mp__ed25519_sign(struct mp_script_state *state, const uint8_t *seed,
                      struct mp_str message, uint8_t out[MP__ED25519_BYTES])
{
    mp__budget_check(state);
    size_t length = MP__ED25519_BYTES;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY *key =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, MP__ED25519_SEED);
    bool ok = context && key && EVP_DigestSignInit(context, NULL, NULL, NULL, key) &&
              EVP_DigestSign(context, out, &length, (const unsigned char *)message.data,
                             message.length);
    EVP_PKEY_free(key);
    EVP_MD_CTX_free(context);
    if (!ok) {
        fail(state, "Ed25519");
    }
}
