/* SPDX-License-Identifier: MIT */
#include "kafka_admin.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "moonpost/clock.h"

#define WHOLE_MS   30000
#define REACH_MS   5000
#define ASK_MS     1000
#define NEW_COPIES 3
#define SEEN_US    20000

static int open_admin(struct mp__kafka_admin *admin, struct mp_error *err)
{
    const char *prefix = admin->cluster->topic_prefix;
    int status = mp__kafka_topics_init(&admin->names, prefix ? prefix : "", err);
    if (status) {
        return status;
    }
    rd_kafka_conf_t *conf = mp__kafka_conf_new(admin->cluster, MP__KAFKA_ADMIN, err);
    if (!conf) {
        return err && err->status ? err->status : MP_EINVAL;
    }
    status = mp__kafka_handle_new(conf, MP__KAFKA_ADMIN, &admin->handle, err);
    if (status) {
        return status;
    }
    admin->answers = rd_kafka_queue_new(admin->handle);
    admin->errors = rd_kafka_queue_get_main(admin->handle);
    admin->until_ms = mp_clock_mono_ms() + WHOLE_MS;
    return MP_OK;
}

static void close_admin(struct mp__kafka_admin *admin)
{
    if (admin->metadata) {
        rd_kafka_metadata_destroy(admin->metadata);
    }
    if (admin->handle) {
        rd_kafka_queue_destroy(admin->answers);
        rd_kafka_queue_destroy(admin->errors);
        rd_kafka_destroy(admin->handle);
    }
}

int mp__kafka_admin_left_ms(const struct mp__kafka_admin *admin)
{
    int64_t left_ms = admin->until_ms - mp_clock_mono_ms();
    return left_ms > 1 ? (int)left_ms : 1;
}

rd_kafka_event_t *mp__kafka_admin_answer(struct mp__kafka_admin *admin)
{
    return rd_kafka_queue_poll(admin->answers, mp__kafka_admin_left_ms(admin));
}

void mp__kafka_admin_tell(struct mp__kafka_admin *admin, enum mp__kafka_topic topic,
                          bool is_good, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    admin->bad += !is_good;
    admin->each(admin->arg, admin->names.names[topic], is_good, text);
}

int mp__kafka_admin_replication(const struct mp__kafka_admin *admin)
{
    int brokers = admin->metadata->broker_cnt;
    return admin->plan->replication ? (int)admin->plan->replication
           : brokers < NEW_COPIES   ? brokers
                                    : NEW_COPIES;
}

const rd_kafka_metadata_topic_t *mp__kafka_admin_find(const struct mp__kafka_admin *admin,
                                                      enum mp__kafka_topic topic)
{
    for (int i = 0; i < admin->metadata->topic_cnt; i++) {
        if (strcmp(admin->metadata->topics[i].topic, admin->names.names[topic]) == 0) {
            return &admin->metadata->topics[i];
        }
    }
    return NULL;
}

/* --- reaching the cluster */

/* A broker that cannot be reached says less than one that said no. */
static int meaning_of(rd_kafka_resp_err_t code)
{
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return 0;
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
        return 1;
    case RD_KAFKA_RESP_ERR__TRANSPORT:
        return 2;
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
        return 3;
    default:
        return 4;
    }
}

static rd_kafka_resp_err_t read_errors(struct mp__kafka_admin *admin,
                                       rd_kafka_resp_err_t most)
{
    rd_kafka_event_t *event;
    while ((event = rd_kafka_queue_poll(admin->errors, 0)) != NULL) {
        rd_kafka_resp_err_t code = rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR
                                       ? rd_kafka_event_error(event)
                                       : RD_KAFKA_RESP_ERR_NO_ERROR;
        most = meaning_of(code) > meaning_of(most) ? code : most;
        rd_kafka_event_destroy(event);
    }
    return most;
}

static bool is_final(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__AUTHENTICATION || code == RD_KAFKA_RESP_ERR__SSL;
}

static int read_metadata(struct mp__kafka_admin *admin, struct mp_error *err)
{
    int64_t until_ms = mp_clock_mono_ms() + REACH_MS;
    rd_kafka_resp_err_t code, why = RD_KAFKA_RESP_ERR__TIMED_OUT;
    if (admin->metadata) {
        rd_kafka_metadata_destroy(admin->metadata);
        admin->metadata = NULL;
    }
    do {
        code = rd_kafka_metadata(admin->handle, 1, NULL, &admin->metadata, ASK_MS);
        why = read_errors(admin, why);
    } while (code && !is_final(why) && mp_clock_mono_ms() < until_ms);
    if (code) {
        return mp_error_set(err, MP_EIO, "could not reach Kafka at %.200s: %s",
                            admin->cluster->bootstrap, mp__kafka_text(why));
    }
    return MP_OK;
}

/* --- making */

