/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "tokens_store.h"

/* A token's life: needed, fetched, good, stale, refused. */

#define EARLY_MS (60 * (int64_t)1000)

static void lock(struct mp__token *token)
{
    pthread_mutex_lock(&token->tokens->lock);
}

static void unlock(struct mp__token *token)
{
    pthread_mutex_unlock(&token->tokens->lock);
}

static bool is_good(const struct mp__token *token, int64_t now_ms)
{
    return token->is_good && now_ms < token->ends_ms;
}

static bool is_busy(const struct mp__token *token)
{
    return token->is_fetched || (token->family && token->family->is_busy);
}

static enum mp__token_state state_of(const struct mp__token *token, int64_t now_ms)
{
    bool may_fetch = !is_busy(token) && !token->is_refused && now_ms >= token->next_ms;
    if (is_good(token, now_ms)) {
        return may_fetch && now_ms >= token->refresh_ms ? MP__TOKEN_STALE
                                                        : MP__TOKEN_READY;
    }
    if (token->is_refused) {
        return MP__TOKEN_REFUSED;
    }
    return may_fetch ? MP__TOKEN_NEEDED : MP__TOKEN_AWAITED;
}

enum mp__token_state mp__token_look(struct mp__token *token, int64_t now_ms,
                                    int64_t *until_ms, char why[256])
{
    lock(token);
    enum mp__token_state state = state_of(token, now_ms);
    if (until_ms) {
        *until_ms = is_busy(token) ? INT64_MAX : token->next_ms;
    }
    if (why) {
        memcpy(why, token->why, sizeof(token->why));
    }
    unlock(token);
    return state;
}

bool mp__token_begin(struct mp__token *token, int64_t now_ms)
{
    lock(token);
    enum mp__token_state state = state_of(token, now_ms);
    bool may_begin = state == MP__TOKEN_STALE || state == MP__TOKEN_NEEDED;
    if (may_begin) {
        token->is_fetched = true;
        if (token->family) {
            token->family->is_busy = true;
        }
    }
    unlock(token);
    return may_begin;
}

static void let_go(struct mp__token *token)
{
    token->is_fetched = false;
    if (token->family) {
        token->family->is_busy = false;
    }
}

void mp__token_cancel(struct mp__token *token)
{
    lock(token);
    let_go(token);
    mp__token_store_changed(token->tokens);
    unlock(token);
}

/* At 90 % of its life or a minute before its end, whichever comes first; one that lives
 * for a minute or two at half of it. */
static int64_t refresh_after(int64_t life_ms)
{
    int64_t after_ms = life_ms / 10 * 9;
    after_ms = life_ms - EARLY_MS < after_ms ? life_ms - EARLY_MS : after_ms;
    return after_ms > life_ms / 2 ? after_ms : life_ms / 2;
}

static bool take(struct mp__token *token, const struct mp__grant *grant, int64_t now_ms)
{
    struct mp_buf access;
    mp_buf_init(&access, MP__TOKEN_BYTES_MAX);
    if (mp_buf_append_str(&access, mp_buf_str(&grant->access)) != MP_OK) {
        return false;
    }
    mp_buf_fini(&token->access);
    token->access = access;
    token->number = ++token->tokens->numbers;
    token->is_good = true;
    token->replaces = token->was_refused;
    token->was_refused = token->is_refused = false;
    token->given_ms = now_ms;
    token->refresh_ms = now_ms + refresh_after(grant->life_ms);
    token->ends_ms = now_ms + grant->life_ms;
    token->failures = 0;
    token->next_ms = 0;
    return true;
}

static void wait_on(struct mp__token *token, int64_t asked_ms, int64_t now_ms)
{
    const struct mp__token_store_config *config = &token->tokens->config;
    int64_t wait_ms = config->wait_ms;
    for (unsigned i = 0; i < token->failures && wait_ms < config->wait_max_ms; i++) {
        wait_ms *= 2;
    }
    wait_ms = wait_ms < config->wait_max_ms ? wait_ms : config->wait_max_ms;
    token->failures++;
    token->next_ms = now_ms + (asked_ms > wait_ms ? asked_ms : wait_ms);
}

