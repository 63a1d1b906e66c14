/* SPDX-License-Identifier: MIT */
#include "tokens.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "moonpost/clock.h"
#include "moonpost/id.h"
#include "moonpost/log.h"

#define FILE_BYTES_MAX ((size_t)64 * 1024)
#define TOKENS_MAX     1000
#define CHECK_EVERY_MS 1000

struct mp__tokens {
    char *path;
    int64_t checked_ms; /* monotonic */
    struct timespec changed;
    off_t size;
    ino_t inode;
    size_t count;
    uint8_t (*digests)[MP_SHA256_BYTES];
};

struct token_list {
    size_t count;
    uint8_t (*digests)[MP_SHA256_BYTES];
};

static int read_file(const char *path, struct stat *info, struct mp_buf *out,
                     struct mp_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, info) != 0) {
        int status = mp_error_set(err, MP_EIO, "could not read the tokens of %s: %s",
                                  path, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return status;
    }
    char piece[4096];
    ssize_t got;
    int status = MP_OK;
    while (status == MP_OK && (got = read(fd, piece, sizeof(piece))) > 0) {
        status = mp_buf_append(out, piece, (size_t)got);
    }
    close(fd);
    if (status != MP_OK) {
        return mp_error_set(err, MP_EINVAL,
                            "could not read the tokens of %s: over %zu bytes", path,
                            FILE_BYTES_MAX);
    }
    return got < 0 ? mp_error_set(err, MP_EIO, "could not read the tokens of %s: %s",
                                  path, strerror(errno))
                   : MP_OK;
}

static struct mp_str trim(struct mp_str line)
{
    while (line.length && strchr(" \t\r", line.data[0])) {
        line.data++;
        line.length--;
    }
    while (line.length && strchr(" \t\r", line.data[line.length - 1])) {
        line.length--;
    }
    return line;
}

static bool is_visible(struct mp_str token)
{
    for (size_t i = 0; i < token.length; i++) {
        if (token.data[i] <= ' ' || token.data[i] >= 0x7f) {
            return false;
        }
    }
    return true;
}

static int add_line(const char *path, unsigned line, struct mp_str text,
                    struct token_list *list, struct mp_error *err)
{
    struct mp_str token = trim(text);
    if (token.length == 0 || token.data[0] == '#') {
        return MP_OK;
    }
    if (!is_visible(token)) {
        return mp_error_set(
            err, MP_EINVAL,
            "could not read the tokens of %s: line %u is not one token of "
            "visible characters",
            path, line);
    }
    if (list->count == TOKENS_MAX) {
        return mp_error_set(err, MP_EINVAL,
                            "could not read the tokens of %s: more than %d", path,
                            TOKENS_MAX);
    }
    void *digests = realloc(list->digests, (list->count + 1) * sizeof(*list->digests));
    if (!digests) {
        return mp_error_set(err, MP_ENOMEM,
                            "could not read the tokens of %s: out of memory", path);
    }
    list->digests = digests;
    mp_sha256(token, list->digests[list->count++]);
    return MP_OK;
}

static int parse(const char *path, struct mp_str text, struct token_list *list,
                 struct mp_error *err)
{
    unsigned line = 1;
    int status = MP_OK;
    for (size_t from = 0; from < text.length && status == MP_OK; line++) {
        const char *lf = memchr(text.data + from, '\n', text.length - from);
        size_t end = lf ? (size_t)(lf - text.data) : text.length;
        status = add_line(path, line, (struct mp_str){text.data + from, end - from}, list,
                          err);
        from = end + 1;
    }
    if (status == MP_OK && list->count == 0) {
        return mp_error_set(err, MP_EINVAL,
                            "could not read the tokens of %s: there is none in it", path);
    }
    return status;
}

static int load(struct mp__tokens *tokens, struct mp_error *err)
{
    struct mp_buf text;
    struct stat info = {0};
    struct token_list list = {0, NULL};
    mp_buf_init(&text, FILE_BYTES_MAX);
    int status = read_file(tokens->path, &info, &text, err);
    if (status == MP_OK) {
        tokens->changed = info.st_mtim;
        tokens->size = info.st_size;
        tokens->inode = info.st_ino;
        status = parse(tokens->path, mp_buf_str(&text), &list, err);
    }
    if (text.data) {
        explicit_bzero(text.data, text.capacity);
    }
    mp_buf_fini(&text);
    if (status != MP_OK) {
        free(list.digests);
        return status;
    }
    free(tokens->digests);
    tokens->digests = list.digests;
    tokens->count = list.count;
    return MP_OK;
}

int mp__tokens_open(const char *path, struct mp__tokens **out, struct mp_error *err)
{
    struct mp__tokens *tokens = calloc(1, sizeof(*tokens));
    if (!tokens || !(tokens->path = strdup(path))) {
        free(tokens);
        return mp_error_set(err, MP_ENOMEM,
                            "could not read the tokens of %s: out of memory", path);
    }
    int status = load(tokens, err);
    if (status != MP_OK) {
        mp__tokens_free(tokens);
        return status;
    }
    tokens->checked_ms = mp_clock_mono_ms();
    *out = tokens;
    return MP_OK;
}

void mp__tokens_free(struct mp__tokens *tokens)
{
    if (tokens) {
        free(tokens->digests);
        free(tokens->path);
        free(tokens);
    }
}

static void refresh(struct mp__tokens *tokens)
{
    int64_t now = mp_clock_mono_ms();
    if (now - tokens->checked_ms < CHECK_EVERY_MS) {
        return;
    }
    tokens->checked_ms = now;
    struct stat info;
    if (stat(tokens->path, &info) == 0 && info.st_size == tokens->size &&
        info.st_ino == tokens->inode && info.st_mtim.tv_sec == tokens->changed.tv_sec &&
        info.st_mtim.tv_nsec == tokens->changed.tv_nsec) {
        return;
    }
    struct mp_error err;
    if (load(tokens, &err) == MP_OK) {
        mp_log_info("ingest", "read %zu tokens from %s", tokens->count, tokens->path);
    } else {
        mp_log_error("ingest", "%s; those read before stay valid", err.text);
    }
}

bool mp__tokens_has(struct mp__tokens *tokens, struct mp_str token)
{
    refresh(tokens);
    uint8_t digest[MP_SHA256_BYTES];
    mp_sha256(token, digest);
    unsigned found = 0;
    for (size_t i = 0; i < tokens->count; i++) {
        struct mp_str a = {(const char *)digest, sizeof(digest)};
        struct mp_str b = {(const char *)tokens->digests[i], sizeof(digest)};
        found |= mp_equal_constant_time(a, b);
    }
    return found != 0 && token.length > 0;
}
