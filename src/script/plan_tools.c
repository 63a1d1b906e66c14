/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "marker.h"
#include "moonpost/clock.h"

#define PLAN_BYTES ((size_t)16 * 1024 * 1024)

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

void mp__plan_charge(struct mp__plan *plan, size_t bytes)
{
    struct mp__private *own = mp__private_of(plan->script);
    mp__budget_check(plan->state);
    if (bytes > PLAN_BYTES - own->plan_bytes) {
        mp__plan_fail(plan, "the script's table is over %zu MiB when compiled",
                      PLAN_BYTES / 1024 / 1024);
    }
    own->plan_bytes += bytes;
}

void *mp__plan_alloc(struct mp__plan *plan, size_t count, size_t bytes)
{
    mp__plan_charge(plan, count * bytes + 32);
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

const char *mp__plan_kind(struct mp__plan *plan, int index)
{
    enum mp__marker_kind marker = mp__marker_at(plan->state, index);
    if (marker != MP__MARKER_NONE) {
        return lua_pushfstring(plan->lua, "`%s`", mp__marker_name(marker));
    }
    if (mp__secret_at(plan->state, index)) {
        return "secret";
    }
    if (mp__is_null(plan->lua, index)) {
        return "json.null";
    }
    return lua_type(plan->lua, index) == LUA_TUSERDATA ? "json.raw"
                                                       : luaL_typename(plan->lua, index);
}

bool mp__plan_is_text(struct mp__plan *plan)
{
    return lua_type(plan->lua, -1) == LUA_TSTRING || mp__secret_at(plan->state, -1);
}

struct mp_str mp__plan_string(struct mp__plan *plan, const char *what)
{
    if (lua_type(plan->lua, -1) != LUA_TSTRING) {
        mp__plan_fail(plan, "%s is a %s: write a string", what, mp__plan_kind(plan, -1));
    }
    struct mp_str text = mp__plan_copy(plan, mp__str_at(plan->lua, -1));
    lua_pop(plan->lua, 1);
    return text;
}

static int write_json(lua_State *lua)
{
    struct mp_script_state *state = mp__state_of(lua);
    mp_buf_reset(&state->scratch);
    mp__write_json(state, 1, &state->scratch);
    return 0;
}

struct mp_str mp__plan_json(struct mp__plan *plan)
{
    lua_State *lua = plan->lua;
    if (mp__marker_at(plan->state, -1) != MP__MARKER_NONE || lua_isfunction(lua, -1)) {
        mp__plan_fail(plan, "it is a %s: write a constant", mp__plan_kind(plan, -1));
    }
    lua_pushcfunction(lua, write_json);
    lua_insert(lua, -2);
    if (!mp__catch(plan->state, 1, 0)) {
        mp__plan_fail(plan, "%s", mp__str_at(lua, -1).data);
    }
    return mp__plan_copy(plan, mp_buf_str(&plan->state->scratch));
}

struct mp_str mp__plan_name(struct mp__plan *plan, const char *what)
{
    struct mp_str name = mp__plan_string(plan, what);
    if (name.length == 0) {
        mp__plan_fail(plan, "%s is empty: write a field's name", what);
    }
    if (name.data[0] == '{') {
        mp__plan_fail(plan,
                      "%s \"%s\" has braces: write the field's name alone, \"%.*s\"",
                      what, name.data, (int)strcspn(name.data + 1, "}"), name.data + 1);
    }
    return name;
}

/* What a key takes, to be written instead. */
static const char *const examples[][2] = {
    {"retry", "{ schedule = { \"5s\", \"1m\" } }"},
    {"limits", "{ concurrency = 32, rate = \"500/s\" }"},
    {"batch", "{ size = 100, wait = \"1s\" }"},
    {"headers", "{ [\"X-Key\"] = \"{key}\" }"},
    {"form", "{ click = \"{click_id}\" }"},
    {"vars", "{ goal = by(\"goal\", { signup = 17 }) }"},
    {"defaults", "{ geo = \"ZZ\" }"},
    {"answers", "{ { status = 409, \"dead\" } }"},
    {"required", "{ \"click_id\" }"},
    {"subscribes", "{ \"conversion.*\" }"},
    {"hosts", "{ \"https://acme.example\" }"},
    {"oauth2", "{ token_url = \"https://…\", client_id = \"…\", client_secret = secret "
               "\"x\" }"},
    {"tls", "{ cert = secret \"x\", key = secret \"y\" }"},
    {"schedule", "{ \"5s\", \"1m\" }"},
    {"by", "{ \"customer_id\" }"},
};

/* Of the key itself: `what` is "it". */
static const char *example_of(const struct mp__plan *plan, const char *what,
                              const char *otherwise)
{
    const char *key = plan->at.child ? plan->at.child : plan->at.key;
    if (strcmp(what, "it") != 0) {
        return otherwise;
    }
    for (size_t i = 0; key && i < sizeof(examples) / sizeof(examples[0]); i++) {
        if (strcmp(key, examples[i][0]) == 0) {
            return examples[i][1];
        }
    }
    return otherwise;
}

int64_t mp__plan_integer(struct mp__plan *plan, int64_t min, int64_t max)
{
    lua_State *lua = plan->lua;
    if (lua_type(lua, -1) != LUA_TNUMBER) {
        mp__plan_fail(plan, "it is a %s: write a whole number from %lld to %lld%s",
                      mp__plan_kind(plan, -1), (long long)min, (long long)max,
                      lua_type(lua, -1) == LUA_TSTRING ? ", without quotes" : "");
    }
    double number = lua_tonumber(lua, -1);
    if (!(number >= (double)min && number <= (double)max) || floor(number) < number) {
        mp__plan_fail(plan, "it is %.14g: write a whole number from %lld to %lld", number,
                      (long long)min, (long long)max);
    }
    lua_pop(lua, 1);
    return (int64_t)number;
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
                      mp__plan_kind(plan, index));
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
        mp__plan_fail(plan, "%s is a %s: write %s", what, mp__plan_kind(plan, -1),
                      example_of(plan, what, "a table"));
    }
    mp__budget_check(plan->state);
    struct mp__shape shape = mp__push_shape(plan->state, lua_gettop(plan->lua));
    const char *fault = mp__shape_fault(shape.kind);
    const char *example = example_of(plan, what, "");
    if (fault) {
        mp__plan_fail(plan, "%s %s%s%s", what, fault, *example ? ", as in " : "",
                      example);
    }
    return shape;
}

