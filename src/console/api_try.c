/* SPDX-License-Identifier: MIT */
#include "api.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ATTEMPT_MAX 1000

struct attempt {
    struct mp_call *call;
    struct mp_try try_;
    struct mp_buf partner, type, method, url;
};

struct mp_str mp_try_body_shown(const struct mp_try *try_)
{
    const struct mp_request *request = &try_->request;
    return request->body_shown.length ? mp_buf_str(&request->body_shown)
                                      : mp_request_body(request);
}

static int write_headers(struct mp_buf *out, const struct mp_request *request)
{
    int status = mp_buf_append_text(out, ",\"headers\":{");
    for (size_t i = 0; !status && i < request->header_count; i++) {
        status = mp__write_text(out, i ? "," : "", mp_header_name(request, i));
        status = status ? status : mp__write_text(out, ":", mp_header_shown(request, i));
    }
    return status ? status : mp_buf_append_char(out, '}');
}

static int write_retry(struct mp_buf *out, const struct mp_try *try_)
{
    int status = mp_buf_append_text(out, ",\"retry\":[");
    for (size_t i = 0; !status && i < try_->retry_count; i++) {
        status = mp_buf_printf(out, i ? ",%" PRId64 : "%" PRId64, try_->retry_ms[i]);
    }
    return status ? status : mp_buf_append_text(out, "]}");
}

int mp_try_write_json(const struct mp_try *try_, struct mp_buf *out)
{
    const struct mp_request *request = &try_->request;
    int status = mp__write_text(out, "{\"partner\":", try_->partner);
    status = status ? status : mp__write_cstr(out, ",\"generation\":", try_->generation);
    status = status ? status : mp__write_cstr(out, ",\"method\":", request->method);
    status =
        status ? status : mp__write_text(out, ",\"url\":", mp_request_url_shown(request));
    status = status ? status : write_headers(out, request);
    if (request->has_body) {
        status =
            status ? status : mp__write_text(out, ",\"body\":", mp_try_body_shown(try_));
    } else {
        status = status ? status : mp__write_cstr(out, ",\"body\":", NULL);
    }
    return status ? status : write_retry(out, try_);
}

int mp_try_own_type(struct mp_str event, struct mp_buf *out)
{
    struct mp_str type;
    if (mp_json_member(event, mp_str_of("type"), &type) &&
        mp_json_kind(type) == MP_JSON_STRING) {
        return mp_json_unescape(type, out);
    }
    return MP_OK;
}

const char *mp_try_endpoint_fault(struct mp_str method, struct mp_str url,
                                  struct mp_error *err)
{
    static const char *const methods[] = {"GET", "HEAD",  "POST",
                                          "PUT", "PATCH", "DELETE"};
    char authority[MP_LANE_BYTES];
    bool is_method = false;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        is_method = is_method || mp_str_is(method, methods[i]);
    }
    if (!is_method) {
        mp_error_set(
            err, MP_EINVAL,
            "the endpoint's method must be GET, HEAD, POST, PUT, PATCH or DELETE");
        return err->text;
    }
    return mp_authority_of(url, authority, NULL, err) ? err->text : NULL;
}

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
