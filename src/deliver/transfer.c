/* SPDX-License-Identifier: MIT */
#include "transfer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HEADERS_MAX     ((size_t)64 * 1024)
#define HEADERS_ALL_MAX ((size_t)256 * 1024)
#define TARGET_MAX      ((size_t)MP_REQUEST_URL_MAX + MP_LANE_BYTES + 2)
#define FIELDS_MAX      ((size_t)16 * 1024 * 1024)
#define KEPT_BYTES      ((size_t)64 * 1024)

struct mp__transfer *mp__transfer_of(CURL *easy)
{
    char *transfer = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
    return (struct mp__transfer *)(void *)transfer;
}

bool mp__transfer_is_established(CURL *easy)
{
    const struct mp__transfer *transfer = mp__transfer_of(easy);
    return transfer && transfer->is_established;
}

struct mp_str mp__transfer_host(const struct mp__transfer *transfer)
{
    if (transfer->link.proxy) {
        return mp_str_of(transfer->proxy_host);
    }
    struct mp_str host = mp_str_of(transfer->base);
    const char *start = strstr(transfer->base, "//");
    const char *end = strrchr(transfer->base, ':');
    return start && end > start ? (struct mp_str){start + 2, (size_t)(end - start - 2)}
                                : host;
}

/* What curl calls. */

static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
    struct mp__transfer *transfer = arg;
    size_t length = size * count;
    transfer->header_bytes += length;
    if (transfer->header_bytes > HEADERS_ALL_MAX) {
        return 0;
    }
    if (length >= 5 && memcmp(data, "HTTP/", 5) == 0) {
        mp_buf_reset(&transfer->headers); /* what came before was interim */
        transfer->headers_ended = false;
        return length;
    }
    if (length <= 2 || transfer->headers_ended) {
        transfer->headers_ended = true; /* what follows the body is no header */
        return length;
    }
    return mp_buf_append(&transfer->headers, data, length) == MP_OK ? length : 0;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    struct mp__transfer *transfer = arg;
    size_t length = size * count;
    size_t room = MP_RESPONSE_BODY_MAX - transfer->body.length;
    size_t kept = length < room ? length : room;
    if (kept > 0 && mp_buf_append(&transfer->body, data, kept) != MP_OK) {
        return 0;
    }
    transfer->truncated = kept < length;
    return kept; /* fewer than came: curl ends here and drops the connection */
}

static curl_socket_t on_open_socket(void *arg, curlsocktype purpose,
                                    struct curl_sockaddr *address)
{
    (void)purpose;
    struct mp__transfer *transfer = arg;
    transfer->is_established = false; /* one that it had has failed */
    transfer->events.on_reached(transfer->events.arg);
    /* The operator named the proxy, wherever it is. */
    if (!transfer->link.proxy && !mp_egress_permits(transfer->egress, &address->addr)) {
        transfer->was_blocked = true;
        return CURL_SOCKET_BAD;
    }
    transfer->was_opened = true;
    return mp__curl_loop_open_socket(transfer->loop, address);
}

static int on_prerequest(void *arg, char *ip, char *local_ip, int port, int local_port)
{
    (void)ip;
    (void)local_ip;
    (void)port;
    (void)local_port;
    struct mp__transfer *transfer = arg;
    transfer->is_established = true;
    transfer->events.on_reached(transfer->events.arg);
    return CURL_PREREQFUNC_OK;
}

static bool is_literal(const struct mp__transfer *transfer)
{
    char text[INET_ADDRSTRLEN];
    struct in_addr address;
    struct mp_str host = mp__transfer_host(transfer);
    if (host.length > 0 && host.data[0] == '[') {
        return true;
    }
    if (host.length >= sizeof(text)) {
        return false;
    }
    memcpy(text, host.data, host.length);
    text[host.length] = '\0';
    return inet_pton(AF_INET, text, &address) == 1;
}

