/* SPDX-License-Identifier: MIT */
#include "tokens.h"

#include <stdlib.h>
#include <string.h>

#include "moonpost/id.h"
#include "moonpost/log.h"
#include "tokens_file.h"
#include "tokens_store.h"

/* The store: what there is, who fetches, who waits. */

int mp__token_store_new(const struct mp__token_store_config *config,
                        struct mp__token_store **out)
{
    struct mp__token_store *tokens = calloc(1, sizeof(*tokens));
    if (!tokens) {
        return MP_ENOMEM;
    }
    tokens->config = *config;
    tokens->listeners = calloc(config->listeners_max, sizeof(*tokens->listeners));
    if (!tokens->listeners) {
        free(tokens);
        return MP_ENOMEM;
    }
    pthread_mutex_init(&tokens->lock, NULL);
    *out = tokens;
    return MP_OK;
}

static void free_token(void *arg, struct mp__map_node *node)
{
    struct mp__token *token = (struct mp__token *)(void *)node;
    (void)arg;
    mp_buf_fini(&token->access);
    free(token);
}

static void free_family(void *arg, struct mp__map_node *node)
{
    struct mp__family *family = (struct mp__family *)(void *)node;
    (void)arg;
    mp_buf_fini(&family->refresh);
    free(family);
}

void mp__token_store_free(struct mp__token_store *tokens)
{
    if (!tokens) {
        return;
    }
    mp__map_each(&tokens->tokens, free_token, NULL);
    mp__map_fini(&tokens->tokens);
    mp__map_each(&tokens->families, free_family, NULL);
    mp__map_fini(&tokens->families);
    pthread_mutex_destroy(&tokens->lock);
    free(tokens->listeners);
    free(tokens);
}

uint64_t mp__token_store_version(struct mp__token_store *tokens)
{
    return atomic_load(&tokens->version);
}

void mp__token_store_listen(struct mp__token_store *tokens, struct mp__wake *wake)
{
    pthread_mutex_lock(&tokens->lock);
    if (tokens->listener_count < tokens->config.listeners_max) {
        tokens->listeners[tokens->listener_count++] = wake;
    }
    pthread_mutex_unlock(&tokens->lock);
}

void mp__token_store_unlisten(struct mp__token_store *tokens, struct mp__wake *wake)
{
    pthread_mutex_lock(&tokens->lock);
    for (unsigned i = 0; i < tokens->listener_count; i++) {
        if (tokens->listeners[i] == wake) {
            tokens->listeners[i] = tokens->listeners[--tokens->listener_count];
            break;
        }
    }
    pthread_mutex_unlock(&tokens->lock);
}

/* Under the lock. */
void mp__token_store_changed(struct mp__token_store *tokens)
{
    atomic_fetch_add(&tokens->version, 1);
    for (unsigned i = 0; i < tokens->listener_count; i++) {
        mp__wake_send(tokens->listeners[i]);
    }
}

/* Names: a digest of what makes one credential another. */

static void name_of(const struct mp_str *texts, size_t count, char out[MP__TOKEN_NAME])
{
    struct mp_str parts[2 * MP__TOKEN_TEXTS];
    uint64_t lengths[MP__TOKEN_TEXTS];
    uint8_t digest[MP_SHA256_BYTES];
    for (size_t i = 0; i < count; i++) {
        lengths[i] = texts[i].length;
        parts[2 * i] = (struct mp_str){(const char *)&lengths[i], sizeof(lengths[i])};
        parts[2 * i + 1] = texts[i];
    }
    mp_sha256_of(parts, 2 * count, digest);
    mp_hex(digest, sizeof(digest), out);
}

static void name_token(const struct mp_oauth2 *oauth2, const struct mp_tls *tls,
                       char out[MP__TOKEN_NAME])
{
    struct mp_str texts[MP__TOKEN_TEXTS] = {
        oauth2->token_url.text,
        oauth2->client_id.text,
        oauth2->client_secret.text,
        oauth2->refresh_token.text,
        oauth2->scope.text,
        oauth2->audience.text,
        tls ? tls->cert.text : (struct mp_str){0}, /* it may be bound to that: RFC 8705 */
        mp_str_of(oauth2->in_body ? "body" : "basic"),
    };
    name_of(texts, MP__TOKEN_TEXTS, out);
}

/* Of the refresh token as the script has it: with a new one a new chain begins. */
static void name_family(const struct mp_oauth2 *oauth2, char out[MP__TOKEN_NAME])
{
    struct mp_str texts[] = {oauth2->token_url.text, oauth2->client_id.text,
                             oauth2->refresh_token.text};
    name_of(texts, sizeof(texts) / sizeof(*texts), out);
}

static struct mp__map_node *find(const struct mp__map *map, const char *name)
{
    struct mp_str key = mp_str_of(name);
    return mp__map_find(map, key, mp__hash(key));
}

/* Getting and letting go; under the lock. */

