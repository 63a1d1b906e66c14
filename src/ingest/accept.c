/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "moonpost/clock.h"
#include "moonpost/id.h"
#include "server.h"

#define KEY_BYTES_MAX 255

void mp__intake_init(struct mp__intake *intake)
{
    *intake = (struct mp__intake){0};
    mp_buf_init(&intake->ids, SIZE_MAX);
    mp_buf_init(&intake->deliveries, SIZE_MAX);
    mp_buf_init(&intake->text, SIZE_MAX);
}

void mp__intake_abandon(struct mp_call *call)
{
    mp_record_list_free(&call->connection->server->intake.records);
}

static int answer_memory(struct mp_call *call)
{
    struct mp__problem problem = {503, "out-of-memory", "Retry-After: 1\r\n", NULL};
    mp__call_problem(call, &problem, mp_str_of("there is no memory for the request"));
    return MP_ENOMEM;
}

static int read_key(struct mp_call *call, struct mp_str *key)
{
    *key = mp__known(&call->head, call->base, MP__IDEMPOTENCY_KEY);
    if (call->head.known_count[MP__IDEMPOTENCY_KEY] == 0) {
        return MP_OK;
    }
    /* The draft makes it a quoted string; most clients send it bare. */
    if (key->length >= 2 && key->data[0] == '"' && key->data[key->length - 1] == '"') {
        *key = (struct mp_str){key->data + 1, key->length - 2};
    }
    bool is_good = key->length >= 1 && key->length <= KEY_BYTES_MAX;
    for (size_t i = 0; is_good && i < key->length; i++) {
        is_good = key->data[i] > ' ' && key->data[i] < 0x7f;
    }
    if (!is_good) {
        mp_call_problem(call, 400, "malformed-idempotency-key",
                        "Idempotency-Key is not 1 to %d visible characters",
                        KEY_BYTES_MAX);
        return MP_EINVAL;
    }
    return MP_OK;
}

int mp__intake_begin(struct mp_call *call)
{
    struct mp__intake *intake = &call->connection->server->intake;
    mp_buf_reset(&intake->ids);
    mp_buf_reset(&intake->deliveries);
    mp_buf_reset(&call->tally);
    intake->records = (struct mp_record_list){0};
    intake->now_ms = mp_clock_wall_ms();
    return read_key(call, &intake->key);
}

/* Runs of the same partner count together. */
static int add_tally(struct mp_call *call, struct mp_str partner)
{
    struct mp_series *series =
        mp__meter_accepted(&call->connection->server->meter, partner);
    size_t count = call->tally.length / sizeof(struct mp__tally);
    struct mp__tally *all = (struct mp__tally *)(void *)call->tally.data;
    if (count > 0 && all[count - 1].series == series) {
        all[count - 1].count++;
        return MP_OK;
    }
    struct mp__tally one = {series, 1};
    return mp_buf_append(&call->tally, &one, sizeof(one));
}

static int tell_id(struct mp_buf *out, const char *id)
{
    char text[MP_ID_BYTES + 3];
    size_t at = 0;
    if (out->length > 0) {
        text[at++] = ',';
    }
    text[at++] = '"';
    memcpy(text + at, id, MP_ID_BYTES - 1);
    at += MP_ID_BYTES - 1;
    text[at++] = '"';
    return mp_buf_append(out, text, at);
}

static int tell_delivery(struct mp_buf *out, const char *id, struct mp_str partner,
                         uint64_t index)
{
    return mp_buf_printf(out, "%s{\"id\":\"%s\",\"partner\":\"%.*s\",\"index\":%llu}",
                         out->length > 0 ? "," : "", id, (int)partner.length,
                         partner.data, (unsigned long long)index);
}

int mp__intake_add(struct mp_call *call, struct mp_record *draft, uint64_t index,
                   bool tells_delivery)
{
    struct mp__intake *intake = &call->connection->server->intake;
    char id[MP_ID_BYTES];
    struct mp_record *record;
    if (intake->records.count == MP__DELIVERIES_MAX) {
        mp_call_problem(call, 413, "too-many-deliveries",
                        "the request makes more than %d deliveries: send it in parts",
                        MP__DELIVERIES_MAX);
        return MP_ELIMIT;
    }
    if (intake->key.length > 0) {
        mp_id_of_key(intake->key, draft->partner, index, draft->event, id);
    } else {
        mp_id_new(id);
    }
    draft->id = (struct mp_str){id, MP_ID_BYTES - 1};
    draft->first_ms = intake->now_ms;
    draft->due_ms = intake->now_ms;
    if (mp_record_new(draft, &record) != MP_OK) {
        return answer_memory(call);
    }
    mp_record_list_push(&intake->records, record);
    int status = add_tally(call, draft->partner);
    if (status == MP_OK) {
        status = tell_id(&intake->ids, id);
    }
    if (status == MP_OK && tells_delivery) {
        status = tell_delivery(&intake->deliveries, id, draft->partner, index);
    }
    return status == MP_OK ? MP_OK : answer_memory(call);
}

