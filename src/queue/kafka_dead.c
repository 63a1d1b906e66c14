/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "kafka_dead_calls.h"

/* Lists and shows of dead letters; how all calls about them end. */

#define PAGE_ITEMS     100
#define PAGE_ITEMS_MAX 1000

struct page_call {
    struct mp__dead_ask ask;
    struct mp__kafka_dead *dead;
    struct mp_str partner, id;
    size_t limit;
    struct mp__dead_cursor cursor;
    struct mp_dead_page page;
    unsigned json_depth;
    mp_dead_page_cb done;
    void *arg;
    char text[];
};

int mp__kafka_dead_new(struct mp__kafka *engine, struct mp__kafka_dead **out,
                       struct mp_error *err)
{
    struct mp__kafka_dead *dead = calloc(1, sizeof(*dead));
    if (!dead) {
        return mp_error_set(err, MP_ENOMEM, "could not open the queue: out of memory");
    }
    dead->engine = engine;
    mp__dead_reader_init(&dead->reader, engine->loop, &engine->config.cluster,
                         engine->topics.names[MP__KAFKA_DEAD], engine->config.json_depth);
    *out = dead;
    return MP_OK;
}

struct mp_str mp__dead_keep(char **at, struct mp_str text)
{
    struct mp_str copy = {*at, text.length};
    if (text.length > 0) {
        memcpy(*at, text.data, text.length);
        *at += text.length;
    }
    return copy;
}

/* --- the end */

static void end(struct mp__kafka_dead *dead)
{
    if (!dead->has_stopped || dead->calls > 0) {
        return;
    }
    void (*on_closed)(void *arg) = dead->on_closed;
    void *arg = dead->closed_arg;
    free(dead);
    on_closed(arg);
}

void mp__dead_call_ended(struct mp__kafka_dead *dead)
{
    dead->calls--;
    end(dead);
}

static void on_stopped(void *arg)
{
    struct mp__kafka_dead *dead = arg;
    dead->has_stopped = true;
    end(dead);
}

void mp__kafka_dead_close(struct mp__kafka_dead *dead, void (*on_closed)(void *arg),
                          void *arg)
{
    dead->is_closing = true;
    dead->on_closed = on_closed;
    dead->closed_arg = arg;
    mp__dead_reader_stop(&dead->reader, on_stopped, dead);
}

/* --- pages, on the reader's thread */

static void free_page(struct mp_dead_page *page)
{
    for (size_t i = 0; i < page->count; i++) {
        mp_record_free(page->items[i].record);
    }
    free(page->items);
    *page = (struct mp_dead_page){0};
}

/* The id and the partner that the key says are those that it is found by, whatever the
 * rest of a stranger's record says. */
static int copy_record(const struct mp_record *from, const struct mp__dead_key *key,
                       bool has_event, struct mp_str reason, struct mp_record **out)
{
    struct mp_record draft = *from;
    draft.next = NULL;
    draft.partner = key->partner;
    draft.id = key->id;
    draft.outcome = (struct mp_outcome){MP_OUTCOME_NONE, 0, NULL};
    if (!has_event) {
        draft.event = (struct mp_str){NULL, 0};
    }
    int status = mp_record_new(&draft, out);
    if (status != MP_OK) {
        return status;
    }
    (*out)->outcome.reason = strndup(reason.data ? reason.data : "", reason.length);
    if (!(*out)->outcome.reason) {
        mp_record_free(*out);
        *out = NULL;
        return MP_ENOMEM;
    }
    return MP_OK;
}

static int take_letter(void *arg, size_t at, const rd_kafka_message_t *message,
                       struct mp_error *err)
{
    struct page_call *call = arg;
    struct mp_record *record = NULL;
    struct mp__dead_key key;
    struct mp_str reason = {NULL, 0};
    if (!message || !mp__dead_key_of(message, &key)) {
        return MP_OK;
    }
    int status = mp__kafka_dead_read(message, call->json_depth, &record, &reason, err);
    if (status == MP_OK) {
        struct mp_dead_letter *letter = &call->page.items[at];
        status = copy_record(record, &key, call->id.length > 0, reason, &letter->record);
        letter->reason = letter->record ? letter->record->outcome.reason : NULL;
        mp_record_free(record);
    }
    return status == MP_OK ? MP_OK
                           : mp_error_set(err, MP_ENOMEM,
                                          "could not read the dead letters: out of "
                                          "memory");
}

/* What vanished between the index and the reading leaves no gap. */
static void close_up(struct mp_dead_page *page)
{
    size_t kept = 0;
    for (size_t i = 0; i < page->count; i++) {
        if (page->items[i].record) {
            page->items[kept++] = page->items[i];
        }
    }
    page->count = kept;
}

