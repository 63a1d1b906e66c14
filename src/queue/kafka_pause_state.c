/* SPDX-License-Identifier: MIT */
#include "kafka_pause_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "moonpost/clock.h"
#include "moonpost/id.h"
#include "moonpost/log.h"

/* A write of ours that has not come back stands behind all that is read before it: until
 * it comes, that name's records are of the past. */

#define WRITER_BYTES 48
#define VALUE_BYTES  4096
#define AWAIT_MS     2000 /* what is acked is read long before */

struct state {
    struct mp__name name;
    struct mp__kafka *engine;
    bool is_paused;
    struct mp_pause pause;
    bool is_untold; /* the owner does not know it yet: it was read while loading */
    uint64_t last, awaited; /* our last write; the same until it came back, then 0 */
    /* What another process wrote and was read last while ours was awaited. */
    bool has_passed, passed_is_paused;
    struct mp_pause passed;
    /* One write at a time, so that they are stored in order. */
    bool is_sending, is_changed;
    uint64_t sent;
    int64_t acked_ms; /* monotonic */
    struct mp__kafka_send send;
    struct mp_buf value;
};

static struct state *state_of(struct mp__kafka *engine, struct mp_str name)
{
    struct mp__kafka_pauses *pauses = &engine->pauses;
    struct state *state = mp__names_find(&pauses->names, name);
    if (!state) {
        state = mp__names_add(&pauses->names, name, sizeof(*state));
        if (state) {
            state->engine = engine;
            mp_buf_init(&state->value, VALUE_BYTES);
        }
    }
    return state;
}

/* What is neither paused nor written to need not be known. */
static void forget_if_idle(struct state *state)
{
    if (!state->is_paused && !state->is_sending && !state->awaited && !state->is_untold) {
        mp_buf_fini(&state->value);
        mp__names_remove(&state->engine->pauses.names, &state->name);
    }
}

/* --- ours */

static int prepare(struct mp__kafka_send *send, struct mp_buf *key,
                   rd_kafka_headers_t **headers)
{
    struct state *state = send->arg;
    char writer[WRITER_BYTES];
    if (state->is_changed) {
        return MP_ECONFLICT; /* a later one holds: not this one behind it */
    }
    int length = snprintf(writer, sizeof(writer), "%016" PRIx64 ".%" PRIu64,
                          state->engine->pauses.writer, state->sent);
    *headers = rd_kafka_headers_new(1);
    if (!*headers || rd_kafka_header_add(*headers, "mp_writer", -1, writer, length)) {
        return MP_ENOMEM;
    }
    return mp_buf_append_str(key, state->name.text);
}

static void on_end(struct mp__kafka_send *send, int status, const char *why);

static void store(struct state *state)
{
    struct mp__kafka *engine = state->engine;
    mp_buf_reset(&state->value);
    int status =
        state->is_paused ? mp__kafka_pause_write(&state->pause, &state->value) : MP_OK;
    state->send = (struct mp__kafka_send){.topic = MP__KAFKA_PARTNERS,
                                          .is_kept = true,
                                          .arg = state,
                                          .prepare = prepare,
                                          .on_end = on_end};
    if (state->is_paused) {
        state->send.value = mp_buf_str(&state->value);
    }
    state->sent = state->last;
    state->is_sending = true;
    state->is_changed = false;
    engine->pauses.sending++;
    engine->kept++;
    status = status ? status : mp__kafka_producer_send(&engine->producer, &state->send);
    if (status != MP_OK) {
        on_end(&state->send, status, mp_status_text(status));
    }
}

static void on_end(struct mp__kafka_send *send, int status, const char *why)
{
    struct state *state = send->arg;
    state->is_sending = false;
    state->engine->pauses.sending--;
    state->engine->kept--;
    state->acked_ms = mp_clock_mono_ms();
    if (state->is_changed && (status == MP_OK || status == MP_ECONFLICT)) {
        store(state);
        return;
    }
    if (status != MP_OK) {
        mp_log_error("queue", "could not store that %.*s is %s: %s",
                     (int)state->name.text.length, state->name.text.data,
                     state->is_paused ? "paused" : "not paused", why);
        state->awaited = 0;
    }
    forget_if_idle(state);
}

static void write_state(struct state *state)
{
    struct mp__kafka_pauses *pauses = &state->engine->pauses;
    while (pauses->writer == 0) {
        mp_random_bytes(&pauses->writer, sizeof(pauses->writer));
    }
    state->is_untold = state->has_passed = false;
    state->last = state->awaited = ++pauses->writes;
    state->is_changed = true;
    if (!state->is_sending) {
        store(state);
    }
}

int mp__kafka_pauses_set(struct mp__kafka *engine, const struct mp_pause *pause)
{
    struct mp_str name = {pause->name, strnlen(pause->name, sizeof(pause->name))};
    if (name.length == 0 || name.length >= sizeof(pause->name)) {
        return MP_EINVAL;
    }
    struct state *state = state_of(engine, name);
    if (!state) {
        return MP_ENOMEM;
    }
    state->is_paused = true;
    state->pause = *pause;
    write_state(state);
    return MP_OK;
}

