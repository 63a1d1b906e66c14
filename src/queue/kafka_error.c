/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "kafka_conf.h"

/* The border of librdkafka's codes. */

static const struct {
    rd_kafka_resp_err_t code;
    int status;
    const char *text;
} errors[] = {
    {RD_KAFKA_RESP_ERR_NO_ERROR, MP_OK, "it worked"},
    {RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, MP_EAGAIN, "no broker can be reached"},
    {RD_KAFKA_RESP_ERR__TRANSPORT, MP_EAGAIN, "the connection to a broker broke"},
    {RD_KAFKA_RESP_ERR__BAD_MSG, MP_EAGAIN, "a broker's answer was cut short"},
    {RD_KAFKA_RESP_ERR__RESOLVE, MP_EAGAIN, "a broker's name is not known"},
    {RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, MP_EAGAIN, "no broker acknowledged it in time"},
    {RD_KAFKA_RESP_ERR__TIMED_OUT, MP_EAGAIN, "the cluster did not answer in time"},
    {RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE, MP_EAGAIN, "the cluster did not answer in time"},
    {RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, MP_EAGAIN,
     "the replicas did not acknowledge it in time"},
    {RD_KAFKA_RESP_ERR__QUEUE_FULL, MP_EAGAIN, "too much is waiting for the cluster"},
    {RD_KAFKA_RESP_ERR__PURGE_QUEUE, MP_EAGAIN, "it was given up before it was sent"},
    {RD_KAFKA_RESP_ERR__PURGE_INFLIGHT, MP_EIO, "it was given up while it was sent"},
    {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, MP_EAGAIN,
     "fewer replicas are in sync than min.insync.replicas asks for"},
    {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND, MP_EIO,
     "fewer replicas are in sync than min.insync.replicas asks for"},
    {RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, MP_EAGAIN, "the partition has no leader"},
    {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, MP_EAGAIN,
     "the partition's leader has moved"},
    {RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR, MP_EAGAIN,
     "the broker could not write to its disk"},
    {RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, MP_EAGAIN, "there is no such topic"},
    {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, MP_EAGAIN, "there is no such topic"},
    {RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, MP_EAGAIN, "there is no such partition"},
    {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, MP_ELIMIT,
     "it is larger than the topic takes (max.message.bytes)"},
    {RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, MP_ELIMIT,
     "it is larger than the topic's segments"},
    {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, MP_EDENIED,
     "this user may not use the topic"},
    {RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, MP_EDENIED,
     "this user may not use the group"},
    {RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, MP_EDENIED,
     "this user may not do that on the cluster"},
    {RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, MP_EDENIED,
     "this user may not write idempotently"},
    {RD_KAFKA_RESP_ERR__AUTHENTICATION, MP_EDENIED,
     "a broker did not accept the user or the password"},
    {RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, MP_EDENIED,
     "a broker did not accept the user or the password"},
    {RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM, MP_EDENIED,
     "the broker does not take this SASL mechanism"},
    {RD_KAFKA_RESP_ERR__SSL, MP_EIO, "TLS to a broker failed"},
    {RD_KAFKA_RESP_ERR__FATAL, MP_EIO, "the producer had to be given up"},
    {RD_KAFKA_RESP_ERR_POLICY_VIOLATION, MP_EDENIED, "the cluster's policy forbids it"},
    {RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR, MP_EINVAL,
     "there are fewer brokers than copies asked for"},
    {RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS, MP_EDUPLICATE, "the topic is there already"},
    {RD_KAFKA_RESP_ERR__INVALID_ARG, MP_EINVAL, "librdkafka does not take it"},
    {RD_KAFKA_RESP_ERR_INVALID_CONFIG, MP_EINVAL, "a broker does not take a setting"},
};

int mp__kafka_status(rd_kafka_resp_err_t code)
{
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        if (errors[i].code == code) {
            return errors[i].status;
        }
    }
    return MP_EIO;
}

const char *mp__kafka_text(rd_kafka_resp_err_t code)
{
    static _Thread_local char text[160];
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        if (errors[i].code == code) {
            return errors[i].text;
        }
    }
    const char *theirs = rd_kafka_err2str(code);
    const char *colon = strstr(theirs, ": ");
    bool has_prefix =
        strncmp(theirs, "Broker: ", 8) == 0 || strncmp(theirs, "Local: ", 7) == 0;
    snprintf(text, sizeof(text), "%s", has_prefix ? colon + 2 : theirs);
    bool is_word = isupper((unsigned char)text[0]) && islower((unsigned char)text[1]);
    text[0] = is_word ? (char)tolower((unsigned char)text[0]) : text[0];
    return text;
}