static int on_lookup_start(void *state, void *reserved, void *arg)
{
    (void)state;
    (void)reserved;
    struct mp__transfer *transfer = arg;
    if (is_literal(transfer) || transfer->events.on_lookup(transfer->events.arg)) {
        return 0;
    }
    transfer->must_wait = true;
    return 1;
}

/* Setting up. */

static void set_callbacks(struct mp__transfer *transfer)
{
    CURL *easy = transfer->easy;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, mp__curl_loop_close_socket);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, transfer->loop);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_prerequest);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_RESOLVER_START_FUNCTION, on_lookup_start);
    curl_easy_setopt(easy, CURLOPT_RESOLVER_START_DATA, transfer);
}

/* What never changes: nothing of the environment, nothing but HTTP, no second guess. */
static void set_constants(struct mp__transfer *transfer)
{
    CURL *easy = transfer->easy;
    curl_easy_setopt(easy, CURLOPT_CURLU, transfer->url);
    curl_easy_setopt(easy, CURLOPT_SHARE, transfer->loop->share);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_KEYPASSWD, ""); /* or OpenSSL asks the terminal */
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->detail);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
    curl_easy_setopt(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
    curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 60L);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 8192L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_MAXLIFETIME_CONN, 600L);
}

int mp__transfer_init(struct mp__transfer *transfer, struct mp__curl_loop *loop,
                      const struct mp_egress *egress, int64_t connect_max_ms)
{
    transfer->loop = loop;
    transfer->egress = egress;
    transfer->connect_max_ms = connect_max_ms;
    mp_buf_init(&transfer->base_as_sent, MP_REQUEST_URL_MAX);
    mp_buf_init(&transfer->target, TARGET_MAX);
    mp_buf_init(&transfer->fields, FIELDS_MAX);
    mp_buf_init(&transfer->headers, HEADERS_MAX);
    mp_buf_init(&transfer->body, MP_RESPONSE_BODY_MAX);
    transfer->easy = curl_easy_init();
    transfer->url = curl_url();
    if (!transfer->easy || !transfer->url) {
        mp__transfer_fini(transfer);
        return MP_ENOMEM;
    }
    set_callbacks(transfer);
    set_constants(transfer);
    return MP_OK;
}

void mp__transfer_fini(struct mp__transfer *transfer)
{
    if (transfer->easy) {
        curl_easy_cleanup(transfer->easy);
    }
    if (transfer->url) {
        curl_url_cleanup(transfer->url);
    }
    mp_buf_fini(&transfer->base_as_sent);
    mp_buf_fini(&transfer->target);
    mp_buf_fini(&transfer->fields);
    mp_buf_fini(&transfer->headers);
    mp_buf_fini(&transfer->body);
}

static void trim(struct mp_buf *buf)
{
    if (buf->capacity > KEPT_BYTES) {
        size_t max_bytes = buf->max_bytes;
        mp_buf_fini(buf);
        mp_buf_init(buf, max_bytes);
    }
}

void mp__transfer_trim(struct mp__transfer *transfer)
{
    trim(&transfer->target);
    trim(&transfer->fields);
    trim(&transfer->headers);
    trim(&transfer->body);
}

void mp__transfer_cancel(struct mp__transfer *transfer)
{
    mp__curl_loop_remove(transfer->loop, transfer->multi, transfer->easy);
}

void mp__transfer_set_fresh(struct mp__transfer *transfer, bool is_fresh)
{
    if (transfer->is_fresh == is_fresh) {
        return;
    }
    transfer->is_fresh = is_fresh;
    curl_easy_setopt(transfer->easy, CURLOPT_FRESH_CONNECT, (long)is_fresh);
    if (strncmp(transfer->base, "https:", 6) == 0) {
        curl_easy_setopt(
            transfer->easy, CURLOPT_HTTP_VERSION,
            (long)(is_fresh ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS));
    }
}

/* What came back. */

