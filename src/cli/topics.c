/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "moonpost/kafka.h"
#include "tools.h"

/* Else a record's wait may outlive it. */
#define RETENTION_MIN_MS (3600 * INT64_C(1000))

struct findings {
    bool is_json;
    struct mp_buf out;
    size_t count;
    bool failed;
};

static int write_line(struct mp_buf *out, const char *topic, bool is_good,
                      const char *text)
{
    int status = mp_buf_printf(out, "%-22s %s  ", topic, is_good ? "ok   " : "wrong");
    status = status ? status : mp__append_shown(out, mp_str_of(text));
    return status ? status : mp_buf_append_char(out, '\n');
}

static int write_item(struct mp_buf *out, bool is_first, const char *topic, bool is_good,
                      const char *text)
{
    int status = mp_buf_append_text(out, is_first ? "{\"topic\":" : ",{\"topic\":");
    status = status ? status : mp_json_write_string(out, mp_str_of(topic));
    status = status ? status
                    : mp_buf_append_text(out, is_good ? ",\"ok\":true,\"text\":"
                                                      : ",\"ok\":false,\"text\":");
    status = status ? status : mp_json_write_string(out, mp_str_of(text));
    return status ? status : mp_buf_append_char(out, '}');
}

static void on_finding(void *arg, const char *topic, bool is_good, const char *text)
{
    struct findings *findings = arg;
    int status = findings->is_json ? write_item(&findings->out, findings->count == 0,
                                                topic, is_good, text)
                                   : write_line(&findings->out, topic, is_good, text);
    findings->failed = findings->failed || status;
    findings->count++;
}

static int print(struct findings *findings, bool is_wrong)
{
    if (findings->is_json) {
        findings->failed = findings->failed || mp_buf_append_text(&findings->out, "]}\n");
    } else if (is_wrong) {
        findings->failed =
            findings->failed ||
            mp_buf_append_text(&findings->out,
                               "\nA setting is changed with: kafka-configs.sh "
                               "--bootstrap-server HOST:PORT --alter\n"
                               "  --entity-type topics --entity-name TOPIC --add-config "
                               "NAME=VALUE\n");
    }
    return mp__print_buf(&findings->out, findings->failed);
}

static int work(const struct mp_settings *settings, bool creates,
                const struct mp_kafka_cluster *cluster)
{
    struct findings findings = {.is_json = settings->json};
    struct mp_error err = {0};
    struct mp_kafka_topic_plan plan = {
        .partitions = settings->partitions,
        .replication = settings->replication,
        .retention_ms = settings->retention_ms > 0 ? settings->retention_ms : -1};
    mp_buf_init(&findings.out, MP_CLI_BYTES_MAX);
    findings.failed =
        findings.is_json && mp_buf_append_text(&findings.out, "{\"items\":[");
    int status = creates
                     ? mp_kafka_topics_create(cluster, &plan, on_finding, &findings, &err)
                     : mp_kafka_topics_check(cluster, &plan, on_finding, &findings, &err);
    bool is_told = status == MP_OK || (status == MP_EINVAL && err.status == MP_OK);
    int code = is_told || findings.count > 0 ? print(&findings, status == MP_EINVAL)
                                             : MP_EXIT_OK;
    if (!is_told) {
        mp_buf_fini(&findings.out);
        return mp__complain(status == MP_EINVAL ? MP_EXIT_USAGE : MP_EXIT_REACH, "%s",
                            err.text);
    }
    return code == MP_EXIT_OK && status != MP_OK ? MP_EXIT_FAILED : code;
}

int mp_cli_topics(const struct mp_settings *settings, const char **words, size_t count)
{
    struct mp_error err = {0};
    struct mp_kafka_cluster cluster = {.bootstrap = settings->kafka,
                                       .topic_prefix = settings->topic_prefix,
                                       .settings_file = settings->kafka_config,
                                       .settings = settings->kafka_settings};
    bool creates = count == 1 && strcmp(words[0], "create") == 0;
    if (!creates && (count != 1 || strcmp(words[0], "check") != 0)) {
        return mp__complain(MP_EXIT_USAGE, "topics takes `create` or `check`");
    }
    if (!settings->kafka) {
        return mp__complain(MP_EXIT_USAGE, "topics needs --kafka HOST:PORT");
    }
    if (settings->retention_ms > 0 && settings->retention_ms < RETENTION_MIN_MS) {
        return mp__complain(MP_EXIT_USAGE,
                            "could not read --retention: it takes 1h or more, or 0 for "
                            "ever");
    }
    if (mp_kafka_cluster_check(&cluster, &err)) {
        return mp__complain(MP_EXIT_USAGE, "%s", err.text);
    }
    return work(settings, creates, &cluster);
}
