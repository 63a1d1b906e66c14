/* SPDX-License-Identifier: MIT */
#include "tools.h"

struct checks {
    const struct mp_settings *settings;
    struct mp_buf out;
    size_t count;
    size_t broken;
    bool failed;
};

static int write_line(struct mp_buf *out, const char *file, const char *generation,
                      const char *error)
{
    if (!error) {
        return mp_buf_printf(out, "%s: ok (generation %s)\n", file, generation);
    }
    int status = mp__append_shown(out, mp_str_of(error));
    return status ? status : mp_buf_append_char(out, '\n');
}

static int write_item(struct mp_buf *out, bool is_first, const char *file,
                      const char *generation, const char *error)
{
    int status = mp_buf_append_text(out, is_first ? "{\"file\":" : ",{\"file\":");
    status = status ? status : mp_json_write_string(out, mp_str_of(file));
    status = status ? status
                    : mp_buf_append_text(out, error ? ",\"ok\":false,\"error\":"
                                                    : ",\"ok\":true,\"generation\":");
    status = status ? status
                    : mp_json_write_string(out, mp_str_of(error ? error : generation));
    return status ? status : mp_buf_append_char(out, '}');
}

static void on_checked(void *arg, const char *file, struct mp_script *script,
                       const char *error)
{
    struct checks *checks = arg;
    const char *generation = script ? script->generation : "";
    int status =
        checks->settings->json
            ? write_item(&checks->out, checks->count == 0, file, generation, error)
            : write_line(&checks->out, file, generation, error);
    checks->failed = checks->failed || status;
    checks->broken += error != NULL;
    checks->count++;
}

static void check_path(struct checks *checks, const char *path)
{
    size_t before = checks->count, broken = checks->broken;
    path = mp__plain_path(path);
    int failures = mp_scripts_check(path, checks->settings->secrets, on_checked, checks);
    if (failures > (int)(checks->broken - broken)) {
        /* Something was not told file by file. */
        checks->broken++;
    }
    if (checks->count == before) {
        mp__complain(MP_EXIT_FAILED, "there is no script in %s", path);
        checks->broken++;
    }
}

int mp_cli_check(const struct mp_settings *settings, const char **words, size_t count)
{
    struct checks checks = {.settings = settings};
    mp_buf_init(&checks.out, SIZE_MAX);
    if (settings->json) {
        checks.failed = mp_buf_append_text(&checks.out, "{\"items\":[");
    }
    if (count == 0) {
        check_path(&checks, settings->scripts);
    }
    for (size_t i = 0; i < count; i++) {
        check_path(&checks, words[i]);
    }
    if (settings->json) {
        checks.failed = checks.failed || mp_buf_append_text(&checks.out, "]}\n");
    }
    int code = mp__print_buf(&checks.out, checks.failed);
    return code == MP_EXIT_OK && checks.broken ? MP_EXIT_FAILED : code;
}
