/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "moonpost/clock.h"
#include "moonpost/json.h"
#include "plan.h"

#define SUBSCRIBES_MAX 64
#define PATTERN_BYTES  256
#define NAMES_MAX      256
#define TIMEOUT_MS     15000
#define TIMEOUT_MAX_MS 600000
#define CONCURRENCY    32
#define JITTER         0.2

static const char *const known_keys[] = {
    "subscribes", "url",      "method",  "headers", "body",    "form",
    "defaults",   "required", "missing", "answers", "timeout", "retry",
    "limits",     "hosts",    "accepts", "request", "verdict", NULL};
static const char *const later_keys[] = {"vars",   "batch", "item",  "max_age",
                                         "oauth2", "tls",   "proxy", NULL};

void mp__plan_fail(struct mp__plan *plan, const char *format, ...)
{
    char text[360];
    char line[16] = "";
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    struct mp_script *script = plan->script;
    unsigned number = mp__source_line(script->source, plan->at);
    if (number > 0) {
        snprintf(line, sizeof(line), ":%u", number);
    }
    bool has_key = plan->at.key && !plan->names_key;
    bool has_child = has_key && plan->at.child;
    lua_pushfstring(plan->lua, "%s%s: %s%s%s%s%s", script->path.data, line,
                    has_key ? plan->at.key : "", has_child ? "." : "",
                    has_child ? plan->at.child : "", has_key ? ": " : "", text);
    lua_error(plan->lua);
    __builtin_unreachable();
}

void *mp__plan_alloc(struct mp__plan *plan, size_t count, size_t bytes)
{
    void *block = mp__script_alloc(plan->script, count * bytes);
    if (!block) {
        mp__plan_fail(plan, "out of memory");
    }
    return block;
}

struct mp_str mp__plan_copy(struct mp__plan *plan, struct mp_str text)
{
    char *bytes = mp__plan_alloc(plan, text.length + 1, 1);
    if (text.length > 0) {
        memcpy(bytes, text.data, text.length);
    }
    return (struct mp_str){bytes, text.length};
}

struct mp_str mp__plan_string(struct mp__plan *plan, const char *what)
{
    if (mp__secret_at(plan->state, -1)) {
        mp__plan_fail(plan, "%s cannot be a secret: write a string", what);
    }
    if (lua_type(plan->lua, -1) != LUA_TSTRING) {
        mp__plan_fail(plan, "%s is a %s: write a string", what,
                      luaL_typename(plan->lua, -1));
    }
    struct mp_str text = mp__plan_copy(plan, mp__str_at(plan->lua, -1));
    lua_pop(plan->lua, 1);
    return text;
}

int64_t mp__plan_duration(struct mp__plan *plan, int index)
{
    int64_t ms = -1;
    if (lua_type(plan->lua, index) == LUA_TNUMBER) {
        double seconds = lua_tonumber(plan->lua, index);
        if (!(seconds >= 0 && seconds <= 315360000)) {
            mp__plan_fail(plan, "the duration is not from 0 to ten years");
        }
        return (int64_t)(seconds * 1000 + 0.5);
    }
    if (lua_type(plan->lua, index) != LUA_TSTRING) {
        mp__plan_fail(plan, "a %s is no duration: write \"30s\", \"5m\", \"2h\"",
                      luaL_typename(plan->lua, index));
    }
    struct mp_str text = mp__str_at(plan->lua, index);
    if (mp_duration_parse(text, &ms) != MP_OK) {
        mp__plan_fail(plan, "\"%.*s\" is no duration: write \"30s\", \"5m\", \"2h\"",
                      text.length < 40 ? (int)text.length : 40, text.data);
    }
    return ms;
}

struct mp__shape mp__plan_shape(struct mp__plan *plan, const char *what)
{
    if (!lua_istable(plan->lua, -1)) {
        mp__plan_fail(plan, "%s is a %s: write a table", what,
                      luaL_typename(plan->lua, -1));
    }
    struct mp__shape shape = mp__push_shape(plan->state, lua_gettop(plan->lua));
    const char *fault = mp__shape_fault(shape.kind);
    if (fault) {
        mp__plan_fail(plan, "%s %s", what, fault);
    }
    return shape;
}

size_t mp__plan_list_length(struct mp__plan *plan, const char *what, size_t max)
{
    struct mp__shape shape = mp__plan_shape(plan, what);
    lua_pop(plan->lua, 1);
    if (shape.kind == MP__SHAPE_OBJECT && shape.count > 0) {
        mp__plan_fail(plan, "%s is a table with names: write a list, { … }", what);
    }
    if (shape.count > max) {
        mp__plan_fail(plan, "%s has more than %zu entries", what, max);
    }
    return shape.count;
}

void mp__plan_list(struct mp__plan *plan, mp__plan_item each, void *arg)
{
    int list = lua_gettop(plan->lua);
    size_t count = lua_objlen(plan->lua, list);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(plan->lua, list, (int)i + 1);
        each(plan, i, arg);
    }
    lua_settop(plan->lua, list - 1);
}

