/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moonpost/plan.h"
#include "moonpost/secrets.h"

/* Scripts and what runs in them: generations, Lua states, the calls and their budget. */

/* Generations are shared by count; the last unref frees. Any thread. */
struct mp_script *mp_script_ref(struct mp_script *script);
void mp_script_unref(struct mp_script *script);

/* What a script finds around it. The strings live as long as any script loaded with it;
 * the secrets are shared, each script takes a reference. A NULL environment, or a zeroed
 * one: no lib, no secrets but the environment's, any proxy's name. */
struct mp_script_env {
    const char *lib_folder; /* where `require` looks; NULL: nowhere */
    struct mp_secrets *secrets;
    const struct mp_str *proxies; /* their names; NULL: any is taken */
    size_t proxy_count;
};

/* Loads, checks wholly and compiles one script. On failure `err` reads
 * "scripts/acme.lua:7: <what is wrong>: <what to write instead>". `shown` is the path as
 * errors show it. Blocks for as long as the script's own code takes, at most the budget.
 */
MP_MUST_CHECK int mp_script_load(struct mp_str name, struct mp_str source,
                                 const char *shown, const struct mp_script_env *env,
                                 struct mp_script **out, struct mp_error *err);
/* What it was loaded with: to hide values in what others say. Never NULL. */
const struct mp_secrets *mp_script_secrets(const struct mp_script *script);
/* It, or what it requires, asked for that module or secret while it loaded, or has a
 * function that names the secret. */
bool mp_script_uses_lib(const struct mp_script *script, struct mp_str module);
bool mp_script_uses_secret(const struct mp_script *script, struct mp_str name);

/* A Lua state with the script loaded in it: for the calls below, on one thread at a time,
 * whose stack is MP_SCRIPT_STACK_BYTES. Holds a reference to the script. */
#define MP_SCRIPT_STACK_BYTES (64u * 1024 * 1024)
struct mp_script_state;
MP_MUST_CHECK int mp_script_state_new(struct mp_script *script,
                                      struct mp_script_state **out, struct mp_error *err);
void mp_script_state_free(struct mp_script_state *state);
/* How many there are in this process. A script without functions never has one. */
int64_t mp_script_states(void);

/* What a hook is told of the delivery: the event and `ctx`. In a batch's url, headers,
 * body and hooks `record` is the first member's, `ctx.id` the batch's, `ctx.ids` all; the
 * attempt is the highest. In an `item` all is that event's own. */
struct mp_context {
    const struct mp_record *record;
    uint32_t attempt;                       /* from 1: this one */
    bool last;                              /* no attempt is left after it */
    int64_t now_ms;                         /* wall: what time.now() says */
    const struct mp_record *const *members; /* NULL: no batch, or inside an item */
    const struct mp_item *items;            /* their pieces */
    size_t member_count;
    struct mp_str batch_id;
};

/* What a function in a leaf returned. Text or a raw JSON token, in `bytes`, which the
 * caller inits with its ceiling and frees; a call empties it first. */
enum mp_result_kind { MP_RESULT_NONE, MP_RESULT_TEXT, MP_RESULT_JSON };
struct mp_leaf_result {
    enum mp_result_kind kind; /* NONE: nil, leave it out */
    struct mp_buf bytes;
    struct mp_str shown; /* with secrets as [secret x]; empty: there are none. The
                            state's, until its next call */
};

/* The calls. MP_OK; MP_ESCRIPT: it threw, or returned what the contract forbids (`err`
 * has file, line and what was wrong); MP_EBUDGET: it overran its time or memory: free the
 * state and make another. `request` is what was built so far (headers' functions), NULL
 * otherwise. */
MP_MUST_CHECK int mp_script_call_leaf(struct mp_script_state *state, int function,
                                      const struct mp_context *context,
                                      const struct mp_request *request, bool as_json,
                                      struct mp_leaf_result *out, struct mp_error *err);
MP_MUST_CHECK int mp_script_call_accepts(struct mp_script_state *state,
                                         const struct mp_context *context, bool *accepted,
                                         char why[256], struct mp_error *err);
/* Changes `request` as the hook did. The hook may change method, url, query, headers,
 * body. Also MP_EDEAD: the method, or a field's name or value, can never be sent; `err`
 * says which. On failure `request` may be half changed. */
MP_MUST_CHECK int mp_script_call_request(struct mp_script_state *state,
                                         const struct mp_context *context,
                                         struct mp_request *request,
                                         struct mp_error *err);
/* In a batch `members` (context->member_count of them) gets what a table named by place
 * or id, NONE for the others; else NULL, and a table is an error. */
MP_MUST_CHECK int
mp_script_call_verdict(struct mp_script_state *state, const struct mp_context *context,
                       const struct mp_response *response, struct mp_verdict *verdict,
                       struct mp_verdict *members, struct mp_error *err);
/* The calls between these two have one budget together, as the functions of one request
 * do: a hundred headers must not take a hundred times 50 ms. NULL: nothing. */
void mp_script_turn_begin(struct mp_script_state *state);
void mp_script_turn_end(struct mp_script_state *state);
/* How long the last call took. */
int64_t mp_script_state_last_us(const struct mp_script_state *state);

/* The budget's watchdog: one thread for the process, while anybody needs it: start before
 * a state runs, stop after, as often as was started. */
MP_MUST_CHECK int mp_script_watchdog_start(void);
void mp_script_watchdog_stop(void);
/* Runs `body` to its end on a thread with the stack that scripts need, under the watchdog
 * (started for it when there is none). Blocks. MP_ENOMEM, MP_EAGAIN: it did not run. */
MP_MUST_CHECK int mp_script_apart(void *(*body)(void *), void *arg);
