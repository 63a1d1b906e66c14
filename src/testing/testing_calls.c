/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "testing.h"

#define FIELDS_MAX ((size_t)64 * 1024 * 1024)

bool mp__goes_on(const struct mp__subject *subject)
{
    return subject->status == MP_OK && subject->verdict.kind == MP_VERDICT_NONE;
}

struct mp_context mp__context_of(const struct mp_testing *testing,
                                 const struct mp__subjects *subjects,
                                 const struct mp__subject *subject)
{
    const struct mp_record *record = subject->record;
    return (struct mp_context){
        .record = record,
        .attempt = record->attempts + 1,
        .last = record->attempts >= testing->script->schedule_count,
        .now_ms = subjects->now_ms,
    };
}

/* A call that left the subject so: dead and skipped are no failure of the script. */
static void note(struct mp__subjects *subjects, struct mp__subject *subject, int status)
{
    subject->status = status == MP_EDEAD ? MP_OK : status;
    subjects->has_overrun = subjects->has_overrun || status == MP_EBUDGET;
}

void mp__pieces_build(struct mp_testing *testing, struct mp__subjects *subjects)
{
    for (size_t i = 0; i < subjects->count; i++) {
        struct mp__subject *subject = &subjects->items[i];
        struct mp_context context = mp__context_of(testing, subjects, subject);
        note(subjects, subject,
             mp_item_build(testing->script, testing->state, &context, &subject->item,
                           &subject->verdict, &subject->err));
    }
}

/* Those of the deliveries that go on, as a batch's calls see them. */
struct batch {
    const struct mp_record **members;
    struct mp_item *items;
    struct mp__subject **subjects;
    size_t count;
    uint32_t attempts; /* the most of any */
};

static void batch_fini(struct batch *batch)
{
    free(batch->members);
    free(batch->items);
    free(batch->subjects);
}

static int batch_init(struct batch *batch, const struct mp__subjects *subjects)
{
    *batch = (struct batch){
        .members = calloc(subjects->count, sizeof(*batch->members)),
        .items = calloc(subjects->count, sizeof(*batch->items)),
        .subjects = calloc(subjects->count, sizeof(*batch->subjects)),
    };
    if (!batch->members || !batch->items || !batch->subjects) {
        batch_fini(batch);
        return MP_ENOMEM;
    }
    for (size_t i = 0; i < subjects->count; i++) {
        struct mp__subject *subject = &subjects->items[i];
        if (mp__goes_on(subject)) {
            batch->members[batch->count] = subject->record;
            batch->items[batch->count] = subject->item;
            batch->subjects[batch->count++] = subject;
            batch->attempts = subject->record->attempts > batch->attempts
                                  ? subject->record->attempts
                                  : batch->attempts;
        }
    }
    return MP_OK;
}

/* What the request and the verdict of these are about. */
static struct mp_context whole_context(const struct mp_testing *testing,
                                       const struct mp__subjects *subjects,
                                       const struct batch *batch)
{
    struct mp_context context = mp__context_of(testing, subjects, batch->subjects[0]);
    if (testing->script->batch.size > 0) {
        context.attempt = batch->attempts + 1;
        context.last = batch->attempts >= testing->script->schedule_count;
        context.members = batch->members;
        context.items = batch->items;
        context.member_count = batch->count;
        context.batch_id =
            batch->count > 1 ? mp_str_of("test-batch") : batch->members[0]->id;
    }
    return context;
}

static bool build_request(struct mp_testing *testing, struct mp__subjects *subjects,
                          const struct batch *batch)
{
    if (batch->count == 0) {
        return false;
    }
    struct mp_context context = whole_context(testing, subjects, batch);
    struct mp_verdict verdict = {.delay_ms = -1};
    struct mp_error err = {0};
    int status = mp_request_stamp(&testing->request, &context, MP_VERSION);
    status = status ? status
                    : mp_request_build(testing->script, testing->state, &context,
                                       &testing->request, &verdict, &err);
    for (size_t i = 0; i < batch->count && status != MP_OK; i++) {
        batch->subjects[i]->verdict = verdict;
        batch->subjects[i]->err = err;
        note(subjects, batch->subjects[i], status);
    }
    return status == MP_OK;
}

/* The body is asked for after the call, when the deliveries are gone: the event's own
 * bytes become the request's. */
static int keep_body(struct mp_request *request)
{
    struct mp_str event = request->body_borrowed;
    int status = mp_buf_append_str(&request->body, event);
    request->body_borrowed = (struct mp_str){0};
    return status;
}

