/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transfer.h"

/* Certificates and proxies: a link onto a handle, and what it says of a failure. */

static int no_memory(struct mp_error *err)
{
    return mp_error_set(err, MP_ENOMEM, "could not send the request: out of memory");
}

/* TLS. */

static CURLcode set_blob(CURL *easy, CURLoption option, const struct mp_hidden *pem)
{
    struct curl_blob blob = {.data = (void *)(uintptr_t)pem->text.data,
                             .len = pem->text.length,
                             .flags = CURL_BLOB_COPY};
    return curl_easy_setopt(easy, option, pem->text.length > 0 ? &blob : NULL);
}

/* `ca` is all that is trusted then: curl would go on trusting what lies in its folder. */
static CURLcode set_tls(CURL *easy, const struct mp_tls *tls)
{
    static const struct mp_tls none;
    const struct mp_tls *use = tls ? tls : &none;
    const char *folder = curl_version_info(CURLVERSION_NOW)->capath;
    CURLcode code = set_blob(easy, CURLOPT_SSLCERT_BLOB, &use->cert);
    if (code == CURLE_OK) {
        code = set_blob(easy, CURLOPT_SSLKEY_BLOB,
                        use->key.text.length > 0 ? &use->key : &use->cert);
    }
    if (code == CURLE_OK) {
        code = set_blob(easy, CURLOPT_CAINFO_BLOB, &use->ca);
    }
    if (code == CURLE_OK) {
        code = curl_easy_setopt(easy, CURLOPT_CAPATH,
                                use->ca.text.length > 0 ? NULL : folder);
    }
    return code;
}

/* Proxies. */

static CURLU *read_address(const struct mp_proxy *proxy)
{
    char *text = strndup(proxy->url.data, proxy->url.length);
    CURLU *url = text ? curl_url() : NULL;
    if (url && curl_url_set(url, CURLUPART_URL, text, 0) != CURLUE_OK) {
        curl_url_cleanup(url);
        url = NULL;
    }
    free(text);
    return url;
}

int mp__proxy_check(const struct mp_proxy *proxy, struct mp_error *err)
{
    CURLU *url = read_address(proxy);
    if (!url) {
        return mp_error_set(err, MP_EINVAL,
                            "could not use --proxy %.*s: write http://host:port",
                            (int)proxy->name.length, proxy->name.data);
    }
    curl_url_cleanup(url);
    return MP_OK;
}

static bool part_is_same(CURLU *a, CURLU *b, CURLUPart part)
{
    char *texts[2] = {NULL, NULL};
    curl_url_get(a, part, &texts[0], CURLU_DEFAULT_PORT);
    curl_url_get(b, part, &texts[1], CURLU_DEFAULT_PORT);
    bool is_same =
        texts[0] && texts[1] ? strcmp(texts[0], texts[1]) == 0 : texts[0] == texts[1];
    curl_free(texts[0]);
    curl_free(texts[1]);
    return is_same;
}

bool mp__proxy_is_alike(const struct mp_proxy *a, const struct mp_proxy *b)
{
    CURLU *first = read_address(a);
    CURLU *second = read_address(b);
    bool is_alike = first && second && part_is_same(first, second, CURLUPART_HOST) &&
                    part_is_same(first, second, CURLUPART_PORT) &&
                    !(part_is_same(first, second, CURLUPART_USER) &&
                      part_is_same(first, second, CURLUPART_PASSWORD));
    curl_url_cleanup(first);
    curl_url_cleanup(second);
    return is_alike;
}

static int set_proxy(struct mp__transfer *transfer, const struct mp_proxy *proxy,
                     struct mp_error *err)
{
    char *host = NULL;
    if (proxy->url.length == 0) {
        return mp_error_set(err, MP_ENOTFOUND,
                            "could not send the request: there is no proxy of that name");
    }
    CURLU *url = read_address(proxy);
    char *text = url ? strndup(proxy->url.data, proxy->url.length) : NULL;
    int status = no_memory(err);
    if (text && curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_easy_setopt(transfer->easy, CURLOPT_PROXY, text) == CURLE_OK) {
        snprintf(transfer->proxy_host, sizeof(transfer->proxy_host), "%s", host);
        status = MP_OK;
    }
    curl_free(host);
    free(text);
    curl_url_cleanup(url);
    return status;
}

