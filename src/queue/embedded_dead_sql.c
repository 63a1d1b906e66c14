/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "embedded_sql.h"

/* Dead letters: portions of a replay or purge on the storage thread, reads anywhere. */

#define READ_BUSY_MS 1000

struct found {
    int64_t number;
    struct mp_record *record; /* its lane and partner only */
};

static int note_found(struct mp__store *store, sqlite3_stmt *row, struct found *found)
{
    struct mp_record draft = {.last_status = 0};
    draft.lane = mp__sql_text(row, 1);
    draft.partner = mp__sql_text(row, 2);
    found->number = sqlite3_column_int64(row, 0);
    int status = mp_record_new(&draft, &found->record);
    if (status != MP_OK) {
        store->why = "out of memory";
    }
    return status;
}

static int move_one(struct mp__store *store, struct mp__dead_portion *portion,
                    struct found *found)
{
    int status = MP_OK;
    if (!portion->purge) {
        uint64_t number = portion->first_number + portion->count;
        sqlite3_stmt *replay = store->statements[MP__REPLAY];
        sqlite3_bind_int64(replay, 1, found->number);
        sqlite3_bind_int64(replay, 2, (int64_t)number);
        found->record->seq = MP__SEQ(number, false);
        status = mp__sql_run(store, MP__REPLAY);
    }
    if (status == MP_OK) {
        sqlite3_bind_int64(store->statements[MP__DEAD_DELETE], 1, found->number);
        status = mp__sql_run(store, MP__DEAD_DELETE);
    }
    if (status != MP_OK) {
        return status;
    }
    portion->count++;
    if (!portion->purge) {
        mp_record_list_push(&portion->moved, found->record);
        found->record = NULL;
    }
    return MP_OK;
}

/* All are found before the first is moved: a search that runs while its rows go is no
 * search. */
static int find_range(struct mp__store *store, const struct mp__dead_portion *portion,
                      struct found *found, size_t *count)
{
    enum mp__statement which =
        portion->partner.length > 0 ? MP__DEAD_OF_PARTNER : MP__DEAD_OF_ALL;
    sqlite3_stmt *find = store->statements[which];
    if (which == MP__DEAD_OF_PARTNER) {
        mp__sql_bind(find, 1, portion->partner);
    }
    sqlite3_bind_int64(find, 2, portion->since_ms < 0 ? INT64_MIN : portion->since_ms);
    sqlite3_bind_int64(find, 3, portion->until_ms < 0 ? INT64_MAX : portion->until_ms);
    sqlite3_bind_int64(find, 4, portion->last_dead);
    sqlite3_bind_int64(find, 5, MP__DEAD_PORTION);
    int status;
    while ((status = mp__sql_row(store, which)) == MP_OK) {
        status = note_found(store, find, &found[*count]);
        if (status != MP_OK) {
            mp__sql_reset(store, which);
            return status;
        }
        (*count)++;
    }
    return status == MP_ENOTFOUND ? MP_OK : status;
}

static int find_ids(struct mp__store *store, const struct mp__dead_portion *portion,
                    struct found *found, size_t *count)
{
    sqlite3_stmt *find = store->statements[MP__DEAD_BY_ID];
    int status = MP_OK;
    for (size_t i = 0; status == MP_OK && i < portion->id_count; i++) {
        mp__sql_bind(find, 1, portion->ids[i]);
        sqlite3_bind_int64(find, 2, portion->last_dead);
        status = mp__sql_row(store, MP__DEAD_BY_ID);
        portion->known[i] = status == MP_OK;
        if (status == MP_OK) {
            status = note_found(store, find, &found[*count]);
            *count += status == MP_OK;
            mp__sql_reset(store, MP__DEAD_BY_ID);
        } else if (status == MP_ENOTFOUND) {
            status = MP_OK;
        }
    }
    return status;
}

static int find_last(struct mp__store *store, struct mp__dead_portion *portion)
{
    if (portion->last_dead >= 0) {
        return MP_OK;
    }
    int status = mp__sql_row(store, MP__DEAD_LAST);
    if (status == MP_OK) {
        portion->last_dead = sqlite3_column_int64(store->statements[MP__DEAD_LAST], 0);
        mp__sql_reset(store, MP__DEAD_LAST);
    }
    return status;
}

int mp__store_dead(struct mp__store *store, struct mp__dead_portion *portion)
{
    struct found found[MP__DEAD_PORTION];
    size_t count = 0;
    portion->count = 0;
    mp_record_list_free(&portion->moved);
    int status = find_last(store, portion);
    if (status == MP_OK) {
        status = portion->ids ? find_ids(store, portion, found, &count)
                              : find_range(store, portion, found, &count);
    }
    for (size_t i = 0; status == MP_OK && i < count; i++) {
        status = move_one(store, portion, &found[i]);
    }
    for (size_t i = 0; i < count; i++) {
        mp_record_free(found[i].record);
    }
    return status;
}

