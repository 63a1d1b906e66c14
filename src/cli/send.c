/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "moonpost/id.h"
#include "tools.h"

struct parcel {
    struct mp_buf text; /* as read */
    struct mp_str body; /* what is posted */
    struct mp_buf wrapped;
    struct mp_buf path;
    const char *type;
    const char *fields[10];
    char id[MP_ID_BYTES];
};

static struct mp_str first_line(struct mp_str text)
{
    const char *end = memchr(text.data, '\n', text.length);
    struct mp_str line = {text.data, end ? (size_t)(end - text.data) : text.length};
    return line;
}

/* One JSON value, or one a line: what is neither is told here, before a server is asked.
 */
static int find_kind(struct parcel *parcel, enum mp_json_kind *kind)
{
    struct mp_json_fault fault;
    struct mp_str value, text = mp_buf_str(&parcel->text);
    if (!mp_json_check(text, MP_JSON_DEPTH_CEILING, &value, &fault)) {
        *kind = mp_json_kind(value);
        parcel->body = value;
        parcel->type = "application/json";
        return MP_EXIT_OK;
    }
    if (text.length &&
        !mp_json_check(first_line(text), MP_JSON_DEPTH_CEILING, NULL, NULL)) {
        *kind = MP_JSON_NONE;
        parcel->body = text;
        parcel->type = "application/x-ndjson";
        return MP_EXIT_OK;
    }
    return mp__complain(MP_EXIT_USAGE, "could not read the event: line %u, column %u: %s",
                        fault.line, fault.column, fault.reason);
}

static int set_path(struct parcel *parcel, const char *before, const char *name)
{
    if (mp_buf_append_text(&parcel->path, before) ||
        mp_percent_encode(mp_str_of(name), &parcel->path) ||
        !mp_buf_cstr(&parcel->path)) {
        return mp__complain(MP_EXIT_USAGE,
                            "could not send: the partner's name is too long");
    }
    return MP_EXIT_OK;
}

/* --endpoint: the event becomes the one data object of a postback. */
static int wrap_postback(struct parcel *parcel, const char *endpoint,
                         enum mp_json_kind kind)
{
    struct mp_error err;
    struct mp_str method, url;
    struct mp_buf *out = &parcel->wrapped;
    if (kind != MP_JSON_OBJECT && kind != MP_JSON_ARRAY) {
        return mp__complain(MP_EXIT_USAGE,
                            "--endpoint takes one JSON object or a list of them");
    }
    if (mp__read_endpoint(endpoint, &method, &url, &err)) {
        return mp__complain(MP_EXIT_USAGE, "%s", err.text);
    }
    bool is_list = kind == MP_JSON_ARRAY;
    if (mp_buf_append_text(out, "{\"endpoint\":{\"method\":") ||
        mp_json_write_string(out, method) || mp_buf_append_text(out, ",\"url\":") ||
        mp_json_write_string(out, url) ||
        mp_buf_append_text(out, is_list ? "},\"data\":" : "},\"data\":[") ||
        mp_buf_append_str(out, parcel->body) ||
        mp_buf_append_text(out, is_list ? "}" : "]}")) {
        return mp__complain(MP_EXIT_FAILED, "could not send: out of memory");
    }
    parcel->body = mp_buf_str(out);
    return set_path(parcel, "/postback", "");
}

/* A type of its own makes it a CloudEvent in binary mode, which has an id and a source
 * too. */
static int set_type(struct parcel *parcel, const char *type, enum mp_json_kind kind)
{
    if (kind != MP_JSON_OBJECT) {
        return mp__complain(MP_EXIT_USAGE, "--type takes one JSON object");
    }
    mp_id_new(parcel->id);
    const char *fields[] = {"ce-specversion", "1.0",       "ce-type",       type, "ce-id",
                            parcel->id,       "ce-source", "moonpost-send", NULL};
    memcpy(parcel->fields, fields, sizeof fields);
    return MP_EXIT_OK;
}

static bool has_member(const struct parcel *parcel, enum mp_json_kind kind,
                       const char *key)
{
    struct mp_str value;
    return kind == MP_JSON_OBJECT && mp_json_member(parcel->body, mp_str_of(key), &value);
}

static int address(const struct mp_settings *settings, const char *partner,
                   struct parcel *parcel, enum mp_json_kind kind)
{
    if (settings->endpoint) {
        return partner || settings->type
                   ? mp__complain(MP_EXIT_USAGE,
                                  "--endpoint goes with no partner and no --type")
                   : wrap_postback(parcel, settings->endpoint, kind);
    }
    if (settings->type && set_type(parcel, settings->type, kind)) {
        return MP_EXIT_USAGE;
    }
    if (partner) {
        return set_path(parcel, "/events/", partner);
    }
    if (!settings->type && has_member(parcel, kind, "endpoint")) {
        return set_path(parcel, "/postback", "");
    }
    /* Lists and lines may have a type each. */
    if (settings->type || kind != MP_JSON_OBJECT || has_member(parcel, kind, "type")) {
        return set_path(parcel, "/events", "");
    }
    return mp__complain(MP_EXIT_USAGE,
                        "could not tell whom this is for: name a partner, or give "
                        "--type, or an \"endpoint\" in it");
}

static int post(const struct mp_settings *settings, const struct parcel *parcel)
{
    struct mp__answer answer;
    struct mp_error err;
    struct mp_buf out;
    if (mp__http(settings, parcel->path.data, parcel->body, parcel->type, parcel->fields,
                 &answer, &err)) {
        return mp__complain(err.status == MP_EIO ? MP_EXIT_REACH : MP_EXIT_USAGE, "%s",
                            err.text);
    }
    int code = MP_EXIT_FAILED;
    if (mp__answer_is_good(&answer)) {
        mp_buf_init(&out, SIZE_MAX);
        bool failed = mp_buf_append_str(&out, mp_buf_str(&answer.body)) ||
                      mp_buf_append_char(&out, '\n');
        code = mp__print_buf(&out, failed);
    }
    mp__answer_fini(&answer);
    return code;
}

int mp_cli_send(const struct mp_settings *settings, const char **words, size_t count)
{
    struct parcel parcel = {.fields = {NULL}};
    struct mp_error err;
    enum mp_json_kind kind = MP_JSON_NONE;
    if (count != 1 && count != 2) {
        return mp__complain(MP_EXIT_USAGE, "usage: moonpost send [PARTNER] EVENT");
    }
    mp_buf_init(&parcel.text, MP_CLI_BYTES_MAX);
    mp_buf_init(&parcel.wrapped, 2 * (size_t)MP_CLI_BYTES_MAX);
    mp_buf_init(&parcel.path, 64 * 1024);
    int code = mp__read_word(words[count - 1], &parcel.text, &err)
                   ? mp__complain(MP_EXIT_USAGE, "%s", err.text)
                   : MP_EXIT_OK;
    code = code ? code : find_kind(&parcel, &kind);
    code = code ? code : address(settings, count == 2 ? words[0] : NULL, &parcel, kind);
    code = code ? code : post(settings, &parcel);
    mp_buf_fini(&parcel.text);
    mp_buf_fini(&parcel.wrapped);
    mp_buf_fini(&parcel.path);
    return code;
}