static struct mp__family *family_of(struct mp__token_store *tokens,
                                    const struct mp_oauth2 *oauth2)
{
    char name[MP__TOKEN_NAME];
    name_family(oauth2, name);
    struct mp__map_node *node = find(&tokens->families, name);
    if (node) {
        return (struct mp__family *)(void *)node;
    }
    struct mp__family *family = calloc(1, sizeof(*family));
    if (!family) {
        return NULL;
    }
    memcpy(family->name, name, sizeof(name));
    family->node.key = mp_str_of(family->name);
    mp_buf_init(&family->refresh, MP__REFRESH_BYTES_MAX);
    if (mp__map_add(&tokens->families, &family->node) != MP_OK) {
        free(family);
        return NULL;
    }
    return family;
}

struct sweep {
    struct mp__token_store *tokens;
    int64_t now_ms;
};

static void sweep_token(void *arg, struct mp__map_node *node)
{
    const struct sweep *sweep = arg;
    struct mp__token *token = (struct mp__token *)(void *)node;
    bool is_good = token->is_good && sweep->now_ms < token->ends_ms;
    if (token->uses == 0 && !is_good) {
        mp__map_remove(&sweep->tokens->tokens, node);
        free_token(NULL, node);
    }
}

static struct mp__token *add_token(struct mp__token_store *tokens,
                                   const struct mp_oauth2 *oauth2, const char *name,
                                   int64_t now_ms)
{
    struct sweep sweep = {tokens, now_ms};
    mp__map_each(&tokens->tokens, sweep_token, &sweep);
    struct mp__token *token = calloc(1, sizeof(*token));
    if (!token) {
        return NULL;
    }
    memcpy(token->name, name, sizeof(token->name));
    token->node.key = mp_str_of(token->name);
    token->tokens = tokens;
    mp_buf_init(&token->access, MP__TOKEN_BYTES_MAX);
    bool refreshes = oauth2->refresh_token.text.length > 0;
    if ((refreshes && !(token->family = family_of(tokens, oauth2))) ||
        mp__map_add(&tokens->tokens, &token->node) != MP_OK) {
        free(token);
        return NULL;
    }
    return token;
}

struct mp__token *mp__token_acquire(struct mp__token_store *tokens,
                                    const struct mp_oauth2 *oauth2,
                                    const struct mp_tls *tls, int64_t now_ms)
{
    char name[MP__TOKEN_NAME];
    name_token(oauth2, tls, name);
    pthread_mutex_lock(&tokens->lock);
    struct mp__token *token = (struct mp__token *)(void *)find(&tokens->tokens, name);
    if (!token) {
        token = add_token(tokens, oauth2, name, now_ms);
    }
    if (token) {
        token->uses++;
        token->is_refused = false;
    }
    pthread_mutex_unlock(&tokens->lock);
    return token;
}

/* One that is good stays: who comes next need not fetch another. */
void mp__token_release(struct mp__token *token)
{
    if (token) {
        pthread_mutex_lock(&token->tokens->lock);
        token->uses--;
        pthread_mutex_unlock(&token->tokens->lock);
    }
}

void mp__token_forgive(struct mp__token *token)
{
    pthread_mutex_lock(&token->tokens->lock);
    token->is_refused = false;
    pthread_mutex_unlock(&token->tokens->lock);
}

/* Refresh tokens. */

int mp__token_grant(struct mp__token *token, struct mp_str own, struct mp_buf *out)
{
    struct mp__family *family = token->family;
    const char *folder = token->tokens->config.folder;
    struct mp_error err;
    if (folder && !family->is_read) { /* nobody else touches it while this one fetches */
        struct mp_buf text;
        mp_buf_init(&text, MP__REFRESH_BYTES_MAX);
        if (mp__token_file_read(folder, family->name, &text, &err) != MP_OK) {
            mp_log_error("deliver", "%s; the script's own is used", err.text);
            mp_buf_reset(&text);
        }
        pthread_mutex_lock(&token->tokens->lock);
        family->refresh = text;
        pthread_mutex_unlock(&token->tokens->lock);
        family->is_read = true;
    }
    mp_buf_reset(out);
    return mp_buf_append_str(
        out, family->refresh.length > 0 ? mp_buf_str(&family->refresh) : own);
}

int mp__token_rotate(struct mp__token *token, struct mp_str refresh, struct mp_error *err)
{
    struct mp__family *family = token->family;
    const char *folder = token->tokens->config.folder;
    int status = folder ? mp__token_file_write(folder, family->name, refresh, err)
                        : mp_error_set(err, MP_EDENIED,
                                       "a rotated refresh token is kept in memory alone: "
                                       "there is no --data");
    struct mp_buf text;
    mp_buf_init(&text, MP__REFRESH_BYTES_MAX);
    if (mp_buf_append_str(&text, refresh) != MP_OK) {
        return mp_error_set(err, MP_ENOMEM, "could not keep a refresh token: %s",
                            mp_status_text(MP_ENOMEM));
    }
    pthread_mutex_lock(&token->tokens->lock);
    mp_buf_fini(&family->refresh);
    family->refresh = text;
    pthread_mutex_unlock(&token->tokens->lock);
    family->is_read = true;
    return status;
}
