/* SPDX-License-Identifier: MIT */
#pragma once

#include "values.h"

/* A file of lib that a script requires, its source kept with the script, so that every
 * state of one generation runs the same text. */
struct mp__module {
    struct mp__module *next;
    struct mp_str name;
    struct mp_str path;   /* as errors show it: "scripts/lib/money.lua" */
    struct mp_str source; /* no data: it could not be had, */
    struct mp_str fault;  /* for this reason */
};

/* From the table that a script returns to struct mp_script. All memory hangs on the
 * script, so a failure in the middle only throws. */

struct mp__private {
    _Atomic unsigned references;
    void *blocks;      /* each begins with a pointer to the next */
    size_t plan_bytes; /* what the table has been compiled to so far */
    struct template_entry {
        struct mp_template *template_;
        struct template_entry *next;
    } * templates;
    int function_count;
    struct mp_script_env env;   /* its secrets are a reference of this script's */
    struct mp__module *modules; /* what it requires, in the order of loading */
    bool has_all_modules; /* they were read when it loaded: the disk is not looked at */
    struct mp__used_secret {
        struct mp__used_secret *next;
        struct mp_str name;
    } * used_secrets;
    bool names_any_secret; /* a function may ask for one that its text does not name */
    int accepts, request, verdict; /* functions' numbers; -1: none */
};

/* A script with its name, path, source and generation and nothing else; one reference.
 * NULL: out of memory. */
struct mp_script *mp__script_new(struct mp_str name, struct mp_str source,
                                 const char *shown, const struct mp_script_env *env);
struct mp__private *mp__private_of(const struct mp_script *script);
/* Zeroed, freed with the script. NULL: out of memory. */
void *mp__script_alloc(struct mp_script *script, size_t bytes);
/* The template is freed with the script. */
int mp__script_own(struct mp_script *script, struct mp_template *template_);
/* From now on the script uses it. MP_ENOMEM. */
MP_MUST_CHECK int mp__script_note_secret(struct mp_script *script, struct mp_str name);
/* Notes what the functions of a compiled script name. MP_ESCRIPT: one is not there; `err`
 * says where it is named. */
MP_MUST_CHECK int mp__script_meet_secrets(struct mp_script *script, struct mp_error *err);
bool mp__plan_same_functions(const struct mp_script *a, const struct mp_script *b);

/* Where a fault is: a key of the script's table, and a key inside that; NULL for none. */
struct mp__at {
    const char *key;
    const char *child;
};
/* The line in `source` where `at` is written, from 1; 0: it was not found. */
unsigned mp__source_line(struct mp_str source, struct mp__at at);

struct mp__plan {
    struct mp_script_state *state;
    lua_State *lua;
    struct mp_script *script;
    struct mp__at at;       /* what is being read now */
    bool names_key;         /* the error's own text says the key */
    bool url_has_functions; /* as its whole or as a result of its `by` */
};

/* Pops the table on top of the stack. */
void mp__plan_compile(struct mp_script_state *state, struct mp_script *script);

/* Each throws. `fail` gives "scripts/acme.lua:7: headers.X: <the text>". */
_Noreturn void mp__plan_fail(struct mp__plan *plan, const char *format, ...)
    MP_PRINTF(2, 3);
void *mp__plan_alloc(struct mp__plan *plan, size_t count, size_t bytes);
/* Counts what is not allocated here; throws past the ceiling, or the budget. */
void mp__plan_charge(struct mp__plan *plan, size_t bytes);
struct mp_str mp__plan_copy(struct mp__plan *plan, struct mp_str text);
/* What is at `index`, for a person: "table", "secret", "`number`". */
const char *mp__plan_kind(struct mp__plan *plan, int index);
bool mp__plan_is_text(struct mp__plan *plan); /* on top: a string or a secret */

/* Each pops the value on top; `what` is for the error. */
struct mp_str mp__plan_string(struct mp__plan *plan, const char *what);
struct mp_str mp__plan_json(struct mp__plan *plan);
/* A field's name: not empty, no braces. */
struct mp_str mp__plan_name(struct mp__plan *plan, const char *what);
int64_t mp__plan_integer(struct mp__plan *plan, int64_t min, int64_t max);
int mp__plan_function(struct mp__plan *plan);
struct mp_template *mp__plan_template(struct mp__plan *plan, enum mp_template_kind kind);
/* A duration: text or a number of seconds, at `index`. */
int64_t mp__plan_duration(struct mp__plan *plan, int index);
/* The items of the list on top, read by `each` from the top of the stack, which it pops;
 * the list itself is popped too. */
typedef void (*mp__plan_each)(struct mp__plan *plan, size_t index, void *arg);
size_t mp__plan_list_length(struct mp__plan *plan, const char *what, size_t max);
void mp__plan_list(struct mp__plan *plan, mp__plan_each each, void *arg);
/* The shape of the table on top; pushes the keys' userdatum or nil. */
struct mp__shape mp__plan_shape(struct mp__plan *plan, const char *what);
/* Throws for a key that is not in `known`. */
void mp__plan_known(struct mp__plan *plan, const char *what, const char *const *known);
/* Pushes that key of the table at `table`, which is read next; false: it is nil, and
 * nothing is pushed. */
bool mp__plan_field(struct mp__plan *plan, int table, const char *key);

/* What an error shows of a hook's text: the first 60 bytes, in quotes. A hook's may be
 * the partner's, and that a secret, which is taken out before it is cut. */
const char *mp__quote(struct mp_script_state *state, struct mp_str text, char out[80]);
/* A verdict's words in the list at `index` from `first` on: also what the verdict hook
 * returned. False: `why` says what is wrong. */
bool mp__verdict_of(struct mp_script_state *state, int word, int detail,
                    struct mp_verdict *verdict, char why[256]);
