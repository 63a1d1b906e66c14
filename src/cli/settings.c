/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "moonpost/cli.h"

#define AT(member) offsetof(struct mp_settings, member)
#define CLIENT     (MP_COMMAND_SEND | MP_COMMAND_PARTNER | MP_COMMAND_DEAD)
#define KAFKA      (MP_COMMAND_RUN | MP_COMMAND_TOPICS)
#define LISTS                                                                            \
    (MP_COMMAND_CHECK | MP_COMMAND_TRY | MP_COMMAND_SINK | MP_COMMAND_PARTNER |          \
     MP_COMMAND_DEAD | MP_COMMAND_TOPICS)
#define SECRETS (MP_COMMAND_RUN | MP_COMMAND_CHECK | MP_COMMAND_TRY)
#define SCRIPTS (SECRETS | MP_COMMAND_TEST | MP_COMMAND_NEW)

#define SECOND_MS 1000
#define HOUR_MS   (3600 * (int64_t)SECOND_MS)
#define DAY_MS    (24 * HOUR_MS)
#define KIB       1024
#define MIB       (1024 * (int64_t)KIB)

#define TEXT(name, argument, fallback, help, commands, member)                           \
    {                                                                                    \
        name, 0, MP_OPTION_TEXT, argument, fallback, help, commands, AT(member), 0, 0    \
    }
#define FLAG(name, help, commands, member)                                               \
    {                                                                                    \
        name, 0, MP_OPTION_FLAG, NULL, NULL, help, commands, AT(member), 0, 0            \
    }
#define TEXTS(name, letter, argument, help, commands, member)                            \
    {                                                                                    \
        name, letter, MP_OPTION_REPEATED, argument, NULL, help, commands, AT(member), 0, \
            0                                                                            \
    }
#define LIMIT(name, kind, argument, fallback, help, commands, member, min, max)          \
    {                                                                                    \
        name, 0, MP_OPTION_##kind, argument, fallback, help, commands, AT(member), min,  \
            max                                                                          \
    }

