/* SPDX-License-Identifier: MIT */
#include "api.h"

/* Opens the object and leaves it open: one letter has more members than a list's item. */
static int write_letter(struct mp_buf *out, const struct mp_dead_letter *letter)
{
    const struct mp_record *record = letter->record;
    int status = mp__write_text(out, "{\"id\":", record->id);
    status = status ? status : mp__write_text(out, ",\"partner\":", record->partner);
    status = status ? status : mp__write_cstr(out, ",\"reason\":", letter->reason);
    status = status ? status : mp_buf_printf(out, ",\"attempts\":%u", record->attempts);
    if (record->last_status) {
        status =
            status ? status : mp_buf_printf(out, ",\"status\":%u", record->last_status);
    } else {
        status = status ? status : mp_buf_append_text(out, ",\"status\":null");
    }
    status = status ? status : mp__write_time(out, ",\"first_at\":", record->first_ms);
    return status ? status : mp__write_time(out, ",\"last_at\":", record->last_ms);
}

static int write_page(struct mp_buf *out, const struct mp_dead_page *page)
{
    int status = mp_buf_append_text(out, "{\"items\":[");
    for (size_t i = 0; !status && i < page->count; i++) {
        status = i ? mp_buf_append_char(out, ',') : MP_OK;
        status = status ? status : write_letter(out, &page->items[i]);
        status = status ? status : mp_buf_append_char(out, '}');
    }
    status = status ? status : mp_buf_append_char(out, ']');
    if (!status && page->next[0]) {
        status = mp__write_cstr(out, ",\"next\":", page->next);
    }
    return status ? status : mp_buf_append_char(out, '}');
}

static void answer_no_page(struct mp_call *call, int status, const char *why)
{
    if (status == MP_EINVAL) {
        mp_call_problem(call, 422, "invalid-request",
                        "cursor is not one that a list gave");
    } else {
        mp__api_refuse(call, status, why);
    }
}

static void on_page(void *arg, int status, const char *why, struct mp_dead_page *page)
{
    struct mp_buf body;
    if (status) {
        answer_no_page(arg, status, why);
        return;
    }
    mp_buf_init(&body, MP_API_BODY_MAX);
    bool failed = write_page(&body, page);
    mp__api_answer(arg, &body, failed);
}

void mp__api_dead_list(struct mp_api *api, struct mp_call *call, struct mp_str name)
{
    (void)name;
    struct mp__page page;
    struct mp_buf partner;
    if (!mp__api_page(call, &page)) {
        return;
    }
    mp_buf_init(&partner, 1024);
    bool is_named = mp_call_query(call, "partner", &partner) || partner.length > 0;
    if (is_named && !mp_partner_name_is_valid(mp_buf_str(&partner))) {
        mp_call_problem(call, 422, "invalid-request",
                        "partner must be a partner's name: [a-z0-9][a-z0-9_-]{0,63}");
    } else {
        int status =
            mp_queue_dead_list(api->owner.queue, mp_buf_str(&partner), page.limit,
                               mp_buf_str(&page.cursor), on_page, call);
        if (status) {
            answer_no_page(call, status, NULL);
        }
    }
    mp_buf_fini(&partner);
    mp_buf_fini(&page.cursor);
}

static int write_given(struct mp_buf *out, const char *before, struct mp_str text)
{
    return text.length ? mp__write_text(out, before, text) : MP_OK;
}

static int write_whole(struct mp_buf *out, const struct mp_dead_letter *letter)
{
    const struct mp_record *record = letter->record;
    int status = write_letter(out, letter);
    status = status ? status : write_given(out, ",\"type\":", record->type);
    status = status ? status : write_given(out, ",\"source\":", record->source);
    status = status ? status : write_given(out, ",\"subject\":", record->subject);
    if (record->endpoint_url.length) {
        status = status ? status
                        : mp__write_text(
                              out, ",\"endpoint\":{\"method\":", record->endpoint_method);
        status = status ? status : mp__write_text(out, ",\"url\":", record->endpoint_url);
        status = status ? status : mp_buf_append_char(out, '}');
    }
    status = status ? status : mp_buf_append_text(out, ",\"event\":");
    status = status ? status : mp_buf_append_str(out, record->event);
    return status ? status : mp_buf_append_char(out, '}');
}

static void answer_no_letter(struct mp_call *call, int status, const char *why)
{
    if (status == MP_ENOTFOUND || status == MP_EINVAL) {
        mp_call_problem(call, 404, "unknown-delivery", "no dead letter has this id");
    } else {
        mp__api_refuse(call, status, why);
    }
}

static void on_letter(void *arg, int status, const char *why, struct mp_dead_page *page)
{
    struct mp_buf body;
    if (status || page->count == 0) {
        answer_no_letter(arg, status ? status : MP_ENOTFOUND, why);
        return;
    }
    mp_buf_init(&body, MP_API_BODY_MAX);
    bool failed = write_whole(&body, &page->items[0]);
    mp__api_answer(arg, &body, failed);
}

void mp__api_dead_show(struct mp_api *api, struct mp_call *call, struct mp_str id)
{
    int status = id.length ? mp_queue_dead_show(api->owner.queue, id, on_letter, call)
                           : MP_ENOTFOUND;
    if (status) {
        answer_no_letter(call, status, NULL);
    }
}
