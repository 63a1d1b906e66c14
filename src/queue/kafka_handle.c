/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "kafka_conf.h"

/* Values that no text may have in it, whoever wrote the text. */
static const char *const secrets[] = {
    "sasl.password",          "sasl.username",
    "ssl.key.password",       "ssl.key.pem",
    "ssl.keystore.password",  "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.config"};

static bool conf_is(const rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[64];
    size_t size = sizeof(text);
    return rd_kafka_conf_get(conf, name, text, &size) == RD_KAFKA_CONF_OK &&
           strcasecmp(text, value) == 0;
}

static bool has_secret(const rd_kafka_conf_t *conf, const char *text)
{
    bool is_found = false;
    for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]) && !is_found; i++) {
        size_t size = 0;
        if (rd_kafka_conf_get(conf, secrets[i], NULL, &size) != RD_KAFKA_CONF_OK) {
            continue;
        }
        char *value = malloc(size + 1);
        is_found = !value || (rd_kafka_conf_get(conf, secrets[i], value, &size) ==
                                  RD_KAFKA_CONF_OK &&
                              *value != '\0' && strstr(text, value) != NULL);
        free(value);
    }
    return is_found;
}

static int refresh_tokens(rd_kafka_t *handle, struct mp_error *err)
{
    rd_kafka_error_t *error = rd_kafka_sasl_background_callbacks_enable(handle);
    if (error) {
        rd_kafka_error_destroy(error);
        return mp_error_set(err, MP_EIO, "could not have librdkafka refresh its tokens");
    }
    return MP_OK;
}

int mp__kafka_handle_new(rd_kafka_conf_t *conf, enum mp__kafka_role role,
                         rd_kafka_t **out, struct mp_error *err)
{
    char why[512] = "";
    bool reads = role == MP__KAFKA_CONSUMER || role == MP__KAFKA_FOLLOWER;
    bool has_tokens = conf_is(conf, "sasl.mechanisms", "OAUTHBEARER");
    /* librdkafka fetches tokens by itself, on a thread of its own: nothing of ours runs
     * there. */
    rd_kafka_conf_enable_sasl_queue(conf, has_tokens);
    rd_kafka_t *handle = rd_kafka_new(reads ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER, conf,
                                      why, sizeof(why));
    if (!handle) {
        int status =
            mp_error_set(err, MP_EINVAL, "could not use the librdkafka settings: %s",
                         has_secret(conf, why) ? "it does not take them" : why);
        rd_kafka_conf_destroy(conf);
        return status;
    }
    rd_kafka_set_log_queue(handle, NULL);
    if (role == MP__KAFKA_CONSUMER) {
        rd_kafka_poll_set_consumer(handle);
    }
    int status = has_tokens ? refresh_tokens(handle, err) : MP_OK;
    if (status) {
        rd_kafka_destroy(handle);
        return status;
    }
    *out = handle;
    return MP_OK;
}
