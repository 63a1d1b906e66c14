/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "kafka_conf.h"
#include "moonpost/clock.h"
#include "moonpost/log.h"

/* librdkafka tells the same failure of every broker and every handle, again and again
 * while it lasts. */

#define QUIET_MS   10000
#define SLOTS      64
#define TEXT_BYTES 600

static struct {
    uint64_t hash;
    int64_t told_ms;
} told[SLOTS];
static pthread_mutex_t told_lock = PTHREAD_MUTEX_INITIALIZER;

static uint64_t hash_of(const char *text)
{
    uint64_t hash = 14695981039346656037u;
    for (; *text; text++) {
        hash = (hash ^ (unsigned char)*text) * 1099511628211u;
    }
    return hash;
}

/* When all slots are young the oldest gives way: a flood of different texts is told. */
static bool is_news(const char *text)
{
    uint64_t hash = hash_of(text);
    int64_t now = mp_clock_mono_ms();
    size_t oldest = 0;
    bool was_told = false;
    pthread_mutex_lock(&told_lock);
    for (size_t i = 0; i < SLOTS && !was_told; i++) {
        was_told = told[i].hash == hash && now - told[i].told_ms < QUIET_MS;
        oldest = told[i].hash == hash || (told[oldest].hash != hash &&
                                          told[i].told_ms < told[oldest].told_ms)
                     ? i
                     : oldest;
    }
    if (!was_told) {
        told[oldest].hash = hash;
        told[oldest].told_ms = now;
    }
    pthread_mutex_unlock(&told_lock);
    return !was_told;
}

static void tell(enum mp_log_level level, const char *text)
{
    if (level < MP_LOG_WARN || is_news(text)) {
        mp_log(level, "queue", "%s", text);
    }
}

void mp__kafka_warn(const char *format, ...)
{
    char text[TEXT_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    tell(MP_LOG_WARN, text);
}

/* "[thrd:x]: x: Connect to y failed: why (after 3ms in state CONNECT, 2 identical …)":
 * what differs from time to time is left out. */
static void tell_plainly(enum mp_log_level level, const char *text)
{
    char line[TEXT_BYTES];
    if (strncmp(text, "[thrd:", 6) == 0) {
        const char *end = strstr(text, "]: ");
        text = end ? end + 3 : text;
    }
    const char *after = strstr(text, " (after ");
    size_t length = after ? (size_t)(after - text) : strlen(text);
    snprintf(line, sizeof(line), "kafka: %.*s", (int)(length < 500 ? length : 500), text);
    size_t end = strlen(line);
    while (end > 0 && (line[end - 1] == '\n' || line[end - 1] == ' ')) {
        line[--end] = '\0';
    }
    tell(level, line);
}

/* One file of settings is for producer and consumer alike, followers need a setting that
 * librdkafka calls deprecated, and brokers close connections that are idle. */
static bool is_idle_talk(const char *text)
{
    return strstr(text, "is a producer property") ||
           strstr(text, "is a consumer property") ||
           strstr(text, "auto.commit.enable is deprecated") ||
           strstr(text, ": Disconnected");
}

static void log_line(rd_kafka_event_t *event)
{
    enum { NOTICE = 5, INFO = 6 }; /* of syslog */
    const char *facility, *text;
    int level;
    if (rd_kafka_event_log(event, &facility, &text, &level) != 0) {
        return;
    }
    enum mp_log_level ours = level < NOTICE    ? MP_LOG_WARN
                             : level == NOTICE ? MP_LOG_INFO
                                               : MP_LOG_DEBUG;
    tell_plainly(is_idle_talk(text) ? MP_LOG_DEBUG : ours, text);
}

void mp__kafka_event_log(rd_kafka_event_t *event, bool *all_down)
{
    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_LOG) {
        log_line(event);
        return;
    }
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        if (all_down) {
            *all_down = true;
        }
        mp__kafka_warn("kafka: %s", mp__kafka_text(code));
    } else if (code != RD_KAFKA_RESP_ERR_NO_ERROR &&
               code != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        const char *text = rd_kafka_event_error_string(event);
        tell_plainly(is_idle_talk(text) ? MP_LOG_DEBUG : MP_LOG_WARN, text);
    }
}
