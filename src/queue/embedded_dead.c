/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "embedded.h"

/* Reads go to the pool; replays and purges go to the storage thread portion by portion,
 * so that a hundred thousand of them hold up nobody's 202. */

#define PAGE_ITEMS     100
#define PAGE_ITEMS_MAX 1000

struct read_job {
    uv_work_t work;
    struct mp__embedded *engine;
    struct mp__dead_query query;
    struct mp_dead_page page;
    int status;
    const char *why;
    mp_dead_page_cb done;
    void *arg;
    char text[]; /* the id or the partner */
};

struct mp__dead_job {
    uv_work_t work; /* of a dry run */
    struct mp__embedded *engine;
    struct mp_dead_filter filter;
    struct mp_str *ids;
    bool *known;
    bool purge;
    struct mp__dead_query query;
    struct mp__dead_op *op; /* made before it is needed, so that a portion cannot fail */
    size_t next_id;
    int64_t last_dead;
    struct mp_dead_count count;
    int status;
    const char *why;
    mp_dead_count_cb done;
    void *arg;
    char text[]; /* the ids' and the partner's bytes */
};

static struct mp__embedded *engine_of(struct mp_queue *queue)
{
    return (struct mp__embedded *)(void *)queue;
}

static void free_page(struct mp_dead_page *page)
{
    for (size_t i = 0; i < page->count; i++) {
        mp_record_free(page->items[i].record);
    }
    free(page->items);
}

static void read_on_pool(uv_work_t *work)
{
    struct read_job *job = work->data;
    job->status = mp__dead_read_page(&job->query, &job->page, &job->why);
    if (job->status == MP_OK && job->query.id.length > 0 && job->page.count == 0) {
        job->status = MP_ENOTFOUND;
        job->why = "no dead letter has this id";
    }
}

static void read_is_done(uv_work_t *work, int status)
{
    struct read_job *job = work->data;
    struct mp__embedded *engine = job->engine;
    (void)status; /* nobody cancels */
    job->done(job->arg, job->status, job->why, job->status == MP_OK ? &job->page : NULL);
    free_page(&job->page);
    free(job);
    engine->reads--;
    mp__turn_close_when_idle(engine);
}

static int read_page(struct mp__embedded *engine, struct mp__dead_query *query,
                     mp_dead_page_cb done, void *arg)
{
    if (engine->closing) {
        return MP_ECLOSED;
    }
    struct mp_str *text = query->id.length > 0 ? &query->id : &query->partner;
    struct read_job *job = calloc(1, sizeof(*job) + text->length + 1);
    if (!job) {
        return MP_ENOMEM;
    }
    if (text->length > 0) {
        memcpy(job->text, text->data, text->length);
        text->data = job->text;
    }
    query->path = engine->path;
    job->query = *query;
    job->engine = engine;
    job->done = done;
    job->arg = arg;
    job->work.data = job;
    engine->reads++;
    uv_queue_work(engine->loop, &job->work, read_on_pool, read_is_done);
    return MP_OK;
}

/* "last_ms.number", as mp__dead_read_page wrote it. */
static bool read_number(struct mp_str *text, int64_t *out)
{
    int64_t value = 0;
    size_t digits = 0;
    while (digits < text->length && digits < 18 && text->data[digits] >= '0' &&
           text->data[digits] <= '9') {
        value = value * 10 + (text->data[digits] - '0');
        digits++;
    }
    text->data += digits;
    text->length -= digits;
    *out = value;
    return digits > 0;
}

static bool read_cursor(struct mp_str cursor, struct mp__dead_query *query)
{
    if (cursor.length == 0) {
        query->before_ms = query->before_number = INT64_MAX;
        return true;
    }
    if (!read_number(&cursor, &query->before_ms) || cursor.length == 0 ||
        cursor.data[0] != '.') {
        return false;
    }
    cursor.data++;
    cursor.length--;
    return read_number(&cursor, &query->before_number) && cursor.length == 0;
}

