/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "embedded.h"
#include "places.h"

/* What the texts leave open. */
struct blanks {
    const char *partner, *scripts, *lpath;
};

static int fill_blank(struct mp_str name, const struct blanks *blanks, struct mp_buf *out)
{
    static const char *const names[] = {"@PARTNER@", "@SCRIPTS@", "@LPATH@"};
    const char *values[] = {blanks->partner, blanks->scripts, blanks->lpath};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (mp_str_is(name, names[i])) {
            return mp_buf_append_text(out, values[i]);
        }
    }
    return mp_buf_append_str(out, name);
}

static int fill(struct mp_str text, const struct blanks *blanks, struct mp_buf *out)
{
    const char *end = text.data + text.length;
    int status = MP_OK;
    for (const char *at = text.data; at < end && status == MP_OK;) {
        size_t length = 0;
        while (*at == '@' && at + length + 1 < end &&
               ((at[length + 1] >= 'A' && at[length + 1] <= 'Z'))) {
            length++;
        }
        if (length > 0 && at + length + 1 < end && at[length + 1] == '@') {
            status = fill_blank((struct mp_str){at, length + 2}, blanks, out);
            at += length + 2;
        } else {
            status = mp_buf_append_char(out, *at++);
        }
    }
    return status;
}

static struct mp_str text_of(const char *name)
{
    const struct mp__embedded *each = mp__embedded;
    while (each->name && strcmp(each->name, name) != 0) {
        each++;
    }
    return each->text;
}

/* The folders above `path`. */
static bool make_folders(const char *path)
{
    char folder[4096];
    for (const char *slash = strchr(path + 1, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        size_t length = (size_t)(slash - path);
        if (length >= sizeof(folder)) {
            errno = ENAMETOOLONG;
            return false;
        }
        memcpy(folder, path, length);
        folder[length] = '\0';
        if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
            return false;
        }
    }
    return true;
}

static bool write_new(const char *path, struct mp_str text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) {
        return false;
    }
    ssize_t written = write(fd, text.data, text.length);
    bool whole = written == (ssize_t)text.length;
    return close(fd) == 0 && whole;
}

static int make(const char *path, const char *name, const struct blanks *blanks)
{
    struct mp_buf text;
    mp_buf_init(&text, MP_CLI_BYTES_MAX);
    int code = MP_EXIT_OK;
    if (fill(text_of(name), blanks, &text) != MP_OK) {
        code = mp__complain(MP_EXIT_FAILED, "could not write %s: out of memory", path);
    } else if (!make_folders(path) || !write_new(path, mp_buf_str(&text))) {
        code =
            mp__complain(MP_EXIT_FAILED, "could not write %s: %s", path, strerror(errno));
    } else {
        printf("wrote %s\n", path);
    }
    mp_buf_fini(&text);
    return code;
}

static int make_settings(const struct blanks *blanks)
{
    static const char *const files[][2] = {
        {".luarc.json", "new/luarc.json"},
        {".luacheckrc", "new/luacheckrc"},
        {".busted", "new/busted"},
        {".moonpost/library/moonpost.lua", "library/moonpost.lua"},
        {".moonpost/library/testing.lua", "library/testing.lua"},
    };
    int code = MP_EXIT_OK;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && code == MP_EXIT_OK; i++) {
        if (access(files[i][0], F_OK) == 0) {
            printf("kept  %s, which was there\n", files[i][0]);
        } else {
            code = make(files[i][0], files[i][1], blanks);
        }
    }
    return code;
}

/* Where plain busted does not look by itself it is told: `, lpath = "…"`. */
static void find_lpath(char lpath[8192])
{
    struct mp__places places;
    lpath[0] = '\0';
    if (mp__places_find(&places, NULL) == MP_OK) {
        char *whole = realpath(places.modules, NULL);
        if (whole && strcmp(whole, "/usr/local/share/lua/5.1") != 0 &&
            strcmp(whole, "/usr/share/lua/5.1") != 0) {
            snprintf(lpath, 8192, ",\n           lpath = \"%s/?.lua\"", whole);
        }
        free(whole);
    }
}

static int make_partner(const struct mp_settings *settings, const char *partner)
{
    char script[4096], spec[4096], lpath[8192];
    const char *folder = mp__plain_path(settings->scripts);
    struct blanks blanks = {partner, folder, lpath};
    snprintf(script, sizeof(script), "%s/%s.lua", folder, partner);
    snprintf(spec, sizeof(spec), "%s/spec/%s_spec.lua", folder, partner);
    const char *there = access(script, F_OK) == 0 ? script
                        : access(spec, F_OK) == 0 ? spec
                                                  : NULL;
    if (there) {
        return mp__complain(MP_EXIT_FAILED, "%s is there already: nothing was changed",
                            there);
    }
    find_lpath(lpath);
    int code = make(spec, "new/partner_spec.lua", &blanks);
    code = code ? code : make(script, "new/partner.lua", &blanks);
    code = code ? code : make_settings(&blanks);
    if (code == MP_EXIT_OK) {
        printf("\nNow change %s to what the partner wants, and its spec with it:\n"
               "  moonpost check %s\n"
               "  moonpost try %s '{\"click_id\":\"c-1\"}'\n"
               "  moonpost test %s\n",
               script, script, partner, partner);
    }
    return code;
}

int mp_cli_new(const struct mp_settings *settings, const char **words, size_t count)
{
    if (count != 1) {
        return mp__complain(MP_EXIT_USAGE, "usage: moonpost new PARTNER");
    }
    if (!mp_partner_name_is_valid(mp_str_of(words[0]))) {
        return mp__complain(MP_EXIT_USAGE,
                            "\"%s\" is no partner's name: [a-z0-9][a-z0-9_-]{0,63}",
                            words[0]);
    }
    return make_partner(settings, words[0]);
}
