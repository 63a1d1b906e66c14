/* SPDX-License-Identifier: MIT */
#include "testing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moonpost/clock.h"

#define SECRETS_MAX  256
#define SOURCE_BYTES ((size_t)2 * 1024 * 1024) /* more than a script may have */
#define ANSWER_BYTES ((size_t)256 * 1024 * 1024)

static void tell(char why[MP_TESTING_WHY], const struct mp_error *err, int status)
{
    snprintf(why, MP_TESTING_WHY, "%s",
             err->text[0] ? err->text : mp_status_text(status));
}

struct opening {
    struct mp_testing *testing;
    const char *file;
    struct mp_str secrets; /* a JSON object, or empty */
    struct mp_error err;
    int status;
};

/* All names and values lie in one buffer that does not move. */
static int read_secrets(struct mp_str object, struct mp_secrets **out,
                        struct mp_error *err)
{
    struct mp_secret_value values[SECRETS_MAX];
    struct mp_str key, raw;
    struct mp_json_iter iter;
    struct mp_buf texts;
    size_t count = 0;
    mp_buf_init(&texts, SIZE_MAX);
    int status = mp_buf_reserve(&texts, object.length);
    mp_json_iter_init(&iter, object);
    while (status == MP_OK && mp_json_iter_next(&iter, &key, &raw)) {
        if (count == SECRETS_MAX || mp_json_kind(raw) != MP_JSON_STRING) {
            status = mp_error_set(err, MP_EINVAL, "secrets are strings, at most %d",
                                  SECRETS_MAX);
            break;
        }
        size_t name_at = texts.length;
        status = mp_json_unescape(key, &texts);
        size_t value_at = texts.length;
        status = status ? status : mp_json_unescape(raw, &texts);
        values[count++] =
            (struct mp_secret_value){{texts.data + name_at, value_at - name_at},
                                     {texts.data + value_at, texts.length - value_at}};
    }
    status = status ? status : mp_secrets_of(values, count, true, out);
    mp_buf_fini(&texts);
    return status;
}

static int read_source(const char *file, struct mp_buf *out, struct mp_error *err)
{
    char block[16384];
    size_t got;
    int status = MP_OK;
    FILE *in = fopen(file, "rb");
    if (!in) {
        return mp_error_set(err, MP_ENOTFOUND, "could not open %s: %s", file,
                            strerror(errno));
    }
    while (status == MP_OK && (got = fread(block, 1, sizeof(block), in)) > 0) {
        status = mp_buf_append(out, block, got);
    }
    if (ferror(in)) {
        status =
            mp_error_set(err, MP_EIO, "could not read %s: %s", file, strerror(errno));
    }
    fclose(in);
    return status;
}

static int load(struct opening *opening, struct mp_str source, struct mp_secrets *secrets)
{
    const char *slash = strrchr(opening->file, '/');
    const char *base = slash ? slash + 1 : opening->file;
    size_t length = strlen(base);
    char *lib = NULL;
    if (length < 5 || strcmp(base + length - 4, ".lua") != 0) {
        return mp_error_set(&opening->err, MP_EINVAL,
                            "%s is no partner: it is to be named <partner>.lua",
                            opening->file);
    }
    if (asprintf(&lib, "%.*slib", (int)(base - opening->file), opening->file) < 0) {
        return MP_ENOMEM;
    }
    struct mp_script_env env = {.lib_folder = lib, .secrets = secrets};
    struct mp_testing *testing = opening->testing;
    int status = mp_script_load((struct mp_str){base, length - 4}, source, opening->file,
                                &env, &testing->script, &opening->err);
    if (status == MP_OK) {
        status = mp_script_state_new(testing->script, &testing->state, &opening->err);
    }
    free(lib);
    return status;
}

static void *open_apart(void *arg)
{
    struct opening *opening = arg;
    struct mp_secrets *secrets = NULL;
    struct mp_buf source;
    mp_buf_init(&source, SOURCE_BYTES);
    opening->status = read_source(opening->file, &source, &opening->err);
    if (opening->status == MP_OK) {
        opening->status = read_secrets(opening->secrets, &secrets, &opening->err);
    }
    if (opening->status == MP_OK) {
        opening->status = load(opening, mp_buf_str(&source), secrets);
    }
    mp_secrets_unref(secrets);
    mp_buf_fini(&source);
    return NULL;
}

