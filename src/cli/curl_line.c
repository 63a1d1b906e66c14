/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <string.h>

#include "moonpost/console.h"
#include "tools.h"

/* The request as a line for a shell. It is written from what is shown, where a secret is
 * [secret x]; in the line that is "$MOONPOST_SECRET_X". */

struct line {
    struct mp_buf *out;
    bool has_secrets; /* else [secret x] is somebody's text */
    bool named_one;
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

static bool is_name(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '-';
}

/* The length of [secret x] at the beginning of `text`; 0: it is not there. */
static size_t secret_at(struct mp_str text)
{
    static const char open[] = "[secret ";
    size_t at = sizeof(open) - 1;
    if (text.length < at || memcmp(text.data, open, at) != 0) {
        return 0;
    }
    while (at < text.length && is_name(text.data[at])) {
        at++;
    }
    return at > sizeof(open) - 1 && at < text.length && text.data[at] == ']' ? at + 1 : 0;
}

static void put_secret(struct line *line, struct mp_str shown)
{
    put(line, "'\"$MOONPOST_SECRET_");
    for (size_t i = strlen("[secret "); i + 1 < shown.length; i++) {
        char c = shown.data[i];
        put_char(line, c == '-' ? '_' : (char)toupper((unsigned char)c));
    }
    put(line, "\"'");
    line->named_one = true;
}

/* One word in single quotes. A shell knows control bytes only in $'…'. */
static void put_quoted(struct line *line, struct mp_str text)
{
    put_char(line, '\'');
    for (size_t i = 0; i < text.length; i++) {
        struct mp_str rest = {text.data + i, text.length - i};
        size_t secret = line->has_secrets ? secret_at(rest) : 0;
        unsigned char c = (unsigned char)text.data[i];
        if (secret > 0) {
            put_secret(line, (struct mp_str){rest.data, secret});
            i += secret - 1;
        } else if (c == '\'') {
            put(line, "'\\''");
        } else if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f) {
            line->status =
                line->status ? line->status : mp_buf_printf(line->out, "'$'\\x%02x''", c);
        } else {
            put_char(line, (char)c);
        }
    }
    put_char(line, '\'');
}

static void put_headers(struct line *line, const struct mp_request *request)
{
    for (size_t i = 0; i < request->header_count; i++) {
        struct mp_str name = mp_header_name(request, i);
        struct mp_str value = mp_header_shown(request, i);
        struct mp_buf field;
        mp_buf_init(&field, SIZE_MAX);
        int status = mp_buf_append_str(&field, name);
        /* `Name;` is curl's way to send an empty one: `Name:` would take it out. */
        status =
            status ? status : mp_buf_append_text(&field, value.length > 0 ? ": " : ";");
        status = status ? status : mp_buf_append_str(&field, value);
        line->status = line->status ? line->status : status;
        put(line, " \\\n  -H ");
        put_quoted(line, mp_buf_str(&field));
        mp_buf_fini(&field);
    }
}

static void put_method(struct line *line, const struct mp_request *request)
{
    if (strcmp(request->method, "HEAD") == 0 && !request->has_body) {
        put(line, " --head");
    } else if (strcmp(request->method, "GET") != 0 || request->has_body) {
        put(line, " -X ");
        put_quoted(line, mp_str_of(request->method));
    }
}

/* Without what curl would add or change by itself. */
static void put_body(struct line *line, const struct mp_try *try_)
{
    const struct mp_request *request = &try_->request;
    bool has_type = mp_request_find_header(request, mp_str_of("Content-Type")) >= 0;
    bool is_empty = !request->has_body && strcmp(request->method, "POST") == 0;
    if (request->has_body || is_empty) {
        struct mp_str body = is_empty ? (struct mp_str){0} : mp_try_body_shown(try_);
        put(line, has_type ? "" : " \\\n  -H 'Content-Type:'");
        put(line, " \\\n  --data-raw ");
        put_quoted(line, body);
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
    struct line line = {.out = out};
    line.has_secrets =
        memmem(try_->event.data, try_->event.length, "[secret ", 8) == NULL;
    put(&line, "curl");
    put(&line, has_any(url, "[]{}") ? " --globoff" : "");
    put(&line, memmem(url.data, url.length, "/.", 2) ? " --path-as-is" : "");
    put_method(&line, request);
    put_char(&line, ' ');
    put_quoted(&line, url);
    put_headers(&line, request);
    put_body(&line, try_);
    put_char(&line, '\n');
    if (line.named_one) {
        put(&line,
            "# MOONPOST_SECRET_… must hold what is sent: encoded, where the script "
            "encodes it\n");
    }
    return line.status;
}
