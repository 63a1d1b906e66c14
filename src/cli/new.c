/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "embedded.h"
#include "places.h"

/* What a text leaves open, "@PARTNER@", and what stands there. */
struct blank {
    const char *mark, *value;
};

struct work {
    const char *partner;
    char folder[MP__PATH_BYTES]; /* --scripts */
    struct mp__words made;       /* to be taken back when the rest fails */
    struct mp_buf said;          /* to be told when it does not */
    bool failed;                 /* memory is out */
};

/* Every value stands between double quotes, or is a partner's name. */
static int put_value(struct mp_buf *out, const char *value)
{
    int status = MP_OK;
    for (; *value && status == MP_OK; value++) {
        if (*value == '"' || *value == '\\' || *value == '\n') {
            status = mp_buf_append_char(out, '\\');
        }
        status = status ? status : mp_buf_append_char(out, *value);
    }
    return status;
}

static const struct blank *blank_at(const struct blank *blanks, struct mp_str rest)
{
    for (; blanks->mark; blanks++) {
        size_t length = strlen(blanks->mark);
        if (rest.length >= length && memcmp(rest.data, blanks->mark, length) == 0) {
            return blanks;
        }
    }
    return NULL;
}

static int fill(struct mp_str text, const struct blank *blanks, struct mp_buf *out)
{
    int status = MP_OK;
    while (text.length > 0 && status == MP_OK) {
        const struct blank *blank = blank_at(blanks, text);
        size_t length = blank ? strlen(blank->mark) : 1;
        status =
            blank ? put_value(out, blank->value) : mp_buf_append_char(out, text.data[0]);
        text = (struct mp_str){text.data + length, text.length - length};
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

/* Also a link to nothing is in the way. */
static bool is_there(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static void say(struct work *work, const char *what, const char *path)
{
    work->failed = work->failed || mp_buf_printf(&work->said, "%s%s\n", what, path);
}

static bool make_folder(struct work *work, const char *path)
{
    if (mkdir(path, 0777) != 0) {
        return errno == EEXIST;
    }
    mp__words_add(&work->made, path);
    return true;
}

/* The folders above `path`. */
static bool make_folders(struct work *work, const char *path)
{
    char folder[MP__PATH_BYTES];
    const char *slash = strchr(path + 1, '/');
    for (; slash; slash = strchr(slash + 1, '/')) {
        if (!mp__path(folder, "%.*s", (int)(slash - path), path) ||
            !make_folder(work, folder)) {
            return false;
        }
    }
    return true;
}

static bool write_all(int fd, struct mp_str text)
{
    while (text.length > 0) {
        ssize_t written = write(fd, text.data, text.length);
        if (written < 0 && errno != EINTR) {
            return false;
        }
        size_t length = written > 0 ? (size_t)written : 0;
        text = (struct mp_str){text.data + length, text.length - length};
    }
    return true;
}

static bool write_file(struct work *work, const char *path, struct mp_str text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) {
        return false;
    }
    mp__words_add(&work->made, path);
    bool is_whole = write_all(fd, text);
    return close(fd) == 0 && is_whole;
}

static int make(struct work *work, const char *path, const char *name,
                const struct blank *blanks)
{
    struct mp_buf text;
    int code = MP_EXIT_OK;
    mp_buf_init(&text, MP_CLI_BYTES_MAX);
    if (fill(text_of(name), blanks, &text) != MP_OK) {
        code = mp__complain(MP_EXIT_FAILED, "could not write %s: out of memory", path);
    } else if (!make_folders(work, path) || !write_file(work, path, mp_buf_str(&text))) {
        code =
            mp__complain(MP_EXIT_FAILED, "could not write %s: %s", path, strerror(errno));
    } else {
        say(work, "wrote ", path);
    }
    mp_buf_fini(&text);
    return code;
}

/* How this folder calls that of the scripts: "scripts/", "" when it is the same. False:
 * it lies elsewhere. */
static bool find_inside(const char *folder, char inside[MP__PATH_BYTES])
{
    if (strcmp(folder, ".") == 0) {
        inside[0] = '\0';
        return true;
    }
    if (folder[0] != '/' && strcmp(folder, "..") != 0 && strncmp(folder, "../", 3) != 0) {
        return mp__path(inside, "%s/", folder);
    }
    char *whole = realpath(folder, NULL), *here = realpath(".", NULL);
    size_t length = here ? strlen(here) : 0;
    bool is_inside = whole && here && strncmp(whole, here, length) == 0 &&
                     (whole[length] == '/' || whole[length] == '\0');
    if (is_inside) {
        is_inside = whole[length] == '\0' ? mp__path(inside, "%s", "")
                                          : mp__path(inside, "%s/", whole + length + 1);
    }
    free(whole);
    free(here);
    return is_inside;
}

/* What an editor, luacheck and busted look for in the folder they are started in. */
static int make_settings(struct work *work)
{
    static const char *const files[][2] = {
        {".luarc.json", "new/luarc.json"},
        {".luacheckrc", "new/luacheckrc"},
        {".busted", "new/busted"},
        {".moonpost/library/moonpost.lua", "library/moonpost.lua"},
        {".moonpost/library/testing.lua", "library/testing.lua"},
    };
    struct mp__places places = {{0}, {0}};
    char inside[MP__PATH_BYTES];
    if (!find_inside(work->folder, inside)) {
        say(work, "no settings for editors, luacheck and busted here: it is not above ",
            work->folder);
        return MP_EXIT_OK;
    }
    if (mp__places_find(&places, NULL) != MP_OK) {
        mp__path(places.modules, "/usr/local/share/lua/5.1");
    }
    const struct blank blanks[] = {
        {"@SCRIPTS@", inside}, {"@MODULES@", places.modules}, {NULL, NULL}};
    int code = MP_EXIT_OK;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && code == MP_EXIT_OK; i++) {
        if (is_there(files[i][0])) {
            say(work, "kept ", files[i][0]);
        } else {
            code = make(work, files[i][0], files[i][1], blanks);
        }
    }
    return code;
}

/* Specs name a script from the folder above the scripts': "scripts/acme.lua". */
static void find_prefix(const char *folder, char prefix[MP__PATH_BYTES])
{
    const char *slash = strrchr(folder, '/');
    const char *name = slash ? slash + 1 : folder;
    bool is_dots = strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || !*name;
    if (is_dots || !mp__path(prefix, "%s/", name)) {
        prefix[0] = '\0';
    }
}

static int make_pair(struct work *work, const char *script, const char *spec)
{
    char prefix[MP__PATH_BYTES];
    find_prefix(work->folder, prefix);
    const struct blank blanks[] = {
        {"@PARTNER@", work->partner}, {"@SCRIPTS@", prefix}, {NULL, NULL}};
    bool is_postback = strcmp(work->partner, "postback") == 0;
    int code =
        make(work, script, is_postback ? "new/postback.lua" : "new/partner.lua", blanks);
    return code ? code
                : make(work, spec,
                       is_postback ? "new/postback_spec.lua" : "new/partner_spec.lua",
                       blanks);
}

static void say_what_next(struct work *work, const char *script)
{
    const char *partner = work->partner;
    const char *endpoint = strcmp(partner, "postback") == 0
                               ? " --endpoint 'GET https://partner.example/?c={click_id}'"
                               : "";
    work->failed =
        work->failed ||
        mp_buf_printf(&work->said,
                      "\nNow change %s to what the partner wants, and its spec with it:\n"
                      "  moonpost check %s\n"
                      "  moonpost try %s%s '{\"click_id\":\"c-1\"}'\n"
                      "  moonpost test %s\n",
                      script, script, partner, endpoint, partner);
}

/* All of it, or nothing. */
static int conclude(struct work *work, int code)
{
    if (code == MP_EXIT_OK && (work->failed || work->made.failed)) {
        code = mp__complain(MP_EXIT_FAILED, "could not write %s: out of memory",
                            work->partner);
    }
    for (size_t i = work->made.count; code != MP_EXIT_OK && i > 0; i--) {
        remove(work->made.items[i - 1]);
    }
    code = code ? code : mp__print(mp_buf_str(&work->said));
    mp__words_fini(&work->made);
    mp_buf_fini(&work->said);
    return code;
}

static int make_partner(struct work *work)
{
    char script[MP__PATH_BYTES], spec[MP__PATH_BYTES];
    if (!mp__path(script, "%s/%s.lua", work->folder, work->partner) ||
        !mp__path(spec, "%s/spec/%s_spec.lua", work->folder, work->partner)) {
        return mp__complain(MP_EXIT_FAILED, "could not write %s/%s.lua: %s", work->folder,
                            work->partner, strerror(errno));
    }
    if (is_there(script) || is_there(spec)) {
        return mp__complain(MP_EXIT_FAILED, "%s is there already: nothing was changed",
                            is_there(script) ? script : spec);
    }
    int code = make_pair(work, script, spec);
    code = code ? code : make_settings(work);
    say_what_next(work, script);
    return code;
}

int mp_cli_new(const struct mp_settings *settings, const char **words, size_t count)
{
    struct work work = {0};
    if (count != 1) {
        return mp__complain(MP_EXIT_USAGE, "usage: moonpost new PARTNER");
    }
    work.partner = words[0];
    if (!mp_partner_name_is_valid(mp_str_of(work.partner))) {
        return mp__complain(MP_EXIT_USAGE,
                            "\"%s\" is no partner's name: [a-z0-9][a-z0-9_-]{0,63}",
                            work.partner);
    }
    if (!mp__folder(work.folder, settings->scripts)) {
        return mp__complain(MP_EXIT_FAILED, "could not write %s: %s", settings->scripts,
                            strerror(errno));
    }
    mp_buf_init(&work.said, MP_CLI_BYTES_MAX);
    return conclude(&work, make_partner(&work));
}
