/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "plan_keys.h"

/* `oauth2`, `tls`, `proxy`. No error here shows a value, for any may be a secret. */

static void read_hidden(struct mp__plan *plan, int table, const char *key,
                        struct mp_hidden *out)
{
    struct mp_script_state *state = plan->state;
    if (!mp__plan_field(plan, table, key)) {
        return;
    }
    if (!mp__plan_is_text(plan)) {
        mp__plan_fail(plan, "it is a %s: write a string or secret \"x\"",
                      mp__plan_kind(plan, -1));
    }
    bool is_secret;
    mp_buf_reset(&state->scratch);
    mp_buf_reset(&state->shown);
    mp__text_at(state, -1, &state->scratch, &state->shown, &is_secret);
    if (state->scratch.length == 0) {
        mp__plan_fail(plan, "it is empty");
    }
    out->text = mp__plan_copy(plan, mp_buf_str(&state->scratch));
    if (is_secret) {
        out->shown = mp__plan_copy(plan, mp_buf_str(&state->shown));
    }
    lua_pop(plan->lua, 1);
}

static void check_there(struct mp__plan *plan, const char *key,
                        const struct mp_hidden *it)
{
    if (it->text.length == 0) {
        plan->at.child = NULL;
        mp__plan_fail(plan,
                      "it has no %s: oauth2 = { token_url = \"https://…\", client_id = "
                      "\"…\", client_secret = secret \"x\" }",
                      key);
    }
}

static void check_token_url(struct mp__plan *plan, struct mp_str url)
{
    char authority[MP_LANE_BYTES];
    struct mp_error err;
    plan->at.child = "token_url";
    if (mp_authority_of(url, authority, NULL, &err) != MP_OK) {
        mp__plan_fail(plan, "%s: write \"https://…\"", err.text);
    }
    for (size_t i = 0; i < url.length; i++) {
        unsigned char c = (unsigned char)url.data[i];
        if (c <= ' ' || c >= 0x7f || strchr("{}#\"<>\\^`|", c)) {
            mp__plan_fail(plan,
                          "it has a character that no url has, or a template's: it is "
                          "sent as it stands");
        }
    }
}

static void read_auth(struct mp__plan *plan, int table, struct mp_oauth2 *oauth2)
{
    if (!mp__plan_field(plan, table, "auth")) {
        return;
    }
    struct mp_str word = mp__plan_string(plan, "it");
    oauth2->in_body = mp_str_is(word, "body");
    if (!oauth2->in_body && !mp_str_is(word, "basic")) {
        mp__plan_fail(plan,
                      "it is \"basic\" or \"body\": where the client's secret goes");
    }
}

void mp__plan_oauth2(struct mp__plan *plan)
{
    static const char *const known[] = {"token_url",     "client_id", "client_secret",
                                        "refresh_token", "scope",     "audience",
                                        "auth",          NULL};
    int table = lua_gettop(plan->lua);
    mp__plan_known(plan, "oauth2", known);
    struct mp_oauth2 *oauth2 = mp__plan_alloc(plan, 1, sizeof(*oauth2));
    struct mp_hidden *const fields[] = {&oauth2->token_url,     &oauth2->client_id,
                                        &oauth2->client_secret, &oauth2->refresh_token,
                                        &oauth2->scope,         &oauth2->audience};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        read_hidden(plan, table, known[i], fields[i]);
    }
    for (size_t i = 0; i < 3; i++) {
        check_there(plan, known[i], fields[i]);
    }
    check_token_url(plan, oauth2->token_url.text);
    read_auth(plan, table, oauth2);
    plan->script->oauth2 = oauth2;
}

static bool has_text(struct mp_str text, const char *what)
{
    return memmem(text.data, text.length, what, strlen(what)) != NULL;
}

/* What specs of scripts put in a secret's place: nothing connects with it. */
static bool is_invented(const struct mp_hidden *it)
{
    char shown[sizeof("[secret ]") + MP_SECRET_NAME_BYTES];
    if (!mp__str_begins(it->text, "test-") || it->text.length > MP_SECRET_NAME_BYTES) {
        return false;
    }
    snprintf(shown, sizeof(shown), "[secret %s]", it->text.data + strlen("test-"));
    return mp_str_is(it->shown, shown);
}

static void check_pem(struct mp__plan *plan, const char *key, const struct mp_hidden *it,
                      const char *label)
{
    if (it->text.length == 0 || is_invented(it)) {
        return;
    }
    plan->at.child = key;
    if (!has_text(it->text, "-----BEGIN ")) {
        mp__plan_fail(
            plan,
            "it is no PEM text (-----BEGIN %s-----): a script reads no files; put "
            "the file's text into a secret",
            label);
    }
    if (!has_text(it->text, label)) {
        mp__plan_fail(plan, "this PEM text has no %s: are cert and key swapped?", label);
    }
    if (strcmp(key, "key") == 0 && has_text(it->text, "ENCRYPTED")) {
        mp__plan_fail(plan,
                      "the key is encrypted: nobody is there to type its passphrase, "
                      "so store it without one");
    }
}

void mp__plan_tls(struct mp__plan *plan)
{
    static const char *const known[] = {"cert", "key", "ca", NULL};
    int table = lua_gettop(plan->lua);
    mp__plan_known(plan, "tls", known);
    struct mp_tls *tls = mp__plan_alloc(plan, 1, sizeof(*tls));
    read_hidden(plan, table, "cert", &tls->cert);
    read_hidden(plan, table, "key", &tls->key);
    read_hidden(plan, table, "ca", &tls->ca);
    plan->at.child = NULL;
    if (tls->cert.text.length + tls->key.text.length + tls->ca.text.length == 0) {
        mp__plan_fail(plan,
                      "it is empty: tls = { cert = secret \"x\", key = secret \"y\" }");
    }
    if ((tls->cert.text.length == 0) != (tls->key.text.length == 0)) {
        mp__plan_fail(plan, "cert and key go together: add %s",
                      tls->key.text.length == 0 ? "key" : "cert");
    }
    check_pem(plan, "cert", &tls->cert, "CERTIFICATE");
    check_pem(plan, "key", &tls->key, "PRIVATE KEY");
    check_pem(plan, "ca", &tls->ca, "CERTIFICATE");
    plan->script->tls = tls;
}

static bool is_proxy_name(struct mp_str name)
{
    for (size_t i = 0; i < name.length; i++) {
        char c = name.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-')) {
            return false;
        }
    }
    return name.length > 0 && name.length <= 64;
}

void mp__plan_proxy(struct mp__plan *plan)
{
    const struct mp_script_env *env = &mp__private_of(plan->script)->env;
    struct mp_str name = mp__plan_string(plan, "it");
    if (!is_proxy_name(name)) {
        mp__plan_fail(plan,
                      "it is the name of a --proxy, of a-z, 0-9, _ and -: an address is "
                      "the operator's to write");
    }
    bool found = env->proxies == NULL;
    for (size_t i = 0; i < env->proxy_count && !found; i++) {
        found = mp_str_equal(env->proxies[i], name);
    }
    if (!found) {
        mp__plan_fail(plan, "there is no proxy \"%s\": start with --proxy %s=http://…",
                      name.data, name.data);
    }
    plan->script->proxy = name;
}
