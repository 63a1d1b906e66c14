/* SPDX-License-Identifier: MIT */
#pragma once

#include <lauxlib.h>
#include <lua.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "moonpost/script.h"

/* One Lua state of one partner, and the one way into it. Every byte it has comes from
 * allocate(), every call goes through mp__call, so both budgets hold whatever a script
 * does. */

#define MP__HEAP_BYTES    ((size_t)16 * 1024 * 1024)
#define MP__BUDGET_MS     50
#define MP__HOOK_COUNT    1000
#define MP__NESTING_MAX   190 /* pcall, xpcall: each level is on the C stack */
#define MP__GSUB_MAX      16
#define MP__JSON_DEPTH    128
#define MP__SOURCE_BYTES  ((size_t)1024 * 1024)
#define MP__SUBJECT_BYTES ((size_t)1024 * 1024)

/* Values made once, kept in the registry. */
enum mp__kept {
    MP__KEPT_HANDLER = 1,
    MP__KEPT_ENTRY,
    MP__KEPT_FUNCTIONS, /* the script's functions, by number */
    MP__KEPT_LIST,      /* metatables: of an empty JSON list */
    MP__KEPT_SECRET,
    MP__KEPT_RAW,
    MP__KEPT_HEADERS, /* of headers, any case */
    MP__KEPT_RESPONSE,
    MP__KEPT_REQUEST,
    MP__KEPT_NOW_REQUEST, /* the request table of the call under way, */
    MP__KEPT_NOW_BODY,    /* its body, once read or assigned, */
    MP__KEPT_NOW_QUERY,   /* and its query, as it is and as it was */
    MP__KEPT_OLD_QUERY,
    MP__KEPT_LAZY,      /* the metatable of event and ctx until they are read, */
    MP__KEPT_NOW_EVENT, /* and those of the call under way */
    MP__KEPT_NOW_CONTEXT,
    MP__KEPT_SPELLING, /* how the hook wrote the fields it added, by lower case */
    MP__KEPT_MARKER,
    MP__KEPT_MODULES, /* what was required, by name */
    MP__KEPT_END
};

struct mp__module;
struct mp__slot; /* a thread's place with the watchdog */
struct mp_script_state {
    lua_State *lua;
    struct mp_script *script;
    size_t heap_bytes;
    bool heap_refused;
    bool is_loading;
    bool is_dead; /* overran: no call will be made again */
    int kept[MP__KEPT_END];
    unsigned nesting;
    unsigned gsub_nesting;
    struct mp__slot *slot;
    uint64_t call; /* its number with the watchdog */
    uint64_t turn; /* the number that several calls share; 0: each has its own */
    int64_t began_us, last_us; /* the call: since when, and how long the last one took */
    const struct mp_context *context; /* of the call under way, or NULL */
    const struct mp_request *request;
    bool body_is_set;
    bool headers_are_seen; /* request.headers was read or assigned */
    bool uses_secrets;
    const struct mp__module *requiring; /* the module that is running; NULL: none */
    int64_t load_ms;      /* what time.now() says while it loads; 0: not asked yet */
    int64_t log_since_ms; /* what log() wrote in the second that began then */
    unsigned log_lines, log_left_out;
    struct mp_buf scratch, shown;
    char fault[480];        /* what was thrown, as text */
    const char *fault_path; /* the script's, or a module's: where fault_line is */
    unsigned fault_line;
    int called; /* the number of the function that is called; -1: none */
};

struct mp_script_state *mp__state_of(lua_State *lua);
/* A state with the script run in it. `planned` gets the plan: the script itself, or a
 * throw-away when only the functions are wanted. */
int mp__state_open(struct mp_script *planned, struct mp_script_state **out,
                   struct mp_error *err);

void mp__keep(struct mp_script_state *state, enum mp__kept which); /* pops it */
void mp__push_kept(struct mp_script_state *state, enum mp__kept which);

/* Runs `body` with nothing but `arg` and the budgets around it. Whatever it throws
 * becomes `err`. It leaves nothing on the stack. */
typedef void (*mp__body)(struct mp_script_state *state, void *arg);
int mp__call(struct mp_script_state *state, mp__body body, void *arg,
             struct mp_error *err);
/* The same for the very first, before there is a handler. */
int mp__call_first(struct mp_script_state *state, mp__body body, void *arg,
                   struct mp_error *err);
/* Calls the function and arguments on the stack, catching what they throw but never an
 * overrun. True: results; false: one value, the error. */
bool mp__catch(struct mp_script_state *state, int arguments, int results);
/* The script's pcall and xpcall. */
int mp__pcall(lua_State *lua);
int mp__xpcall(lua_State *lua);

/* budget.c */
int mp__budget_begin(struct mp_script_state *state);
void mp__budget_end(struct mp_script_state *state);
bool mp__budget_is_spent(const struct mp_script_state *state);
/* Throws when it is: for C code that may take long. */
void mp__budget_check(struct mp_script_state *state);
void mp__budget_hook(lua_State *lua, lua_Debug *debug);
/* Where the script is now, unless a line is noted. Allocates nothing. */
void mp__note_line(struct mp_script_state *state);
