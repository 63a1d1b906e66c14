/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "embedded_sql.h"
#include "moonpost/clock.h"

#define SPENT_QUESTIONS "?2, ?3, ?4, ?5"

const char *const mp__statement_texts[MP__STATEMENTS] = {
    [MP__BEGIN] = "BEGIN IMMEDIATE",
    [MP__COMMIT] = "COMMIT",
    [MP__INSERT] =
        "INSERT INTO fresh (seq, " MP__COLUMNS ") VALUES (?1, ?7, ?8, ?9, ?10, "
        "?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)",
    [MP__SETTLE_FRESH] = "DELETE FROM fresh WHERE seq BETWEEN ?1 AND ?2",
    [MP__SETTLE_RETRY] = "DELETE FROM retry WHERE seq BETWEEN ?1 AND ?2",
    [MP__RETRY_NEW] = "INSERT OR REPLACE INTO retry (seq, " MP__SPENT_COLUMNS
                      ", due_ms, " MP__COLUMNS ") VALUES (?1, " SPENT_QUESTIONS
                      ", ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, "
                      "?16, ?17, ?18, ?19, ?20)",
    [MP__RETRY_AGAIN] =
        "UPDATE retry SET attempts = ?2, last_status = ?3, last_verdict = ?4, "
        "last_ms = ?5, due_ms = ?6 WHERE seq = ?1",
    [MP__BURY_FORGET] = "DELETE FROM dead WHERE id = ?1",
    [MP__BURY] =
        "INSERT INTO dead (reason, " MP__SPENT_COLUMNS ", " MP__COLUMNS
        ") VALUES (?1, " SPENT_QUESTIONS ", ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, "
        "?15, ?16, ?17, ?18, ?19, ?20)",
    [MP__KEY_FIND] = "SELECT body, answer, expires_ms FROM keys WHERE key = ?1",
    [MP__KEY_PUT] = "INSERT OR REPLACE INTO keys (key, body, answer, expires_ms) "
                    "VALUES (?1, ?2, ?3, ?4)",
    [MP__KEY_EXPIRE] = "DELETE FROM keys WHERE rowid IN (SELECT rowid FROM keys WHERE "
                       "expires_ms <= ?1 ORDER BY expires_ms LIMIT 200)",
    [MP__PROBE] = "PRAGMA user_version = 1",
    [MP__PAUSE_SET] = "INSERT OR REPLACE INTO pauses (name, kind, reason, since_ms) "
                      "VALUES (?1, ?2, ?3, ?4)",
    [MP__PAUSE_CLEAR] = "DELETE FROM pauses WHERE name = ?1",
    [MP__FETCH_RETRY] =
        "SELECT seq, due_ms, " MP__SPENT_COLUMNS ", " MP__COLUMNS " FROM retry WHERE "
        "lane = ?1 AND (due_ms, seq) > (?2, ?3) AND due_ms <= ?4 ORDER BY due_ms, seq "
        "LIMIT ?5",
    [MP__FETCH_FRESH] =
        "SELECT seq, " MP__COLUMNS " FROM fresh WHERE lane = ?1 AND seq > ?2 "
        "ORDER BY seq LIMIT ?3",
    [MP__NEXT_DUE] = "SELECT due_ms FROM retry WHERE lane = ?1 AND due_ms > ?2 "
                     "ORDER BY due_ms LIMIT 1",
    [MP__DEAD_LAST] = "SELECT max(number) FROM dead",
    [MP__DEAD_BY_ID] =
        "SELECT number, lane, partner FROM dead WHERE id = ?1 AND number <= ?2",
    [MP__DEAD_OF_PARTNER] =
        "SELECT number, lane, partner FROM dead WHERE partner = ?1 AND last_ms >= ?2 AND "
        "last_ms < ?3 AND number <= ?4 ORDER BY last_ms, number LIMIT ?5",
    [MP__DEAD_OF_ALL] = "SELECT number, lane, partner FROM dead WHERE last_ms >= ?2 AND "
                        "last_ms < ?3 AND number <= ?4 ORDER BY last_ms, number LIMIT ?5",
    [MP__REPLAY] =
        "INSERT INTO fresh (seq, " MP__COLUMNS ") SELECT ?2, id, partner, lane, "
        "type, source, subject, event_id, partition_key, method, url, first_ms, "
        "occurred_ms, replays + 1, event FROM dead WHERE number = ?1",
    [MP__DEAD_DELETE] = "DELETE FROM dead WHERE number = ?1",
};

