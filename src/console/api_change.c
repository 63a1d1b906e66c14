/* SPDX-License-Identifier: MIT */
#include "api.h"

#include <inttypes.h>
#include <stdlib.h>

#include "moonpost/clock.h"

/* Replay and purge: the same words say which dead letters. */

#define IDS_BYTES (16u * 1024 * 1024)

struct chosen {
    struct mp_dead_filter filter;
    struct mp_str *ids;
    struct mp_buf id_text; /* the ids' bytes, one after another */
    struct mp_buf partner;
    bool dry_run;
};

typedef int (*change_fn)(struct mp_queue *queue, const struct mp_dead_filter *filter,
                         bool dry_run, mp_dead_count_cb done, void *arg);

static void chosen_fini(struct chosen *chosen)
{
    free(chosen->ids);
    mp_buf_fini(&chosen->id_text);
    mp_buf_fini(&chosen->partner);
}

static size_t count_items(struct mp_str array)
{
    struct mp_json_iter iter;
    struct mp_str value;
    size_t count = 0;
    mp_json_iter_init(&iter, array);
    while (mp_json_iter_next(&iter, NULL, &value)) {
        count++;
    }
    return count;
}

/* Room for all first, so that no slice moves while they are filled in. */
static bool copy_ids(struct mp_call *call, struct mp_str array, struct chosen *chosen)
{
    struct mp_json_iter iter;
    struct mp_str value;
    size_t count = count_items(array), index = 0;
    chosen->ids = calloc(count ? count : 1, sizeof *chosen->ids);
    if (!chosen->ids || mp_buf_reserve(&chosen->id_text, array.length)) {
        mp__api_refuse(call, MP_ENOMEM, NULL);
        return false;
    }
    mp_json_iter_init(&iter, array);
    while (mp_json_iter_next(&iter, NULL, &value)) {
        size_t from = chosen->id_text.length;
        if (mp_json_kind(value) != MP_JSON_STRING ||
            mp_json_unescape(value, &chosen->id_text)) {
            mp_call_problem(call, 422, "invalid-request", "\"ids\"[%zu] must be a string",
                            index);
            return false;
        }
        chosen->ids[index].data = chosen->id_text.data + from;
        chosen->ids[index++].length = chosen->id_text.length - from;
    }
    chosen->filter.ids = chosen->ids;
    chosen->filter.id_count = count;
    return true;
}

static bool read_ids(struct mp_call *call, struct mp_str object, struct chosen *chosen,
                     bool *present)
{
    struct mp_str array;
    *present = mp_json_member(object, mp_str_of("ids"), &array);
    if (!*present) {
        return true;
    }
    if (mp_json_kind(array) != MP_JSON_ARRAY) {
        mp_call_problem(call, 422, "invalid-request",
                        "\"ids\" must be a list of strings");
        return false;
    }
    return copy_ids(call, array, chosen);
}

static bool read_time(struct mp_call *call, struct mp_str object, const char *name,
                      int64_t *out_ms, bool *present)
{
    struct mp_buf text;
    mp_buf_init(&text, 1024);
    bool is_read = mp__api_text(call, object, name, &text, present);
    if (is_read && *present && mp_time_parse(mp_buf_str(&text), out_ms)) {
        mp_call_problem(
            call, 422, "invalid-request",
            "\"%s\" must be a time as RFC 3339 writes it: 2026-11-23T22:04:19Z", name);
        is_read = false;
    }
    if (is_read && *present && *out_ms < 0) {
        *out_ms = 0; /* nothing died before 1970, and -1 means open */
    }
    mp_buf_fini(&text);
    return is_read;
}

static bool read_range(struct mp_call *call, struct mp_str object, struct chosen *chosen,
                       bool *present)
{
    struct mp_dead_filter *filter = &chosen->filter;
    bool has_partner, has_since, has_until;
    if (!mp__api_text(call, object, "partner", &chosen->partner, &has_partner) ||
        !read_time(call, object, "since", &filter->since_ms, &has_since) ||
        !read_time(call, object, "until", &filter->until_ms, &has_until)) {
        return false;
    }
    filter->partner = mp_buf_str(&chosen->partner);
    *present = has_partner || has_since || has_until;
    if (has_partner && !mp_partner_name_is_valid(filter->partner)) {
        mp_call_problem(call, 422, "invalid-request",
                        "\"partner\" must be a partner's name: [a-z0-9][a-z0-9_-]{0,63}");
        return false;
    }
    if (has_since && has_until && filter->until_ms < filter->since_ms) {
        mp_call_problem(call, 422, "invalid-request", "\"until\" is before \"since\"");
        return false;
    }
    return true;
}

static bool read_chosen(struct mp_api *api, struct mp_call *call, struct chosen *chosen)
{
    static const char *const known[] = {"ids",   "partner", "since",
                                        "until", "dry_run", NULL};
    struct mp_str object;
    bool has_ids, has_range;
    if (!mp__api_object(api, call, known, &object) ||
        !read_ids(call, object, chosen, &has_ids) ||
        !read_range(call, object, chosen, &has_range) ||
        !mp__api_bool(call, object, "dry_run", &chosen->dry_run)) {
        return false;
    }
    if (has_ids == has_range) {
        mp_call_problem(call, 422, "invalid-request",
                        "say which: {\"ids\":[…]}, or any of \"partner\", \"since\" and "
                        "\"until\"%s",
                        has_ids ? "; not both" : "");
        return false;
    }
    return true;
}

static int write_count(struct mp_buf *out, const char *verb,
                       const struct mp_dead_count *count)
{
    int status =
        mp_buf_printf(out, "{\"matched\":%" PRIu64 ",\"%s\":%" PRIu64 ",\"unknown\":[",
                      count->matched, verb, count->done);
    for (size_t i = 0; !status && i < count->unknown_count; i++) {
        status = mp__write_text(out, i ? "," : "", count->unknown[i]);
    }
    return status ? status : mp_buf_append_text(out, "]}");
}

static void answer_count(struct mp_call *call, const char *verb, int status,
                         const char *why, const struct mp_dead_count *count)
{
    struct mp_buf body;
    if (status) {
        mp__api_refuse(call, status, why);
        return;
    }
    mp_buf_init(&body, MP_API_BODY_MAX);
    bool failed = write_count(&body, verb, count);
    mp__api_answer(call, &body, failed);
}

static void on_replayed(void *arg, int status, const char *why,
                        struct mp_dead_count *count)
{
    answer_count(arg, "replayed", status, why, count);
}

static void on_purged(void *arg, int status, const char *why, struct mp_dead_count *count)
{
    answer_count(arg, "purged", status, why, count);
}

static void change(struct mp_api *api, struct mp_call *call, change_fn verb,
                   mp_dead_count_cb done)
{
    struct chosen chosen = {.filter = {.since_ms = -1, .until_ms = -1}};
    mp_buf_init(&chosen.id_text, IDS_BYTES);
    mp_buf_init(&chosen.partner, 1024);
    if (read_chosen(api, call, &chosen)) {
        int status = verb(api->owner.queue, &chosen.filter, chosen.dry_run, done, call);
        if (status) {
            mp__api_refuse(call, status, NULL);
        }
    }
    chosen_fini(&chosen);
}

void mp__api_dead_replay(struct mp_api *api, struct mp_call *call, struct mp_str name)
{
    (void)name;
    change(api, call, mp_queue_dead_replay, on_replayed);
}

void mp__api_dead_purge(struct mp_api *api, struct mp_call *call, struct mp_str name)
{
    (void)name;
    change(api, call, mp_queue_dead_purge, on_purged);
}