/* "5s, 1m" is meant as { "5s", "1m" }. */
static _Noreturn void fail_list(struct mp__plan *plan, const char *what,
                                struct mp_str text)
{
    char list[200] = "";
    const char *end = text.data + text.length;
    for (const char *at = text.data; at < end;) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        struct mp_str piece = {at, (size_t)((comma ? comma : end) - at)};
        size_t used = strlen(list);
        piece = mp_str_trim_space(piece);
        snprintf(list + used, sizeof(list) - used, "%s\"%.*s\"", used ? ", " : "",
                 (int)piece.length, piece.data);
        at = comma ? comma + 1 : end;
    }
    mp__plan_fail(plan, "%s is a string: write a list, { %s }", what, list);
}

size_t mp__plan_list_length(struct mp__plan *plan, const char *what, size_t max)
{
    if (lua_type(plan->lua, -1) == LUA_TSTRING) {
        fail_list(plan, what, mp__str_at(plan->lua, -1));
    }
    struct mp__shape shape = mp__plan_shape(plan, what);
    lua_pop(plan->lua, 1);
    if (shape.kind == MP__SHAPE_OBJECT && shape.count > 0) {
        mp__plan_fail(plan, "%s is a table with names: write a list, %s", what,
                      example_of(plan, what, "{ … }"));
    }
    if (shape.count > max) {
        mp__plan_fail(plan, "%s has more than %zu entries", what, max);
    }
    return shape.count;
}

