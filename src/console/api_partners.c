/* SPDX-License-Identifier: MIT */
#include "api.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "moonpost/id.h"

struct list {
    struct mp_buf body;
    size_t limit;
    size_t count;
    bool has_more;
    bool failed;
    char last[MP_PARTNER_BYTES];
};

static int write_view(struct mp_buf *out, const struct mp_partner_view *view)
{
    int status = mp__write_cstr(out, "{\"name\":", view->name);
    status = status ? status : mp__write_cstr(out, ",\"state\":", view->state);
    status = status ? status : mp__write_cstr(out, ",\"reason\":", view->reason);
    status = status ? status : mp__write_time(out, ",\"since\":", view->since_ms);
    status = status ? status : mp__write_cstr(out, ",\"generation\":", view->generation);
    status = status ? status : mp__write_cstr(out, ",\"error\":", view->error);
    return status
               ? status
               : mp_buf_printf(out, ",\"waiting\":%" PRIu64 ",\"in_flight\":%" PRIu64 "}",
                               view->waiting, view->in_flight);
}

static void on_listed(void *arg, const struct mp_partner_view *view)
{
    struct list *list = arg;
    if (list->count == list->limit) {
        list->has_more = true;
        return;
    }
    list->failed = list->failed ||
                   (list->count && mp_buf_append_char(&list->body, ',')) ||
                   write_view(&list->body, view);
    snprintf(list->last, sizeof list->last, "%s", view->name);
    list->count++;
}

/* A cursor is the last name in hex. */
static bool read_cursor(struct mp_str cursor, char name[MP_PARTNER_BYTES])
{
    unsigned byte;
    size_t length = cursor.length / 2;
    name[0] = 0;
    if (cursor.length % 2 || length >= MP_PARTNER_BYTES) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        char pair[3] = {cursor.data[2 * i], cursor.data[2 * i + 1], 0};
        if (strspn(pair, "0123456789abcdef") != 2 || sscanf(pair, "%2x", &byte) != 1) {
            return false;
        }
        name[i] = (char)byte;
    }
    name[length] = 0;
    return length == 0 || mp_partner_name_is_valid((struct mp_str){name, length});
}

static bool write_list_end(struct list *list)
{
    char cursor[2 * MP_PARTNER_BYTES];
    if (!list->has_more) {
        return mp_buf_append_text(&list->body, "]}") == MP_OK;
    }
    mp_hex((const uint8_t *)list->last, strlen(list->last), cursor);
    return mp_buf_printf(&list->body, "],\"next\":\"%s\"}", cursor) == MP_OK;
}

void mp__api_partners_list(struct mp_api *api, struct mp_call *call, struct mp_str name)
{
    (void)name;
    struct mp__page page;
    char after[MP_PARTNER_BYTES];
    if (!mp__api_page(call, &page)) {
        return;
    }
    bool is_cursor = read_cursor(mp_buf_str(&page.cursor), after);
    mp_buf_fini(&page.cursor);
    if (!is_cursor) {
        mp_call_problem(call, 422, "invalid-request",
                        "cursor is not one that a list gave");
        return;
    }
    struct list list = {.limit = page.limit};
    mp_buf_init(&list.body, MP_API_BODY_MAX);
    list.failed = mp_buf_append_text(&list.body, "{\"items\":[");
    /* One more than wanted tells whether there is a next page. */
    api->owner.partners(api->owner.arg, mp_str_of(after), page.limit + 1, on_listed,
                        &list);
    bool failed = list.failed || !write_list_end(&list);
    mp__api_answer(call, &list.body, failed);
}

struct one {
    struct mp_str name;
    void (*each)(void *to, const struct mp_partner_view *view);
    void *to;
    bool found;
};

static void on_one(void *arg, const struct mp_partner_view *view)
{
    struct one *one = arg;
    if (!one->found && mp_str_is(one->name, view->name)) {
        one->found = true;
        one->each(one->to, view);
    }
}

bool mp__api_partner(struct mp_api *api, struct mp_str name,
                     void (*each)(void *to, const struct mp_partner_view *view), void *to)
{
    char before[MP_PARTNER_BYTES + 1];
    if (!mp_partner_name_is_valid(name)) {
        return false;
    }
    /* The list is asked for what comes after a name, so ask after the text right before
     * this one: no name's byte is above 'z', so none lies between "acmd~" and "acme". */
    memcpy(before, name.data, name.length);
    before[name.length - 1]--;
    before[name.length] = '~';
    struct one one = {.name = name, .each = each, .to = to};
    struct mp_str after = {before, name.length + 1};
    api->owner.partners(api->owner.arg, after, 1, on_one, &one);
    return one.found;
}

static void answer_missing(struct mp_call *call, struct mp_str name)
{
    if (mp_partner_name_is_valid(name)) {
        mp_call_problem(call, 404, "unknown-partner", "there is no partner %.*s",
                        (int)name.length, name.data);
    } else {
        mp_call_problem(call, 404, "unknown-partner",
                        "no partner can be named so: [a-z0-9][a-z0-9_-]{0,63}");
    }
}

void mp__api_partners_show(struct mp_api *api, struct mp_call *call, struct mp_str name)
{
    struct list list = {.limit = 1};
    mp_buf_init(&list.body, MP_API_BODY_MAX);
    if (mp__api_partner(api, name, on_listed, &list)) {
        mp__api_answer(call, &list.body, list.failed);
    } else {
        answer_missing(call, name);
    }
}

static void change(struct mp_api *api, struct mp_call *call, struct mp_str name,
                   int (*verb)(void *arg, struct mp_str partner))
{
    if (!mp__api_nothing(api, call)) {
        return;
    }
    int status =
        mp_partner_name_is_valid(name) ? verb(api->owner.arg, name) : MP_ENOTFOUND;
    if (status == MP_OK) {
        mp__api_partners_show(api, call, name);
    } else if (status == MP_ENOTFOUND) {
        answer_missing(call, name);
    } else {
        mp__api_refuse(call, status, NULL);
    }
}

void mp__api_partners_pause(struct mp_api *api, struct mp_call *call, struct mp_str name)
{
    change(api, call, name, api->owner.pause);
}

void mp__api_partners_resume(struct mp_api *api, struct mp_call *call, struct mp_str name)
{
    change(api, call, name, api->owner.resume);
}
