/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "request.h"

/* Records of /postback bring their own templates, few in kind and many in number. */
#define ENDPOINTS     256
#define ENDPOINT_SEED 14695981039346656037u

struct endpoint {
    struct mp_template *template_;
    enum mp_template_kind kind;
    size_t length;
    char *url;
};
/* One cache a thread, freed with it: templates are handed out without a count. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t cache_key;

static void on_thread_end(void *arg)
{
    struct endpoint *endpoints = arg;
    for (size_t i = 0; i < ENDPOINTS; i++) {
        mp_template_free(endpoints[i].template_);
        free(endpoints[i].url);
    }
    free(endpoints);
}

static void make_key(void)
{
    if (pthread_key_create(&cache_key, on_thread_end) != 0) {
        abort(); /* out of keys at start: nothing to run on */
    }
}

static struct endpoint *thread_endpoints(void)
{
    pthread_once(&once, make_key);
    struct endpoint *endpoints = pthread_getspecific(cache_key);
    if (!endpoints) {
        endpoints = calloc(ENDPOINTS, sizeof(*endpoints));
        if (endpoints && pthread_setspecific(cache_key, endpoints) != 0) {
            free(endpoints);
            endpoints = NULL;
        }
    }
    return endpoints;
}

static size_t slot_of(struct mp_str url)
{
    uint64_t hash = ENDPOINT_SEED; /* FNV-1a: a collision costs a compile, nothing else */
    for (size_t i = 0; i < url.length; i++) {
        hash = (hash ^ (unsigned char)url.data[i]) * 1099511628211u;
    }
    return (size_t)((hash ^ (hash >> 32)) % ENDPOINTS);
}

static int compile(struct mp_str url, enum mp_template_kind kind,
                   struct mp_template **out, struct mp_error *err)
{
    char authority[MP_LANE_BYTES];
    struct mp_template_part part = {.text = url};
    int status = mp_authority_of(url, authority, NULL, err);
    return status == MP_OK ? mp_template_compile(&part, 1, kind, out, err) : status;
}

int mp__endpoint_template(struct mp_str url, enum mp_template_kind kind,
                          const struct mp_template **out, struct mp_error *err)
{
    struct endpoint *endpoints = thread_endpoints();
    if (!endpoints) {
        return MP_ENOMEM;
    }
    struct endpoint *kept = &endpoints[slot_of(url)];
    if (kept->template_ && kept->kind == kind &&
        mp_str_equal(url, (struct mp_str){kept->url, kept->length})) {
        *out = kept->template_;
        return MP_OK;
    }
    struct mp_template *compiled;
    int status = compile(url, kind, &compiled, err);
    if (status != MP_OK) {
        return status;
    }
    char *copy = malloc(url.length + 1);
    if (!copy) {
        mp_template_free(compiled);
        return MP_ENOMEM;
    }
    memcpy(copy, url.data, url.length);
    mp_template_free(kept->template_);
    free(kept->url);
    *kept = (struct endpoint){compiled, kind, url.length, copy};
    *out = compiled;
    return MP_OK;
}
