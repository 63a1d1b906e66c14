/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "moonpost/clock.h"
#include "tools.h"

#define COLUMNS 6
#define ROWS    1000 /* printed at a time: there may be millions */

struct listing {
    const struct mp_settings *settings;
    struct mp__table table;
    struct mp_buf json; /* what is not printed yet */
    size_t count;
};

static int flush_rows(struct listing *listing)
{
    int code = MP_EXIT_OK;
    if (listing->settings->json) {
        code = mp__print(mp_buf_str(&listing->json));
        mp_buf_reset(&listing->json);
    } else {
        code = mp__table_print(&listing->table);
        mp__table_fini(&listing->table);
    }
    return code;
}

static int on_letter(void *arg, struct mp_str item)
{
    static const char *const members[COLUMNS] = {"id",     "partner",  "last_at",
                                                 "status", "attempts", "reason"};
    struct listing *listing = arg;
    if (listing->settings->json) {
        if ((listing->count && mp_buf_append_char(&listing->json, ',')) ||
            mp_buf_append_str(&listing->json, item)) {
            return mp__complain(MP_EXIT_FAILED,
                                "could not list dead letters: out of memory");
        }
    } else {
        for (size_t i = 0; i < COLUMNS; i++) {
            mp__table_member(&listing->table, item, members[i]);
        }
    }
    listing->count++;
    return listing->count % ROWS == 0 ? flush_rows(listing) : MP_EXIT_OK;
}

static void write_heads(struct mp__table *table)
{
    static const char *const heads[COLUMNS] = {"ID",     "PARTNER",  "LAST_AT",
                                               "STATUS", "ATTEMPTS", "REASON"};
    for (size_t i = 0; i < COLUMNS; i++) {
        mp__table_cell(table, mp_str_of(heads[i]));
    }
}

static int list_letters(const struct mp_settings *settings)
{
    struct listing listing = {.settings = settings};
    struct mp_buf path;
    int code = MP_EXIT_FAILED;
    mp__table_init(&listing.table, COLUMNS);
    mp_buf_init(&listing.json, SIZE_MAX);
    mp_buf_init(&path, 64 * 1024);
    write_heads(&listing.table);
    bool failed =
        mp_buf_append_text(&listing.json, "{\"items\":[") ||
        mp_buf_append_text(&path, "/api/dead") ||
        (settings->partner && (mp_buf_append_text(&path, "?partner=") ||
                               mp_percent_encode(mp_str_of(settings->partner), &path)));
    if (!failed && mp_buf_cstr(&path)) {
        code = mp__api_list(settings, path.data, on_letter, &listing);
    }
    if (code == MP_EXIT_OK && mp_buf_append_text(&listing.json, "]}\n") == MP_OK) {
        code = flush_rows(&listing);
    }
    mp__table_fini(&listing.table);
    mp_buf_fini(&listing.json);
    mp_buf_fini(&path);
    return code;
}

static int print_answer(struct mp__answer *answer)
{
    struct mp_buf out;
    mp_buf_init(&out, SIZE_MAX);
    bool failed = mp_buf_append_str(&out, mp_buf_str(&answer->body)) ||
                  mp_buf_append_char(&out, '\n');
    mp__answer_fini(answer);
    return mp__print_buf(&out, failed);
}

static int show_letter(const struct mp_settings *settings, const char *id)
{
    struct mp__answer answer;
    struct mp_buf path;
    int code = MP_EXIT_FAILED;
    mp_buf_init(&path, 64 * 1024);
    if (!mp_buf_append_text(&path, "/api/dead/") &&
        !mp_percent_encode(mp_str_of(id), &path) && mp_buf_cstr(&path)) {
        code = mp__api_call(settings, path.data, (struct mp_str){NULL, 0}, &answer);
    }
    mp_buf_fini(&path);
    return code == MP_EXIT_OK ? print_answer(&answer) : code;
}

/* RFC 3339 as it is; a duration is that long ago. */
static int write_time(struct mp_buf *out, const char *flag, const char *text)
{
    char time[MP_TIME_BYTES];
    int64_t ms;
    if (!mp_duration_parse(mp_str_of(text), &ms)) {
        ms = mp_clock_wall_ms() - ms;
    } else if (mp_time_parse(mp_str_of(text), &ms)) {
        return mp__complain(MP_EXIT_USAGE,
                            "could not read --%s: \"%s\" is neither RFC 3339 "
                            "(2026-11-23T22:04:19Z) nor a duration (2h)",
                            flag, text);
    }
    mp_time_format(ms, time);
    return mp_buf_printf(out, ",\"%s\":\"%s\"", flag, time) ? MP_EXIT_FAILED : MP_EXIT_OK;
}