int mp__testing_build(struct mp_testing *testing, struct mp__subjects *subjects,
                      struct mp_error *err)
{
    struct batch batch;
    (void)err;
    if (testing->script->batch.size > 0) {
        mp__pieces_build(testing, subjects);
    }
    int status = batch_init(&batch, subjects);
    if (status != MP_OK) {
        return status;
    }
    mp_request_reset(&testing->request);
    bool has_request = build_request(testing, subjects, &batch);
    batch_fini(&batch);
    struct mp_buf *out = &testing->answer;
    status = keep_body(&testing->request);
    status = status ? status : mp_buf_append_text(out, "{\"count\":");
    status = status ? status : mp_buf_append_int(out, (int64_t)subjects->count);
    status = status ? status : mp__write_fates(out, testing, subjects);
    if (has_request) {
        status = status ? status : mp__write_request(out, &testing->request);
    }
    return status ? status : mp_buf_append_char(out, '}');
}

/* What one judgement is made of and gives. */
struct judgement {
    struct mp_response response;
    struct mp_verdict whole;
    struct mp_verdict *members; /* NULL: no batch */
    const char *by;
    struct mp_error thrown;
};

static int write_judgement(struct mp_testing *testing,
                           const struct mp__subjects *subjects,
                           const struct judgement *judgement)
{
    struct mp_buf *out = &testing->answer;
    const struct mp_response *response = &judgement->response;
    const struct mp_verdict *whole = &judgement->whole;
    int status = mp_buf_append_text(out, "{\"whole\":");
    status = status ? status
                    : mp__write_verdict(out, testing, subjects, &subjects->items[0],
                                        whole, response);
    status = status ? status : mp__write_member(out, "by", mp_str_of(judgement->by));
    if (judgement->thrown.text[0] != '\0') {
        struct mp_str text = mp_str_of(judgement->thrown.text);
        status = status ? status : mp__write_member(out, "error", text);
    }
    status = status ? status : mp_buf_append_text(out, ",\"members\":[");
    for (size_t i = 0; i < subjects->count && status == MP_OK; i++) {
        const struct mp_verdict *own =
            judgement->members ? &judgement->members[i] : whole;
        status = i == 0 ? MP_OK : mp_buf_append_char(out, ',');
        status = status ? status
                        : mp__write_verdict(out, testing, subjects, &subjects->items[i],
                                            own, response);
    }
    return status ? status : mp_buf_append_text(out, "]}");
}

static int judge(struct mp_testing *testing, struct mp__subjects *subjects,
                 const struct batch *batch, struct judgement *judgement)
{
    bool is_batch = testing->script->batch.size > 0;
    struct mp_context context = whole_context(testing, subjects, batch);
    if (is_batch) {
        judgement->members = calloc(batch->count, sizeof(*judgement->members));
        if (!judgement->members) {
            return MP_ENOMEM;
        }
    }
    int status = mp_judge(testing->script, testing->state, &context, &judgement->response,
                          &judgement->whole, judgement->members, &judgement->by,
                          &judgement->thrown);
    subjects->has_overrun = status == MP_EBUDGET;
    return write_judgement(testing, subjects, judgement);
}

int mp__testing_judge(struct mp_testing *testing, struct mp__subjects *subjects,
                      struct mp_str response, struct mp_str body, struct mp_error *err)
{
    struct judgement judgement = {.whole.delay_ms = -1, .by = "default"};
    struct batch batch;
    struct mp_buf fields;
    mp_buf_init(&fields, FIELDS_MAX);
    int status = mp__response_read(response, body, &fields, &judgement.response, err);
    if (status == MP_OK) {
        status = batch_init(&batch, subjects);
    }
    if (status == MP_OK) {
        status = judge(testing, subjects, &batch, &judgement);
        batch_fini(&batch);
    }
    free(judgement.members);
    mp_buf_fini(&fields);
    return status;
}

int mp__testing_accepts(struct mp_testing *testing, struct mp__subjects *subjects,
                        struct mp_error *err)
{
    struct mp__subject *subject = &subjects->items[0];
    struct mp_context context = mp__context_of(testing, subjects, subject);
    struct mp_buf *out = &testing->answer;
    bool accepted = true;
    char why[256] = "";
    int status = MP_OK;
    if (testing->script->hooks & MP_HOOK_ACCEPTS) {
        status = mp_script_call_accepts(testing->state, &context, &accepted, why, err);
        note(subjects, subject, status);
    }
    status = status ? status
                    : mp_buf_append_text(out, accepted ? "{\"accepted\":true"
                                                       : "{\"accepted\":false");
    status = status ? status : mp__write_member(out, "why", mp_str_of(why));
    return status ? status : mp_buf_append_char(out, '}');
}
