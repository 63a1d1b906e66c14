/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moonpost/clock.h"
#include "moonpost/id.h"
#include "queue_probe.h"

/* The commands that append. */

struct request {
    struct mp_append append;
    char tag[64];
    char answer[256];
};

static void on_done(struct mp_append *append, int status, const char *why)
{
    struct request *request = append->arg;
    struct mp_str before = mp_buf_str(&append->answer_before);
    mp__probe_say("done\t%s\t%s\t%s\t%.*s\t%zu", request->tag, mp_status_name(status),
                  why ? why : "", (int)before.length, before.data ? before.data : "",
                  append->stored ? append->stored_count : 0);
    mp_buf_fini(&append->answer_before);
    mp_record_list_free(&append->records);
    free(request);
}

static struct request *request_new(const char *tag)
{
    struct request *request = calloc(1, sizeof(*request));
    snprintf(request->tag, sizeof(request->tag), "%s", tag);
    request->append.done = on_done;
    request->append.arg = request;
    return request;
}

void mp__probe_add(struct mp_append *append, const char *lane, const char *id,
                   struct mp_str event)
{
    struct mp_record draft = {.occurred_ms = -1, .first_ms = mp_clock_wall_ms()};
    struct mp_record *record;
    draft.id = mp_str_of(id);
    draft.lane = mp_str_of(lane);
    draft.partner = draft.lane;
    const char *space = strchr(lane, ' ');
    draft.partner.length = space ? (size_t)(space - lane) : draft.lane.length;
    draft.event = event;
    draft.due_ms = draft.first_ms;
    draft.type = mp_str_of("order.paid");
    char url[MP_LANE_BYTES + 8];
    snprintf(url, sizeof(url), "%s/{id}", space ? space + 1 : "");
    draft.endpoint_url = mp_str_of(space ? url : "");
    draft.endpoint_method = mp_str_of(space ? "GET" : "");
    if (mp_record_new(&draft, &record) != MP_OK) {
        abort();
    }
    mp_record_list_push(&append->records, record);
}

char *mp__probe_event(size_t bytes)
{
    char *event = malloc(bytes + 1);
    memset(event, bytes > 8 ? 'x' : ' ', bytes + 1);
    if (bytes > 8) {
        memcpy(event, "{\"x\":\"", 6);
        event[bytes - 2] = '"';
    }
    event[0] = '{';
    event[bytes - 1] = '}';
    return event;
}

static void send_request(struct request *request)
{
    int status = mp_queue_append(mp__probe.queue, &request->append);
    if (status != MP_OK) {
        mp__probe_say("done\t%s\t%s\trefused\t", request->tag, mp_status_name(status));
        mp_record_list_free(&request->append.records);
        free(request);
    }
}

/* append TAG LANE ID[,ID…] EVENT [KEY BODY ANSWER] */
void mp__probe_append(char **word, int count)
{
    struct request *request = request_new(word[1]);
    char *rest = word[3];
    for (char *id = strtok_r(NULL, ",", &rest); id; id = strtok_r(NULL, ",", &rest)) {
        mp__probe_add(&request->append, word[2], id, mp_str_of(word[4]));
    }
    if (count > 7) {
        request->append.has_key = true;
        mp_sha256(mp_str_of(word[5]), request->append.key);
        mp_sha256(mp_str_of(word[6]), request->append.body);
        snprintf(request->answer, sizeof(request->answer), "%s", word[7]);
        request->append.answer = mp_str_of(request->answer);
    }
    send_request(request);
}

/* many TAG LANE PREFIX COUNT BYTES: one append of COUNT records, PREFIX1 to PREFIXn */
void mp__probe_many(char **word, int count)
{
    (void)count;
    struct request *request = request_new(word[1]);
    size_t bytes = strtoull(word[5], NULL, 10);
    char *event = mp__probe_event(bytes);
    long records = strtol(word[4], NULL, 10);
    for (long i = 1; i <= records; i++) {
        char id[128];
        snprintf(id, sizeof(id), "%s%ld", word[3], i);
        mp__probe_add(&request->append, word[2], id, (struct mp_str){event, bytes});
    }
    free(event);
    send_request(request);
}
