/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moonpost/clock.h"
#include "options_table.h"

void mp__option_environment(const struct mp_option *option,
                            char out[MP__ENVIRONMENT_NAME_BYTES])
{
    snprintf(out, MP__ENVIRONMENT_NAME_BYTES, "MOONPOST_%s", option->name);
    for (char *at = out + strlen("MOONPOST_"); *at; at++) {
        if (*at == '-') {
            *at = '_';
        } else if (*at >= 'a' && *at <= 'z') {
            *at = (char)(*at - 'a' + 'A');
        }
    }
}

static int parse_flag(const char *text, bool *out)
{
    static const char *const yes[] = {"1", "true", "yes"};
    static const char *const no[] = {"0", "false", "no"};
    for (size_t i = 0; i < 3; i++) {
        if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
            *out = strcmp(text, yes[i]) == 0;
            return MP_OK;
        }
    }
    return MP_EINVAL;
}

static int parse_number(const char *text, int64_t *out)
{
    const char *digits = *text == '-' ? text + 1 : text;
    if (*digits == '\0' || strspn(digits, "0123456789") != strlen(digits)) {
        return MP_EINVAL;
    }
    errno = 0;
    *out = strtoll(text, NULL, 10);
    return errno == ERANGE ? MP_ELIMIT : MP_OK;
}

static int parse_size(const char *text, int64_t *out)
{
    uint64_t bytes;
    int status = mp_size_parse(mp_str_of(text), &bytes);
    if (status == MP_OK) {
        *out = (int64_t)bytes; /* the parser keeps below 2^63 */
    }
    return status;
}

static void write_size(char *out, size_t room, int64_t bytes)
{
    static const char *const units[] = {"", "KiB", "MiB", "GiB"};
    size_t unit = 0;
    while (unit < 3 && bytes != 0 && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    snprintf(out, room, "%lld%s", (long long)bytes, units[unit]);
}

static void write_bound(const struct mp_option *option, int64_t value, char *out,
                        size_t room)
{
    if (option->kind == MP_OPTION_SIZE) {
        write_size(out, room, value);
        return;
    }
    struct mp_buf text;
    mp_buf_init(&text, 64);
    int status = MP_EINVAL;
    if (option->kind == MP_OPTION_DURATION) {
        status = mp_duration_write(&text, value);
    }
    if (status == MP_OK && mp_buf_cstr(&text)) {
        snprintf(out, room, "%s", text.data);
    } else {
        snprintf(out, room, "%lld", (long long)value);
    }
    mp_buf_fini(&text);
}

static const char *takes(const struct mp_option *option)
{
    switch (option->kind) {
    case MP_OPTION_FLAG:
        return "1, true, yes or 0, false, no";
    case MP_OPTION_NUMBER:
        return "a whole number";
    case MP_OPTION_SIZE:
        return "a size such as 64KiB, 1MiB or 1000 (bytes)";
    case MP_OPTION_DURATION:
        return "a duration such as 250ms, 30s, 5m or 2h";
    case MP_OPTION_TEXT:
    case MP_OPTION_REPEATED:
        break;
    }
    return "a text";
}

static int store_integer(const struct mp_option *option, const char *origin,
                         const char *text, int64_t *member, struct mp_error *err)
{
    int64_t value = 0;
    int status = option->kind == MP_OPTION_NUMBER ? parse_number(text, &value)
                 : option->kind == MP_OPTION_SIZE
                     ? parse_size(text, &value)
                     : mp_duration_parse(mp_str_of(text), &value);
    bool limited = option->min != 0 || option->max != 0;
    if (status == MP_EINVAL || (status != MP_OK && !limited)) {
        return mp_error_set(err, MP_EINVAL, "could not read %s: `%.100s` is not %s",
                            origin, text, takes(option));
    }
    if (limited && (status != MP_OK || value < option->min || value > option->max)) {
        char low[32];
        char high[32];
        write_bound(option, option->min, low, sizeof(low));
        write_bound(option, option->max, high, sizeof(high));
        return mp_error_set(
            err, MP_EINVAL,
            "could not read %s: `%.100s` is out of range, it takes %s to %s", origin,
            text, low, high);
    }
    *member = value;
    return MP_OK;
}

static int add_text(struct mp_option_texts *texts, const char *text, struct mp_error *err)
{
    const char **items = realloc(texts->items, (texts->count + 1) * sizeof(*items));
    if (!items) {
        return mp_error_set(err, MP_ENOMEM, "could not read the options: out of memory");
    }
    items[texts->count++] = text;
    texts->items = items;
    return MP_OK;
}

int mp__option_store(const struct mp_option *option, const char *origin, const char *text,
                     void *settings, struct mp_error *err)
{
    void *member = (char *)settings + option->offset;
    switch (option->kind) {
    case MP_OPTION_FLAG:
        if (parse_flag(text, member) != MP_OK) {
            return mp_error_set(err, MP_EINVAL, "could not read %s: `%.100s` is not %s",
                                origin, text, takes(option));
        }
        return MP_OK;
    case MP_OPTION_TEXT:
        *(const char **)member = text;
        return MP_OK;
    case MP_OPTION_REPEATED:
        return add_text(member, text, err);
    case MP_OPTION_NUMBER:
    case MP_OPTION_SIZE:
    case MP_OPTION_DURATION:
        break;
    }
    return store_integer(option, origin, text, member, err);
}
