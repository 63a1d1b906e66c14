/* SPDX-License-Identifier: MIT */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>

#include "moonpost/id.h"

/* Fetching the algorithm costs more than hashing an event: it is fetched once, and each
 * thread keeps one context. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t context_key;
static EVP_MD *algorithm;

static void free_context(void *context)
{
    EVP_MD_CTX_free(context);
}

static void fetch_algorithm(void)
{
    algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (!algorithm || pthread_key_create(&context_key, free_context) != 0) {
        abort(); /* a digest names generations and ids: going on without it is not safe */
    }
}

static EVP_MD_CTX *thread_context(void)
{
    pthread_once(&once, fetch_algorithm);
    EVP_MD_CTX *context = pthread_getspecific(context_key);
    if (!context) {
        context = EVP_MD_CTX_new();
        if (!context || pthread_setspecific(context_key, context) != 0) {
            abort();
        }
    }
    return context;
}

void mp_sha256_of(const struct mp_str *parts, size_t count, uint8_t out[MP_SHA256_BYTES])
{
    EVP_MD_CTX *context = thread_context();
    int ok = EVP_DigestInit_ex2(context, algorithm, NULL);
    for (size_t i = 0; i < count && ok; i++) {
        ok = EVP_DigestUpdate(context, parts[i].data, parts[i].length);
    }
    if (!ok || !EVP_DigestFinal_ex(context, out, NULL)) {
        abort();
    }
}

void mp_sha256(struct mp_str data, uint8_t out[MP_SHA256_BYTES])
{
    mp_sha256_of(&data, 1, out);
}

bool mp_equal_constant_time(struct mp_str a, struct mp_str b)
{
    return a.length == b.length &&
           (a.length == 0 || CRYPTO_memcmp(a.data, b.data, a.length) == 0);
}