bool mp__token_end(struct mp__token *token, const struct mp__grant *grant, int64_t now_ms)
{
    struct mp_str why = mp_buf_str(&grant->why);
    lock(token);
    let_go(token);
    enum mp__grant_kind kind = grant->kind;
    if (kind == MP__GRANT_GIVEN && !take(token, grant, now_ms)) {
        kind = MP__GRANT_FAILED;
    }
    if (kind != MP__GRANT_GIVEN) {
        snprintf(token->why, sizeof(token->why), "oauth2: %.*s", (int)why.length,
                 why.data ? why.data : "");
    }
    token->is_refused = kind == MP__GRANT_REFUSED;
    if (kind == MP__GRANT_FAILED) {
        wait_on(token, grant->again_ms, now_ms);
    }
    uint64_t told = kind == MP__GRANT_GIVEN ? 0 : mp__hash(why) | 1;
    bool is_news = told != token->told;
    token->told = told;
    mp__token_store_changed(token->tokens);
    unlock(token);
    return is_news;
}

/* In requests. */

static int write_field(struct mp_request *request, struct mp_str access)
{
    struct mp_buf value;
    mp_buf_init(&value, MP__TOKEN_BYTES_MAX + sizeof("Bearer "));
    int status = mp_buf_append_text(&value, "Bearer ");
    if (status == MP_OK) {
        status = mp_buf_append_str(&value, access);
    }
    if (status == MP_OK) {
        status =
            mp_request_set_header(request, mp_str_of("Authorization"), mp_buf_str(&value),
                                  mp_str_of(MP__TOKEN_SHOWN), NULL);
    }
    mp_buf_fini(&value);
    return status;
}

int mp__token_stamp(struct mp__token *token, struct mp_request *request, uint64_t *number,
                    struct mp_str *value)
{
    int at = mp_request_find_header(request, mp_str_of("Authorization"));
    *number = 0;
    if (at < 0 || !mp_str_is(mp_header_value(request, (size_t)at), MP__TOKEN_SHOWN)) {
        return MP_OK;
    }
    lock(token);
    *number = token->number;
    int status = write_field(request, mp_buf_str(&token->access));
    unlock(token);
    at = mp_request_find_header(request, mp_str_of("Authorization"));
    if (status == MP_OK && at >= 0) {
        *value = mp_header_value(request, (size_t)at);
        value->data += strlen("Bearer ");
        value->length -= strlen("Bearer ");
    }
    return status;
}

/* A token that came because another was refused is not replaced at once for being refused
 * too: then it is not the token. Nor later, but now and then. */
bool mp__token_refused(struct mp__token *token, uint64_t number, int64_t now_ms)
{
    bool goes_again = true;
    lock(token);
    if (number == token->number && token->is_good) {
        goes_again = !token->replaces ||
                     now_ms - token->given_ms >= token->tokens->config.refused_ms;
        if (goes_again) {
            token->is_good = false;
            token->was_refused = true;
            mp__token_store_changed(token->tokens);
        }
    }
    unlock(token);
    return goes_again;
}

static int hide(struct mp_str text, const struct mp_str *values, size_t count,
                struct mp_buf *out)
{
    const char *at = text.data;
    const char *end = text.data + text.length;
    int status = MP_OK;
    while (status == MP_OK && at < end) {
        size_t hidden = 0;
        for (size_t i = 0; i < count; i++) {
            size_t length = values[i].length;
            if (length >= 4 && length <= (size_t)(end - at) && length > hidden &&
                memcmp(at, values[i].data, length) == 0) {
                hidden = length;
            }
        }
        status = hidden > 0 ? mp_buf_append_text(out, "[oauth2 token]")
                            : mp_buf_append_char(out, *at);
        at += hidden > 0 ? hidden : 1;
    }
    return status;
}

int mp__token_hide(struct mp__token *token, struct mp_str text, struct mp_buf *out)
{
    lock(token);
    struct mp_str values[] = {mp_buf_str(&token->access),
                              token->family ? mp_buf_str(&token->family->refresh)
                                            : (struct mp_str){0}};
    int status = hide(text, values, sizeof(values) / sizeof(*values), out);
    unlock(token);
    return status;
}
