/* SPDX-License-Identifier: MIT */
/* Sends records, as the specs tell it on stdin:
 *   mp_producer_probe BOOTSTRAP PREFIX APPEND_MS IDEMPOTENT
 *   send ID TOPIC KEPT BYTES     TOPIC is its number; BYTES -1: a tombstone
 *   fatal                        has librdkafka give the producer up
 *   state | abandon | quit
 * and says on stdout: `open`, `end ID STATUS WHY`, `refused ID STATUS`, `state …`. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../../src/queue/kafka_producer.h"
#include "moonpost/clock.h"

struct probe_send {
    struct mp__kafka_send send;
    char id[32];
    size_t tries;
};

static struct mp__kafka_producer producer;

/* The key is the id; a header tells which try it was. */
static int prepare(struct mp__kafka_send *send, struct mp_buf *key,
                   rd_kafka_headers_t **headers)
{
    struct probe_send *probe = send->arg;
    char number[24];
    snprintf(number, sizeof(number), "%zu", ++probe->tries);
    *headers = rd_kafka_headers_new(2);
    rd_kafka_header_add(*headers, "ce_subject", -1, "acme", -1);
    rd_kafka_header_add(*headers, "try", -1, number, -1);
    return mp_buf_append_text(key, probe->id);
}

static void on_end(struct mp__kafka_send *send, int status, const char *why)
{
    struct probe_send *probe = send->arg;
    printf("end %s %s %s\n", probe->id, mp_status_name(status), why ? why : "-");
    free((void *)(uintptr_t)send->value.data);
    free(probe);
}

static void begin(const char *id, int topic, int is_kept, long bytes)
{
    struct probe_send *probe = calloc(1, sizeof(*probe));
    char *value = bytes >= 0 ? malloc((size_t)bytes + 1) : NULL;
    if (!probe || (bytes >= 0 && !value)) {
        exit(1);
    }
    snprintf(probe->id, sizeof(probe->id), "%s", id);
    /* Large ones are not to be compressed: what fits must fit as it is. */
    for (long i = 0; i < bytes; i++) {
        value[i] = bytes > 1000 ? (char)rand() : 'x';
    }
    probe->send = (struct mp__kafka_send){.topic = (enum mp__kafka_topic)topic,
                                          .is_kept = is_kept,
                                          .value = {value, bytes < 0 ? 0 : (size_t)bytes},
                                          .arg = probe,
                                          .prepare = prepare,
                                          .on_end = on_end};
    int status = mp__kafka_producer_send(&producer, &probe->send);
    if (status) {
        printf("refused %s %s\n", probe->id, mp_status_name(status));
        free(value);
        free(probe);
    }
}

static void show(void)
{
    int64_t now_ms = mp_clock_mono_ms();
    printf("state count=%zu bytes=%zu errors=%d down=%d acked=%d waiting=%d\n",
           producer.count, producer.bytes, producer.errors > 0, producer.all_down,
           producer.acked_ms > 0 && producer.acked_ms <= now_ms, producer.waiting_ms > 0);
}

/* False: the end. */
static bool obey(char *line)
{
    char id[32];
    int topic, is_kept;
    long bytes;
    if (sscanf(line, "send %31s %d %d %ld", id, &topic, &is_kept, &bytes) == 4) {
        begin(id, topic, is_kept, bytes);
    } else if (strcmp(line, "fatal") == 0) {
        rd_kafka_test_fatal_error(
            producer.handle, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "told so");
    } else if (strcmp(line, "state") == 0) {
        show();
    } else if (strcmp(line, "abandon") == 0) {
        mp__kafka_producer_abandon(&producer);
        printf("abandoned\n");
    }
    return strcmp(line, "quit") != 0;
}

/* Whole lines of what has come. */
static bool read_commands(void)
{
    static char text[65536];
    static size_t length;
    ssize_t got = read(STDIN_FILENO, text + length, sizeof(text) - 1 - length);
    if (got <= 0) {
        return false;
    }
    length += (size_t)got;
    text[length] = '\0';
    char *at = text, *end;
    while ((end = strchr(at, '\n')) != NULL) {
        *end = '\0';
        if (!obey(at)) {
            return false;
        }
        at = end + 1;
    }
    length -= (size_t)(at - text);
    memmove(text, at, length);
    return true;
}

static void run(int wake_fd)
{
    struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
                            {.fd = wake_fd, .events = POLLIN}};
    bool goes_on = true, is_drained = true;
    while (goes_on) {
        uint64_t count;
        poll(fds, 2, is_drained ? 100 : 0);
        if (fds[1].revents && read(wake_fd, &count, sizeof(count)) < 0) {
            return;
        }
        goes_on = !fds[0].revents || read_commands();
        is_drained = mp__kafka_producer_poll(&producer, 16);
    }
}

int main(int argc, char **argv)
{
    struct mp__kafka_topics topics;
    struct mp_error err = {0};
    if (argc != 5) {
        return 2;
    }
    struct mp_kafka_cluster cluster = {.bootstrap = argv[1], .topic_prefix = argv[2]};
    int wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    setvbuf(stdout, NULL, _IOLBF, 0);
    mp__kafka_force_idempotence(atoi(argv[4]));
    if (mp__kafka_topics_init(&topics, argv[2], &err) ||
        mp__kafka_producer_open(&producer, &cluster, &topics, atoi(argv[3]), wake_fd,
                                &err)) {
        fprintf(stderr, "%s\n", err.text);
        mp__kafka_producer_destroy(&producer);
        return 1;
    }
    printf("open\n");
    run(wake_fd);
    mp__kafka_producer_abandon(&producer);
    mp__kafka_producer_destroy(&producer);
    close(wake_fd);
    return 0;
}
