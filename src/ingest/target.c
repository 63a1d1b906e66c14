/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <string.h>

#include "head.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static bool is_alnum(char c)
{
    return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

static bool port_is_valid(struct mp_str port)
{
    unsigned number = 0;
    for (size_t i = 0; i < port.length; i++) {
        if (!is_digit(port.data[i])) {
            return false;
        }
        number = number * 10 + (unsigned)(port.data[i] - '0');
        if (number > 65535) {
            return false;
        }
    }
    return true;
}

static bool ip_is_valid(int family, struct mp_str text, void *out)
{
    char copy[INET6_ADDRSTRLEN + 1];
    if (text.length >= sizeof(copy) || text.length == 0) {
        return false;
    }
    memcpy(copy, text.data, text.length);
    copy[text.length] = '\0';
    return inet_pton(family, copy, out) == 1;
}

static bool name_is_valid(struct mp_str name)
{
    for (size_t i = 0; i < name.length; i++) {
        char c = name.data[i];
        if (c == '%') {
            if (i + 2 >= name.length || !is_hex(name.data[i + 1]) ||
                !is_hex(name.data[i + 2])) {
                return false;
            }
        } else if (!is_alnum(c) && !strchr("-._~!$&'()*+,;=", c)) {
            return false;
        }
    }
    return true;
}

/* "[::1]:80" into "::1" and "80". False: it has brackets and they are wrong. */
static bool split(struct mp_str host, struct mp_str *name, struct mp_str *port,
                  bool *is_literal)
{
    *is_literal = host.length > 0 && host.data[0] == '[';
    if (!*is_literal) {
        const char *colon = host.length ? memchr(host.data, ':', host.length) : NULL;
        size_t length = colon ? (size_t)(colon - host.data) : host.length;
        *name = (struct mp_str){host.data, length};
        size_t skip = colon ? length + 1 : length;
        *port = (struct mp_str){host.data + skip, host.length - skip};
        return true;
    }
    const char *end = memchr(host.data, ']', host.length);
    if (!end) {
        return false;
    }
    size_t after = (size_t)(end - host.data) + 1;
    *name = (struct mp_str){host.data + 1, after - 2};
    if (after < host.length && host.data[after] != ':') {
        return false;
    }
    size_t skip = after < host.length ? after + 1 : after;
    *port = (struct mp_str){host.data + skip, host.length - skip};
    return true;
}

bool mp__host_is_valid(struct mp_str host)
{
    struct mp_str name, port;
    bool is_literal;
    if (!split(host, &name, &port, &is_literal) || !port_is_valid(port)) {
        return false;
    }
    struct in6_addr address;
    return is_literal ? ip_is_valid(AF_INET6, name, &address) : name_is_valid(name);
}

bool mp__host_is_loopback(struct mp_str host)
{
    struct mp_str name, port;
    bool is_literal;
    if (!split(host, &name, &port, &is_literal)) {
        return false;
    }
    if (is_literal) {
        struct in6_addr six;
        return ip_is_valid(AF_INET6, name, &six) && IN6_IS_ADDR_LOOPBACK(&six);
    }
    struct in_addr four;
    if (ip_is_valid(AF_INET, name, &four)) {
        return (ntohl(four.s_addr) >> 24) == 127;
    }
    return mp_str_equal_nocase(name, mp_str_of("localhost"));
}

static int refuse_target(struct mp__refusal *refusal, const char *detail)
{
    return mp__refuse(refusal, 400, "malformed-target", "%s", detail);
}

static void split_query(struct mp__head *head, const char *data, struct mp__span rest)
{
    const char *mark = rest.length ? memchr(data + rest.at, '?', rest.length) : NULL;
    uint32_t length = mark ? (uint32_t)(mark - (data + rest.at)) : rest.length;
    head->path = (struct mp__span){rest.at, length};
    uint32_t skip = mark ? length + 1 : length;
    head->query = (struct mp__span){rest.at + skip, rest.length - skip};
}

/* http://host[:port]/path: its host counts, not the Host field's (RFC 9112
 * section 3.2.2). */
static int read_absolute(struct mp__head *head, const char *data,
                         struct mp__refusal *refusal)
{
    struct mp_str target = mp__slice(data, head->target);
    size_t scheme = 0;
    if (target.length > 7 &&
        mp_str_equal_nocase((struct mp_str){target.data, 7}, mp_str_of("http://"))) {
        scheme = 7;
    } else if (target.length > 8 && mp_str_equal_nocase((struct mp_str){target.data, 8},
                                                        mp_str_of("https://"))) {
        scheme = 8;
    } else {
        return refuse_target(refusal, "the target is neither a path nor an http URL");
    }
    size_t end = scheme;
    while (end < target.length && target.data[end] != '/' && target.data[end] != '?') {
        end++;
    }
    struct mp_str host = {target.data + scheme, end - scheme};
    if (host.length == 0 || !mp__host_is_valid(host)) {
        return refuse_target(refusal, "the target's host is malformed");
    }
    head->host =
        (struct mp__span){head->target.at + (uint32_t)scheme, (uint32_t)host.length};
    split_query(head, data,
                (struct mp__span){head->target.at + (uint32_t)end,
                                  head->target.length - (uint32_t)end});
    return MP_OK;
}

static int read_host(struct mp__head *head, const char *data, struct mp__refusal *refusal)
{
    if (head->known_count[MP__HOST] == 0) {
        return head->minor == 0 ? MP_OK
                                : mp__refuse(refusal, 400, "malformed-request",
                                             "the Host field is missing");
    }
    head->host = head->fields[head->known_at[MP__HOST]].value;
    if (!mp__host_is_valid(mp__slice(data, head->host))) {
        return mp__refuse(refusal, 400, "malformed-request",
                          "the Host field is malformed");
    }
    return MP_OK;
}

int mp__target_understand(struct mp__head *head, const char *data,
                          struct mp__refusal *refusal)
{
    int status = read_host(head, data, refusal);
    if (status != MP_OK) {
        return status;
    }
    struct mp_str target = mp__slice(data, head->target);
    if (memchr(target.data, '#', target.length)) {
        return refuse_target(refusal, "the target has a fragment");
    }
    if (target.data[0] == '/') {
        split_query(head, data, head->target);
        return MP_OK;
    }
    if (mp_str_is(target, "*")) {
        head->is_asterisk = true;
        return head->method == MP__OPTIONS
                   ? MP_OK
                   : refuse_target(refusal, "* is for OPTIONS alone");
    }
    return read_absolute(head, data, refusal);
}
