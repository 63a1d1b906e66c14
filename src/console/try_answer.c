/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "api.h"

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
