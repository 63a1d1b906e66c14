/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "kafka_conf.h"
#include "moonpost/buf.h"

#define PORT_MAX 65535

static bool is_port(const char *digits, size_t length)
{
    long port = 0;
    for (size_t i = 0; i < length; i++) {
        if (digits[i] < '0' || digits[i] > '9' || port > PORT_MAX) {
            return false;
        }
        port = port * 10 + (digits[i] - '0');
    }
    return length > 0 && port > 0 && port <= PORT_MAX;
}

/* host, host:port, [::1]:port; librdkafka would take anything and never reach it. */
static bool is_broker(struct mp_str broker)
{
    const char *end = broker.data + broker.length, *colon = NULL;
    bool in_brackets = broker.length > 0 && broker.data[0] == '[';
    size_t host = 0;
    for (const char *at = broker.data; at < end; at++) {
        if (*at == ']') {
            in_brackets = false;
        } else if (*at == ':' && !in_brackets) {
            if (colon) {
                return false;
            }
            colon = at;
        } else if ((unsigned char)*at <= ' ' || *at == '/' || *at == '@') {
            return false;
        }
        host += colon == NULL;
    }
    return !in_brackets && host > 0 &&
           (!colon || is_port(colon + 1, (size_t)(end - colon - 1)));
}

static int check_bootstrap(const char *bootstrap, struct mp_error *err)
{
    const char *at = bootstrap ? bootstrap : "";
    for (;;) {
        size_t length = strcspn(at, ",");
        struct mp_str broker = mp_str_trim((struct mp_str){at, length});
        if (!is_broker(broker)) {
            return mp_error_set(
                err, MP_EINVAL, "could not read --kafka: `%.*s` is not HOST:PORT",
                (int)(broker.length < 100 ? broker.length : 100), broker.data);
        }
        if (at[length] == '\0') {
            return MP_OK;
        }
        at += length + 1;
    }
}

int mp_kafka_cluster_check(const struct mp_kafka_cluster *cluster, struct mp_error *err)
{
    static const enum mp__kafka_role roles[] = {MP__KAFKA_PRODUCER, MP__KAFKA_CONSUMER,
                                                MP__KAFKA_ADMIN};
    struct mp__kafka_topics topics;
    const char *prefix = cluster->topic_prefix ? cluster->topic_prefix : "";
    int status = check_bootstrap(cluster->bootstrap, err);
    status = status ? status : mp__kafka_topics_init(&topics, prefix, err);
    for (size_t i = 0; !status && i < sizeof(roles) / sizeof(roles[0]); i++) {
        rd_kafka_conf_t *conf = mp__kafka_conf_new(cluster, roles[i], err);
        if (!conf) {
            return err && err->status ? err->status : MP_EINVAL;
        }
        rd_kafka_conf_destroy(conf);
    }
    return status;
}