bool mp__transfer_was_lost(const struct mp__transfer *transfer, CURLcode code)
{
    long connects = 0;
    if (transfer->header_bytes > 0 || transfer->is_fresh) {
        return false;
    }
    switch (code) {
    case CURLE_HTTP2: /* also an answer that came before all of the request had left */
    case CURLE_HTTP2_STREAM:
        return true;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
        curl_easy_getinfo(transfer->easy, CURLINFO_NUM_CONNECTS, &connects);
        return connects == 0;
    default:
        return false;
    }
}

static const char *connect_error(const struct mp__transfer *transfer)
{
    long why = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &why);
    if (transfer->was_blocked && !transfer->was_opened) {
        return "blocked_address";
    }
    switch (why) {
    case ETIMEDOUT:
        return "timeout";
    case ENETUNREACH:
    case EHOSTUNREACH:
        return "network_unreachable";
    case ECONNRESET:
        return "connection_reset";
    case ECONNREFUSED:
        return "connection_refused";
    default:
        return "network_error";
    }
}

/* In TLS 1.3 a client hears that its certificate is missing, or not taken, only once it
 * believes itself connected. */
static bool was_refused_by_tls(const struct mp__transfer *transfer)
{
    return strstr(transfer->detail, "SSL routines") &&
           strstr(transfer->detail, " alert ");
}

static const char *error_of(const struct mp__transfer *transfer, CURLcode code)
{
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return "timeout";
    case CURLE_COULDNT_RESOLVE_HOST:
        return "dns_error";
    case CURLE_COULDNT_CONNECT:
        return connect_error(transfer);
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
        return was_refused_by_tls(transfer) ? "tls_error" : "connection_reset";
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
        return "tls_error";
    default:
        return "network_error";
    }
}

/* The partner answered before it had all of the request, and wanted no more: curl's
 * HTTP/2 makes that an error of sending. */
static bool was_answered_early(const struct mp__transfer *transfer, CURLcode code)
{
    curl_off_t sent = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    return code == CURLE_HTTP2_STREAM && transfer->headers_ended &&
           sent < transfer->upload_bytes;
}

/* As long as it was: what is around it stays what it is, JSON too. */
static void hide(struct mp_buf *text, struct mp_str value)
{
    char *at = text->data;
    while (value.length > 0 && text->length > 0 &&
           (at = memmem(at, text->length - (size_t)(at - text->data), value.data,
                        value.length))) {
        memset(at, '*', value.length);
        at += value.length;
    }
}

void mp__transfer_finish(struct mp__transfer *transfer, CURLcode code,
                         struct mp_response *response)
{
    long status = 0;
    curl_off_t total_us = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_TOTAL_TIME_T, &total_us);
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    bool is_early = was_answered_early(transfer, code);
    bool is_proxy = mp__transfer_proxy_failed(transfer, code, status);
    transfer->truncated = transfer->truncated || is_early;
    bool is_answered = status > 0 && !is_proxy &&
                       (code == CURLE_OK || is_early ||
                        (code == CURLE_WRITE_ERROR && transfer->truncated));
    transfer->duration_us = total_us;
    *response = (struct mp_response){
        .status = is_answered ? (int)status : 0,
        .error = is_answered ? NULL
                 : is_proxy  ? "proxy_error"
                             : error_of(transfer, code),
        .truncated = transfer->truncated,
        .duration_ms = total_us / 1000,
    };
    if (is_proxy || (!is_answered && strcmp(response->error, "tls_error") == 0)) {
        response->detail = transfer->detail;
    }
    if (is_answered) {
        hide(&transfer->headers, transfer->hidden);
        hide(&transfer->body, transfer->hidden);
        response->headers = mp_buf_str(&transfer->headers);
        response->body = mp_buf_str(&transfer->body);
        if (response->headers.length >= 2) {
            response->headers.length -= 2; /* between the lines, not after the last */
        }
    }
}