static int find_page(const struct mp__dead_index *index, struct page_call *call,
                     struct mp__dead_entry *entries)
{
    if (call->id.length > 0) {
        const struct mp__dead_entry *entry = mp__dead_index_of_id(index, call->id);
        if (entry) {
            entries[0] = *entry;
        }
        call->page.count = entry ? 1 : 0;
        return MP_OK;
    }
    bool has_more = false;
    call->page.count = mp__dead_index_page(index, call->partner, &call->cursor,
                                           call->limit, entries, &has_more);
    if (has_more) {
        mp__dead_cursor_write(&entries[call->page.count - 1], call->page.next);
    }
    return MP_OK;
}

static int read_page(struct mp__dead_reader *reader, struct page_call *call,
                     struct mp__dead_entry *entries, struct mp__dead_place *places,
                     struct mp_error *err)
{
    int status = mp__dead_catch_up(reader, err);
    status = status ? status : find_page(&reader->index, call, entries);
    for (size_t i = 0; status == MP_OK && i < call->page.count; i++) {
        places[i] = (struct mp__dead_place){entries[i], i};
    }
    return status
               ? status
               : mp__dead_fetch(reader, places, call->page.count, take_letter, call, err);
}

static void empty_page(struct page_call *call)
{
    for (size_t i = 0; i < call->page.count; i++) {
        mp_record_free(call->page.items[i].record);
        call->page.items[i] = (struct mp_dead_letter){0};
    }
    call->page.count = 0;
    call->page.next[0] = '\0';
}

static int run_page(struct mp__dead_reader *reader, struct mp__dead_ask *ask,
                    struct mp_error *err)
{
    struct page_call *call = (struct page_call *)(void *)ask;
    struct mp__dead_entry *entries = calloc(call->limit, sizeof(*entries));
    struct mp__dead_place *places = calloc(call->limit, sizeof(*places));
    call->page.items = calloc(call->limit, sizeof(*call->page.items));
    int status = MP_ENOMEM;
    if (entries && places && call->page.items) {
        status = read_page(reader, call, entries, places, err);
        if (status == MP_OK && reader->is_stale) { /* of a topic that is no more */
            empty_page(call);
            status = read_page(reader, call, entries, places, err);
        }
    } else {
        mp_error_set(err, MP_ENOMEM, "could not read the dead letters: out of memory");
    }
    free(entries);
    free(places);
    close_up(&call->page);
    if (status == MP_OK && call->id.length > 0 && call->page.count == 0) {
        status = mp_error_set(err, MP_ENOTFOUND, "no dead letter has this id");
    }
    return status;
}

static void page_is_read(struct mp__dead_ask *ask)
{
    struct page_call *call = (struct page_call *)(void *)ask;
    struct mp__kafka_dead *dead = call->dead;
    bool is_well = ask->status == MP_OK;
    call->done(call->arg, ask->status, is_well ? NULL : ask->err.text,
               is_well ? &call->page : NULL);
    free_page(&call->page);
    free(call);
    mp__dead_call_ended(dead);
}

static int ask_page(struct mp__kafka_dead *dead, const struct page_call *of,
                    mp_dead_page_cb done, void *arg)
{
    if (dead->is_closing || dead->engine->is_closing) {
        return MP_ECLOSED;
    }
    struct page_call *call =
        calloc(1, sizeof(*call) + of->partner.length + of->id.length);
    if (!call) {
        return MP_ENOMEM;
    }
    char *at = call->text;
    call->ask.run = run_page;
    call->ask.done = page_is_read;
    call->dead = dead;
    call->partner = mp__dead_keep(&at, of->partner);
    call->id = mp__dead_keep(&at, of->id);
    call->limit = of->limit;
    call->cursor = of->cursor;
    call->json_depth = dead->engine->config.json_depth;
    call->done = done;
    call->arg = arg;
    int status = mp__dead_reader_ask(&dead->reader, &call->ask);
    if (status != MP_OK) {
        free(call);
        return status;
    }
    dead->calls++;
    return MP_OK;
}

int mp__kafka_dead_list(struct mp__kafka_dead *dead, struct mp_str partner, size_t limit,
                        struct mp_str cursor, mp_dead_page_cb done, void *arg)
{
    struct page_call of = {.partner = partner};
    if (!mp__dead_cursor_read(cursor, &of.cursor)) {
        return MP_EINVAL;
    }
    limit = limit ? limit : PAGE_ITEMS;
    of.limit = limit < PAGE_ITEMS_MAX ? limit : PAGE_ITEMS_MAX;
    return ask_page(dead, &of, done, arg);
}

int mp__kafka_dead_show(struct mp__kafka_dead *dead, struct mp_str id,
                        mp_dead_page_cb done, void *arg)
{
    if (id.length == 0) {
        return MP_EINVAL;
    }
    struct page_call of = {.id = id, .limit = 1};
    return ask_page(dead, &of, done, arg);
}