static int open_reader(const char *path, sqlite3 **db, const char **why)
{
    int code =
        sqlite3_open_v2(path, db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
    sqlite3_busy_timeout(*db, READ_BUSY_MS);
    return code == SQLITE_OK ? MP_OK : mp__sql_status(code, why);
}

static int put_item(sqlite3_stmt *row, struct mp_dead_letter *item)
{
    struct mp_record draft = {.due_ms = 0};
    mp__sql_draft_spent(row, 2, &draft);
    mp__sql_draft(row, 6, &draft);
    int status = mp_record_new(&draft, &item->record);
    if (status != MP_OK) {
        return status;
    }
    struct mp_str reason = mp__sql_text(row, 1);
    item->record->outcome.reason =
        strndup(reason.length ? reason.data : "", reason.length);
    item->reason = item->record->outcome.reason;
    return item->reason ? MP_OK : MP_ENOMEM;
}

#define ITEM "number, reason, " MP__SPENT_COLUMNS ", "
/* A page names what there is; the events come one by one. */
#define WITHOUT_EVENT                                                                    \
    "id, partner, lane, type, source, subject, event_id, partition_key, method, url, "   \
    "first_ms, occurred_ms, replays, NULL"
#define BEFORE "(last_ms, number) < (?2, ?3) ORDER BY last_ms DESC, number DESC LIMIT ?4"

static const char *text_of(const struct mp__dead_query *query)
{
    if (query->id.length > 0) {
        return "SELECT " ITEM MP__COLUMNS
               " FROM dead WHERE id = ?1 ORDER BY number DESC LIMIT 1";
    }
    return query->partner.length > 0
               ? "SELECT " ITEM WITHOUT_EVENT " FROM dead WHERE partner = ?1 AND " BEFORE
               : "SELECT " ITEM WITHOUT_EVENT " FROM dead WHERE " BEFORE;
}

static void bind_query(sqlite3_stmt *statement, const struct mp__dead_query *query)
{
    if (query->id.length > 0) {
        mp__sql_bind(statement, 1, query->id);
        return;
    }
    if (query->partner.length > 0) {
        mp__sql_bind(statement, 1, query->partner);
    }
    sqlite3_bind_int64(statement, 2, query->before_ms);
    sqlite3_bind_int64(statement, 3, query->before_number);
    sqlite3_bind_int64(statement, 4, (int64_t)query->limit + 1);
}

static int read_rows(sqlite3_stmt *statement, const struct mp__dead_query *query,
                     struct mp_dead_page *page, const char **why)
{
    int64_t number = 0;
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        if (page->count == query->limit) {
            snprintf(page->next, sizeof(page->next), "%lld.%lld",
                     (long long)page->items[page->count - 1].record->last_ms,
                     (long long)number);
            return MP_OK;
        }
        number = sqlite3_column_int64(statement, 0);
        int status = put_item(statement, &page->items[page->count]);
        page->count += page->items[page->count].record != NULL;
        if (status != MP_OK) {
            *why = "out of memory";
            return status;
        }
    }
    return code == SQLITE_DONE ? MP_OK : mp__sql_status(code, why);
}

int mp__dead_read_page(const struct mp__dead_query *query, struct mp_dead_page *page,
                       const char **why)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    int status = open_reader(query->path, &db, why);
    if (status == MP_OK) {
        page->items = calloc(query->limit, sizeof(*page->items));
        status = page->items ? MP_OK : MP_ENOMEM;
        *why = page->items ? NULL : "out of memory";
    }
    if (status == MP_OK) {
        int code = sqlite3_prepare_v2(db, text_of(query), -1, &statement, NULL);
        status = code == SQLITE_OK ? MP_OK : mp__sql_status(code, why);
    }
    if (status == MP_OK) {
        bind_query(statement, query);
        status = read_rows(statement, query, page, why);
    }
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return status;
}

static int count_ids(sqlite3_stmt *statement, const struct mp__dead_query *query,
                     uint64_t *matched)
{
    int code = SQLITE_DONE;
    for (size_t i = 0; i < query->count->id_count; i++) {
        mp__sql_bind(statement, 1, query->count->ids[i]);
        code = sqlite3_step(statement);
        if (code != SQLITE_ROW) {
            return code;
        }
        query->known[i] = sqlite3_column_int64(statement, 0) > 0;
        *matched += query->known[i];
        sqlite3_reset(statement);
    }
    return SQLITE_DONE;
}

static int count_range(sqlite3_stmt *statement, const struct mp_dead_filter *filter,
                       uint64_t *matched)
{
    if (filter->partner.length > 0) {
        mp__sql_bind(statement, 1, filter->partner);
    }
    sqlite3_bind_int64(statement, 2, filter->since_ms < 0 ? INT64_MIN : filter->since_ms);
    sqlite3_bind_int64(statement, 3, filter->until_ms < 0 ? INT64_MAX : filter->until_ms);
    int code = sqlite3_step(statement);
    *matched = code == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(statement, 0) : 0;
    return code == SQLITE_ROW ? SQLITE_DONE : code;
}

int mp__dead_read_count(const struct mp__dead_query *query, uint64_t *matched,
                        const char **why)
{
    const struct mp_dead_filter *filter = query->count;
    const char *text = "SELECT count(*) FROM dead WHERE last_ms >= ?2 AND last_ms < ?3";
    if (filter->ids) {
        text = "SELECT count(*) FROM dead WHERE id = ?1";
    } else if (filter->partner.length > 0) {
        text = "SELECT count(*) FROM dead WHERE partner = ?1 AND last_ms >= ?2 AND "
               "last_ms < ?3";
    }
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    int status = open_reader(query->path, &db, why);
    if (status == MP_OK) {
        int code = sqlite3_prepare_v2(db, text, -1, &statement, NULL);
        if (code == SQLITE_OK) {
            code = filter->ids ? count_ids(statement, query, matched)
                               : count_range(statement, filter, matched);
            code = code == SQLITE_DONE ? SQLITE_OK : code;
        }
        status = code == SQLITE_OK ? MP_OK : mp__sql_status(code, why);
    }
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return status;
}
