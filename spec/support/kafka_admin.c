/* SPDX-License-Identifier: MIT */
/* Topics for the Kafka specs, in milliseconds where Kafka's own tools take a JVM's start:
 *   mp_kafka_admin BOOTSTRAP create NAME PARTITIONS REPLICATION [SETTING=VALUE …]
 *   mp_kafka_admin BOOTSTRAP delete NAME…
 *   mp_kafka_admin BOOTSTRAP delete-prefix PREFIX      every topic whose name begins so
 * Ends with 0 once the cluster says so too: a created topic has its leaders, a deleted
 * one is gone. What was to be deleted and is not there is no failure. */
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 30000, POLL_US = 10000 };

static rd_kafka_t *client;

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "mp_kafka_admin: could not %s: %s\n", what, why);
    exit(1);
}

static long long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char why[256];
    if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK) {
        fail(name, why);
    }
}

static void open_client(const char *bootstrap)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", bootstrap);
    set(conf, "reconnect.backoff.ms", "20");
    set(conf, "reconnect.backoff.max.ms", "200");
    set(conf, "log_level", "0");
    client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (!client) {
        fail("make a client", why);
    }
}

static const struct rd_kafka_metadata *fetch_metadata(void)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t err = rd_kafka_metadata(client, 1, NULL, &metadata, PATIENCE_MS);
    if (err) {
        fail("ask for the topics", rd_kafka_err2str(err));
    }
    return metadata;
}

static const struct rd_kafka_metadata_topic *
find_topic(const struct rd_kafka_metadata *in, const char *name)
{
    for (int i = 0; i < in->topic_cnt; i++) {
        if (strcmp(in->topics[i].topic, name) == 0 && !in->topics[i].err) {
            return &in->topics[i];
        }
    }
    return NULL;
}

static bool has_leaders(const struct rd_kafka_metadata *in, const char *name)
{
    const struct rd_kafka_metadata_topic *topic = find_topic(in, name);
    bool has = topic != NULL;
    for (int i = 0; has && i < topic->partition_cnt; i++) {
        has = topic->partitions[i].leader >= 0;
    }
    return has;
}

static bool is_gone(const struct rd_kafka_metadata *in, const char *name)
{
    return !find_topic(in, name);
}

static void wait_until(bool (*holds)(const struct rd_kafka_metadata *, const char *),
                       const char *name)
{
    long long deadline_ms = now_ms() + PATIENCE_MS;
    for (bool done = false; !done;) {
        const struct rd_kafka_metadata *metadata = fetch_metadata();
        done = holds(metadata, name);
        rd_kafka_metadata_destroy(metadata);
        if (!done && now_ms() > deadline_ms) {
            fail("see the change", name);
        }
        if (!done) {
            usleep(POLL_US);
        }
    }
}

static rd_kafka_AdminOptions_t *patient(rd_kafka_admin_op_t operation)
{
    char why[256];
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(client, operation);
    if (rd_kafka_AdminOptions_set_request_timeout(options, PATIENCE_MS, why,
                                                  sizeof why) ||
        rd_kafka_AdminOptions_set_operation_timeout(options, PATIENCE_MS / 2, why,
                                                    sizeof why)) {
        fail("set a timeout", why);
    }
    return options;
}

static void check_topics(const rd_kafka_topic_result_t **results, size_t count,
                         rd_kafka_resp_err_t forgiven)
{
    for (size_t i = 0; i < count; i++) {
        rd_kafka_resp_err_t err = rd_kafka_topic_result_error(results[i]);
        if (err && err != forgiven) {
            const char *why = rd_kafka_topic_result_error_string(results[i]);
            fail(rd_kafka_topic_result_name(results[i]),
                 why ? why : rd_kafka_err2str(err));
        }
    }
}

static rd_kafka_event_t *answer(rd_kafka_queue_t *queue)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 2 * PATIENCE_MS);
    if (!event || rd_kafka_event_error(event)) {
        fail("have it done", event ? rd_kafka_event_error_string(event) : "no answer");
    }
    return event;
}

static void create(char **args, int count)
{
    if (count < 3) {
        fail("create", "NAME PARTITIONS REPLICATION are needed");
    }
    char why[256];
    rd_kafka_NewTopic_t *topic =
        rd_kafka_NewTopic_new(args[0], atoi(args[1]), atoi(args[2]), why, sizeof why);
    if (!topic) {
        fail(args[0], why);
    }
    for (int i = 3; i < count; i++) {
        char *equals = strchr(args[i], '=');
        if (!equals) {
            fail(args[i], "a setting is NAME=VALUE");
        }
        *equals = '\0';
        rd_kafka_NewTopic_set_config(topic, args[i], equals + 1);
    }
    rd_kafka_AdminOptions_t *options = patient(RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_CreateTopics(client, &topic, 1, options, queue);
    rd_kafka_event_t *event = answer(queue);
    size_t results = 0;
    const rd_kafka_topic_result_t **list = rd_kafka_CreateTopics_result_topics(
        rd_kafka_event_CreateTopics_result(event), &results);
    check_topics(list, results, RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_NewTopic_destroy(topic);
    wait_until(has_leaders, args[0]);
}

static void delete_topics(char **names, size_t count)
{
    if (count == 0) {
        return;
    }
    rd_kafka_DeleteTopic_t **topics = calloc(count, sizeof *topics);
    for (size_t i = 0; topics && i < count; i++) {
        topics[i] = rd_kafka_DeleteTopic_new(names[i]);
    }
    rd_kafka_AdminOptions_t *options = patient(RD_KAFKA_ADMIN_OP_DELETETOPICS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_DeleteTopics(client, topics, count, options, queue);
    rd_kafka_event_t *event = answer(queue);
    size_t results = 0;
    const rd_kafka_topic_result_t **list = rd_kafka_DeleteTopics_result_topics(
        rd_kafka_event_DeleteTopics_result(event), &results);
    check_topics(list, results, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_DeleteTopic_destroy_array(topics, count);
    free(topics);
    for (size_t i = 0; i < count; i++) {
        wait_until(is_gone, names[i]);
    }
}

static void delete_prefix(const char *prefix)
{
    const struct rd_kafka_metadata *metadata = fetch_metadata();
    char **names = calloc((size_t)metadata->topic_cnt + 1, sizeof *names);
    size_t count = 0;
    for (int i = 0; names && i < metadata->topic_cnt; i++) {
        if (strncmp(metadata->topics[i].topic, prefix, strlen(prefix)) == 0) {
            names[count++] = metadata->topics[i].topic;
        }
    }
    delete_topics(names, count);
    free(names);
    rd_kafka_metadata_destroy(metadata);
}

int main(int argc, char **argv)
{
    const char *verb = argc > 3 ? argv[2] : "";
    bool is_known = strcmp(verb, "create") == 0 || strcmp(verb, "delete") == 0 ||
                    (strcmp(verb, "delete-prefix") == 0 && *argv[3]);
    if (!is_known) {
        fprintf(stderr,
                "usage: mp_kafka_admin BOOTSTRAP create|delete|delete-prefix NAME…\n");
        return 2;
    }
    open_client(argv[1]);
    if (strcmp(verb, "create") == 0) {
        create(argv + 3, argc - 3);
    } else if (strcmp(verb, "delete") == 0) {
        delete_topics(argv + 3, (size_t)argc - 3);
    } else {
        delete_prefix(argv[3]);
    }
    rd_kafka_destroy(client);
    return 0;
}
