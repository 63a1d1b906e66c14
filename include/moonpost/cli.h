/* SPDX-License-Identifier: MIT */
#pragma once

#include "moonpost/ingest.h"
#include "moonpost/options.h"
#include "moonpost/scripts.h"

/* The subcommands, and the one table of options. Each mp_cli_<command> returns the exit
 * code. */

enum mp_command {
    MP_COMMAND_RUN = 1 << 0,
    MP_COMMAND_CHECK = 1 << 1,
    MP_COMMAND_TRY = 1 << 2,
    MP_COMMAND_SEND = 1 << 3,
    MP_COMMAND_SINK = 1 << 4,
    MP_COMMAND_PARTNER = 1 << 5,
    MP_COMMAND_VERSION = 1 << 6,
    MP_COMMAND_HELP = 1 << 7,
    MP_COMMAND_DEAD = 1 << 8,
    MP_COMMAND_TOPICS = 1 << 9,
    MP_COMMAND_HEALTH = 1 << 10,
    MP_COMMAND_TEST = 1 << 11,
    MP_COMMAND_NEW = 1 << 12
};

/* Exit codes, as documented by `moonpost help`. */
enum mp_exit {
    MP_EXIT_OK = 0,
    MP_EXIT_FAILED = 1, /* the command did its work and the answer is no */
    MP_EXIT_USAGE = 2,  /* the words on the command line */
    MP_EXIT_REACH = 3   /* the server or the cluster could not be reached, the port not
                           listened on, or a program that is needed not found */
};

/* Which halves of Moonpost a process is. */
enum mp_role { MP_ROLE_INGEST = 1, MP_ROLE_DELIVER = 2, MP_ROLE_ALL = 3 };

struct mp_settings {
    /* run */
    const char *listen, *scripts, *secrets, *data, *egress_allow, *ingest_token_file,
        *api_token_file;
    const char *log_level, *ingest_rate;
    struct mp_option_texts proxies;
    bool no_auth, reload_gate;
    int64_t reload_gate_ms;
    int64_t workers, drain_ms, idempotency_window_ms;
    struct mp_ingest_limits limits;
    /* run with Kafka */
    const char *role, *partners;
    int64_t kafka_timeout_ms, kafka_window, kafka_memory_bytes, unknown_partner_ms;
    /* run and topics */
    const char *kafka, *topic_prefix, *kafka_config;
    struct mp_option_texts kafka_settings;
    /* topics */
    int64_t partitions, replication, retention_ms; /* retention 0: for ever */
    /* the client commands */
    const char *server, *token_file;
    bool json;
    /* try, send */
    const char *type, *endpoint;
    int64_t attempt;
    /* sink */
    const char *fail;
    int64_t status, delay_ms;
    const char *body;
    /* dead */
    const char *partner, *since, *until;
    bool dry_run;
    /* test: what followed `--` */
    char **rest;
    size_t rest_count;
};

const struct mp_option *mp_cli_options(size_t *count);
/* The command of that name, 0: none. */
enum mp_command mp_cli_command(const char *name);
/* NULL: the overview. An unknown name: MP_EXIT_USAGE, with the nearest command on stderr.
 */
int mp_cli_help(const char *command);
/* "all", "ingest" or "deliver"; MP_EINVAL otherwise. */
MP_MUST_CHECK int mp_cli_role_parse(const char *name, enum mp_role *role);
int mp_cli_version(void);
int mp_cli_check(const struct mp_settings *settings, const char **words, size_t count);
int mp_cli_try(const struct mp_settings *settings, const char **words, size_t count,
               mp_try_builder builder);
int mp_cli_send(const struct mp_settings *settings, const char **words, size_t count);
int mp_cli_sink(const struct mp_settings *settings);
int mp_cli_partner(const struct mp_settings *settings, const char **words, size_t count);
int mp_cli_dead(const struct mp_settings *settings, const char **words, size_t count);
int mp_cli_topics(const struct mp_settings *settings, const char **words, size_t count);
int mp_cli_health(const struct mp_settings *settings);
/* MP_ENOTFOUND: what `test` needs is not there; `err` says what, and where to get it. */
MP_MUST_CHECK int mp_cli_can_test(struct mp_error *err);
int mp_cli_test(const struct mp_settings *settings, const char **words, size_t count);
int mp_cli_new(const struct mp_settings *settings, const char **words, size_t count);
