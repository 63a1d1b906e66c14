/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools.h"

/* The only file of the room that knows libcurl and its codes. */

#define CONNECT_MS 5000
#define WHOLE_MS   120000 /* a replay of many answers when it is through */
#define TOKEN_MAX  4096

struct request {
    CURL *curl;
    struct curl_slist *fields;
    struct mp_buf url;
    long whole_ms;
    char token[TOKEN_MAX];
};

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    struct mp_buf *body = arg;
    return mp_buf_append(body, data, size * count) ? 0 : size * count;
}

static int read_token(const char *path, char token[TOKEN_MAX], struct mp_error *err)
{
    FILE *file = fopen(path, "r");
    if (!file) {
        return mp_error_set(err, MP_EINVAL, "could not open --token-file %s: %s", path,
                            strerror(errno));
    }
    bool is_read = fgets(token, TOKEN_MAX, file) != NULL;
    fclose(file);
    size_t length = is_read ? strcspn(token, " \t\r\n") : 0;
    if (length == 0) {
        return mp_error_set(err, MP_EINVAL,
                            "could not read --token-file %s: its first line is no token",
                            path);
    }
    token[length] = 0;
    return MP_OK;
}

static int add_field(struct request *request, const char *name, const char *value)
{
    char line[TOKEN_MAX + 64];
    snprintf(line, sizeof line, "%s: %s", name, value);
    struct curl_slist *longer = curl_slist_append(request->fields, line);
    request->fields = longer ? longer : request->fields;
    return longer ? MP_OK : MP_ENOMEM;
}

static int add_fields(struct request *request, const char *token_file, const char *type,
                      const char *const *fields, struct mp_error *err)
{
    int status = type ? add_field(request, "Content-Type", type) : MP_OK;
    /* No 100-continue: the server is ours and takes the body at once. */
    status = status ? status : add_field(request, "Expect", "");
    for (size_t i = 0; fields && fields[i] && !status; i += 2) {
        status = add_field(request, fields[i], fields[i + 1]);
    }
    if (!status && token_file) {
        char value[TOKEN_MAX + 16];
        int read = read_token(token_file, request->token, err);
        if (read) {
            return read;
        }
        snprintf(value, sizeof value, "Bearer %s", request->token);
        status = add_field(request, "Authorization", value);
    }
    return status ? mp_error_set(err, status, "could not ask the server: out of memory")
                  : MP_OK;
}

static int write_url(struct request *request, const char *server, const char *path,
                     struct mp_error *err)
{
    size_t length = strlen(server);
    while (length && server[length - 1] == '/') {
        length--;
    }
    mp_buf_init(&request->url, 64 * 1024);
    if (mp_buf_append(&request->url, server, length) ||
        mp_buf_append_text(&request->url, path) || !mp_buf_cstr(&request->url)) {
        return mp_error_set(err, MP_ENOMEM, "could not ask the server: out of memory");
    }
    return MP_OK;
}

/* "connection refused": why, as a sentence goes on. */
static const char *reason_of(CURL *curl, CURLcode code, const char *detail, char out[256])
{
    long number = 0;
    const char *text = detail[0] ? detail : curl_easy_strerror(code);
    curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &number);
    if (code == CURLE_COULDNT_CONNECT && number) {
        text = strerror((int)number);
    } else if (code == CURLE_OPERATION_TIMEDOUT) {
        text = "no answer in time";
    } else if (code == CURLE_COULDNT_RESOLVE_HOST) {
        text = "its name is not known";
    } else if (code == CURLE_WRITE_ERROR) {
        text = "its answer is too large";
    }
    snprintf(out, 256, "%s", text);
    bool is_word = isupper((unsigned char)out[0]) && islower((unsigned char)out[1]);
    out[0] = is_word ? (char)tolower((unsigned char)out[0]) : out[0];
    return out;
}

static void set_up(struct request *request, struct mp_str body, struct mp_buf *answer,
                   char detail[CURL_ERROR_SIZE])
{
    CURL *curl = request->curl;
    curl_easy_setopt(curl, CURLOPT_URL, request->url.data);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, request->whole_ms);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "moonpost/" MP_VERSION);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, request->fields);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    if (body.data) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.length);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.data);
    }
}

static int perform(struct request *request, const char *server, struct mp_str body,
                   struct mp__answer *answer, struct mp_error *err)
{
    char detail[CURL_ERROR_SIZE] = "", reason[256];
    set_up(request, body, &answer->body, detail);
    CURLcode code = curl_easy_perform(request->curl);
    if (code != CURLE_OK) {
        return mp_error_set(err, MP_EIO, "could not reach %s: %s; is `moonpost run` up?",
                            server, reason_of(request->curl, code, detail, reason));
    }
    curl_easy_getinfo(request->curl, CURLINFO_RESPONSE_CODE, &answer->status);
    return MP_OK;
}

static int ask(const struct mp_settings *settings, const char *path, struct mp_str body,
               const char *type, const char *const *fields, long whole_ms,
               struct mp__answer *answer, struct mp_error *err)
{
    struct request request = {.curl = curl_easy_init(), .whole_ms = whole_ms};
    if (!request.curl) {
        return mp_error_set(err, MP_ENOMEM, "could not ask the server: out of memory");
    }
    answer->status = 0;
    mp_buf_init(&answer->body, MP_CLI_BYTES_MAX);
    int status = write_url(&request, settings->server, path, err);
    status =
        status ? status : add_fields(&request, settings->token_file, type, fields, err);
    status = status ? status : perform(&request, settings->server, body, answer, err);
    curl_slist_free_all(request.fields);
    curl_easy_cleanup(request.curl);
    mp_buf_fini(&request.url);
    if (status) {
        mp__answer_fini(answer);
    }
    return status;
}

int mp__http(const struct mp_settings *settings, const char *path, struct mp_str body,
             const char *type, const char *const *fields, struct mp__answer *answer,
             struct mp_error *err)
{
    return ask(settings, path, body, type, fields, WHOLE_MS, answer, err);
}

int mp__http_get_within(const struct mp_settings *settings, const char *path,
                        long whole_ms, struct mp__answer *answer, struct mp_error *err)
{
    return ask(settings, path, (struct mp_str){NULL, 0}, NULL, NULL, whole_ms, answer,
               err);
}