static bool is_in(struct mp_str name, const char *const *list)
{
    for (; list && *list; list++) {
        if (mp_str_is(name, *list)) {
            return true;
        }
    }
    return false;
}

void mp__plan_known(struct mp__plan *plan, const char *what, const char *const *known,
                    const char *const *later)
{
    struct mp__shape shape = mp__plan_shape(plan, what);
    if (shape.kind == MP__SHAPE_LIST && shape.count > 0) {
        mp__plan_fail(plan, "%s is a list: write names, %s = …", what, known[0]);
    }
    for (size_t i = 0; i < shape.count; i++) {
        struct mp_str key = shape.keys[i];
        if (is_in(key, known)) {
            continue;
        }
        struct mp_str name = mp__plan_copy(plan, key);
        plan->at = plan->at.key ? (struct mp__at){plan->at.key, name.data}
                                : (struct mp__at){name.data, NULL};
        plan->names_key = true;
        if (is_in(key, later)) {
            mp__plan_fail(plan, "this version of Moonpost has no `%s` yet", name.data);
        }
        const char *near = mp__near_miss(key, known);
        if (near) {
            mp__plan_fail(plan, "unknown key `%s`: did you mean `%s`?", name.data, near);
        }
        mp__plan_fail(plan, "unknown key `%s` in %s", name.data, what);
    }
    lua_pop(plan->lua, 1);
}

int mp__plan_function(struct mp__plan *plan)
{
    struct mp__private *own = mp__private_of(plan->script);
    int number = own->function_count++;
    mp__push_kept(plan->state, MP__KEPT_FUNCTIONS);
    lua_insert(plan->lua, -2);
    lua_rawseti(plan->lua, -2, number + 1);
    lua_pop(plan->lua, 1);
    plan->script->has_functions = true;
    return number;
}

static void read_hook(struct mp__plan *plan, unsigned hook, int *number)
{
    if (!lua_isfunction(plan->lua, -1)) {
        mp__plan_fail(plan, "it is a %s: write a function", luaL_typename(plan->lua, -1));
    }
    *number = mp__plan_function(plan);
    plan->script->hooks |= hook;
}

static void read_accepts(struct mp__plan *plan)
{
    read_hook(plan, MP_HOOK_ACCEPTS, &mp__private_of(plan->script)->accepts);
}

static void read_request(struct mp__plan *plan)
{
    read_hook(plan, MP_HOOK_REQUEST, &mp__private_of(plan->script)->request);
}

static void read_verdict(struct mp__plan *plan)
{
    read_hook(plan, MP_HOOK_VERDICT, &mp__private_of(plan->script)->verdict);
}

static void read_method(struct mp__plan *plan)
{
    struct mp_str method = mp__plan_string(plan, "method");
    bool good = method.length > 0 && method.length < sizeof(plan->script->method);
    for (size_t i = 0; i < method.length && good; i++) {
        char c = method.data[i];
        good = c > ' ' && c < 0x7f && !strchr("\"(),/:;<=>?@[\\]{}", c);
    }
    if (!good) {
        mp__plan_fail(plan, "it is no HTTP method: write \"GET\", \"POST\", \"PUT\"");
    }
    memcpy(plan->script->method, method.data, method.length + 1);
}

static void read_missing(struct mp__plan *plan)
{
    struct mp_str word = mp__plan_string(plan, "missing");
    plan->script->missing_drop = mp_str_is(word, "drop");
    if (!plan->script->missing_drop && !mp_str_is(word, "empty")) {
        mp__plan_fail(plan, "it is \"drop\" or \"empty\"");
    }
}

static void read_timeout(struct mp__plan *plan)
{
    int64_t ms = mp__plan_duration(plan, -1);
    if (ms < 1 || ms > TIMEOUT_MAX_MS) {
        mp__plan_fail(plan, "it is from 1ms to 10m");
    }
    plan->script->timeout_ms = ms;
    lua_pop(plan->lua, 1);
}

static void read_subscribe(struct mp__plan *plan, size_t index, void *arg)
{
    struct mp_str *patterns = arg;
    patterns[index] = mp__plan_string(plan, "a pattern");
    if (patterns[index].length == 0 || patterns[index].length > PATTERN_BYTES) {
        mp__plan_fail(plan, "a pattern has 1 to %d bytes", PATTERN_BYTES);
    }
}

static void read_subscribes(struct mp__plan *plan)
{
    size_t count = mp__plan_list_length(plan, "it", SUBSCRIBES_MAX);
    plan->script->subscribes = mp__plan_alloc(plan, count, sizeof(struct mp_str));
    plan->script->subscribe_count = count;
    mp__plan_list(plan, read_subscribe, plan->script->subscribes);
}

static void read_name(struct mp__plan *plan, size_t index, void *arg)
{
    struct mp_str *names = arg;
    names[index] = mp__plan_string(plan, "a name");
    if (names[index].length == 0) {
        mp__plan_fail(plan, "a name is empty");
    }
}

static void read_required(struct mp__plan *plan)
{
    size_t count = mp__plan_list_length(plan, "it", NAMES_MAX);
    plan->script->required = mp__plan_alloc(plan, count, sizeof(struct mp_str));
    plan->script->required_count = count;
    mp__plan_list(plan, read_name, plan->script->required);
}