static rd_kafka_NewTopic_t *new_topic(const struct mp__kafka_admin *admin,
                                      enum mp__kafka_topic topic, struct mp_error *err)
{
    char why[256] = "", text[24];
    const char *name, *value;
    int partitions = topic == MP__KAFKA_PARTNERS ? 1 : (int)admin->plan->partitions;
    rd_kafka_NewTopic_t *made =
        rd_kafka_NewTopic_new(admin->names.names[topic], partitions,
                              mp__kafka_admin_replication(admin), why, sizeof(why));
    if (!made) {
        mp_error_set(err, MP_EINVAL, "could not make %s: %s", admin->names.names[topic],
                     why);
        return NULL;
    }
    for (size_t i = 0;
         (value = mp__kafka_admin_wanted(admin, topic, i, &name, text)) || name; i++) {
        if (value) {
            rd_kafka_NewTopic_set_config(made, name, value);
        }
    }
    return made;
}

static void tell_made(struct mp__kafka_admin *admin,
                      const rd_kafka_topic_result_t *result)
{
    rd_kafka_resp_err_t code = rd_kafka_topic_result_error(result);
    enum mp__kafka_topic topic =
        mp__kafka_topics_find(&admin->names, rd_kafka_topic_result_name(result));
    if (topic == MP__KAFKA_TOPICS || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
        return; /* somebody else was faster: it is checked like the others */
    }
    if (code) {
        const char *theirs = rd_kafka_topic_result_error_string(result);
        mp__kafka_admin_tell(admin, topic, false, "could not be made: %s (%s)",
                             mp__kafka_text(code), theirs ? theirs : "");
        return;
    }
    admin->is_made[topic] = true;
}

static int request_topics(struct mp__kafka_admin *admin, rd_kafka_NewTopic_t **topics,
                          size_t count, struct mp_error *err)
{
    char why[256];
    size_t made = 0;
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(admin->handle, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    int left_ms = mp__kafka_admin_left_ms(admin);
    rd_kafka_AdminOptions_set_operation_timeout(options, left_ms / 2, why, sizeof(why));
    rd_kafka_AdminOptions_set_request_timeout(options, left_ms, why, sizeof(why));
    rd_kafka_CreateTopics(admin->handle, topics, count, options, admin->answers);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_event_t *event = mp__kafka_admin_answer(admin);
    rd_kafka_resp_err_t code =
        event ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
    if (!code) {
        const rd_kafka_topic_result_t **results = rd_kafka_CreateTopics_result_topics(
            rd_kafka_event_CreateTopics_result(event), &made);
        for (size_t i = 0; i < made; i++) {
            tell_made(admin, results[i]);
        }
    }
    if (event) {
        rd_kafka_event_destroy(event);
    }
    return code ? mp_error_set(err, MP_EIO, "could not make the topics: %s",
                               mp__kafka_text(code))
                : MP_OK;
}

static bool are_seen(const struct mp__kafka_admin *admin)
{
    for (size_t i = 0; i < MP__KAFKA_TOPICS; i++) {
        if (admin->is_made[i] && !mp__kafka_admin_find(admin, (enum mp__kafka_topic)i)) {
            return false;
        }
    }
    return true;
}

/* The controller has them when it answers; the broker that is asked may hear of them a
 * moment later. */
static int await_made(struct mp__kafka_admin *admin, struct mp_error *err)
{
    int status = read_metadata(admin, err);
    while (!status && !are_seen(admin) && mp__kafka_admin_left_ms(admin) > 1) {
        usleep(SEEN_US);
        status = read_metadata(admin, err);
    }
    return status;
}

static int make_missing(struct mp__kafka_admin *admin, struct mp_error *err)
{
    rd_kafka_NewTopic_t *topics[MP__KAFKA_TOPICS];
    size_t count = 0;
    int status = MP_OK;
    for (size_t i = 0; !status && i < MP__KAFKA_TOPICS; i++) {
        if (!mp__kafka_admin_find(admin, (enum mp__kafka_topic)i)) {
            topics[count] = new_topic(admin, (enum mp__kafka_topic)i, err);
            status = topics[count] ? MP_OK : MP_EINVAL;
            count += !status;
        }
    }
    if (!status && count > 0) {
        status = request_topics(admin, topics, count, err);
        status = status ? status : await_made(admin, err);
    }
    rd_kafka_NewTopic_destroy_array(topics, count);
    return status;
}

static int work(const struct mp_kafka_cluster *cluster,
                const struct mp_kafka_topic_plan *plan, mp_kafka_finding each, void *arg,
                bool makes, struct mp_error *err)
{
    struct mp__kafka_admin admin = {
        .cluster = cluster, .plan = plan, .each = each, .arg = arg};
    int status = open_admin(&admin, err);
    status = status ? status : read_metadata(&admin, err);
    status = status || !makes ? status : make_missing(&admin, err);
    status = status ? status : mp__kafka_admin_check(&admin, err);
    close_admin(&admin);
    return status ? status : admin.bad > 0 ? MP_EINVAL : MP_OK;
}

int mp_kafka_topics_create(const struct mp_kafka_cluster *cluster,
                           const struct mp_kafka_topic_plan *plan, mp_kafka_finding each,
                           void *arg, struct mp_error *err)
{
    return work(cluster, plan, each, arg, true, err);
}

int mp_kafka_topics_check(const struct mp_kafka_cluster *cluster,
                          const struct mp_kafka_topic_plan *plan, mp_kafka_finding each,
                          void *arg, struct mp_error *err)
{
    return work(cluster, plan, each, arg, false, err);
}
