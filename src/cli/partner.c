/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "tools.h"

/* A whole list is put together before it is printed: a page that fails leaves no half. */
struct listing {
    struct mp__table table;
    struct mp_buf json;
};

static int on_partner(void *arg, struct mp_str item)
{
    static const char *const members[] = {"name", "state", "waiting", "in_flight",
                                          "generation"};
    struct listing *listing = arg;
    struct mp_str error = {NULL, 0};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        mp__table_member(&listing->table, item, members[i]);
    }
    bool has_error = mp_json_member(item, mp_str_of("error"), &error) &&
                     mp_json_kind(error) == MP_JSON_STRING;
    mp__table_member(&listing->table, item, has_error ? "error" : "reason");
    if ((listing->json.length && mp_buf_append_char(&listing->json, ',')) ||
        mp_buf_append_str(&listing->json, item)) {
        return mp__complain(MP_EXIT_FAILED, "could not list the partners: out of memory");
    }
    return MP_EXIT_OK;
}

static int print_items(const struct mp_buf *items)
{
    struct mp_buf out;
    mp_buf_init(&out, SIZE_MAX);
    bool failed = mp_buf_append_text(&out, "{\"items\":[") ||
                  mp_buf_append_str(&out, mp_buf_str(items)) ||
                  mp_buf_append_text(&out, "]}\n");
    return mp__print_buf(&out, failed);
}

static int list_partners(const struct mp_settings *settings)
{
    static const char *const heads[] = {"NAME",      "STATE",      "WAITING",
                                        "IN_FLIGHT", "GENERATION", "WHY"};
    struct listing listing;
    mp__table_init(&listing.table, sizeof heads / sizeof heads[0]);
    mp_buf_init(&listing.json, SIZE_MAX);
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        mp__table_cell(&listing.table, mp_str_of(heads[i]));
    }
    int code = mp__api_list(settings, "/api/partners", on_partner, &listing);
    if (code == MP_EXIT_OK) {
        code =
            settings->json ? print_items(&listing.json) : mp__table_print(&listing.table);
    }
    mp__table_fini(&listing.table);
    mp_buf_fini(&listing.json);
    return code;
}

static int print_changed(const struct mp_settings *settings, const char *name,
                         const char *verb, const struct mp_buf *answer)
{
    struct mp_buf out;
    mp_buf_init(&out, MP_CLI_BYTES_MAX);
    bool failed = settings->json
                      ? mp_buf_append_str(&out, mp_buf_str(answer)) ||
                            mp_buf_append_char(&out, '\n')
                      : mp_buf_printf(&out, "%s is %sd\n", name, verb) != MP_OK;
    return mp__print_buf(&out, failed);
}

static int change_partner(const struct mp_settings *settings, const char *verb,
                          const char *name)
{
    struct mp__answer answer;
    struct mp_buf path;
    mp_buf_init(&path, 64 * 1024);
    if (mp_buf_append_text(&path, "/api/partners/") ||
        mp_percent_encode(mp_str_of(name), &path) || mp_buf_printf(&path, "/%s", verb) ||
        !mp_buf_cstr(&path)) {
        mp_buf_fini(&path);
        return mp__complain(MP_EXIT_USAGE,
                            "could not %s the partner: its name is too long", verb);
    }
    int code = mp__api_call(settings, path.data, mp_str_of("{}"), &answer);
    mp_buf_fini(&path);
    if (code == MP_EXIT_OK) {
        code = print_changed(settings, name, verb, &answer.body);
        mp__answer_fini(&answer);
    }
    return code;
}

int mp_cli_partner(const struct mp_settings *settings, const char **words, size_t count)
{
    if (count == 1 && strcmp(words[0], "list") == 0) {
        return list_partners(settings);
    }
    if (count == 2 &&
        (strcmp(words[0], "pause") == 0 || strcmp(words[0], "resume") == 0)) {
        return change_partner(settings, words[0], words[1]);
    }
    return mp__complain(MP_EXIT_USAGE,
                        "usage: moonpost partner list | pause NAME | resume NAME");
}
