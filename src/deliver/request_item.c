/* SPDX-License-Identifier: MIT */
#include "request.h"

int mp_item_build(struct mp_script *script, struct mp_script_state *state,
                  const struct mp_context *context, struct mp_item *item,
                  struct mp_verdict *verdict, struct mp_error *err)
{
    (void)script;
    (void)state;
    (void)verdict;
    (void)err;
    return mp_buf_append_str(&item->wire, context->record->event);
}

int mp_batch_key(const struct mp_script *script, const struct mp_record *record,
                 struct mp_buf *out)
{
    (void)script;
    (void)record;
    return mp_buf_append_text(out, "[]");
}
