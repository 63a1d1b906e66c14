/* SPDX-License-Identifier: MIT */
#include "moonpost/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options_table.h"

#define NAME_MAX_BYTES 64

struct parse {
    const struct mp_option *table;
    size_t count;
    unsigned command;
    int argc;
    char **argv;
    int at;
    void *settings;
    bool *given; /* one for each row of the table */
    struct mp_error *err;
};

static bool has(const struct mp_option *option, unsigned command)
{
    return (option->commands & command) != 0;
}

/* The rows of one name may differ from command to command: this command's row goes first.
 */
static const struct mp_option *find_name(const struct parse *parse, struct mp_str name)
{
    const struct mp_option *elsewhere = NULL;
    for (size_t i = 0; i < parse->count; i++) {
        const struct mp_option *option = &parse->table[i];
        if (mp_str_is(name, option->name)) {
            if (has(option, parse->command)) {
                return option;
            }
            elsewhere = option;
        }
    }
    return elsewhere;
}

static const struct mp_option *find_letter(const struct parse *parse, char letter)
{
    for (size_t i = 0; i < parse->count; i++) {
        const struct mp_option *option = &parse->table[i];
        if (option->letter && option->letter == letter && has(option, parse->command)) {
            return option;
        }
    }
    return NULL;
}

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* How many letters must be put in, taken out or changed. */
static size_t distance(struct mp_str a, struct mp_str b)
{
    size_t row[NAME_MAX_BYTES + 1];
    for (size_t j = 0; j <= b.length; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a.length; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.length; j++) {
            size_t above = row[j];
            size_t change = diagonal + (a.data[i - 1] == b.data[j - 1] ? 0 : 1);
            row[j] = smallest(change, above + 1, row[j - 1] + 1);
            diagonal = above;
        }
    }
    return row[b.length];
}

static const char *nearest(const struct parse *parse, struct mp_str name)
{
    const char *best = NULL;
    size_t best_distance = name.length / 3 + 1;
    for (size_t i = 0; i < parse->count && name.length <= NAME_MAX_BYTES; i++) {
        struct mp_str other = mp_str_of(parse->table[i].name);
        if (!has(&parse->table[i], parse->command) || other.length > NAME_MAX_BYTES) {
            continue;
        }
        size_t d = distance(name, other);
        if (d < best_distance || (d == best_distance && !best && d < name.length)) {
            best = parse->table[i].name;
            best_distance = d;
        }
    }
    return best;
}

static int unknown(const struct parse *parse, const char *word, struct mp_str name)
{
    const char *suggestion = nearest(parse, name);
    int shown = (int)(name.data - word) + (int)(name.length < 100 ? name.length : 100);
    if (suggestion) {
        return mp_error_set(
            parse->err, MP_EINVAL,
            "could not read the options: unknown option %.*s (did you mean "
            "--%s?)",
            shown, word, suggestion);
    }
    return mp_error_set(parse->err, MP_EINVAL,
                        "could not read the options: unknown option %.*s", shown, word);
}

static int store(struct parse *parse, const struct mp_option *option, const char *value)
{
    char origin[NAME_MAX_BYTES + 8];
    snprintf(origin, sizeof(origin), "--%s", option->name);
    parse->given[option - parse->table] = true;
    return mp__option_store(option, origin, value, parse->settings, parse->err);
}

/* `attached` is what followed the name in the same word, or NULL. */
static int take_value(struct parse *parse, const struct mp_option *option,
                      const char *attached)
{
    if (attached) {
        return store(parse, option, attached);
    }
    if (option->kind == MP_OPTION_FLAG) {
        return store(parse, option, "true");
    }
    /* A forgotten value must not swallow the next option: `--data=--x` says that it is
     * meant. */
    if (parse->at + 1 >= parse->argc ||
        strncmp(parse->argv[parse->at + 1], "--", 2) == 0) {
        return mp_error_set(parse->err, MP_EINVAL, "could not read --%s: it takes %s",
                            option->name,
                            option->argument ? option->argument : "a value");
    }
    return store(parse, option, parse->argv[++parse->at]);
}

static int take_long(struct parse *parse, const char *word)
{
    const char *equals = strchr(word, '=');
    struct mp_str name = {word + 2,
                          equals ? (size_t)(equals - word - 2) : strlen(word + 2)};
    const struct mp_option *option = find_name(parse, name);
    if (!option) {
        return unknown(parse, word, name);
    }
    if (!has(option, parse->command)) {
        return mp_error_set(parse->err, MP_EINVAL,
                            "could not read the options: --%s belongs to another command",
                            option->name);
    }
    return take_value(parse, option, equals ? equals + 1 : NULL);
}

static int take_letter(struct parse *parse, const char *word)
{
    const struct mp_option *option = find_letter(parse, word[1]);
    if (!option || (option->kind == MP_OPTION_FLAG && word[2] != '\0')) {
        /* Without what follows `=`: it may be a password. */
        return unknown(parse, word, (struct mp_str){word + 1, strcspn(word + 1, "=")});
    }
    return take_value(parse, option, word[2] != '\0' ? word + 2 : NULL);
}

static int take_words(struct parse *parse, const char **words, size_t words_max,
                      size_t *word_count)
{
    bool only_words = false;
    int status = MP_OK;
    for (parse->at = 0; parse->at < parse->argc && status == MP_OK; parse->at++) {
        const char *word = parse->argv[parse->at];
        if (!only_words && strcmp(word, "--") == 0) {
            only_words = true;
        } else if (!only_words && strncmp(word, "--", 2) == 0) {
            status = take_long(parse, word);
        } else if (!only_words && word[0] == '-' && word[1] != '\0') {
            status = take_letter(parse, word);
        } else if (*word_count == words_max) {
            status = mp_error_set(
                parse->err, MP_EINVAL,
                "could not read the command line: `%.100s` was not expected", word);
        } else {
            words[(*word_count)++] = word;
        }
    }
    return status;
}

/* An empty variable is one that is not set: compose files and units leave them so. */
static int take_environment(struct parse *parse, const struct mp_option *option)
{
    char name[MP__ENVIRONMENT_NAME_BYTES];
    mp__option_environment(option, name);
    const char *value = getenv(name);
    if (value && *value) {
        return mp__option_store(option, name, value, parse->settings, parse->err);
    }
    if (option->fallback) {
        char origin[NAME_MAX_BYTES + 8];
        snprintf(origin, sizeof(origin), "--%s", option->name);
        return mp__option_store(option, origin, option->fallback, parse->settings,
                                parse->err);
    }
    return MP_OK;
}

int mp_options_parse(const struct mp_option *table, size_t count, unsigned command,
                     int argc, char **argv, void *settings, const char **words,
                     size_t words_max, size_t *word_count, struct mp_error *err)
{
    bool *given = calloc(count ? count : 1, sizeof(*given));
    if (!given) {
        return mp_error_set(err, MP_ENOMEM, "could not read the options: out of memory");
    }
    struct parse parse = {.table = table,
                          .count = count,
                          .command = command,
                          .argc = argc,
                          .argv = argv,
                          .settings = settings,
                          .given = given,
                          .err = err};
    *word_count = 0;
    int status = take_words(&parse, words, words_max, word_count);
    for (size_t i = 0; i < count && status == MP_OK; i++) {
        if (!given[i] && has(&table[i], command)) {
            status = take_environment(&parse, &table[i]);
        }
    }
    free(given);
    return status;
}
