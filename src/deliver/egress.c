/* SPDX-License-Identifier: MIT */
#include "moonpost/deliver.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* An address is judged where curl is about to connect, after every trick of spelling and
 * DNS has been resolved; here it is only bytes. */

struct network {
    uint8_t bytes[16];
    unsigned prefix; /* bits */
    bool is_v6;
};

struct mp_egress {
    struct network *allowed;
    size_t count;
};

/* The IANA special-purpose registry (RFC 6890 and updates) minus what is globally
 * reachable, and Azure's metadata address, which lies in a public range. */
static const struct network denied_v4[] = {
    {{0}, 8, false},        /* this network */
    {{10}, 8, false},       /* private */
    {{100, 64}, 10, false}, /* carrier-grade NAT */
    {{127}, 8, false},      /* loopback */
    {{168, 63, 129, 16}, 32, false},
    {{169, 254}, 16, false},     /* link-local, metadata */
    {{172, 16}, 12, false},      /* private */
    {{192, 0, 0}, 24, false},    /* protocol assignments */
    {{192, 0, 2}, 24, false},    /* documentation */
    {{192, 88, 99}, 24, false},  /* 6to4 relays */
    {{192, 168}, 16, false},     /* private */
    {{198, 18}, 15, false},      /* benchmarks */
    {{198, 51, 100}, 24, false}, /* documentation */
    {{203, 0, 113}, 24, false},  /* documentation */
    {{224}, 4, false},           /* multicast */
    {{240}, 4, false},           /* reserved, broadcast */
};

/* Inside 2000::/3, the only global unicast there is; all outside it is denied anyway. */
static const struct network denied_v6[] = {
    {{0x20, 0x01}, 23, true},             /* protocol assignments */
    {{0x20, 0x01, 0x0d, 0xb8}, 32, true}, /* documentation */
    {{0x3f, 0xff}, 20, true},             /* documentation */
};
static const struct network global_v6 = {{0x20}, 3, true};

/* Where an IPv6 address carries an IPv4 address that a translator or tunnel would go to.
 */
static const struct {
    struct network network;
    unsigned at;
    uint8_t mask; /* Teredo writes it inverted */
} embedded[] = {
    {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96, true}, 12, 0}, /* mapped */
    {{{0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96, true}, 12, 0}, /* translated, RFC 2765 */
    {{{0}, 96, true}, 12, 0},                                  /* compatible */
    {{{0, 0x64, 0xff, 0x9b}, 96, true}, 12, 0},                /* NAT64 */
    {{{0x20, 0x02}, 16, true}, 2, 0},                          /* 6to4 */
    {{{0x20, 0x01, 0, 0}, 32, true}, 12, 0xff},                /* Teredo's client */
};
static const struct network teredo = {{0x20, 0x01, 0, 0}, 32, true};
#define TEREDO_SERVER_AT 4

static bool contains(const struct network *network, const uint8_t *address)
{
    unsigned whole = network->prefix / 8;
    unsigned rest = network->prefix % 8;
    if (memcmp(network->bytes, address, whole) != 0) {
        return false;
    }
    uint8_t mask = (uint8_t)(0xff << (8 - rest));
    return rest == 0 || ((network->bytes[whole] ^ address[whole]) & mask) == 0;
}

static bool any_contains(const struct network *networks, size_t count,
                         const uint8_t *address, bool is_v6)
{
    for (size_t i = 0; i < count; i++) {
        if (networks[i].is_v6 == is_v6 && contains(&networks[i], address)) {
            return true;
        }
    }
    return false;
}

static bool permits_v4(const struct mp_egress *egress, const uint8_t *address)
{
    return any_contains(egress->allowed, egress->count, address, false) ||
           !any_contains(denied_v4, sizeof(denied_v4) / sizeof(*denied_v4), address,
                         false);
}

static bool permits_embedded(const struct mp_egress *egress, const uint8_t *address,
                             unsigned at, uint8_t mask)
{
    uint8_t inner[4];
    for (unsigned i = 0; i < 4; i++) {
        inner[i] = (uint8_t)(address[at + i] ^ mask);
    }
    return permits_v4(egress, inner);
}