static const struct mp_option options[] = {
    TEXT("listen", "HOST:PORT", "127.0.0.1:4000",
         "where to listen; off loopback it needs --ingest-token-file or --no-auth",
         MP_COMMAND_RUN, listen),
    TEXT("listen", "HOST:PORT", "127.0.0.1:9000",
         "where to listen; port 0 takes a free one", MP_COMMAND_SINK, listen),
    TEXT("scripts", "DIR", "scripts", "the folder of the partners' scripts", SCRIPTS,
         scripts),
    TEXT("secrets", "DIR", NULL,
         "a folder of secrets, a file each, as Docker and Kubernetes mount them", SECRETS,
         secrets),
    FLAG("reload-gate",
         "a script goes live only when its spec, DIR/spec/<partner>_spec.lua, passes",
         MP_COMMAND_RUN, reload_gate),
    LIMIT("reload-gate-timeout", DURATION, "DURATION", "30s",
          "how long a spec may take before its script is refused", MP_COMMAND_RUN,
          reload_gate_ms, 100, HOUR_MS),
    TEXTS("proxy", 0, "NAME=URL",
          "a proxy that scripts may name: eu=http://user:password@10.0.0.1:3128",
          MP_COMMAND_RUN, proxies),
    TEXT("data", "DIR", "./data",
         "the folder of the embedded queue; one process at a time", MP_COMMAND_RUN, data),
    TEXT("egress-allow", "CIDR[,CIDR]", NULL,
         "private addresses that deliveries may reach: 127.0.0.0/8,::1,10.1.2.3",
         MP_COMMAND_RUN, egress_allow),
    LIMIT("workers", NUMBER, "N", "0", "delivery threads; 0 is one a core",
          MP_COMMAND_RUN, workers, 0, 256),
    LIMIT("drain", DURATION, "DURATION", "30s",
          "how long attempts in flight may take to end on SIGTERM", MP_COMMAND_RUN,
          drain_ms, 0, HOUR_MS),
    LIMIT("idempotency-window", DURATION, "DURATION", "24h",
          "how long an Idempotency-Key is remembered", MP_COMMAND_RUN,
          idempotency_window_ms, SECOND_MS, 30 * DAY_MS),
    TEXT("ingest-token-file", "FILE", NULL,
         "bearer tokens for POST /events and /postback, one a line", MP_COMMAND_RUN,
         ingest_token_file),
    TEXT("api-token-file", "FILE", NULL, "bearer tokens for /api, one a line",
         MP_COMMAND_RUN, api_token_file),
    FLAG("no-auth", "listen off loopback and take events from everyone", MP_COMMAND_RUN,
         no_auth),
    TEXT("ingest-rate", "N/s", NULL,
         "the most requests with events: 500/s, 10/m; over it 429 (default: any)",
         MP_COMMAND_RUN, ingest_rate),
    TEXT("log-level", "LEVEL", "info", "debug, info, warn or error", MP_COMMAND_RUN,
         log_level),
    LIMIT("json-depth", NUMBER, "N", "128", "how deep an event's JSON may nest",
          MP_COMMAND_RUN, limits.json_depth, 1, 10000),
    LIMIT("body-limit", SIZE, "SIZE", "1MiB", "the largest request body", MP_COMMAND_RUN,
          limits.body_bytes, KIB, 64 * MIB),
    LIMIT("header-limit", SIZE, "SIZE", "16KiB", "the largest request head",
          MP_COMMAND_RUN, limits.header_bytes, KIB, MIB),
    LIMIT("header-count", NUMBER, "N", "100", "the most header fields of a request",
          MP_COMMAND_RUN, limits.header_count, 1, 10000),
    LIMIT("header-timeout", DURATION, "DURATION", "10s",
          "how long a request's head may take", MP_COMMAND_RUN, limits.header_timeout_ms,
          1, HOUR_MS),
    LIMIT("body-timeout", DURATION, "DURATION", "30s",
          "how long a request's body may take", MP_COMMAND_RUN, limits.body_timeout_ms, 1,
          HOUR_MS),
    LIMIT("idle-timeout", DURATION, "DURATION", "75s",
          "how long a connection may wait for its next request", MP_COMMAND_RUN,
          limits.idle_timeout_ms, 1, 24 * HOUR_MS),
    LIMIT("connections", NUMBER, "N", "10000", "the most connections at a time",
          MP_COMMAND_RUN, limits.connections, 1, 1000000),

    TEXT("kafka", "HOST:PORT[,HOST:PORT]", NULL,
         "the Kafka brokers to ask first; `run` then keeps its queue in Kafka, not in "
         "--data",
         KAFKA, kafka),
    TEXT("topic-prefix", "PREFIX", "", "put before each topic's name, as it is", KAFKA,
         topic_prefix),
    TEXTS("kafka-setting", 'X', "NAME=VALUE",
          "a librdkafka setting, as often as needed; wins over --kafka-config", KAFKA,
          kafka_settings),
    TEXT("kafka-config", "FILE", NULL,
         "librdkafka settings, name=value a line: the place for passwords", KAFKA,
         kafka_config),
    TEXT("role", "ROLE", "all",
         "all, ingest (only take events in) or deliver (only deliver); needs --kafka "
         "unless it is all",
         MP_COMMAND_RUN, role),
    TEXT("partners", "NAME[,NAME]", NULL,
         "accept for these partners too, which have no script here; POST /events never "
         "reaches them",
         MP_COMMAND_RUN, partners),
    LIMIT("kafka-timeout", DURATION, "DURATION", "15s",
          "how long an accepted event may wait for Kafka's acknowledgement; then 503",
          MP_COMMAND_RUN, kafka_timeout_ms, SECOND_MS, HOUR_MS),
    LIMIT("kafka-window", NUMBER, "N", "8192",
          "the most unfinished records of a partition", MP_COMMAND_RUN, kafka_window, 16,
          1048576),
    LIMIT("kafka-memory", SIZE, "SIZE", "256MiB",
          "the most that records in memory may take", MP_COMMAND_RUN, kafka_memory_bytes,
          16 * MIB, 1024 * (int64_t)1024 * MIB),
    LIMIT("unknown-partner", DURATION, "DURATION", "24h",
          "how long a record waits for its partner's script before it is dead",
          MP_COMMAND_RUN, unknown_partner_ms, 0, 30 * DAY_MS),
    LIMIT("partitions", NUMBER, "N", "6", "partitions of a topic that is made",
          MP_COMMAND_TOPICS, partitions, 1, 10000),
    LIMIT("replication", NUMBER, "N", "0",
          "copies of each record; 0 is three, or as many as there are brokers",
          MP_COMMAND_TOPICS, replication, 0, 100),
    LIMIT("retention", DURATION, "DURATION", "14d",
          "how long an undelivered record is kept, 1h or more; 0 is for ever",
          MP_COMMAND_TOPICS, retention_ms, 0, 3650 * DAY_MS),

    TEXT("server", "URL", "http://127.0.0.1:4000", "the Moonpost to talk to",
         CLIENT | MP_COMMAND_HEALTH, server),
    TEXT("token-file", "FILE", NULL,
         "a file whose first line is the bearer token to send", CLIENT, token_file),

    TEXT("type", "TYPE", NULL, "the event's type, instead of its own member \"type\"",
         MP_COMMAND_TRY | MP_COMMAND_SEND, type),
    TEXT("endpoint", "'METHOD URL'", NULL,
         "the request's own template, for the partner postback: 'GET "
         "http://a.example/?x={x}'",
         MP_COMMAND_TRY | MP_COMMAND_SEND, endpoint),
    LIMIT("attempt", NUMBER, "N", "1", "which attempt to show", MP_COMMAND_TRY, attempt,
          1, 1000),

    LIMIT("status", NUMBER, "CODE", "200", "the status to answer", MP_COMMAND_SINK,
          status, 200, 599),
    LIMIT("delay", DURATION, "DURATION", "0", "how long to wait before each answer",
          MP_COMMAND_SINK, delay_ms, 0, HOUR_MS),
    TEXT("fail", "N|N%", NULL, "answer 500 to the first N requests, or to N% of them",
         MP_COMMAND_SINK, fail),
    TEXT("body", "TEXT", NULL, "the body to answer", MP_COMMAND_SINK, body),

    TEXT("partner", "NAME", NULL, "the dead letters of this partner", MP_COMMAND_DEAD,
         partner),
    TEXT("since", "TIME", NULL,
         "those whose last attempt ended at this time (RFC 3339) or later; 2h means two "
         "hours ago",
         MP_COMMAND_DEAD, since),
    TEXT("until", "TIME", NULL, "those whose last attempt ended before this time",
         MP_COMMAND_DEAD, until),
    FLAG("dry-run", "count them and change nothing", MP_COMMAND_DEAD, dry_run),

    FLAG("json", "print JSON, for programs", LISTS, json),
};

const struct mp_option *mp_cli_options(size_t *count)
{
    *count = sizeof options / sizeof options[0];
    return options;
}

int mp_cli_role_parse(const char *name, enum mp_role *role)
{
    static const char *const names[] = {"", "ingest", "deliver", "all"};
    for (size_t i = MP_ROLE_INGEST; i <= MP_ROLE_ALL; i++) {
        if (strcmp(name, names[i]) == 0) {
            *role = (enum mp_role)i;
            return MP_OK;
        }
    }
    return MP_EINVAL;
}