static int write_answer(struct mp_call *call, bool tells_deliveries)
{
    struct mp__intake *intake = &call->connection->server->intake;
    struct mp_buf *out = &call->answer;
    mp_buf_reset(out);
    int status = mp_buf_reserve(out, intake->ids.length + intake->deliveries.length + 64);
    status = status ? status : mp_buf_append_text(out, "{\"accepted\":");
    status = status ? status : mp_buf_append_int(out, (int64_t)intake->records.count);
    status = status ? status : mp_buf_append_text(out, ",\"ids\":[");
    status = status ? status : mp_buf_append_str(out, mp_buf_str(&intake->ids));
    if (tells_deliveries) {
        status = status ? status : mp_buf_append_text(out, "],\"deliveries\":[");
        status =
            status ? status : mp_buf_append_str(out, mp_buf_str(&intake->deliveries));
    }
    return status ? status : mp_buf_append_text(out, "]}");
}

/* What makes two requests under one key the same: the kind of content, the event's
 * attributes that came as fields, the body. Each piece is told apart by its length. */
static void digest_body(struct mp_call *call, uint8_t out[MP_SHA256_BYTES])
{
    char shape[160];
    struct mp_str parts[MP__CE_ATTRIBUTES + 2];
    int at = snprintf(shape, sizeof(shape), "%d", (int)call->content);
    for (unsigned i = 0; i < MP__CE_ATTRIBUTES; i++) {
        parts[i + 1] =
            call->head.has_ce ? mp__ce_field(call, i) : (struct mp_str){NULL, 0};
        at +=
            snprintf(shape + at, sizeof(shape) - (size_t)at, ",%zu", parts[i + 1].length);
    }
    parts[0] = (struct mp_str){shape, (size_t)at};
    parts[MP__CE_ATTRIBUTES + 1] = call->body;
    mp_sha256_of(parts, MP__CE_ATTRIBUTES + 2, out);
}

static void digest_key(struct mp_call *call, const char *scope)
{
    struct mp_str parts[] = {mp_str_of(scope), call->partner, mp_str_of("\n"),
                             call->connection->server->intake.key};
    if (call->route != MP__ROUTE_PARTNER) {
        parts[1] = (struct mp_str){NULL, 0};
    }
    mp_sha256_of(parts, sizeof(parts) / sizeof(parts[0]), call->append.key);
    digest_body(call, call->append.body);
}

static void answer_accepted(struct mp_call *call)
{
    const struct mp__tally *tally =
        (const struct mp__tally *)(const void *)call->tally.data;
    for (size_t i = 0; i < call->tally.length / sizeof(*tally); i++) {
        mp_series_add(tally[i].series, tally[i].count);
    }
    mp_call_respond(call, 202, "application/json", NULL, mp_buf_str(&call->answer));
}

/* The answer of the first time, and that it is one. */
static void answer_duplicate(struct mp_call *call, struct mp_str before)
{
    mp_buf_reset(&call->answer);
    size_t length = before.length > 0 ? before.length - 1 : 0; /* without the brace */
    if (mp_buf_append(&call->answer, before.data, length) != MP_OK ||
        mp_buf_append_text(&call->answer, length ? ",\"duplicate\":true}"
                                                 : "{\"duplicate\":true}") != MP_OK) {
        (void)answer_memory(call);
        return;
    }
    mp_call_respond(call, 202, "application/json", NULL, mp_buf_str(&call->answer));
}

/* What the answer would have told of those that were stored all the same: the client may
 * send the others again, or all of them under the same ids. */
