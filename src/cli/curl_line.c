/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "moonpost/console.h"
#include "tools.h"

/* The request as a line for a shell. It is written from what is shown, where a secret is
 * [secret x] and oauth2's token [oauth2 token]; in the line they are "$MOONPOST_SECRET_X"
 * and "$OAUTH2_TOKEN". */

struct line {
    struct mp_buf *out;
    struct mp_str event; /* what it says itself is no secret */
    bool named_one, has_nul;
    int status;
};

static void put(struct line *line, const char *text)
{
    line->status = line->status ? line->status : mp_buf_append_text(line->out, text);
}

static void put_char(struct line *line, char c)
{
    line->status = line->status ? line->status : mp_buf_append_char(line->out, c);
}

static bool begins(struct mp_str text, const char *with)
{
    return text.length >= strlen(with) && memcmp(text.data, with, strlen(with)) == 0;
}

static bool is_name(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '+';
}

#define SECRET "[secret "
#define TOKEN  "[oauth2 token]"

/* The length of [secret x] at the beginning of `text`; 0: it is not there. */
static size_t secret_at(const struct line *line, struct mp_str text)
{
    size_t length = strlen(SECRET);
    if (begins(text, TOKEN)) {
        return strlen(TOKEN);
    }
    if (!begins(text, SECRET)) {
        return 0;
    }
    while (length < text.length && is_name(text.data[length])) {
        length++;
    }
    if (length == strlen(SECRET) || length == text.length || text.data[length] != ']') {
        return 0;
    }
    length++;
    return memmem(line->event.data, line->event.length, text.data, length) ? 0 : length;
}

static void put_secret(struct line *line, struct mp_str shown)
{
    if (begins(shown, TOKEN)) {
        put(line, "'\"$OAUTH2_TOKEN\"'");
        return;
    }
    put(line, "'\"$MOONPOST_SECRET_");
    for (size_t i = strlen(SECRET); i + 1 < shown.length; i++) {
        char c = shown.data[i];
        put_char(line, isalnum((unsigned char)c) ? (char)toupper((unsigned char)c) : '_');
    }
    put(line, "\"'");
    line->named_one = true;
}

/* Any byte may stand between a shell's single quotes, but not every one on a terminal.
 * None but a NUL is beyond a command line. */
static void put_byte(struct line *line, unsigned char c)
{
    char printf_[32];
    if (c == '\'') {
        put(line, "'\\''");
    } else if (c == '\0') {
        line->has_nul = true;
    } else if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f) {
        snprintf(printf_, sizeof(printf_), "'\"$(printf '\\%03o')\"'", c);
        put(line, printf_);
    } else {
        put_char(line, (char)c);
    }
}

/* One word, in single quotes. */
static void put_quoted(struct line *line, struct mp_str text, bool has_secrets)
{
    put_char(line, '\'');
    for (size_t i = 0; i < text.length; i++) {
        struct mp_str rest = {text.data + i, text.length - i};
        size_t secret = has_secrets ? secret_at(line, rest) : 0;
        if (secret > 0) {
            put_secret(line, (struct mp_str){rest.data, secret});
            i += secret - 1;
        } else {
            put_byte(line, (unsigned char)text.data[i]);
        }
    }
    put_char(line, '\'');
}

static void put_header(struct line *line, const struct mp_request *request, size_t index)
{
    struct mp_str value = mp_header_shown(request, index);
    struct mp_buf field;
    mp_buf_init(&field, MP_CLI_BYTES_MAX);
    int status = mp_buf_append_str(&field, mp_header_name(request, index));
    /* `Name;` is curl's way to send an empty one: `Name:` would take it out. */
    status = status ? status : mp_buf_append_text(&field, value.length > 0 ? ": " : ";");
    status = status ? status : mp_buf_append_str(&field, value);
    line->status = line->status ? line->status : status;
    put(line, " \\\n  -H ");
    put_quoted(line, mp_buf_str(&field), request->headers[index].shown_length > 0);
    mp_buf_fini(&field);
}

/* As the runtime's own curl is told (deliver/transfer_request.c): a HEAD has no body, a
 * POST, PUT or PATCH always has one. */
static void put_method(struct line *line, const char *method, bool has_data)
{
    const char *own = strcmp(method, "HEAD") == 0 ? "HEAD" : has_data ? "POST" : "GET";
    if (strcmp(own, "HEAD") == 0) {
        put(line, " --head");
    } else if (strcmp(own, method) != 0) {
        put(line, " -X ");
        put_quoted(line, mp_str_of(method), false);
    }
}

static bool has_data(const struct mp_request *request)
{
    const char *method = request->method;
    return strcmp(method, "HEAD") != 0 &&
           (request->has_body || strcmp(method, "POST") == 0 ||
            strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0);
}

/* Without the media type that curl would name by itself. */
static void put_data(struct line *line, const struct mp_try *try_)
{
    const struct mp_request *request = &try_->request;
    bool has_type = mp_request_find_header(request, mp_str_of("Content-Type")) >= 0;
    struct mp_str body = request->has_body ? mp_try_body_shown(try_) : (struct mp_str){0};
    put(line, has_type ? "" : " \\\n  -H 'Content-Type:'");
    put(line, " \\\n  --data-raw ");
    put_quoted(line, body, request->body_shown.length > 0);
}

static void put_notes(struct line *line)
{
    if (line->named_one) {
        put(line, "# MOONPOST_SECRET_… must hold what is sent: encoded, where the script "
                  "encodes it\n");
    }
    if (line->has_nul) {
        put(line, "# its NUL bytes are left out: no command line can hold one\n");
    }
}

static bool has_any(struct mp_str text, const char *bytes)
{
    for (size_t i = 0; i < text.length; i++) {
        if (strchr(bytes, text.data[i])) {
            return true;
        }
    }
    return false;
}

int mp__write_curl(struct mp_buf *out, const struct mp_try *try_)
{
    const struct mp_request *request = &try_->request;
    struct mp_str url = mp_request_url_shown(request);
    struct line line = {.out = out, .event = try_->event};
    bool with_data = has_data(request);
    put(&line, "curl");
    put(&line, has_any(url, "[]{}") ? " --globoff" : "");
    put(&line, memmem(url.data, url.length, "/.", 2) ? " --path-as-is" : "");
    put_method(&line, request->method, with_data);
    put_char(&line, ' ');
    put_quoted(&line, url, request->url_shown.length > 0);
    for (size_t i = 0; i < request->header_count; i++) {
        put_header(&line, request, i);
    }
    if (with_data) {
        put_data(&line, try_);
    }
    put_char(&line, '\n');
    put_notes(&line);
    return line.status;
}
