/* SPDX-License-Identifier: MIT */
#include "moonpost/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "moonpost/clock.h"

#define TEXT_MAX       2048
#define LINE_MAX_BYTES 4096 /* PIPE_BUF on Linux: a pipe takes so much in one piece */

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static atomic_int lowest = MP_LOG_INFO;

void mp_log_set_level(enum mp_log_level level)
{
    atomic_store_explicit(&lowest, (int)level, memory_order_relaxed);
}

int mp_log_level_parse(const char *name, enum mp_log_level *level)
{
    for (int i = MP_LOG_DEBUG; i <= (int)MP_LOG_ERROR; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *level = (enum mp_log_level)i;
            return MP_OK;
        }
    }
    return MP_EINVAL;
}

/* C1 control characters (U+0080 to U+009F) move a terminal's cursor as C0 ones do. */
static bool is_c1(const unsigned char *at)
{
    return at[0] == 0xC2 && at[1] >= 0x80 && at[1] <= 0x9F;
}

static size_t escape(char *out, const unsigned char *at, size_t count)
{
    static const char digits[] = "0123456789abcdef";
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        out[length++] = '\\';
        out[length++] = 'x';
        out[length++] = digits[at[i] >> 4];
        out[length++] = digits[at[i] & 15];
    }
    return length;
}

/* Room for `\xNN\xNN` and the newline is kept to the end. */
static size_t write_safe(char *line, size_t used, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    while (*at && used < LINE_MAX_BYTES - 10) {
        size_t count = is_c1(at) ? 2 : 1;
        if (count == 2 || *at < 0x20 || *at == 0x7F) {
            used += escape(line + used, at, count);
        } else {
            line[used++] = (char)*at;
        }
        at += count;
    }
    return used;
}

static void write_whole(const char *line, size_t length)
{
    while (length > 0) {
        ssize_t written = write(STDERR_FILENO, line, length);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return; /* nowhere is left to say it */
        }
        line += written;
        length -= (size_t)written;
    }
}

void mp_log(enum mp_log_level level, const char *room, const char *format, ...)
{
    if ((int)level < atomic_load_explicit(&lowest, memory_order_relaxed)) {
        return;
    }
    int before = errno;
    char text[TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);

    char time[MP_TIME_BYTES];
    mp_time_format(mp_clock_wall_ms(), time);
    char line[LINE_MAX_BYTES];
    int head = snprintf(line, 128, "%s %s %s: ", time, level_names[level], room);
    size_t used = head < 0 ? 0 : head < 128 ? (size_t)head : 127;
    used = write_safe(line, used, text);
    line[used++] = '\n';
    write_whole(line, used);
    errno = before;
}
