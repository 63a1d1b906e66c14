/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "fetch.h"
#include "moonpost/base64.h"

/* The token request, written. */

/* A form under way: the first failure is kept, what follows it does nothing. */
struct form {
    struct mp_buf *out;
    int status;
};

/* application/x-www-form-urlencoded, as appendix B says. */
static int encode(struct mp_str text, struct mp_buf *out)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789-._*";
    static const char hex[] = "0123456789ABCDEF";
    int status = MP_OK;
    for (size_t i = 0; i < text.length && status == MP_OK; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == ' ') {
            status = mp_buf_append_char(out, '+');
        } else if (c != '\0' && strchr(plain, c)) {
            status = mp_buf_append_char(out, (char)c);
        } else {
            char triplet[3] = {'%', hex[c >> 4], hex[c & 15]};
            status = mp_buf_append(out, triplet, sizeof(triplet));
        }
    }
    return status;
}

static void put(struct form *form, const char *name, struct mp_str value)
{
    if (form->status == MP_OK && form->out->length > 0) {
        form->status = mp_buf_append_char(form->out, '&');
    }
    if (form->status == MP_OK) {
        form->status = mp_buf_append_text(form->out, name);
    }
    if (form->status == MP_OK) {
        form->status = mp_buf_append_char(form->out, '=');
    }
    if (form->status == MP_OK) {
        form->status = encode(value, form->out);
    }
}

static void put_given(struct form *form, const char *name, const struct mp_hidden *value)
{
    if (value->text.length > 0) {
        put(form, name, value->text);
    }
}

/* Section 2.3.1: the name and the secret are encoded before they are joined. */
static int write_basic(const struct mp_oauth2 *oauth2, struct mp_buf *out)
{
    struct mp_buf pair;
    mp_buf_init(&pair, out->max_bytes);
    int status = encode(oauth2->client_id.text, &pair);
    if (status == MP_OK) {
        status = mp_buf_append_char(&pair, ':');
    }
    if (status == MP_OK) {
        status = encode(oauth2->client_secret.text, &pair);
    }
    if (status == MP_OK) {
        status = mp_buf_append_text(out, "Basic ");
    }
    if (status == MP_OK) {
        status = mp_base64_encode(mp_buf_str(&pair), MP_BASE64, out);
    }
    mp_buf_fini(&pair);
    return status;
}

static int write_body(const struct mp_oauth2 *oauth2, struct mp_str refresh,
                      bool names_client, struct mp_buf *out)
{
    struct form form = {out, MP_OK};
    if (refresh.length > 0) {
        put(&form, "grant_type", mp_str_of("refresh_token"));
        put(&form, "refresh_token", refresh);
    } else {
        put(&form, "grant_type", mp_str_of("client_credentials"));
    }
    put_given(&form, "scope", &oauth2->scope);
    put_given(&form, "audience", &oauth2->audience);
    if (names_client) {
        put_given(&form, "client_id", &oauth2->client_id);
        put_given(&form, "client_secret", &oauth2->client_secret);
    }
    return form.status;
}

static int set_field(struct mp_request *request, const char *name, struct mp_str value,
                     struct mp_error *err)
{
    return mp_request_set_header(request, mp_str_of(name), value, (struct mp_str){0},
                                 err);
}

static int write_fields(const struct mp_oauth2 *oauth2, const char *version,
                        bool is_basic, struct mp_request *request, struct mp_error *err)
{
    struct mp_buf value;
    mp_buf_init(&value, MP_REQUEST_URL_MAX);
    int status = mp_buf_printf(&value, "Moonpost/%s", version);
    if (status == MP_OK) {
        status = set_field(request, "User-Agent", mp_buf_str(&value), err);
    }
    if (status == MP_OK) {
        status = set_field(request, "Accept", mp_str_of("application/json"), err);
    }
    if (status == MP_OK) {
        status = set_field(request, "Content-Type",
                           mp_str_of("application/x-www-form-urlencoded"), err);
    }
    if (status == MP_OK && is_basic) {
        mp_buf_reset(&value);
        status = write_basic(oauth2, &value);
        if (status == MP_OK) {
            status = set_field(request, "Authorization", mp_buf_str(&value), err);
        }
    }
    mp_buf_fini(&value);
    return status;
}

/* A client that has no secret only says who it is (section 3.2.1). */
int mp__fetch_write(const struct mp_oauth2 *oauth2, struct mp_str refresh,
                    const char *version, struct mp_request *request, struct mp_error *err)
{
    bool is_basic = !oauth2->in_body && oauth2->client_secret.text.length > 0;
    mp_error_set(err, MP_OK, "%s", "");
    memcpy(request->method, "POST", sizeof("POST"));
    int status = mp_buf_append_str(&request->url, oauth2->token_url.text);
    if (status == MP_OK) {
        request->has_body = true;
        status = write_body(oauth2, refresh, !is_basic, &request->body);
    }
    if (status == MP_OK) {
        status = write_fields(oauth2, version, is_basic, request, err);
    }
    return err->text[0] || status == MP_OK
               ? status
               : mp_error_set(err, status, "could not ask for a token: %s",
                              mp_status_text(status));
}
