/* SPDX-License-Identifier: MIT */
#pragma once

#include <uv.h>

#include "app.h"
#include "moonpost/console.h"
#include "moonpost/deliver.h"
#include "moonpost/engine.h"
#include "moonpost/metrics.h"
#include "partners.h"

/* Shared by app.c, which runs and drains, and app_open.c, which builds the rooms and
 * joins them. */

/* What --proxy named, in the order it was given. */
struct mp_proxies {
    struct mp_proxy *items;
    struct mp_str *names;
    size_t count;
};
/* MP_EINVAL names what is wrong, never the address: it may hold a password. */
MP_MUST_CHECK int mp__proxies_read(const struct mp_option_texts *texts,
                                   struct mp_proxies *out, struct mp_error *err);
void mp__proxies_fini(struct mp_proxies *proxies);

/* One process: the rooms, and what is left of the way down once it has begun. */
struct app {
    const struct mp_settings *settings;
    enum mp_role role;
    uv_loop_t loop;
    uv_signal_t on_term, on_int, on_hup;
    uv_timer_t tick;
    struct mp_metrics *metrics;
    struct mp_egress *egress;
    struct mp_proxies proxies;
    struct mp_directory *directory;
    struct mp__partners *partners;
    struct mp_deliver *deliver; /* NULL: this process only takes events in */
    struct mp_scripts *scripts;
    struct mp_queue *queue;
    struct mp_api *api;
    struct mp_ingest *ingest;
    const char *queue_trouble; /* NULL: none */
    char trouble_text[256];
    bool is_stopping;
    int closing; /* rooms that must end before the next step down */
    int status;  /* of the start */
    struct mp_error *err;
};

/* Builds the rooms that come before the scripts are read; the others follow once they
 * are. */
MP_MUST_CHECK int mp__app_open(struct app *app);
/* Begins the way down. */
void mp__app_stop(struct app *app);