static int write_range(struct mp_buf *out, const struct mp_settings *settings)
{
    int code = MP_EXIT_OK;
    if (settings->partner && (mp_buf_append_text(out, ",\"partner\":") ||
                              mp_json_write_string(out, mp_str_of(settings->partner)))) {
        return MP_EXIT_FAILED;
    }
    if (settings->since) {
        code = write_time(out, "since", settings->since);
    }
    if (code == MP_EXIT_OK && settings->until) {
        code = write_time(out, "until", settings->until);
    }
    return code;
}

static int write_ids(struct mp_buf *out, const char **ids, size_t count)
{
    int status = mp_buf_append_text(out, ",\"ids\":[");
    for (size_t i = 0; !status && i < count; i++) {
        status = i ? mp_buf_append_char(out, ',') : MP_OK;
        status = status ? status : mp_json_write_string(out, mp_str_of(ids[i]));
    }
    return status || mp_buf_append_char(out, ']') ? MP_EXIT_FAILED : MP_EXIT_OK;
}

static int print_count(struct mp_str body, const char *verb, bool dry_run)
{
    struct mp_str matched = mp_str_of("?"), done = mp_str_of("?"), unknown = {NULL, 0},
                  id;
    struct mp_json_iter iter;
    struct mp_buf out;
    (void)mp_json_member(body, mp_str_of("matched"), &matched);
    (void)mp_json_member(body, mp_str_of(verb), &done);
    mp_buf_init(&out, SIZE_MAX);
    bool failed = mp_buf_printf(&out, "%.*s matched, %.*s %s%s\n", (int)matched.length,
                                matched.data, (int)done.length, done.data, verb,
                                dry_run ? " (dry run)" : "");
    bool has_unknown = mp_json_member(body, mp_str_of("unknown"), &unknown) &&
                       mp_json_kind(unknown) == MP_JSON_ARRAY;
    size_t unknown_count = 0;
    if (has_unknown) {
        mp_json_iter_init(&iter, unknown);
        for (; !failed && mp_json_iter_next(&iter, NULL, &id); unknown_count++) {
            failed = mp_buf_append_text(&out, "not among the dead letters: ") ||
                     mp__append_shown(&out, id) || mp_buf_append_char(&out, '\n');
        }
    }
    int code = mp__print_buf(&out, failed);
    return code == MP_EXIT_OK && unknown_count ? MP_EXIT_FAILED : code;
}

static int change_letters(const struct mp_settings *settings, const char *path,
                          const char *verb, const char **ids, size_t count)
{
    struct mp__answer answer;
    struct mp_buf body;
    mp_buf_init(&body, MP_CLI_BYTES_MAX);
    int code =
        mp_buf_printf(&body, "{\"dry_run\":%s", settings->dry_run ? "true" : "false")
            ? MP_EXIT_FAILED
            : MP_EXIT_OK;
    code = code ? code : count ? write_ids(&body, ids, count) : MP_EXIT_OK;
    code = code ? code : write_range(&body, settings);
    code = code ? code : mp_buf_append_char(&body, '}') ? MP_EXIT_FAILED : MP_EXIT_OK;
    code = code ? code : mp__api_call(settings, path, mp_buf_str(&body), &answer);
    mp_buf_fini(&body);
    if (code != MP_EXIT_OK) {
        return code;
    }
    if (settings->json) {
        return print_answer(&answer);
    }
    code = print_count(mp_buf_str(&answer.body), verb, settings->dry_run);
    mp__answer_fini(&answer);
    return code;
}

int mp_cli_dead(const struct mp_settings *settings, const char **words, size_t count)
{
    const char *verb = count ? words[0] : "";
    bool has_range = settings->partner || settings->since || settings->until;
    bool is_replay = strcmp(verb, "replay") == 0;
    if (count == 1 && strcmp(verb, "list") == 0) {
        if (settings->since || settings->until) {
            return mp__complain(MP_EXIT_USAGE, "dead list takes --partner alone");
        }
        return list_letters(settings);
    }
    if (count == 2 && strcmp(verb, "show") == 0) {
        return show_letter(settings, words[1]);
    }
    if (!is_replay && strcmp(verb, "purge") != 0) {
        return mp__complain(MP_EXIT_USAGE,
                            "usage: moonpost dead list | show ID | replay [ID…] | "
                            "purge [ID…]");
    }
    if ((count > 1) == has_range) {
        return mp__complain(
            MP_EXIT_USAGE,
            "say which dead letters to %s: ids, or any of --partner, --since and "
            "--until",
            verb);
    }
    return change_letters(settings, is_replay ? "/api/dead/replay" : "/api/dead/purge",
                          is_replay ? "replayed" : "purged", words + 1, count - 1);
}
