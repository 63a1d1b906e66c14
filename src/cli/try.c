/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "moonpost/console.h"
#include "places.h"

static const char *ordinal_ending(size_t n)
{
    if (n % 100 >= 11 && n % 100 <= 13) {
        return "th";
    }
    return n % 10 == 1 ? "st" : n % 10 == 2 ? "nd" : n % 10 == 3 ? "rd" : "th";
}

static int write_timetable(struct mp_buf *out, const struct mp_try *try_)
{
    int64_t whole_ms = 0;
    int status =
        mp_buf_append_text(out, try_->retry_count ? "\n" : "\nnot tried again\n");
    for (size_t i = 0; i < try_->retry_count && !status; i++) {
        size_t n = i + 2;
        whole_ms += try_->retry_ms[i];
        status = mp_buf_printf(out, "%zu%s attempt after ", n, ordinal_ending(n));
        status = status ? status : mp__append_span(out, try_->retry_ms[i]);
        status = status ? status : mp_buf_append_char(out, '\n');
    }
    if (try_->retry_count) {
        status = status ? status : mp_buf_append_text(out, "in all ");
        status = status ? status : mp__append_span(out, whole_ms);
        status = status ? status : mp_buf_append_char(out, '\n');
    }
    return status;
}

static int write_request(struct mp_buf *out, const struct mp_try *try_)
{
    const struct mp_request *request = &try_->request;
    int status = mp_buf_printf(out, "%s ", request->method);
    status = status ? status : mp_buf_append_str(out, mp_request_url_shown(request));
    status = status ? status : mp_buf_append_char(out, '\n');
    for (size_t i = 0; !status && i < request->header_count; i++) {
        status = mp_buf_append_str(out, mp_header_name(request, i));
        status = status ? status : mp_buf_append_text(out, ": ");
        status = status ? status : mp_buf_append_str(out, mp_header_shown(request, i));
        status = status ? status : mp_buf_append_char(out, '\n');
    }
    if (request->has_body) {
        status = status ? status : mp_buf_append_char(out, '\n');
        status = status ? status : mp_buf_append_str(out, mp_try_body_shown(try_));
        status = status ? status : mp_buf_append_char(out, '\n');
    }
    status = status ? status : mp_buf_append_char(out, '\n');
    status = status ? status : mp__write_curl(out, try_);
    return status ? status : write_timetable(out, try_);
}

static int print_try(const struct mp_settings *settings, const struct mp_try *try_)
{
    struct mp_buf out;
    mp_buf_init(&out, SIZE_MAX);
    bool failed = settings->json
                      ? mp_try_write_json(try_, &out) || mp_buf_append_char(&out, '\n')
                      : write_request(&out, try_) != MP_OK;
    return mp__print_buf(&out, failed);
}

static void on_done(struct mp_try *try_)
{
    (void)try_; /* mp_scripts_try_file blocks: the answer is there when it returns */
}

static int run_try(const struct mp_settings *settings, struct mp_try *try_,
                   mp_try_builder builder)
{
    struct mp_error err = {.status = MP_OK};
    char folder[MP__PATH_BYTES];
    if (!mp__folder(folder, settings->scripts)) {
        return mp__complain(MP_EXIT_FAILED, "could not read %s: %s", settings->scripts,
                            strerror(errno));
    }
    mp_request_init(&try_->request);
    try_->done = on_done;
    int code;
    if (mp_scripts_try_file(folder, settings->secrets, builder, try_, &err)) {
        code = mp__complain(MP_EXIT_FAILED, "%s",
                            err.text[0] ? err.text : mp_status_text(err.status));
    } else if (try_->status) {
        code =
            mp__complain(MP_EXIT_FAILED, "%.*s would not be sent this: %s",
                         (int)try_->partner.length, try_->partner.data,
                         try_->reason[0] ? try_->reason : mp_status_text(try_->status));
    } else {
        code = print_try(settings, try_);
    }
    mp_request_fini(&try_->request);
    return code;
}

static int read_event(const char *word, struct mp_buf *text, struct mp_str *event)
{
    struct mp_error err;
    struct mp_json_fault fault;
    if (mp__read_word(word, text, &err)) {
        return mp__complain(MP_EXIT_USAGE, "%s", err.text);
    }
    if (mp_json_check(mp_buf_str(text), MP_JSON_DEPTH_CEILING, event, &fault)) {
        return mp__complain(MP_EXIT_USAGE,
                            "could not read the event: line %u, column %u: %s",
                            fault.line, fault.column, fault.reason);
    }
    if (mp_json_kind(*event) != MP_JSON_OBJECT) {
        return mp__complain(MP_EXIT_USAGE,
                            "could not read the event: it must be a JSON object");
    }
    return MP_EXIT_OK;
}

static int read_endpoint(const struct mp_settings *settings, struct mp_try *try_)
{
    struct mp_error err;
    bool is_postback = mp_str_is(try_->partner, "postback");
    if (is_postback != (settings->endpoint != NULL)) {
        return mp__complain(MP_EXIT_USAGE,
                            is_postback
                                ? "the partner postback needs --endpoint 'METHOD URL'"
                                : "--endpoint is for the partner postback alone");
    }
    if (!is_postback) {
        return MP_EXIT_OK;
    }
    if (mp__read_endpoint(settings->endpoint, &try_->endpoint_method, &try_->endpoint_url,
                          &err) ||
        mp_try_endpoint_fault(try_->endpoint_method, try_->endpoint_url, &err)) {
        return mp__complain(MP_EXIT_USAGE, "%s", err.text);
    }
    return MP_EXIT_OK;
}

int mp_cli_try(const struct mp_settings *settings, const char **words, size_t count,
               mp_try_builder builder)
{
    struct mp_try try_ = {.attempt = (uint32_t)settings->attempt};
    struct mp_buf text, type;
    if (count != 2) {
        return mp__complain(MP_EXIT_USAGE, "usage: moonpost try PARTNER EVENT");
    }
    try_.partner = mp_str_of(words[0]);
    if (!mp_partner_name_is_valid(try_.partner)) {
        return mp__complain(MP_EXIT_USAGE,
                            "\"%s\" is no partner's name: [a-z0-9][a-z0-9_-]{0,63}",
                            words[0]);
    }
    mp_buf_init(&text, MP_CLI_BYTES_MAX);
    mp_buf_init(&type, MP_CLI_BYTES_MAX);
    int code = read_endpoint(settings, &try_);
    code = code ? code : read_event(words[1], &text, &try_.event);
    if (code == MP_EXIT_OK) {
        bool has_type = settings->type || mp_try_own_type(try_.event, &type) == MP_OK;
        try_.type = settings->type ? mp_str_of(settings->type) : mp_buf_str(&type);
        code = has_type ? run_try(settings, &try_, builder)
                        : mp__complain(MP_EXIT_FAILED, "could not try: out of memory");
    }
    mp_buf_fini(&text);
    mp_buf_fini(&type);
    return code;
}