struct mp_testing *mp_testing_open(const char *file, const char *options, size_t length,
                                   char why[MP_TESTING_WHY])
{
    struct opening opening = {.file = file, .secrets = {"{}", 2}};
    struct mp_str object, secrets;
    int status = mp_json_check((struct mp_str){options, length}, 32, &object, NULL);
    if (status == MP_OK && mp_json_kind(object) == MP_JSON_OBJECT &&
        mp_json_member(object, mp_str_of("secrets"), &secrets) &&
        mp_json_kind(secrets) == MP_JSON_OBJECT) {
        opening.secrets = secrets;
    }
    opening.testing = calloc(1, sizeof(*opening.testing));
    status = status ? status : opening.testing ? MP_OK : MP_ENOMEM;
    if (status == MP_OK) {
        mp_request_init(&opening.testing->request);
        mp_buf_init(&opening.testing->answer, ANSWER_BYTES);
        status = mp_script_apart(open_apart, &opening);
    }
    status = status ? status : opening.status;
    if (status == MP_OK) {
        return opening.testing;
    }
    tell(why, &opening.err, status);
    mp_testing_close(opening.testing);
    return NULL;
}

void mp_testing_close(struct mp_testing *testing)
{
    if (testing) {
        mp_script_state_free(testing->state);
        mp_script_unref(testing->script);
        mp_request_fini(&testing->request);
        mp_buf_fini(&testing->answer);
        free(testing);
    }
}

bool mp_testing_batches(const struct mp_testing *testing)
{
    return testing->script->batch.size > 0;
}

struct calling {
    struct mp_testing *testing;
    struct mp_str call, body;
    struct mp_error err;
    int status;
};

static int dispatch(struct calling *calling, struct mp__subjects *subjects)
{
    struct mp_testing *testing = calling->testing;
    struct mp_error *err = &calling->err;
    struct mp_str name = {0}, response = {0};
    if (mp_json_member(calling->call, mp_str_of("call"), &name) &&
        mp_json_kind(name) == MP_JSON_STRING) {
        if (mp_json_string_is(name, mp_str_of("build"))) {
            return mp__testing_build(testing, subjects, err);
        }
        if (mp_json_string_is(name, mp_str_of("judge"))) {
            mp_json_member(calling->call, mp_str_of("response"), &response);
            return mp__testing_judge(testing, subjects, response, calling->body, err);
        }
        if (mp_json_string_is(name, mp_str_of("group"))) {
            return mp__testing_group(testing, subjects, err);
        }
        if (mp_json_string_is(name, mp_str_of("accepts"))) {
            return mp__testing_accepts(testing, subjects, err);
        }
    }
    return mp_error_set(err, MP_EINVAL, "there is no such call");
}

/* As the runtime does after an overrun. */
static void renew_state(struct mp_testing *testing)
{
    struct mp_script_state *state;
    struct mp_error err;
    if (mp_script_state_new(testing->script, &state, &err) == MP_OK) {
        mp_script_state_free(testing->state);
        testing->state = state;
    }
}

static void *call_apart(void *arg)
{
    struct calling *calling = arg;
    struct mp__subjects subjects = {0};
    calling->status =
        mp__subjects_read(calling->testing, calling->call, &subjects, &calling->err);
    if (calling->status == MP_OK) {
        calling->status = dispatch(calling, &subjects);
    }
    if (subjects.has_overrun) {
        renew_state(calling->testing);
    }
    mp__subjects_fini(&subjects);
    return NULL;
}

const char *mp_testing_call(struct mp_testing *testing, const char *call, size_t length,
                            const char *body, size_t body_length, size_t *answer_length,
                            char why[MP_TESTING_WHY])
{
    struct calling calling = {.testing = testing, .body = {body, body_length}};
    mp_buf_reset(&testing->answer);
    int status = mp_json_check((struct mp_str){call, length}, MP_JSON_DEPTH_CEILING,
                               &calling.call, NULL);
    if (status == MP_OK && mp_json_kind(calling.call) == MP_JSON_OBJECT) {
        status = mp_script_apart(call_apart, &calling);
    }
    status = status ? status : calling.status;
    const char *answer = status == MP_OK ? mp_buf_cstr(&testing->answer) : NULL;
    if (!answer) {
        tell(why, &calling.err, status ? status : MP_ENOMEM);
    }
    *answer_length = testing->answer.length;
    return answer;
}

const char *mp_testing_body(const struct mp_testing *testing, size_t *length)
{
    struct mp_str body = mp_request_body(&testing->request);
    *length = body.length;
    return body.data;
}

bool mp_testing_check(const char *text, size_t length, char why[MP_TESTING_WHY])
{
    struct mp_json_fault fault;
    struct mp_str value;
    if (mp_json_check((struct mp_str){text, length}, MP_JSON_DEPTH_DEFAULT, &value,
                      &fault) != MP_OK) {
        snprintf(why, MP_TESTING_WHY, "line %u, column %u: %s", fault.line, fault.column,
                 fault.reason);
        return false;
    }
    snprintf(why, MP_TESTING_WHY, "it is no object");
    return mp_json_kind(value) == MP_JSON_OBJECT;
}

int64_t mp_testing_time(const char *text)
{
    int64_t ms;
    return mp_time_parse(mp_str_of(text), &ms) == MP_OK ? ms : -1;
}
