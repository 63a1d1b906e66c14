/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tools.h"

int mp__complain(int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("moonpost: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return code;
}

int mp__print(struct mp_str text)
{
    errno = 0;
    if ((text.length && fwrite(text.data, 1, text.length, stdout) != text.length) ||
        fflush(stdout) != 0) {
        return errno == EPIPE
                   ? MP_EXIT_FAILED
                   : mp__complain(MP_EXIT_FAILED, "could not write the output: %s",
                                  strerror(errno));
    }
    return MP_EXIT_OK;
}

int mp__print_buf(struct mp_buf *buf, bool failed)
{
    int code =
        failed ? mp__complain(MP_EXIT_FAILED, "could not write the output: out of memory")
               : mp__print(mp_buf_str(buf));
    mp_buf_fini(buf);
    return code;
}

int mp__append_shown(struct mp_buf *out, struct mp_str text)
{
    int status = mp_buf_reserve(out, text.length);
    for (size_t i = 0; !status && i < text.length; i++) {
        unsigned char c = (unsigned char)text.data[i];
        bool is_control = (c < 0x20 && c != '\t' && c != '\n') || c == 0x7f;
        /* U+0080 to U+009F, which some terminals obey: C2 80 to C2 9F in UTF-8. */
        bool is_c1 =
            i > 0 && (unsigned char)text.data[i - 1] == 0xc2 && c >= 0x80 && c <= 0x9f;
        if (is_c1) {
            out->data[out->length - 1] = '?';
        } else {
            status = mp_buf_append_char(out, is_control ? '?' : (char)c);
        }
    }
    return status;
}

int mp__append_span(struct mp_buf *out, int64_t ms)
{
    static const struct {
        int64_t ms;
        const char *name;
    } units[] = {{3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
    int status = ms <= 0 ? mp_buf_append_text(out, "0s") : MP_OK;
    for (size_t i = 0; i < sizeof units / sizeof units[0] && !status; i++) {
        if (ms >= units[i].ms) {
            status = mp_buf_printf(out, "%" PRId64 "%s", ms / units[i].ms, units[i].name);
            ms %= units[i].ms;
        }
    }
    return status;
}
