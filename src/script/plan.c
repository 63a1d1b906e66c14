/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "marker.h"
#include "plan_keys.h"

#define SUBSCRIBES_MAX 64
#define PATTERN_BYTES  256
#define NAMES_MAX      256
#define TIMEOUT_MS     15000
#define TIMEOUT_MAX_MS 600000
#define CONCURRENCY    32
#define JITTER         0.2

static const char *const known_keys[] = {
    "url",      "method",  "headers", "body",       "form",    "vars",    "defaults",
    "required", "missing", "answers", "timeout",    "retry",   "limits",  "max_age",
    "hosts",    "batch",   "item",    "subscribes", "accepts", "request", "verdict",
    "oauth2",   "tls",     "proxy",   NULL};

static void read_hook(struct mp__plan *plan, unsigned hook, int *number)
{
    if (!lua_isfunction(plan->lua, -1)) {
        mp__plan_fail(plan, "it is a %s: write a function", mp__plan_kind(plan, -1));
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
    static const char *const usual[] = {"GET",    "POST", "PUT", "PATCH",
                                        "DELETE", "HEAD", NULL};
    struct mp_str method = mp__plan_string(plan, "method");
    bool good = method.length > 0 && method.length < sizeof(plan->script->method);
    for (size_t i = 0; i < method.length && good; i++) {
        char c = method.data[i];
        good = c > ' ' && c < 0x7f && !strchr("\"(),/:;<=>?@[\\]{}", c);
    }
    if (!good) {
        mp__plan_fail(plan, "it is no HTTP method: write \"GET\", \"POST\", \"PUT\"");
    }
    for (const char *const *each = usual; *each; each++) {
        if (mp_str_equal_nocase(method, mp_str_of(*each)) && !mp_str_is(method, *each)) {
            mp__plan_fail(plan, "methods are in capitals: write \"%s\"", *each);
        }
    }
    memcpy(plan->script->method, method.data, method.length + 1);
}

static void read_missing(struct mp__plan *plan)
{
    struct mp_str word = mp__plan_string(plan, "missing");
    plan->script->missing_drop = mp_str_is(word, "drop");
    if (!plan->script->missing_drop && !mp_str_is(word, "empty")) {
        mp__plan_fail(plan, "\"%.40s\" is neither: write \"drop\" or \"empty\"",
                      word.data);
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
    names[index] = mp__plan_name(plan, "a name");
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
        each->json = mp__plan_json(plan);
    }
    lua_pop(plan->lua, 2);
}

static const struct {
    const char *key;
    void (*read)(struct mp__plan *plan);
} readers[] = {
    /* `missing` before the url, whose template it changes; `url` before hosts; `batch`
     * before what may say `items` or "split". */
    {"missing", read_missing},     {"method", read_method},
    {"url", mp__plan_url},         {"hosts", mp__plan_hosts},
    {"batch", mp__plan_batch},     {"vars", mp__plan_vars},
    {"headers", mp__plan_headers}, {"body", mp__plan_body},
    {"form", mp__plan_form},       {"item", mp__plan_item},
    {"defaults", read_defaults},   {"required", read_required},
    {"answers", mp__plan_answers}, {"timeout", read_timeout},
    {"retry", mp__plan_retry},     {"limits", mp__plan_limits},
    {"max_age", mp__plan_max_age}, {"subscribes", read_subscribes},
    {"oauth2", mp__plan_oauth2},   {"tls", mp__plan_tls},
    {"proxy", mp__plan_proxy},     {"accepts", read_accepts},
    {"request", read_request},     {"verdict", read_verdict},
};

static void set_defaults(struct mp__plan *plan)
{
    struct mp__private *own = mp__private_of(plan->script);
    own->accepts = own->request = own->verdict = -1;
    own->function_count = 0;
    plan->script->timeout_ms = TIMEOUT_MS;
    plan->script->concurrency = CONCURRENCY;
    plan->script->jitter = JITTER;
    plan->script->max_age_ms = -1;
    mp__plan_default_schedule(plan);
}

static bool has_word(struct mp_str source)
{
    return source.length > 0 && memmem(source.data, source.length, "secret", 6) != NULL;
}

/* A function may name a secret that no load has met yet. */
static bool may_name_secrets(const struct mp_script *script)
{
    const struct mp__module *module = mp__private_of(script)->modules;
    while (module && !has_word(module->source)) {
        module = module->next;
    }
    return module || has_word(script->source);
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
    mp__plan_known(&plan, "a partner script", known_keys);
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
    mp__plan_check(&plan);
    script->has_secrets =
        state->uses_secrets || (script->has_functions && may_name_secrets(script));
    lua_settop(state->lua, table - 1);
}

bool mp__plan_same_functions(const struct mp_script *a, const struct mp_script *b)
{
    const struct mp__private *one = mp__private_of(a);
    const struct mp__private *two = mp__private_of(b);
    return one->function_count == two->function_count && a->hooks == b->hooks;
}
