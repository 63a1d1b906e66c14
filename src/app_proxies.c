/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "app_private.h"

static bool is_name(struct mp_str text)
{
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-')) {
            return false;
        }
    }
    return text.length > 0 && text.length <= 64;
}

static bool is_known(const struct mp_proxies *proxies, struct mp_str name)
{
    for (size_t i = 0; i < proxies->count; i++) {
        if (mp_str_equal(proxies->names[i], name)) {
            return true;
        }
    }
    return false;
}

static int read_one(const char *text, struct mp_proxies *out, struct mp_error *err)
{
    const char *equals = strchr(text, '=');
    struct mp_str name = {text, equals ? (size_t)(equals - text) : 0};
    if (!is_name(name)) {
        return mp_error_set(err, MP_EINVAL,
                            "--proxy takes NAME=URL, and a name has a-z, 0-9, _ and -");
    }
    struct mp_str url = mp_str_of(equals + 1);
    bool is_http = strncmp(url.data, "http://", 7) == 0 && url.length > 7;
    bool is_https = strncmp(url.data, "https://", 8) == 0 && url.length > 8;
    if (!is_http && !is_https) {
        return mp_error_set(err, MP_EINVAL,
                            "--proxy %.*s: the address begins with http:// or https://",
                            (int)name.length, name.data);
    }
    if (is_known(out, name)) {
        return mp_error_set(err, MP_EINVAL, "--proxy %.*s is given twice",
                            (int)name.length, name.data);
    }
    out->names[out->count] = name;
    out->items[out->count++] = (struct mp_proxy){name, url};
    return MP_OK;
}

int mp__proxies_read(const struct mp_option_texts *texts, struct mp_proxies *out,
                     struct mp_error *err)
{
    *out = (struct mp_proxies){.items = calloc(texts->count + 1, sizeof(*out->items)),
                               .names = calloc(texts->count + 1, sizeof(*out->names))};
    int status = MP_OK;
    if (!out->items || !out->names) {
        status = mp_error_set(err, MP_ENOMEM, "could not read --proxy: out of memory");
    }
    for (size_t i = 0; i < texts->count && status == MP_OK; i++) {
        status = read_one(texts->items[i], out, err);
    }
    return status;
}

void mp__proxies_fini(struct mp_proxies *proxies)
{
    free(proxies->items);
    free(proxies->names);
    *proxies = (struct mp_proxies){0};
}