int mp__dead_list(struct mp_queue *queue, struct mp_str partner, size_t limit,
                  struct mp_str cursor, mp_dead_page_cb done, void *arg)
{
    struct mp__dead_query query = {.partner = partner};
    if (!read_cursor(cursor, &query)) {
        return MP_EINVAL;
    }
    limit = limit ? limit : PAGE_ITEMS;
    query.limit = limit < PAGE_ITEMS_MAX ? limit : PAGE_ITEMS_MAX;
    return read_page(engine_of(queue), &query, done, arg);
}

int mp__dead_show(struct mp_queue *queue, struct mp_str id, mp_dead_page_cb done,
                  void *arg)
{
    if (id.length == 0) {
        return MP_EINVAL;
    }
    struct mp__dead_query query = {.id = id, .limit = 1};
    return read_page(engine_of(queue), &query, done, arg);
}

static int by_text(const void *a, const void *b)
{
    const struct mp_str *first = a;
    const struct mp_str *second = b;
    size_t shorter = first->length < second->length ? first->length : second->length;
    int order = shorter > 0 ? memcmp(first->data, second->data, shorter) : 0;
    return order != 0
               ? order
               : (first->length > second->length) - (first->length < second->length);
}

/* An id that is named twice counts once. */
static size_t sort_ids(struct mp_str *ids, size_t count)
{
    if (count < 2) {
        return count;
    }
    qsort(ids, count, sizeof(*ids), by_text);
    size_t kept = 1;
    for (size_t i = 1; i < count; i++) {
        if (!mp_str_equal(ids[i], ids[kept - 1])) {
            ids[kept++] = ids[i];
        }
    }
    return kept;
}

static struct mp_str keep(char **at, struct mp_str text)
{
    struct mp_str copy = {*at, text.length};
    if (text.length > 0) {
        memcpy(*at, text.data, text.length);
        *at += text.length;
    }
    return copy;
}

static void free_job(struct mp__dead_job *job)
{
    free(job->op);
    free(job->ids);
    free(job->known);
    free(job->count.unknown);
    free(job);
}

static struct mp__dead_job *job_of(const struct mp_dead_filter *filter)
{
    size_t bytes = filter->partner.length + 1;
    for (size_t i = 0; i < filter->id_count; i++) {
        bytes += filter->ids[i].length;
    }
    struct mp__dead_job *job = calloc(1, sizeof(*job) + bytes);
    if (!job) {
        return NULL;
    }
    /* One more of each, so that none is of no bytes. */
    job->op = calloc(1, sizeof(*job->op));
    job->ids = calloc(filter->id_count + 1, sizeof(*job->ids));
    job->known = calloc(filter->id_count + 1, sizeof(*job->known));
    job->count.unknown = calloc(filter->id_count + 1, sizeof(*job->count.unknown));
    if (!job->op || !job->ids || !job->known || !job->count.unknown) {
        free_job(job);
        return NULL;
    }
    char *at = job->text;
    job->filter = *filter;
    job->filter.partner = keep(&at, filter->partner);
    for (size_t i = 0; i < filter->id_count; i++) {
        job->ids[i] = keep(&at, filter->ids[i]);
    }
    if (filter->ids) {
        job->filter.ids = job->ids;
        job->filter.id_count = sort_ids(job->ids, filter->id_count);
    }
    job->last_dead = -1;
    return job;
}

static void job_is_done(struct mp__dead_job *job)
{
    for (size_t i = 0; i < job->next_id; i++) {
        if (!job->known[i]) {
            job->count.unknown[job->count.unknown_count++] = job->ids[i];
        }
    }
    job->done(job->arg, job->status, job->why, &job->count);
    free_job(job);
}

static void count_on_pool(uv_work_t *work)
{
    struct mp__dead_job *job = work->data;
    job->status = mp__dead_read_count(&job->query, &job->count.matched, &job->why);
    job->next_id = job->status == MP_OK && job->filter.ids ? job->filter.id_count : 0;
}

static void count_is_done(uv_work_t *work, int status)
{
    struct mp__dead_job *job = work->data;
    struct mp__embedded *engine = job->engine;
    (void)status; /* nobody cancels */
    job_is_done(job);
    engine->reads--;
    mp__turn_close_when_idle(engine);
}