int mp__transfer_set_link(struct mp__transfer *transfer, const struct mp__link *link,
                          struct mp_error *err)
{
    int status = MP_OK;
    if (transfer->link.number == link->number) {
        return MP_OK;
    }
    transfer->link = (struct mp__link){.number = UINT64_MAX}; /* as none, until done */
    transfer->proxy_host[0] = '\0';
    if (set_tls(transfer->easy, link->tls) != CURLE_OK) {
        return no_memory(err);
    }
    if (link->proxy) {
        status = set_proxy(transfer, link->proxy, err);
    } else {
        curl_easy_setopt(transfer->easy, CURLOPT_PROXY, "");
    }
    curl_easy_setopt(transfer->easy, CURLOPT_FORBID_REUSE, (long)link->is_lone);
    if (status == MP_OK) {
        transfer->link = *link;
    }
    return status;
}

bool mp__transfer_is_forwarded(const struct mp__transfer *transfer)
{
    return transfer->link.proxy && strncmp(transfer->base, "http:", 5) == 0;
}

/* What may be reached, when the proxy does the connecting. */

static bool is_localhost(const char *host)
{
    size_t length = strlen(host);
    size_t local = strlen("localhost");
    return length >= local && strcasecmp(host + length - local, "localhost") == 0 &&
           (length == local || host[length - local - 1] == '.');
}

static bool permits(const struct mp__transfer *transfer, char *host)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    size_t length = strlen(host);
    while (length > 0 && (host[length - 1] == '.' || host[length - 1] == ']')) {
        host[--length] = '\0';
    }
    if (is_localhost(host)) {
        v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return mp_egress_permits(transfer->egress, &v4);
    }
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        return mp_egress_permits(transfer->egress, &v4);
    }
    if (host[0] == '[') {
        return inet_pton(AF_INET6, host + 1, &v6.sin6_addr) == 1 &&
               mp_egress_permits(transfer->egress, &v6);
    }
    return true;
}

int mp__transfer_check_target(const struct mp__transfer *transfer, struct mp_error *err)
{
    char *host = NULL;
    if (!transfer->link.proxy) {
        return MP_OK;
    }
    if (curl_url_get(transfer->url, CURLUPART_HOST, &host, 0) != CURLUE_OK) {
        return no_memory(err);
    }
    bool is_permitted = permits(transfer, host);
    curl_free(host);
    return is_permitted ? MP_OK
                        : mp_error_set(err, MP_EINVAL,
                                       "blocked_address: not a public address; "
                                       "--egress-allow names what may be reached");
}

/* What went wrong. */

static bool fail(struct mp__transfer *transfer, const char *why)
{
    snprintf(transfer->detail, sizeof(transfer->detail), "%s", why);
    return true;
}

static bool refused_tunnel(struct mp__transfer *transfer, long status)
{
    snprintf(transfer->detail, sizeof(transfer->detail),
             status == 407 ? "the proxy wants another user or password (407)"
                           : "the proxy answered CONNECT with %ld",
             status);
    return true;
}

/* Until the tunnel is there all there is is the proxy. */
bool mp__transfer_proxy_failed(struct mp__transfer *transfer, CURLcode code, long status)
{
    long connect_status = 0;
    bool is_forwarded = mp__transfer_is_forwarded(transfer);
    if (!transfer->link.proxy) {
        return false;
    }
    curl_easy_getinfo(transfer->easy, CURLINFO_HTTP_CONNECTCODE, &connect_status);
    if (is_forwarded && code == CURLE_OK) {
        return status == 407 && refused_tunnel(transfer, status);
    }
    switch (code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
        return fail(transfer, "no address was found for the proxy");
    case CURLE_COULDNT_CONNECT:
        return fail(transfer, "no connection to the proxy");
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
        return (is_forwarded || connect_status == 0) &&
               fail(transfer, "no TLS connection to the proxy");
    case CURLE_PROXY:
        return fail(transfer, "the proxy could not be used");
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
        if (connect_status != 0 && connect_status / 100 != 2) {
            return refused_tunnel(transfer, connect_status);
        }
        return !is_forwarded && !transfer->is_established &&
               fail(transfer, "the proxy closed the connection");
    default:
        return false;
    }
}
