/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "app.h"
#include "moonpost/deliver.h"
#include "moonpost/log.h"

#define WORDS_MAX 4096

/* A descriptor a connection, in and out: the soft limit of 1,024 is too few by far. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int run(const struct mp_settings *settings)
{
    enum mp_log_level level;
    if (mp_log_level_parse(settings->log_level, &level) != MP_OK) {
        fprintf(stderr,
                "moonpost: --log-level takes debug, info, warn or error, not \"%s\"\n",
                settings->log_level);
        return MP_EXIT_USAGE;
    }
    mp_log_set_level(level);
    raise_descriptor_limit();
    struct mp_error err = {0};
    int status = mp_app_run(settings, &err);
    if (status != MP_OK) {
        fprintf(stderr, "moonpost: %s\n",
                err.text[0] != '\0' ? err.text : mp_status_text(status));
        return status == MP_EINVAL || status == MP_EDENIED ? MP_EXIT_USAGE
                                                           : MP_EXIT_REACH;
    }
    return MP_EXIT_OK;
}

static int dispatch(enum mp_command command, const struct mp_settings *settings,
                    const char **words, size_t count)
{
    switch (command) {
    case MP_COMMAND_RUN:
        return run(settings);
    case MP_COMMAND_CHECK:
        return mp_cli_check(settings, words, count);
    case MP_COMMAND_TRY:
        return mp_cli_try(settings, words, count, mp_request_try);
    case MP_COMMAND_SEND:
        return mp_cli_send(settings, words, count);
    case MP_COMMAND_SINK:
        return mp_cli_sink(settings);
    case MP_COMMAND_PARTNER:
        return mp_cli_partner(settings, words, count);
    case MP_COMMAND_DEAD:
        return mp_cli_dead(settings, words, count);
    case MP_COMMAND_TOPICS:
        return mp_cli_topics(settings, words, count);
    case MP_COMMAND_HEALTH:
        return mp_cli_health(settings);
    case MP_COMMAND_TEST:
        return mp_cli_test(settings, words, count);
    case MP_COMMAND_NEW:
        return mp_cli_new(settings, words, count);
    case MP_COMMAND_VERSION:
        return mp_cli_version();
    case MP_COMMAND_HELP:
        return mp_cli_help(count > 0 ? words[0] : NULL);
    }
    return MP_EXIT_USAGE;
}

/* Commands that are told everything by flags: a word left over is a slip of the pen. */
static bool takes_words(enum mp_command command)
{
    return (command & (MP_COMMAND_RUN | MP_COMMAND_SINK | MP_COMMAND_HEALTH |
                       MP_COMMAND_VERSION)) == 0;
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 2; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            return true;
        }
    }
    return false;
}

/* What follows `--` is another program's. How many words are our own. */
static int cut_rest(enum mp_command command, int argc, char **argv,
                    struct mp_settings *settings)
{
    int at = 2;
    while (at < argc && (command != MP_COMMAND_TEST || strcmp(argv[at], "--") != 0)) {
        at++;
    }
    if (at < argc) {
        settings->rest = argv + at + 1;
        settings->rest_count = (size_t)(argc - at - 1);
    }
    return at;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        mp_cli_help(NULL);
        return MP_EXIT_USAGE;
    }
    enum mp_command command = mp_cli_command(argv[1]);
    if (command == 0) {
        return mp_cli_help(argv[1]) == MP_EXIT_OK ? MP_EXIT_OK : MP_EXIT_USAGE;
    }
    if (asks_for_help(argc, argv)) {
        return mp_cli_help(argv[1]);
    }
    size_t table_count, word_count;
    const struct mp_option *table = mp_cli_options(&table_count);
    static const char *words[WORDS_MAX];
    static struct mp_settings settings; /* its lists live as long as the process */
    struct mp_error err = {0};
    int own = cut_rest(command, argc, argv, &settings);
    if (mp_options_parse(table, table_count, command, own - 2, argv + 2, &settings, words,
                         WORDS_MAX, &word_count, &err) != MP_OK) {
        fprintf(stderr, "moonpost: %s\n", err.text);
        return MP_EXIT_USAGE;
    }
    if (word_count > 0 && !takes_words(command)) {
        fprintf(stderr, "moonpost: %s takes only flags, not \"%s\"\n", argv[1], words[0]);
        return MP_EXIT_USAGE;
    }
    return dispatch(command, &settings, words, word_count);
}
