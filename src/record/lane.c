/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "moonpost/record.h"

#define HOST_MAX 253 /* RFC 1035 section 2.3.4, as text */

bool mp_partner_name_is_valid(struct mp_str name)
{
    if (name.length == 0 || name.length >= MP_PARTNER_BYTES) {
        return false;
    }
    for (size_t i = 0; i < name.length; i++) {
        char c = name.data[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!plain && (i == 0 || (c != '-' && c != '_'))) {
            return false;
        }
    }
    return true;
}

static int refuse(struct mp_error *err, const char *why)
{
    return mp_error_set(err, MP_EINVAL, "could not use the url: %s", why);
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool starts_with(struct mp_str text, const char *lower_prefix)
{
    size_t length = strlen(lower_prefix);
    if (text.length < length) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if (lower(text.data[i]) != lower_prefix[i]) {
            return false;
        }
    }
    return true;
}

/* Everything that one reader of URLs might take for the host's end and another not. */
static int check_authority(struct mp_str authority, struct mp_error *err)
{
    for (size_t i = 0; i < authority.length; i++) {
        unsigned char c = (unsigned char)authority.data[i];
        if (c == '{' || c == '}') {
            return refuse(err, "it has an expression before its path");
        }
        if (c == '@') {
            return refuse(err, "it has user information");
        }
        if (c == '\\') {
            return refuse(err, "it has a backslash in its host");
        }
        if (c <= ' ' || c == 0x7f) {
            return refuse(err, "it has a space or control byte in its host");
        }
        if (c >= 0x80) {
            return refuse(err, "its host is not ASCII; write it in its xn-- form");
        }
    }
    return MP_OK;
}

static int read_port(struct mp_str text, unsigned *port, struct mp_error *err)
{
    unsigned value = 0;
    bool good = text.length > 0 && text.length <= 5;
    for (size_t i = 0; good && i < text.length; i++) {
        good = text.data[i] >= '0' && text.data[i] <= '9';
        value = value * 10 + (unsigned)(text.data[i] - '0');
    }
    if (!good || value == 0 || value > 65535) {
        return refuse(err, "its port is not a number from 1 to 65535");
    }
    *port = value;
    return MP_OK;
}

static int read_ipv6(struct mp_str inside, char host[MP_LANE_BYTES], struct mp_error *err)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (inside.length >= sizeof(text)) {
        return refuse(err, "its host in brackets is no IPv6 address");
    }
    memcpy(text, inside.data, inside.length);
    text[inside.length] = '\0';
    if (inet_pton(AF_INET6, text, &address) != 1) {
        return refuse(err, "its host in brackets is no IPv6 address");
    }
    inet_ntop(AF_INET6, &address, text, sizeof(text));
    snprintf(host, MP_LANE_BYTES, "[%s]", text);
    return MP_OK;
}

static int read_name(struct mp_str name, char host[MP_LANE_BYTES], struct mp_error *err)
{
    if (name.length == 0) {
        return refuse(err, "it has no host");
    }
    if (name.length > HOST_MAX) {
        return refuse(err, "its host has more than 253 bytes");
    }
    for (size_t i = 0; i < name.length; i++) {
        char c = lower(name.data[i]);
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!plain && c != '-' && c != '.' && c != '_' && c != '~') {
            return refuse(err, "its host has a character that no host name has");
        }
        host[i] = c;
    }
    host[name.length] = '\0';
    return MP_OK;
}

/* The host into `host`; what is left of the authority (a colon and a port, or nothing)
 * stays in `rest`. */
static int read_host(struct mp_str *rest, char host[MP_LANE_BYTES], struct mp_error *err)
{
    const char *end;
    int status;
    if (rest->length > 0 && rest->data[0] == '[') {
        end = memchr(rest->data, ']', rest->length);
        if (!end) {
            return refuse(err, "its host has a bracket that is not closed");
        }
        struct mp_str inside = {rest->data + 1, (size_t)(end - rest->data) - 1};
        status = read_ipv6(inside, host, err);
        end++;
    } else {
        end = rest->length > 0 ? memchr(rest->data, ':', rest->length) : NULL;
        end = end ? end : rest->data + rest->length;
        struct mp_str name = {rest->data, (size_t)(end - rest->data)};
        status = read_name(name, host, err);
    }
    rest->length -= (size_t)(end - rest->data);
    rest->data = end;
    return status;
}

static bool ends(char c)
{
    return c == '/' || c == '?' || c == '#';
}

/* `{/x}`, `{?x}` and `{#x}` begin with what ends an authority, or are empty. Nothing but
 * one of those bytes may then follow, or the text behind would join the host; `{&x}` and
 * `{;x}` may, since no host has their first byte. */
static bool ends_authority(struct mp_str url, size_t at)
{
    size_t first = at;
    while (at + 1 < url.length && url.data[at] == '{') {
        char kind = url.data[at + 1];
        if (!ends(kind) && !(at > first && (kind == '&' || kind == ';'))) {
            return false;
        }
        const char *close = memchr(url.data + at, '}', url.length - at);
        if (close == NULL) {
            return false;
        }
        at = (size_t)(close - url.data) + 1;
    }
    return at == url.length || ends(url.data[at]);
}

static struct mp_str authority_after(struct mp_str url, size_t at)
{
    size_t end = at;
    while (end < url.length && !ends(url.data[end]) &&
           !(url.data[end] == '{' && ends_authority(url, end))) {
        end++;
    }
    struct mp_str authority = {url.data + at, end - at};
    return authority;
}

int mp_authority_of(struct mp_str url, char out[MP_LANE_BYTES], size_t *path_at,
                    struct mp_error *err)
{
    bool tls = starts_with(url, "https://");
    if (!tls && !starts_with(url, "http://")) {
        return refuse(err,
                      "it is not absolute: it begins with neither https:// nor http://");
    }
    size_t at = tls ? 8 : 7;
    struct mp_str rest = authority_after(url, at);
    size_t end = at + rest.length;
    char host[MP_LANE_BYTES];
    unsigned port = tls ? 443 : 80;
    int status = check_authority(rest, err);
    if (status == MP_OK) {
        status = read_host(&rest, host, err);
    }
    if (status == MP_OK && rest.length > 0) {
        struct mp_str digits = {rest.data + 1, rest.length - 1};
        status = rest.data[0] == ':' ? read_port(digits, &port, err)
                                     : refuse(err, "something follows its host");
    }
    if (status != MP_OK) {
        return status;
    }
    snprintf(out, MP_LANE_BYTES, "%s://%.*s:%u", tls ? "https" : "http", HOST_MAX, host,
             port);
    if (path_at) {
        *path_at = end;
    }
    return MP_OK;
}