static void read_defaults(struct mp__plan *plan)
{
    struct mp__shape shape = mp__plan_shape(plan, "it");
    if (shape.kind == MP__SHAPE_LIST && shape.count > 0) {
        mp__plan_fail(plan, "it is a list: write names, { geo = \"ZZ\" }");
    }
    struct mp_script *script = plan->script;
    script->defaults = mp__plan_alloc(plan, shape.count, sizeof(struct mp_default));
    for (size_t i = 0; i < shape.count; i++) {
        struct mp_default *each = &script->defaults[script->default_count++];
        each->name = mp__plan_copy(plan, shape.keys[i]);
        plan->at.child = each->name.data;
        mp__push_str(plan->lua, each->name);
        lua_rawget(plan->lua, -3);
        mp_buf_reset(&plan->state->scratch);
        mp__write_json(plan->state, lua_gettop(plan->lua), &plan->state->scratch);
        each->json = mp__plan_copy(plan, mp_buf_str(&plan->state->scratch));
        lua_pop(plan->lua, 1);
    }
    lua_pop(plan->lua, 2);
}

static void check_whole(struct mp__plan *plan)
{
    struct mp_script *script = plan->script;
    plan->at = (struct mp__at){"body", NULL};
    if (script->body_kind != MP_BODY_DEFAULT &&
        mp_str_is(mp_str_of(script->method), "GET")) {
        plan->at.key = script->body_kind == MP_BODY_FORM ? "form" : "body";
        mp__plan_fail(plan, "a GET has no body: set method = \"POST\" or remove it");
    }
    plan->at = (struct mp__at){NULL, NULL};
    script->hosts_free = strcmp(script->name, "postback") == 0;
    bool by_hook = (script->hooks & MP_HOOK_REQUEST) && script->host_count > 0;
    if (script->url.kind == MP_LEAF_NONE && !by_hook && !script->hosts_free) {
        mp__plan_fail(plan, "there is no url: add url = \"https://…\" (or a request hook "
                            "with hosts)");
    }
    if (script->url.kind == MP_LEAF_FUNCTION && script->host_count == 0 &&
        !script->hosts_free) {
        plan->at.key = "url";
        mp__plan_fail(plan, "a function needs hosts: add hosts = { \"https://…\" }");
    }
}

static const struct {
    const char *key;
    void (*read)(struct mp__plan *plan);
} readers[] = {
    /* `missing` before the url, whose template it changes; `url` before hosts. */
    {"missing", read_missing},     {"method", read_method},
    {"url", mp__plan_url},         {"hosts", mp__plan_hosts},
    {"headers", mp__plan_headers}, {"body", mp__plan_body},
    {"form", mp__plan_form},       {"defaults", read_defaults},
    {"required", read_required},   {"answers", mp__plan_answers},
    {"timeout", read_timeout},     {"retry", mp__plan_retry},
    {"limits", mp__plan_limits},   {"subscribes", read_subscribes},
    {"accepts", read_accepts},     {"request", read_request},
    {"verdict", read_verdict},
};

static void set_defaults(struct mp__plan *plan)
{
    struct mp__private *own = mp__private_of(plan->script);
    own->accepts = own->request = own->verdict = -1;
    own->function_count = 0;
    plan->script->timeout_ms = TIMEOUT_MS;
    plan->script->concurrency = CONCURRENCY;
    plan->script->jitter = JITTER;
    mp__plan_default_schedule(plan);
}

void mp__plan_compile(struct mp_script_state *state, struct mp_script *script)
{
    struct mp__plan plan = {.state = state, .lua = state->lua, .script = script};
    int table = lua_gettop(state->lua);
    if (!lua_istable(state->lua, table)) {
        mp__plan_fail(&plan, "it returned %s: end it with return { url = \"https://…\" }",
                      lua_isnil(state->lua, table) ? "nothing"
                                                   : luaL_typename(state->lua, table));
    }
    luaL_checkstack(state->lua, 20, NULL);
    mp__plan_known(&plan, "a partner script", known_keys, later_keys);
    set_defaults(&plan);
    for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++) {
        plan.at = (struct mp__at){readers[i].key, NULL};
        lua_pushstring(state->lua, readers[i].key);
        lua_rawget(state->lua, table);
        if (!lua_isnil(state->lua, -1)) {
            readers[i].read(&plan);
        }
        lua_settop(state->lua, table);
    }
    check_whole(&plan);
    /* A function may name a secret that no load has met yet. */
    script->has_secrets =
        state->uses_secrets ||
        (script->has_functions &&
         memmem(script->source.data, script->source.length, "secret", 6) != NULL);
    lua_settop(state->lua, table - 1);
}

bool mp__plan_same_functions(const struct mp_script *a, const struct mp_script *b)
{
    const struct mp__private *one = mp__private_of(a);
    const struct mp__private *two = mp__private_of(b);
    return one->function_count == two->function_count && a->hooks == b->hooks;
}