int mp__kafka_pauses_clear(struct mp__kafka *engine, struct mp_str name)
{
    if (name.length == 0 || name.length >= MP_LANE_BYTES) {
        return MP_EINVAL;
    }
    struct state *state = state_of(engine, name);
    if (!state) {
        return MP_ENOMEM;
    }
    state->is_paused = false;
    write_state(state);
    return MP_OK;
}

/* --- everybody's */

/* 0: not ours. */
static uint64_t write_of(const struct mp__kafka_pauses *pauses,
                         const rd_kafka_message_t *message)
{
    rd_kafka_headers_t *headers;
    const void *value;
    size_t length;
    char text[WRITER_BYTES];
    uint64_t writer, number;
    int end = 0;
    if (rd_kafka_message_headers(message, &headers) ||
        rd_kafka_header_get_last(headers, "mp_writer", &value, &length) || !value ||
        length == 0 || length >= sizeof(text)) {
        return 0;
    }
    memcpy(text, value, length);
    text[length] = '\0';
    return sscanf(text, "%16" SCNx64 ".%20" SCNu64 "%n", &writer, &number, &end) == 2 &&
                   (size_t)end == length && writer == pauses->writer
               ? number
               : 0;
}

static void tell(struct state *state)
{
    const struct mp_queue_owner *owner = &state->engine->base.owner;
    state->is_untold = false;
    if (state->is_paused && owner->on_pause) {
        owner->on_pause(owner->arg, &state->pause);
    } else if (!state->is_paused && owner->on_resume) {
        owner->on_resume(owner->arg, state->name.text);
    }
}

static bool is_news(const struct state *state, bool is_paused,
                    const struct mp_pause *pause)
{
    return is_paused != state->is_paused ||
           (is_paused && (pause->kind != state->pause.kind ||
                          pause->since_ms != state->pause.since_ms ||
                          strcmp(pause->reason, state->pause.reason) != 0));
}

static void apply(struct state *state, bool is_paused, const struct mp_pause *pause)
{
    bool is_new = is_news(state, is_paused, pause);
    state->is_paused = is_paused;
    state->pause = *pause;
    if (!state->engine->pauses.is_loaded) {
        state->is_untold = is_paused;
    } else if (is_new) {
        tell(state);
    }
}

static void pass(struct state *state, uint64_t number, bool is_paused,
                 const struct mp_pause *pause)
{
    if (number == 0) {
        state->has_passed = true;
        state->passed_is_paused = is_paused;
        state->passed = *pause;
    } else if (number == state->awaited) {
        state->has_passed = false;
        state->awaited = 0;
    }
}

void mp__pause_state_take(struct mp__kafka *engine, struct mp_str name,
                          const rd_kafka_message_t *message)
{
    bool is_paused = message->payload != NULL;
    struct mp_pause pause = {.since_ms = 0};
    struct mp_error err;
    snprintf(pause.name, sizeof(pause.name), "%.*s", (int)name.length, name.data);
    if (is_paused && mp__kafka_pause_read((struct mp_str){message->payload, message->len},
                                          engine->config.json_depth, &pause, &err)) {
        mp_log_warn("queue", "%s-%d: the record at %lld is no pause: %s",
                    engine->topics.names[MP__KAFKA_PARTNERS], (int)message->partition,
                    (long long)message->offset, err.text);
        return;
    }
    struct state *state = mp__names_find(&engine->pauses.names, name);
    if (!state && !is_paused) {
        return;
    }
    state = state ? state : state_of(engine, name);
    if (!state) {
        mp_log_error("queue", "a pause of another process is not known: out of memory");
        return;
    }
    if (state->awaited) {
        pass(state, write_of(&engine->pauses, message), is_paused, &pause);
    } else {
        apply(state, is_paused, &pause);
    }
    forget_if_idle(state);
}

static void each(struct mp__kafka_pauses *pauses, void (*visit)(struct state *state))
{
    for (size_t i = 0; i < pauses->names.bucket_count; i++) {
        struct mp__name *name = pauses->names.buckets[i];
        while (name) {
            struct mp__name *next = name->next;
            visit((struct state *)(void *)name);
            name = next;
        }
    }
}

static void tell_untold(struct state *state)
{
    if (state->is_untold) {
        tell(state);
    }
}

void mp__pause_states_loaded(struct mp__kafka *engine)
{
    engine->pauses.is_loaded = true;
    each(&engine->pauses, tell_untold);
}

/* Ours is acked, all is read, and it did not come: a later one replaced it when the topic
 * was compacted. */
static void stop_awaiting(struct state *state)
{
    if (!state->awaited || state->is_sending ||
        mp_clock_mono_ms() - state->acked_ms < AWAIT_MS) {
        return;
    }
    state->awaited = 0;
    if (state->has_passed) {
        state->has_passed = false;
        apply(state, state->passed_is_paused, &state->passed);
    }
    forget_if_idle(state);
}

void mp__pause_states_at_end(struct mp__kafka *engine)
{
    each(&engine->pauses, stop_awaiting);
}

static void free_value(struct state *state)
{
    mp_buf_fini(&state->value);
}

void mp__pause_states_fini(struct mp__kafka_pauses *pauses)
{
    each(pauses, free_value);
    mp__names_fini(&pauses->names);
}