static void bind_columns(sqlite3_stmt *statement, const struct mp_record *record)
{
    mp__sql_bind(statement, 7, record->id);
    mp__sql_bind(statement, 8, record->partner);
    mp__sql_bind(statement, 9, record->lane);
    mp__sql_bind(statement, 10, record->type);
    mp__sql_bind(statement, 11, record->source);
    mp__sql_bind(statement, 12, record->subject);
    mp__sql_bind(statement, 13, record->event_id);
    mp__sql_bind(statement, 14, record->partition_key);
    mp__sql_bind(statement, 15, record->endpoint_method);
    mp__sql_bind(statement, 16, record->endpoint_url);
    sqlite3_bind_int64(statement, 17, record->first_ms);
    sqlite3_bind_int64(statement, 18, record->occurred_ms);
    sqlite3_bind_int64(statement, 19, record->replays);
    mp__sql_bind(statement, 20, record->event);
}

static void bind_spent(sqlite3_stmt *statement, const struct mp_record *record)
{
    sqlite3_bind_int64(statement, 2, record->attempts);
    sqlite3_bind_int64(statement, 3, record->last_status);
    sqlite3_bind_int64(statement, 4, record->last_verdict);
    sqlite3_bind_int64(statement, 5, record->last_ms);
}

void mp__sql_draft(sqlite3_stmt *statement, int column, struct mp_record *draft)
{
    draft->id = mp__sql_text(statement, column);
    draft->partner = mp__sql_text(statement, column + 1);
    draft->lane = mp__sql_text(statement, column + 2);
    draft->type = mp__sql_text(statement, column + 3);
    draft->source = mp__sql_text(statement, column + 4);
    draft->subject = mp__sql_text(statement, column + 5);
    draft->event_id = mp__sql_text(statement, column + 6);
    draft->partition_key = mp__sql_text(statement, column + 7);
    draft->endpoint_method = mp__sql_text(statement, column + 8);
    draft->endpoint_url = mp__sql_text(statement, column + 9);
    draft->first_ms = sqlite3_column_int64(statement, column + 10);
    draft->occurred_ms = sqlite3_column_int64(statement, column + 11);
    draft->replays = (uint32_t)sqlite3_column_int64(statement, column + 12);
    draft->event = mp__sql_text(statement, column + 13);
}

void mp__sql_draft_spent(sqlite3_stmt *statement, int column, struct mp_record *draft)
{
    draft->attempts = (uint32_t)sqlite3_column_int64(statement, column);
    draft->last_status = (uint16_t)sqlite3_column_int64(statement, column + 1);
    draft->last_verdict = (uint8_t)sqlite3_column_int64(statement, column + 2);
    draft->last_ms = sqlite3_column_int64(statement, column + 3);
}

int mp__store_insert(struct mp__store *store, const struct mp_record *record)
{
    sqlite3_stmt *statement = store->statements[MP__INSERT];
    sqlite3_bind_int64(statement, 1, (int64_t)MP__SEQ_NUMBER(record->seq));
    bind_columns(statement, record);
    return mp__sql_run(store, MP__INSERT);
}

int mp__store_settle(struct mp__store *store, uint64_t first, uint64_t last)
{
    enum mp__statement which =
        MP__SEQ_IN_RETRY(first) ? MP__SETTLE_RETRY : MP__SETTLE_FRESH;
    sqlite3_stmt *statement = store->statements[which];
    sqlite3_bind_int64(statement, 1, (int64_t)MP__SEQ_NUMBER(first));
    sqlite3_bind_int64(statement, 2, (int64_t)MP__SEQ_NUMBER(last));
    return mp__sql_run(store, which);
}

static int settle(struct mp__store *store, const struct mp_record *record)
{
    return mp__store_settle(store, record->seq, record->seq);
}

static int retry(struct mp__store *store, const struct mp_record *record)
{
    bool again = MP__SEQ_IN_RETRY(record->seq);
    enum mp__statement which = again ? MP__RETRY_AGAIN : MP__RETRY_NEW;
    sqlite3_stmt *statement = store->statements[which];
    sqlite3_bind_int64(statement, 1, (int64_t)MP__SEQ_NUMBER(record->seq));
    bind_spent(statement, record);
    sqlite3_bind_int64(statement, 6, record->outcome.due_ms);
    if (again) {
        return mp__sql_run(store, which);
    }
    bind_columns(statement, record);
    int status = mp__sql_run(store, which);
    return status == MP_OK ? settle(store, record) : status;
}

