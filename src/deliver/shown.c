/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "attempt.h"
#include "tokens.h"
#include "worker.h"

/* A partner may repeat what it was sent, and a hook what the partner said: before any of
 * it is logged or stored, secrets and tokens are taken out. Scripts without either pay
 * nothing. */

#define BODY_BYTES 4096 /* as much as a log line could come to show */

static bool has_to_hide(const struct mp__generation *generation)
{
    return generation->script->has_secrets || generation->token;
}

/* Until the worker's next call; empty when there is no memory for it. */
static struct mp_str hidden(struct mp__worker *worker,
                            const struct mp__generation *generation, struct mp_str text)
{
    struct mp_buf *own = &worker->hidden[0], *all = &worker->hidden[1];
    mp_buf_reset(own);
    mp_buf_reset(all);
    if (text.length == 0) {
        return text;
    }
    if (generation->token) {
        if (mp__token_hide(generation->token, text, own) != MP_OK) {
            return (struct mp_str){0};
        }
        text = mp_buf_str(own);
    }
    int status = mp_secrets_hide(mp_script_secrets(generation->script), text, all);
    return status == MP_OK ? mp_buf_str(all) : (struct mp_str){0};
}

static void hide_text(struct mp__worker *worker, const struct mp__generation *generation,
                      char *text, size_t size)
{
    struct mp_str shown = hidden(worker, generation, mp_str_of(text));
    size_t length = mp_str_fit(shown, size - 1);
    if (length > 0) {
        memcpy(text, shown.data, length);
    }
    text[length] = '\0';
}

void mp__error_hide(struct mp__worker *worker, const struct mp__generation *generation,
                    struct mp_error *err)
{
    if (has_to_hide(generation)) {
        hide_text(worker, generation, err->text, sizeof(err->text));
    }
}

void mp__ending_hide(struct mp__attempt *attempt, struct mp__ending *ending,
                     size_t member_count, struct mp_response *shown)
{
    struct mp__worker *worker = attempt->worker;
    const struct mp__generation *generation = attempt->generation;
    if (!has_to_hide(generation)) {
        return;
    }
    struct mp_verdict *verdict = &ending->verdict;
    hide_text(worker, generation, verdict->why, sizeof(verdict->why));
    for (size_t i = 0; ending->members && i < member_count; i++) {
        verdict = &ending->members[i];
        hide_text(worker, generation, verdict->why, sizeof(verdict->why));
    }
    *shown = *ending->response;
    if (shown->body.length > BODY_BYTES) {
        shown->body.length = BODY_BYTES;
    }
    shown->body = hidden(worker, generation, shown->body);
    ending->response = shown;
}
