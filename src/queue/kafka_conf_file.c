/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "kafka_conf_rules.h"

#define BYTE_ORDER_MARK "\xEF\xBB\xBF"

static char *trim(char *text)
{
    while (isspace((unsigned char)*text)) {
        text++;
    }
    size_t length = strlen(text);
    while (length > 0 && isspace((unsigned char)text[length - 1])) {
        length--;
    }
    text[length] = '\0';
    return text;
}

/* A name that librdkafka could have. Anything else is not repeated in an error: it may be
 * a password that slipped. */
static bool is_name(const char *text)
{
    size_t length = strlen(text);
    return length > 0 && length <= 100 &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                        "._-") == length;
}

/* Cuts `line` up. */
static int read_setting(char *line, const char *where, mp__kafka_setting_cb each,
                        void *arg, struct mp_error *err)
{
    char *equals = strchr(line, '=');
    if (!equals) {
        return mp_error_set(err, MP_EINVAL,
                            "could not read the librdkafka settings: %s is not "
                            "name=value",
                            where);
    }
    *equals = '\0';
    const char *name = trim(line);
    if (!is_name(name)) {
        return mp_error_set(err, MP_EINVAL,
                            "could not read the librdkafka settings: %s has no name of "
                            "letters, digits, dots, - and _ before its =",
                            where);
    }
    return each(arg, name, trim(equals + 1), where, err);
}

static int read_lines(FILE *file, const char *path, mp__kafka_setting_cb each, void *arg,
                      struct mp_error *err)
{
    char *line = NULL, where[300];
    size_t capacity = 0;
    int status = MP_OK;
    errno = 0;
    for (unsigned number = 1; !status; number++) {
        ssize_t length = getline(&line, &capacity, file);
        if (length < 0) {
            break;
        }
        snprintf(where, sizeof(where), "%.250s:%u", path, number);
        bool has_mark = number == 1 && strncmp(line, BYTE_ORDER_MARK, 3) == 0;
        bool has_nul = memchr(line, '\0', (size_t)length) != NULL;
        char *text = trim(has_mark ? line + 3 : line);
        if (has_nul) {
            status = mp_error_set(err, MP_EINVAL, "could not read %s: it has a NUL byte",
                                  where);
        } else if (*text != '\0' && *text != '#') {
            status = read_setting(text, where, each, arg, err);
        }
        errno = 0;
    }
    if (!status && (ferror(file) || errno)) {
        status = mp_error_set(err, MP_EINVAL, "could not read --kafka-config %s: %s",
                              path, strerror(errno));
    }
    free(line);
    return status;
}

static int read_file(const char *path, mp__kafka_setting_cb each, void *arg,
                     struct mp_error *err)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        return mp_error_set(err, MP_EINVAL, "could not open --kafka-config %s: %s", path,
                            strerror(errno));
    }
    int status = read_lines(file, path, each, arg, err);
    fclose(file);
    return status;
}

int mp__kafka_each_setting(const struct mp_kafka_cluster *cluster,
                           mp__kafka_setting_cb each, void *arg, struct mp_error *err)
{
    int status = cluster->settings_file
                     ? read_file(cluster->settings_file, each, arg, err)
                     : MP_OK;
    for (size_t i = 0; !status && i < cluster->settings.count; i++) {
        char *text = strdup(cluster->settings.items[i]);
        status = text ? read_setting(text, "-X", each, arg, err)
                      : mp_error_set(err, MP_ENOMEM,
                                     "could not read the librdkafka settings: out of "
                                     "memory");
        free(text);
    }
    return status;
}
