/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "plan_keys.h"

/* What no key can tell alone: what a script lacks, what does not go together, and what a
 * batch cannot have in common. */

static bool has_body(const struct mp_script *script)
{
    return script->body_kind != MP_BODY_DEFAULT || script->batch.size > 0;
}

static void check_method(struct mp__plan *plan)
{
    struct mp_script *script = plan->script;
    bool without =
        strcmp(script->method, "GET") == 0 || strcmp(script->method, "HEAD") == 0;
    if (!has_body(script)) {
        return;
    }
    if (without) {
        bool is_batch = script->body_kind == MP_BODY_DEFAULT;
        plan->at.key = is_batch                            ? "batch"
                       : script->body_kind == MP_BODY_FORM ? "form"
                                                           : "body";
        mp__plan_fail(plan, "a %s has no body: set method = \"POST\" or remove %s",
                      script->method, is_batch ? "batch" : "it");
    }
    if (script->method[0] == '\0' &&
        !(script->hosts_free && script->url.kind == MP_LEAF_NONE)) {
        memcpy(script->method, "POST", sizeof("POST"));
    }
}

static void check_url(struct mp__plan *plan)
{
    struct mp_script *script = plan->script;
    bool by_hook = (script->hooks & MP_HOOK_REQUEST) && script->host_count > 0;
    if (script->url.kind == MP_LEAF_NONE && !by_hook && !script->hosts_free) {
        mp__plan_fail(plan, "there is no url: add url = \"https://…\" (or a request hook "
                            "with hosts)");
    }
    if (script->url.kind == MP_LEAF_NONE && !by_hook && script->batch.size > 0) {
        plan->at.key = "batch";
        mp__plan_fail(plan,
                      "a batch needs a url of its own: each request of /postback brings "
                      "another");
    }
    if (plan->url_has_functions && script->host_count == 0 && !script->hosts_free) {
        plan->at.key = "url";
        mp__plan_fail(plan, "a function needs hosts: add hosts = { \"https://…\" }");
    }
}

static void check_auth(struct mp__plan *plan)
{
    struct mp_script *script = plan->script;
    for (size_t i = 0; script->oauth2 && i < script->header_count; i++) {
        if (mp_str_equal_nocase(script->headers[i].name, mp_str_of("authorization"))) {
            plan->at = (struct mp__at){"headers", script->headers[i].name.data};
            mp__plan_fail(plan, "oauth2 sets this field: remove one of the two");
        }
    }
}

void mp__plan_check(struct mp__plan *plan)
{
    plan->at = (struct mp__at){NULL, NULL};
    plan->script->hosts_free = strcmp(plan->script->name, "postback") == 0;
    check_method(plan);
    check_url(plan);
    check_auth(plan);
    if (plan->script->batch.size > 0) {
        mp__plan_check_batch(plan);
    } else if (plan->script->batch.has_item) {
        plan->at.key = "item";
        mp__plan_fail(plan,
                      "an item is a piece of a batch: add batch = { size = 100 }, or "
                      "write body");
    }
}
