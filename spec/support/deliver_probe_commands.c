/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deliver_probe.h"
#include "moonpost/clock.h"

/* The commands. */

static struct mp_str member(struct mp_str object, const char *key)
{
    struct mp_str value = {0};
    (void)mp_json_member(object, mp_str_of(key), &value);
    return value;
}

/* Lives until the process ends. */
static struct mp_str text_of(struct mp_str object, const char *key)
{
    struct mp_buf text;
    struct mp_str raw = member(object, key);
    mp_buf_init(&text, 1024 * 1024);
    if (mp_json_kind(raw) != MP_JSON_STRING || mp_json_unescape(raw, &text) != MP_OK) {
        return (struct mp_str){"", 0};
    }
    struct mp_str copy = {strndup(text.data ? text.data : "", text.length), text.length};
    mp_buf_fini(&text);
    return copy;
}

static int64_t number_of(struct mp_str object, const char *key, int64_t fallback)
{
    struct mp_str raw = member(object, key);
    return raw.length > 0 ? strtoll(raw.data, NULL, 10) : fallback;
}

static void free_text(struct mp_str text)
{
    if (text.length > 0) {
        free((void *)(uintptr_t)text.data);
    }
}

static void send_records(struct mp_str command)
{
    struct mp_record_list list = {0};
    struct mp_str partner = text_of(command, "partner"), id = text_of(command, "id");
    struct mp_str lane = text_of(command, "lane");
    struct mp_str method = text_of(command, "endpoint_method");
    struct mp_str url = text_of(command, "endpoint_url");
    int64_t count = number_of(command, "count", 1);
    for (int64_t i = 1; i <= count; i++) {
        char numbered[160];
        snprintf(numbered, sizeof numbered, count > 1 ? "%.*s%" PRId64 : "%.*s",
                 (int)id.length, id.data, i);
        struct mp_record draft = {
            .id = mp_str_of(numbered),
            .partner = partner,
            .lane = lane,
            .event = member(command, "event"),
            .endpoint_method = method,
            .endpoint_url = url,
            .attempts = (uint32_t)number_of(command, "attempts", 0),
            .first_ms = mp_clock_wall_ms(),
            .occurred_ms = -1,
        };
        struct mp_record *record;
        if (mp_record_new(&draft, &record) != MP_OK) {
            mp__probe_fail("record", "out of memory");
        }
        mp_record_list_push(&list, record);
    }
    mp_deliver_take(mp__probe.deliver, &list);
    struct mp_str texts[] = {partner, id, lane, method, url};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        free_text(texts[i]);
    }
}

void mp__probe_load_script(struct mp_str partner, const char *path)
{
    static char source[1 << 20];
    FILE *file = fopen(path, "r");
    if (!file) {
        mp__probe_fail(path, "could not be read");
    }
    size_t length = fread(source, 1, sizeof source, file);
    fclose(file);
    struct mp_script *script;
    struct mp_error err;
    if (mp_script_load(partner, (struct mp_str){source, length}, path, NULL, &script,
                       &err) != MP_OK) {
        mp__probe_fail(path, err.text);
    }
    mp_deliver_set_script(mp__probe.deliver, partner, script);
    mp_script_unref(script);
}

static void set_script(struct mp_str command)
{
    struct mp_str partner = text_of(command, "partner");
    struct mp_str path = text_of(command, "path");
    if (path.length > 0) {
        mp__probe_load_script(partner, path.data);
    } else {
        mp_deliver_set_script(mp__probe.deliver, partner, NULL);
    }
    free_text(partner);
    free_text(path);
}

static void tell_in_flight(struct mp_str command)
{
    struct mp_buf line = mp__probe_line();
    struct mp_str partner = text_of(command, "partner");
    mp__probe_put_number(&line, "{\"in_flight\":",
                         (int64_t)mp_deliver_in_flight(mp__probe.deliver, partner));
    mp__probe_put(&line, "}");
    mp__probe_say(&line);
    free_text(partner);
}

static void tell_metrics(void)
{
    struct mp_buf line = mp__probe_line(), text = mp__probe_line();
    if (mp_metrics_write(mp__probe.metrics, &text) != MP_OK) {
        exit(2);
    }
    mp__probe_put_text(&line, "{\"metrics\":", mp_buf_str(&text));
    mp__probe_put(&line, "}");
    mp__probe_say(&line);
    mp_buf_fini(&text);
}

static void on_drained(void *arg)
{
    (void)arg;
    mp__probe.is_drained = true;
    struct mp_buf line = mp__probe_line();
    mp__probe_put(&line, "{\"drained\":true}");
    mp__probe_say(&line);
}

void mp__probe_obey(struct mp_str command)
{
    struct mp_str op = text_of(command, "op"), name = text_of(command, "name");
    if (mp_str_is(op, "send")) {
        send_records(command);
    } else if (mp_str_is(op, "script")) {
        set_script(command);
    } else if (mp_str_is(op, "pause")) {
        mp_deliver_pause(mp__probe.deliver, name);
    } else if (mp_str_is(op, "resume")) {
        mp_deliver_resume(mp__probe.deliver, name);
    } else if (mp_str_is(op, "recall")) {
        mp_deliver_recall(mp__probe.deliver);
    } else if (mp_str_is(op, "in_flight")) {
        tell_in_flight(command);
    } else if (mp_str_is(op, "hold_lookups") || mp_str_is(op, "let_lookups")) {
        mp__probe_hold_lookups(mp_str_is(op, "hold_lookups"));
    } else if (mp_str_is(op, "metrics")) {
        tell_metrics();
    } else if (mp_str_is(op, "drain")) {
        mp_deliver_drain(mp__probe.deliver,
                         mp_clock_mono_ms() + number_of(command, "ms", 0), on_drained,
                         NULL);
    } else {
        mp__probe_fail("unknown op", op.data);
    }
    free_text(op);
    free_text(name);
}