static void send_portion(struct mp__dead_job *job)
{
    struct mp__embedded *engine = job->engine;
    struct mp__dead_op *op = job->op;
    size_t left = job->filter.id_count - job->next_id;
    job->op = NULL;
    op->op.kind = MP__OP_DEAD;
    op->job = job;
    op->portion = (struct mp__dead_portion){
        .purge = job->purge,
        .ids = job->filter.ids ? job->ids + job->next_id : NULL,
        .id_count =
            job->filter.ids ? (left < MP__DEAD_PORTION ? left : MP__DEAD_PORTION) : 0,
        .known = job->known + job->next_id,
        .partner = job->filter.partner,
        .since_ms = job->filter.since_ms,
        .until_ms = job->filter.until_ms,
        .last_dead = job->last_dead,
        .first_number = engine->next_number,
    };
    engine->next_number += job->purge ? 0 : MP__DEAD_PORTION;
    mp__work_add(&engine->work, &op->op);
}

static void give_replayed(struct mp__embedded *engine, struct mp_record_list *moved)
{
    struct mp_record *record;
    while ((record = mp_record_list_pop(moved))) {
        struct mp__lane *lane =
            engine->closing ? NULL : mp__lane_of(engine, record->lane, record->partner);
        if (lane) {
            mp__lane_count(engine, lane, 1);
            mp__lane_note_fresh(lane, MP__SEQ_NUMBER(record->seq) - 1);
            mp__lane_mark(engine, lane);
        } else if (!engine->closing) {
            mp_log_error("queue",
                         "a replayed delivery waits for the next start: out of memory");
        }
        mp_record_free(record);
    }
}

void mp__dead_done(struct mp__embedded *engine, struct mp__dead_op *op)
{
    struct mp__dead_job *job = op->job;
    struct mp__dead_portion *portion = &op->portion;
    bool last = op->op.status != MP_OK || portion->count < MP__DEAD_PORTION;
    give_replayed(engine, &portion->moved);
    if (op->op.status == MP_OK) {
        job->count.done += portion->count;
        job->count.matched += portion->count;
        job->next_id += portion->id_count;
        job->last_dead = portion->last_dead;
        last = job->filter.ids ? job->next_id == job->filter.id_count : last;
    } else {
        job->status = op->op.status;
        job->why = op->op.why;
    }
    if (!last && !engine->closing) {
        job->op = calloc(1, sizeof(*job->op));
        if (job->op) {
            send_portion(job);
            return;
        }
    }
    if (!last) {
        job->status = engine->closing ? MP_ECLOSED : MP_ENOMEM;
        job->why = mp_status_text(job->status);
    }
    job_is_done(job);
}

static int start_job(struct mp_queue *queue, const struct mp_dead_filter *filter,
                     bool purge, bool dry_run, mp_dead_count_cb done, void *arg)
{
    struct mp__embedded *engine = engine_of(queue);
    if (engine->closing) {
        return MP_ECLOSED;
    }
    struct mp__dead_job *job = job_of(filter);
    if (!job) {
        return MP_ENOMEM;
    }
    job->engine = engine;
    job->purge = purge;
    job->done = done;
    job->arg = arg;
    job->work.data = job;
    if (!dry_run) {
        send_portion(job);
        return MP_OK;
    }
    job->query = (struct mp__dead_query){
        .path = engine->path, .count = &job->filter, .known = job->known};
    engine->reads++;
    uv_queue_work(engine->loop, &job->work, count_on_pool, count_is_done);
    return MP_OK;
}

int mp__dead_replay(struct mp_queue *queue, const struct mp_dead_filter *filter,
                    bool dry_run, mp_dead_count_cb done, void *arg)
{
    return start_job(queue, filter, false, dry_run, done, arg);
}

int mp__dead_purge(struct mp_queue *queue, const struct mp_dead_filter *filter,
                   bool dry_run, mp_dead_count_cb done, void *arg)
{
    return start_job(queue, filter, true, dry_run, done, arg);
}
