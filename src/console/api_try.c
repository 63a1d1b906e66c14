/* SPDX-License-Identifier: MIT */
#include "api.h"

#include <stdlib.h>

#define ATTEMPT_MAX 1000

struct attempt {
    struct mp_call *call;
    struct mp_try try_;
    struct mp_buf partner, type, method, url;
};

static void attempt_free(struct attempt *attempt)
{
    mp_request_fini(&attempt->try_.request);
    mp_buf_fini(&attempt->partner);
    mp_buf_fini(&attempt->type);
    mp_buf_fini(&attempt->method);
    mp_buf_fini(&attempt->url);
    free(attempt);
}

static struct attempt *attempt_new(struct mp_call *call)
{
    struct attempt *attempt = calloc(1, sizeof *attempt);
    if (!attempt) {
        return NULL;
    }
    attempt->call = call;
    attempt->try_.attempt = 1;
    mp_request_init(&attempt->try_.request);
    mp_buf_init(&attempt->partner, 1024);
    mp_buf_init(&attempt->type, 64 * 1024);
    mp_buf_init(&attempt->method, 1024);
    mp_buf_init(&attempt->url, MP_REQUEST_URL_MAX);
    return attempt;
}

static bool read_event(struct attempt *attempt, struct mp_str object)
{
    struct mp_str *event = &attempt->try_.event;
    if (mp_json_member(object, mp_str_of("event"), event) &&
        mp_json_kind(*event) == MP_JSON_OBJECT) {
        return true;
    }
    mp_call_problem(attempt->call, 422, "invalid-request",
                    "\"event\" must be a JSON object");
    return false;
}

static bool read_endpoint(struct attempt *attempt, struct mp_str object)
{
    struct mp_str endpoint;
    struct mp_error err;
    bool has_method, has_url;
    bool is_postback = mp_str_is(mp_buf_str(&attempt->partner), "postback");
    bool is_given = mp_json_member(object, mp_str_of("endpoint"), &endpoint);
    if (is_given != is_postback) {
        mp_call_problem(attempt->call, 422, "invalid-request",
                        is_given ? "\"endpoint\" is for the partner postback alone"
                                 : "the partner postback needs an \"endpoint\": "
                                   "{\"method\",\"url\"}");
        return false;
    }
    if (!is_given) {
        return true;
    }
    if (mp_json_kind(endpoint) != MP_JSON_OBJECT) {
        mp_call_problem(attempt->call, 422, "invalid-request",
                        "\"endpoint\" must be {\"method\",\"url\"}");
        return false;
    }
    if (!mp__api_text(attempt->call, endpoint, "method", &attempt->method, &has_method) ||
        !mp__api_text(attempt->call, endpoint, "url", &attempt->url, &has_url)) {
        return false;
    }
    attempt->try_.endpoint_method = mp_buf_str(&attempt->method);
    attempt->try_.endpoint_url = mp_buf_str(&attempt->url);
    const char *fault = mp_try_endpoint_fault(attempt->try_.endpoint_method,
                                              attempt->try_.endpoint_url, &err);
    if (fault) {
        mp_call_problem(attempt->call, 422, "invalid-request", "%s", fault);
    }
    return !fault;
}

static bool read_try(struct mp_api *api, struct attempt *attempt)
{
    static const char *const known[] = {"partner", "event",   "endpoint",
                                        "type",    "attempt", NULL};
    struct mp_call *call = attempt->call;
    struct mp_str object;
    bool has_partner, has_type;
    int64_t number = 1;
    if (!mp__api_object(api, call, known, &object) ||
        !mp__api_text(call, object, "partner", &attempt->partner, &has_partner)) {
        return false;
    }
    if (!has_partner) {
        mp_call_problem(call, 422, "invalid-request", "\"partner\" is missing");
        return false;
    }
    attempt->try_.partner = mp_buf_str(&attempt->partner);
    if (!read_event(attempt, object) || !read_endpoint(attempt, object) ||
        !mp__api_text(call, object, "type", &attempt->type, &has_type) ||
        !mp__api_number(call, object, "attempt", 1, ATTEMPT_MAX, &number)) {
        return false;
    }
    if (!has_type && mp_try_own_type(attempt->try_.event, &attempt->type)) {
        mp_buf_reset(&attempt->type);
    }
    attempt->try_.type = mp_buf_str(&attempt->type);
    attempt->try_.attempt = (uint32_t)number;
    return true;
}

static void on_tried(struct mp_try *try_)
{
    struct attempt *attempt = try_->arg;
    struct mp_buf body;
    if (try_->status) {
        mp_call_problem(attempt->call, 422, "not-sendable", "%s",
                        try_->reason[0] ? try_->reason : mp_status_text(try_->status));
    } else {
        mp_buf_init(&body, MP_API_BODY_MAX);
        bool failed = mp_try_write_json(try_, &body);
        mp__api_answer(attempt->call, &body, failed);
    }
    attempt_free(attempt);
}

static void on_unusable(void *arg, const struct mp_partner_view *view)
{
    mp_call_problem(arg, 422, "not-sendable", "%s has no usable script: %s", view->name,
                    view->error    ? view->error
                    : view->reason ? view->reason
                                   : view->state);
}

static void answer_missing(struct mp_api *api, struct attempt *attempt)
{
    if (!mp__api_partner(api, attempt->try_.partner, on_unusable, attempt->call)) {
        mp_call_problem(attempt->call, 404, "unknown-partner",
                        "there is no partner of this name");
    }
}

void mp__api_try(struct mp_api *api, struct mp_call *call, struct mp_str name)
{
    (void)name;
    struct attempt *attempt = attempt_new(call);
    if (!attempt) {
        mp__api_refuse(call, MP_ENOMEM, NULL);
        return;
    }
    if (!read_try(api, attempt)) {
        attempt_free(attempt);
        return;
    }
    attempt->try_.done = on_tried;
    attempt->try_.arg = attempt;
    int status = mp_scripts_try(api->owner.scripts, &attempt->try_);
    if (status == MP_OK) {
        return;
    }
    if (status == MP_ENOTFOUND) {
        answer_missing(api, attempt);
    } else {
        mp__api_refuse(call, status, NULL);
    }
    attempt_free(attempt);
}