static int tell_stored(struct mp_call *call, const struct mp_append *append,
                       struct mp_buf *out)
{
    struct mp_json_iter ids, deliveries;
    struct mp_str id, delivery, list = {NULL, 0}, all = mp_buf_str(&call->answer);
    bool has_deliveries = mp_json_member(all, mp_str_of("deliveries"), &delivery);
    if (!mp_json_member(all, mp_str_of("ids"), &list)) {
        return MP_EINVAL;
    }
    mp_json_iter_init(&ids, list);
    mp_json_iter_init(&deliveries, has_deliveries ? delivery : list);
    int status = mp_buf_append_text(out, ",\"accepted\":[");
    const char *comma = "";
    for (size_t i = 0; status == MP_OK && mp_json_iter_next(&ids, NULL, &id) &&
                       mp_json_iter_next(&deliveries, NULL, &delivery);
         i++) {
        struct mp_str partner =
            call->route == MP__ROUTE_PARTNER ? call->partner : mp_str_of("postback");
        if (!append->stored[i]) {
            continue;
        }
        status =
            has_deliveries
                ? mp_buf_printf(out, "%s%.*s", comma, (int)delivery.length, delivery.data)
                : mp_buf_printf(out, "%s{\"index\":%zu,\"partner\":\"%.*s\",\"id\":%.*s}",
                                comma, i, (int)partner.length, partner.data,
                                (int)id.length, id.data);
        comma = ",";
    }
    return status ? status : mp_buf_append_text(out, "]");
}

static void answer_part(struct mp_call *call, const struct mp_append *append,
                        const char *why)
{
    char detail[400];
    struct mp_buf members;
    mp_buf_init(&members, SIZE_MAX);
    struct mp__problem problem = {503, "partly-accepted", "Retry-After: 1\r\n", NULL};
    snprintf(detail, sizeof(detail),
             "%zu of the deliveries were accepted, the others were not: %s",
             append->stored_count, why);
    if (tell_stored(call, append, &members) == MP_OK) {
        problem.members = mp_buf_cstr(&members);
    }
    mp__call_problem(call, &problem, mp_str_of(detail));
    mp_buf_fini(&members);
}

static void answer_failure(struct mp_call *call, int status, const char *why)
{
    const struct mp_ingest_config *config = &call->connection->server->config;
    char detail[400];
    struct mp__problem problem = {503, "queue-unavailable", "Retry-After: 2\r\n", NULL};
    if (status == MP_EAGAIN) {
        problem = (struct mp__problem){503, "queue-busy", "Retry-After: 1\r\n", NULL};
    } else if (status == MP_EFULL) {
        problem = (struct mp__problem){503, "disk-full", "Retry-After: 5\r\n", NULL};
    } else if (status == MP_ECLOSED) {
        problem = (struct mp__problem){503, "shutting-down", "Retry-After: 5\r\n", NULL};
    } else if (status == MP_ELIMIT) {
        problem = (struct mp__problem){413, "event-too-large", NULL, NULL};
        why = "an event is larger than the queue's records may be (2 MiB)";
    }
    if (!why && config->not_ready) {
        why = config->not_ready(config->arg);
    }
    snprintf(detail, sizeof(detail), "nothing was accepted: %s",
             why && *why ? why : mp_status_text(status));
    mp__call_problem(call, &problem, mp_str_of(detail));
}

static void on_done(struct mp_append *append, int status, const char *why)
{
    struct mp_call *call = append->arg;
    struct mp_buf before = append->answer_before;
    append->answer_before = (struct mp_buf){0};
    if (status == MP_OK) {
        answer_accepted(call);
    } else if (status == MP_EDUPLICATE) {
        answer_duplicate(call, mp_buf_str(&before));
    } else if (status == MP_ECONFLICT) {
        mp_call_problem(call, 422, "idempotency-key-reused",
                        "this Idempotency-Key came before with another body");
    } else if (append->stored_count > 0) {
        answer_part(call, append, why);
    } else {
        answer_failure(call, status, why);
    }
    mp_buf_fini(&before);
}

void mp__intake_commit(struct mp_call *call, const char *scope, bool tells_deliveries)
{
    struct mp__intake *intake = &call->connection->server->intake;
    struct mp_append *append = &call->append;
    if (write_answer(call, tells_deliveries) != MP_OK) {
        mp__intake_abandon(call);
        (void)answer_memory(call);
        return;
    }
    if (intake->records.count == 0 && intake->key.length == 0) {
        answer_accepted(call);
        return;
    }
    *append =
        (struct mp_append){.records = intake->records, .done = on_done, .arg = call};
    intake->records = (struct mp_record_list){0};
    append->answer = mp_buf_str(&call->answer);
    append->has_key = intake->key.length > 0;
    if (append->has_key) {
        digest_key(call, scope);
    }
    int status = mp_queue_append(call->connection->server->config.queue, append);
    if (status != MP_OK) {
        mp_record_list_free(&append->records);
        answer_failure(call, status, NULL);
    }
}
