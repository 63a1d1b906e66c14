/* SPDX-License-Identifier: MIT */
#pragma once

#include <sqlite3.h>

#include "embedded_store.h"

/* Shared by the files that speak SQL. */

#define MP__COLUMNS                                                                      \
    "id, partner, lane, type, source, subject, event_id, partition_key, method, url, "   \
    "first_ms, occurred_ms, replays, event"
#define MP__SPENT_COLUMNS "attempts, last_status, last_verdict, last_ms"

enum mp__statement {
    MP__BEGIN,
    MP__COMMIT,
    MP__INSERT,
    MP__SETTLE_FRESH,
    MP__SETTLE_RETRY,
    MP__RETRY_NEW,
    MP__RETRY_AGAIN,
    MP__BURY_FORGET,
    MP__BURY,
    MP__KEY_FIND,
    MP__KEY_PUT,
    MP__KEY_EXPIRE,
    MP__PROBE,
    MP__PAUSE_SET,
    MP__PAUSE_CLEAR,
    MP__FETCH_RETRY,
    MP__FETCH_FRESH,
    MP__NEXT_DUE,
    MP__DEAD_LAST,
    MP__DEAD_BY_ID,
    MP__DEAD_OF_PARTNER,
    MP__DEAD_OF_ALL,
    MP__REPLAY,
    MP__DEAD_DELETE,
    MP__STATEMENTS
};

struct mp__store {
    sqlite3 *db;
    sqlite3_stmt *statements[MP__STATEMENTS];
    int64_t window_ms;
    bool has_begun;
    const char *why;
};

extern const char *const mp__statement_texts[MP__STATEMENTS];

/* A SQLite code as a status of ours, and in words. */
int mp__sql_status(int code, const char **why);
/* Runs a statement that gives no rows, and makes it ready for its next use. */
MP_MUST_CHECK int mp__sql_run(struct mp__store *store, enum mp__statement which);
/* MP_OK: a row; MP_ENOTFOUND: no more. */
MP_MUST_CHECK int mp__sql_row(struct mp__store *store, enum mp__statement which);
void mp__sql_reset(struct mp__store *store, enum mp__statement which);
/* The empty slice is NULL. */
void mp__sql_bind(sqlite3_stmt *statement, int index, struct mp_str text);
struct mp_str mp__sql_text(sqlite3_stmt *statement, int column);
/* MP__COLUMNS from `column` on, into a draft that points into the row. */
void mp__sql_draft(sqlite3_stmt *statement, int column, struct mp_record *draft);
void mp__sql_draft_spent(sqlite3_stmt *statement, int column, struct mp_record *draft);