void mp__plan_list(struct mp__plan *plan, mp__plan_each each, void *arg)
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

/* Where what people write elsewhere belongs. */
static const char *const elsewhere[][2] = {
    {"rate", "limits = { rate = \"500/s\" }"},
    {"concurrency", "limits = { concurrency = 32 }"},
    {"schedule", "retry = { schedule = { \"5s\", \"1m\" } }"},
    {"retries", "retry = { schedule = { \"5s\", \"1m\" } }"},
    {"attempts", "retry = { schedule = { \"5s\", \"1m\" } }"},
    {"jitter", "retry = { jitter = 0.2 }"},
    {"query", "the parameters in url, \"…?a={a}\""},
    {"params", "the parameters in url, \"…?a={a}\""},
    {"endpoint", "url = \"https://…\""},
    {"host", "hosts = { \"https://…\" }"},
    {"json", "body = { … }"},
    {"data", "body = { … }"},
    {"payload", "body = { … }"},
    {"auth", "headers = { Authorization = … } or oauth2 = { … }"},
    {"authorization", "headers = { Authorization = … }"},
    {"token", "headers = { Authorization = \"Bearer \" .. secret \"x\" }"},
    {"basic", "headers = { Authorization = basic(\"user\", secret \"x\") }"},
    {"response", "answers = { … } or verdict = function(response, ctx) … end"},
    {"items", "item = { … }, one event's piece"},
    {"wait", "batch = { wait = \"1s\" }"},
    {"size", "batch = { size = 100 }"},
    {"cert", "tls = { cert = secret \"x\", key = secret \"y\" }"},
    {"filter", "accepts = function(event, ctx) … end"},
};

static _Noreturn void fail_unknown(struct mp__plan *plan, const char *what,
                                   const char *name, const char *const *known)
{
    bool is_top = !plan->at.child;
    plan->names_key = true;
    for (size_t i = 0; is_top && i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++) {
        if (strcmp(name, elsewhere[i][0]) == 0) {
            mp__plan_fail(plan, "unknown key `%s`: write %s", name, elsewhere[i][1]);
        }
    }
    const char *near = mp__near_miss(mp_str_of(name), known);
    if (near) {
        mp__plan_fail(plan, "unknown key `%s`: did you mean `%s`?", name, near);
    }
    char list[200] = "";
    for (size_t i = 0, at = 0; known[i] && at < sizeof(list); i++) {
        int more =
            snprintf(list + at, sizeof(list) - at, "%s%s", i > 0 ? ", " : "", known[i]);
        at += (size_t)more;
    }
    mp__plan_fail(plan, "unknown key `%s` in %s: there are %s", name, what, list);
}

void mp__plan_known(struct mp__plan *plan, const char *what, const char *const *known)
{
    struct mp__shape shape = mp__plan_shape(plan, plan->at.key ? "it" : what);
    if (shape.kind == MP__SHAPE_LIST && shape.count > 0) {
        mp__plan_fail(plan, "%s is a list: write names, %s = …", what, known[0]);
    }
    for (size_t i = 0; i < shape.count; i++) {
        if (is_in(shape.keys[i], known)) {
            continue;
        }
        const char *name = mp__plan_copy(plan, shape.keys[i]).data;
        plan->at = plan->at.key ? (struct mp__at){plan->at.key, name}
                                : (struct mp__at){name, NULL};
        fail_unknown(plan, what, name, known);
    }
    lua_pop(plan->lua, 1);
}

bool mp__plan_field(struct mp__plan *plan, int table, const char *key)
{
    plan->at.child = key;
    lua_pushstring(plan->lua, key);
    lua_rawget(plan->lua, table);
    if (lua_isnil(plan->lua, -1)) {
        lua_pop(plan->lua, 1);
        return false;
    }
    return true;
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