static bool permits_v6(const struct mp_egress *egress, const uint8_t *address)
{
    if (any_contains(egress->allowed, egress->count, address, true)) {
        return true;
    }
    for (size_t i = 0; i < sizeof(embedded) / sizeof(*embedded); i++) {
        if (contains(&embedded[i].network, address)) {
            return permits_embedded(egress, address, embedded[i].at, embedded[i].mask) &&
                   (!contains(&teredo, address) ||
                    permits_embedded(egress, address, TEREDO_SERVER_AT, 0));
        }
    }
    return contains(&global_v6, address) &&
           !any_contains(denied_v6, sizeof(denied_v6) / sizeof(*denied_v6), address,
                         true);
}

bool mp_egress_permits(const struct mp_egress *egress, const void *address)
{
    static const struct mp_egress nothing;
    const struct mp_egress *rules = egress ? egress : &nothing;
    sa_family_t family;
    memcpy(&family, (const char *)address + offsetof(struct sockaddr, sa_family),
           sizeof(family));
    if (family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof(v4));
        return permits_v4(rules, (const uint8_t *)&v4.sin_addr);
    }
    if (family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof(v6));
        return permits_v6(rules, (const uint8_t *)&v6.sin6_addr);
    }
    return false;
}

int mp_egress_new(struct mp_egress **out)
{
    struct mp_egress *egress = calloc(1, sizeof(*egress));
    if (!egress) {
        return MP_ENOMEM;
    }
    *out = egress;
    return MP_OK;
}

void mp_egress_free(struct mp_egress *egress)
{
    if (egress) {
        free(egress->allowed);
        free(egress);
    }
}

static bool parse_prefix(const char *text, unsigned most, unsigned *out)
{
    unsigned prefix = 0;
    if (*text == '\0' || strlen(text) > 3) {
        return false;
    }
    for (; *text; text++) {
        if (*text < '0' || *text > '9') {
            return false;
        }
        prefix = prefix * 10 + (unsigned)(*text - '0');
    }
    *out = prefix;
    return prefix <= most;
}

static bool parse_network(struct mp_str entry, struct network *out)
{
    char text[64];
    if (entry.length >= sizeof(text) || memchr(entry.data, '\0', entry.length)) {
        return false;
    }
    memcpy(text, entry.data, entry.length);
    text[entry.length] = '\0';
    char *slash = strchr(text, '/');
    if (slash) {
        *slash++ = '\0';
    }
    *out = (struct network){.is_v6 = strchr(text, ':') != NULL};
    unsigned most = out->is_v6 ? 128 : 32;
    out->prefix = most;
    if (inet_pton(out->is_v6 ? AF_INET6 : AF_INET, text, out->bytes) != 1 ||
        (slash && !parse_prefix(slash, most, &out->prefix))) {
        return false;
    }
    /* Mapped is only another spelling of IPv4, and addresses are judged as such. */
    if (out->is_v6 && out->prefix >= 96 && contains(&embedded[0].network, out->bytes)) {
        memcpy(out->bytes, out->bytes + 12, 4);
        out->prefix -= 96;
        out->is_v6 = false;
    }
    return true;
}

static int add(struct mp_egress *egress, const struct network *network)
{
    struct network *more =
        realloc(egress->allowed, (egress->count + 1) * sizeof(*egress->allowed));
    if (!more) {
        return MP_ENOMEM;
    }
    egress->allowed = more;
    egress->allowed[egress->count++] = *network;
    return MP_OK;
}

int mp_egress_allow(struct mp_egress *egress, struct mp_str list, struct mp_error *err)
{
    size_t count_before = egress->count;
    const char *at = list.data;
    const char *end = list.data + list.length;
    int status = MP_OK;
    while (status == MP_OK && list.length > 0 && at <= end) {
        const char *comma = at < end ? memchr(at, ',', (size_t)(end - at)) : NULL;
        const char *stop = comma ? comma : end;
        struct mp_str entry = mp_str_trim((struct mp_str){at, (size_t)(stop - at)});
        struct network network;
        status = parse_network(entry, &network) ? add(egress, &network) : MP_EINVAL;
        if (status != MP_OK) {
            mp_error_set(err, status, "could not allow \"%.*s\": %s", (int)entry.length,
                         entry.data,
                         status == MP_EINVAL
                             ? "write an address or a network such as 10.0.0.0/8"
                             : mp_status_text(status));
        }
        at = stop + 1;
    }
    if (status != MP_OK) {
        egress->count = count_before;
    }
    return status;
}
