/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "tools.h"

void mp__answer_fini(struct mp__answer *answer)
{
    mp_buf_fini(&answer->body);
}

static bool is_object(struct mp_str text, struct mp_str *object)
{
    return !mp_json_check(text, MP_JSON_DEPTH_CEILING, object, NULL) &&
           mp_json_kind(*object) == MP_JSON_OBJECT;
}

int mp__answer_append_detail(const struct mp__answer *answer, struct mp_buf *out)
{
    struct mp_str object, text, body = mp_buf_str(&answer->body);
    struct mp_buf plain;
    mp_buf_init(&plain, MP_CLI_BYTES_MAX);
    bool is_problem = is_object(body, &object) &&
                      (mp_json_member(object, mp_str_of("detail"), &text) ||
                       mp_json_member(object, mp_str_of("title"), &text)) &&
                      mp_json_kind(text) == MP_JSON_STRING &&
                      !mp_json_unescape(text, &plain);
    struct mp_str shown = is_problem ? mp_buf_str(&plain) : body;
    shown.length = shown.length > 500 ? 500 : shown.length;
    int status = mp__append_shown(out, shown);
    mp_buf_fini(&plain);
    return status;
}

bool mp__answer_is_good(const struct mp__answer *answer)
{
    struct mp_buf text;
    if (answer->status >= 200 && answer->status < 300) {
        return true;
    }
    mp_buf_init(&text, 4096);
    const char *detail =
        mp__answer_append_detail(answer, &text) ? NULL : mp_buf_cstr(&text);
    mp__complain(MP_EXIT_FAILED, "the server answered %ld: %s", answer->status,
                 detail && *detail ? detail : "nothing more");
    mp_buf_fini(&text);
    return false;
}

int mp__api_call(const struct mp_settings *settings, const char *path, struct mp_str body,
                 struct mp__answer *answer)
{
    struct mp_error err;
    struct mp_str object;
    const char *type = body.data ? "application/json" : NULL;
    if (mp__http(settings, path, body, type, NULL, answer, &err)) {
        return mp__complain(err.status == MP_EIO ? MP_EXIT_REACH : MP_EXIT_USAGE, "%s",
                            err.text);
    }
    if (!mp__answer_is_good(answer)) {
        mp__answer_fini(answer);
        return MP_EXIT_FAILED;
    }
    if (!is_object(mp_buf_str(&answer->body), &object)) {
        mp__answer_fini(answer);
        return mp__complain(MP_EXIT_FAILED,
                            "%s answered something that is no JSON object",
                            settings->server);
    }
    return MP_EXIT_OK;
}

static int each_item(struct mp_str page, int (*each)(void *arg, struct mp_str item),
                     void *arg)
{
    struct mp_json_iter iter;
    struct mp_str items, item;
    int code = MP_EXIT_OK;
    if (!mp_json_member(page, mp_str_of("items"), &items) ||
        mp_json_kind(items) != MP_JSON_ARRAY) {
        return mp__complain(MP_EXIT_FAILED,
                            "the server answered something that is no list");
    }
    mp_json_iter_init(&iter, items);
    while (code == MP_EXIT_OK && mp_json_iter_next(&iter, NULL, &item)) {
        code = each(arg, item);
    }
    return code;
}

static int write_page_path(struct mp_buf *out, const char *path, struct mp_str cursor)
{
    mp_buf_reset(out);
    int status =
        mp_buf_printf(out, "%s%climit=1000", path, strchr(path, '?') ? '&' : '?');
    if (cursor.length) {
        status = status ? status : mp_buf_append_text(out, "&cursor=");
        status = status ? status : mp_percent_encode(cursor, out);
    }
    return status ? status : mp_buf_cstr(out) ? MP_OK : MP_ENOMEM;
}

int mp__api_list(const struct mp_settings *settings, const char *path,
                 int (*each)(void *arg, struct mp_str item), void *arg)
{
    struct mp_buf page_path, cursor;
    struct mp_str object, next;
    int code;
    mp_buf_init(&page_path, 64 * 1024);
    mp_buf_init(&cursor, 4096);
    do {
        struct mp__answer answer;
        code =
            write_page_path(&page_path, path, mp_buf_str(&cursor))
                ? mp__complain(MP_EXIT_FAILED, "could not ask the server: out of memory")
                : mp__api_call(settings, page_path.data, (struct mp_str){NULL, 0},
                               &answer);
        mp_buf_reset(&cursor);
        if (code == MP_EXIT_OK) {
            bool is_read = is_object(mp_buf_str(&answer.body), &object);
            code = is_read ? each_item(object, each, arg) : MP_EXIT_FAILED;
            if (is_read && mp_json_member(object, mp_str_of("next"), &next) &&
                mp_json_kind(next) == MP_JSON_STRING && mp_json_unescape(next, &cursor)) {
                code = mp__complain(MP_EXIT_FAILED, "the server's cursor is too long");
            }
            mp__answer_fini(&answer);
        }
    } while (code == MP_EXIT_OK && cursor.length);
    mp_buf_fini(&page_path);
    mp_buf_fini(&cursor);
    return code;
}
