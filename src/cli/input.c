/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools.h"

const char *mp__plain_path(const char *path)
{
    return path[0] == '.' && path[1] == '/' && path[2] ? path + 2 : path;
}

static int read_stream(FILE *stream, const char *shown, struct mp_buf *out,
                       struct mp_error *err)
{
    char piece[64 * 1024];
    size_t length;
    errno = 0;
    while ((length = fread(piece, 1, sizeof piece, stream)) > 0) {
        if (mp_buf_append(out, piece, length)) {
            return mp_error_set(err, MP_ELIMIT, "could not read %s: it is over %u MiB",
                                shown, MP_CLI_BYTES_MAX / (1024 * 1024));
        }
    }
    if (ferror(stream)) {
        return mp_error_set(err, MP_EIO, "could not read %s: %s", shown, strerror(errno));
    }
    return MP_OK;
}

int mp__read_word(const char *word, struct mp_buf *out, struct mp_error *err)
{
    const char *first = word + strspn(word, " \t\r\n");
    if (*first == '{' || *first == '[') {
        return mp_buf_append_text(out, word)
                   ? mp_error_set(err, MP_ENOMEM,
                                  "could not read the event: out of memory")
                   : MP_OK;
    }
    if (strcmp(word, "-") == 0) {
        return read_stream(stdin, "the standard input", out, err);
    }
    FILE *file = fopen(word, "rb");
    if (!file) {
        return mp_error_set(err, MP_EIO, "could not open %s: %s", word, strerror(errno));
    }
    int status = read_stream(file, word, out, err);
    fclose(file);
    return status;
}

int mp__read_endpoint(const char *text, struct mp_str *method, struct mp_str *url,
                      struct mp_error *err)
{
    const char *space = strchr(text, ' ');
    if (!space || space == text || space[strspn(space, " ")] == 0) {
        return mp_error_set(err, MP_EINVAL,
                            "could not read --endpoint: it takes 'METHOD URL', such as "
                            "'GET http://partner.example/pb?id={id}'");
    }
    *method = (struct mp_str){text, (size_t)(space - text)};
    *url = mp_str_of(space + strspn(space, " "));
    return MP_OK;
}
