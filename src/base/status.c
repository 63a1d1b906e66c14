/* SPDX-License-Identifier: MIT */
#include "moonpost/status.h"

#include <stdio.h>
#include <string.h>

const char *mp_status_name(int status)
{
    switch (status) {
#define X(name, value, text)                                                             \
    case value:                                                                          \
        return #name;
        MP_STATUS_MAP(X)
#undef X
    default:
        return "UNKNOWN";
    }
}

const char *mp_status_text(int status)
{
    switch (status) {
#define X(name, value, text)                                                             \
    case value:                                                                          \
        return text;
        MP_STATUS_MAP(X)
#undef X
    default:
        return "UNKNOWN";
    }
}

int mp_error_set(struct mp_error *err, int status, const char *format, ...)
{
    if (!err) {
        return status;
    }
    /* The arguments may point into the text that is being replaced. */
    char text[sizeof(err->text)];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    err->status = status;
    memcpy(err->text, text, sizeof(text));
    return status;
}

int mp_error_wrap(struct mp_error *err, const char *format, ...)
{
    if (!err) {
        return MP_OK;
    }
    char text[2 * sizeof(err->text)];
    va_list args;
    va_start(args, format);
    int used = vsnprintf(text, sizeof(err->text), format, args);
    va_end(args);
    if (used < 0) {
        return err->status;
    }
    size_t at = (size_t)used < sizeof(err->text) ? (size_t)used : sizeof(err->text) - 1;
    snprintf(text + at, sizeof(text) - at, ": %s", err->text);
    memcpy(err->text, text, sizeof(err->text));
    err->text[sizeof(err->text) - 1] = '\0';
    return err->status;
}