static int bury(struct mp__store *store, const struct mp_record *record)
{
    sqlite3_stmt *forget = store->statements[MP__BURY_FORGET];
    mp__sql_bind(forget, 1, record->id);
    int status = mp__sql_run(store, MP__BURY_FORGET);
    if (status != MP_OK) {
        return status;
    }
    sqlite3_stmt *statement = store->statements[MP__BURY];
    const char *reason = record->outcome.reason ? record->outcome.reason : "";
    sqlite3_bind_text(statement, 1, reason, -1, SQLITE_STATIC);
    bind_spent(statement, record);
    /* Dead letters are looked for by when they died: also those without an attempt. */
    sqlite3_bind_int64(statement, 5,
                       record->last_ms ? record->last_ms : mp_clock_wall_ms());
    bind_columns(statement, record);
    status = mp__sql_run(store, MP__BURY);
    return status == MP_OK ? settle(store, record) : status;
}

int mp__store_change(struct mp__store *store, const struct mp_record *record)
{
    switch (record->outcome.kind) {
    case MP_OUTCOME_RETRY:
        return retry(store, record);
    case MP_OUTCOME_BURY:
        return bury(store, record);
    default:
        return settle(store, record);
    }
}

static int find_key(struct mp__store *store, struct mp_append *append, int64_t now_ms)
{
    sqlite3_stmt *find = store->statements[MP__KEY_FIND];
    sqlite3_bind_blob(find, 1, append->key, sizeof(append->key), SQLITE_STATIC);
    int status = mp__sql_row(store, MP__KEY_FIND);
    if (status != MP_OK) {
        return status;
    }
    status = MP_ENOTFOUND;
    if (sqlite3_column_int64(find, 2) > now_ms) {
        const void *body = sqlite3_column_blob(find, 0);
        bool same = sqlite3_column_bytes(find, 0) == sizeof(append->body) &&
                    memcmp(body, append->body, sizeof(append->body)) == 0;
        const void *answer = sqlite3_column_blob(find, 1);
        size_t bytes = (size_t)sqlite3_column_bytes(find, 1);
        mp_buf_reset(&append->answer_before);
        if (mp_buf_append(&append->answer_before, answer, bytes) != MP_OK) {
            store->why = "out of memory";
            status = MP_ENOMEM;
        } else {
            status = same ? MP_EDUPLICATE : MP_ECONFLICT;
        }
    }
    mp__sql_reset(store, MP__KEY_FIND);
    return status;
}

int mp__store_key(struct mp__store *store, struct mp_append *append, int64_t now_ms)
{
    int status = find_key(store, append, now_ms);
    if (status != MP_ENOTFOUND) {
        return status;
    }
    sqlite3_stmt *put = store->statements[MP__KEY_PUT];
    const char *answer = append->answer.data ? append->answer.data : "";
    sqlite3_bind_blob(put, 1, append->key, sizeof(append->key), SQLITE_STATIC);
    sqlite3_bind_blob(put, 2, append->body, sizeof(append->body), SQLITE_STATIC);
    sqlite3_bind_blob(put, 3, answer, (int)append->answer.length, SQLITE_STATIC);
    sqlite3_bind_int64(put, 4, now_ms + store->window_ms);
    return mp__sql_run(store, MP__KEY_PUT);
}

int mp__store_expire_keys(struct mp__store *store, int64_t now_ms)
{
    sqlite3_bind_int64(store->statements[MP__KEY_EXPIRE], 1, now_ms);
    return mp__sql_run(store, MP__KEY_EXPIRE);
}

int mp__store_set_pause(struct mp__store *store, const struct mp_pause *pause)
{
    sqlite3_stmt *statement = store->statements[MP__PAUSE_SET];
    sqlite3_bind_text(statement, 1, pause->name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, pause->kind);
    sqlite3_bind_text(statement, 3, pause->reason, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 4, pause->since_ms);
    return mp__sql_run(store, MP__PAUSE_SET);
}

int mp__store_clear_pause(struct mp__store *store, const char *name)
{
    sqlite3_stmt *statement = store->statements[MP__PAUSE_CLEAR];
    sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    return mp__sql_run(store, MP__PAUSE_CLEAR);
}
