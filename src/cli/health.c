/* SPDX-License-Identifier: MIT */
#include "tools.h"

/* Shorter than a container's usual patience, so that the reason is told. */
#define WHOLE_MS 3000

static int tell_reason(const struct mp__answer *answer)
{
    struct mp_buf text;
    mp_buf_init(&text, 4096);
    bool failed =
        mp__answer_append_detail(answer, &text) || mp_buf_append_char(&text, '\n');
    if (!failed && text.length == 1) {
        mp_buf_reset(&text);
        failed = mp_buf_printf(&text, "it answered %ld\n", answer->status);
    }
    mp__print_buf(&text, failed);
    return MP_EXIT_FAILED;
}

int mp_cli_health(const struct mp_settings *settings)
{
    struct mp__answer answer;
    struct mp_error err;
    if (mp__http_get_within(settings, "/readyz", WHOLE_MS, &answer, &err)) {
        return mp__complain(err.status == MP_EINVAL ? MP_EXIT_USAGE : MP_EXIT_REACH, "%s",
                            err.text);
    }
    int code = answer.status == 200 ? MP_EXIT_OK : tell_reason(&answer);
    mp__answer_fini(&answer);
    return code;
}
