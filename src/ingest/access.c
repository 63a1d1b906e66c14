/* SPDX-License-Identifier: MIT */
#include "server.h"

/* The token of `Authorization: Bearer <token>` (RFC 6750 section 2.1); empty: none. */
static struct mp_str bearer_of(const struct mp_call *call)
{
    struct mp_str value = mp__known(&call->head, call->base, MP__AUTHORIZATION);
    if (value.length < 8 || value.data[6] != ' ' ||
        !mp_str_equal_nocase((struct mp_str){value.data, 6}, mp_str_of("bearer"))) {
        return (struct mp_str){NULL, 0};
    }
    size_t at = 7;
    while (at < value.length && value.data[at] == ' ') {
        at++;
    }
    return (struct mp_str){value.data + at, value.length - at};
}

bool mp__access_ingest(struct mp_call *call)
{
    struct mp_ingest *server = call->connection->server;
    if (!server->ingest_tokens) {
        return true;
    }
    struct mp_str token = bearer_of(call);
    if (token.length > 0 && mp__tokens_has(server->ingest_tokens, token)) {
        return true;
    }
    struct mp__problem problem = {401, "unauthorized", "WWW-Authenticate: Bearer\r\n",
                                  NULL};
    const char *detail = "this path needs Authorization: Bearer and an ingest token";
    if (token.length > 0) {
        problem.headers = "WWW-Authenticate: Bearer error=\"invalid_token\"\r\n";
        detail = "the bearer token is no ingest token";
    }
    mp__call_problem(call, &problem, mp_str_of(detail));
    return false;
}

/* The Host matters: a page of any site can make a browser here ask a loopback address,
 * under that site's name. */
bool mp__access_api(struct mp_call *call)
{
    struct mp_ingest *server = call->connection->server;
    if (server->is_loopback && call->head.host.length > 0 &&
        mp__host_is_loopback(mp__slice(call->base, call->head.host))) {
        return true;
    }
    if (server->api_tokens && mp__tokens_has(server->api_tokens, bearer_of(call))) {
        return true;
    }
    mp_call_problem(
        call, 403, "forbidden",
        server->api_tokens
            ? "this path needs Authorization: Bearer and an API token"
            : "this path answers on a loopback address under a loopback host name; "
              "--api-token-file opens it to others");
    return false;
}
