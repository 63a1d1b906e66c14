/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "embedded_sql.h"

/* Reads of what waits: a lane's next rows, and all lanes at start. */

static bool has_room(const struct mp__fetch *fetch)
{
    size_t count = fetch->records.count;
    size_t bytes = fetch->records.bytes;
    return count < fetch->want && (bytes < fetch->budget_bytes || count == 0 ||
                                   (count < fetch->sure && bytes < MP__FETCH_SURE_BYTES));
}

static int take(struct mp__store *store, struct mp__fetch *fetch,
                const struct mp_record *draft)
{
    struct mp_record *record;
    int status = mp_record_new(draft, &record);
    if (status != MP_OK) {
        store->why = "out of memory";
        return status;
    }
    mp_record_list_push(&fetch->records, record);
    return MP_OK;
}

static int fetch_retries(struct mp__store *store, struct mp__fetch *fetch)
{
    sqlite3_stmt *statement = store->statements[MP__FETCH_RETRY];
    sqlite3_bind_text(statement, 1, fetch->lane, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, fetch->due_after_ms);
    sqlite3_bind_int64(statement, 3, (int64_t)fetch->retry_after);
    sqlite3_bind_int64(statement, 4, fetch->now_ms);
    sqlite3_bind_int64(statement, 5, (int64_t)fetch->want + 1);
    int status;
    while ((status = mp__sql_row(store, MP__FETCH_RETRY)) == MP_OK) {
        if (!has_room(fetch)) {
            fetch->more_retries = true;
            break;
        }
        struct mp_record draft = {0};
        draft.seq = MP__SEQ(sqlite3_column_int64(statement, 0), true);
        draft.due_ms = sqlite3_column_int64(statement, 1);
        mp__sql_draft_spent(statement, 2, &draft);
        mp__sql_draft(statement, 6, &draft);
        status = take(store, fetch, &draft);
        if (status != MP_OK) {
            break;
        }
        fetch->due_after_ms = draft.due_ms;
        fetch->retry_after = MP__SEQ_NUMBER(draft.seq);
    }
    mp__sql_reset(store, MP__FETCH_RETRY);
    return status == MP_ENOTFOUND ? MP_OK : status;
}

static int fetch_fresh(struct mp__store *store, struct mp__fetch *fetch)
{
    if (!fetch->fresh || !has_room(fetch)) {
        fetch->more_fresh = fetch->fresh;
        return MP_OK;
    }
    sqlite3_stmt *statement = store->statements[MP__FETCH_FRESH];
    sqlite3_bind_text(statement, 1, fetch->lane, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, (int64_t)fetch->fresh_after);
    sqlite3_bind_int64(statement, 3, (int64_t)(fetch->want - fetch->records.count) + 1);
    int status;
    while ((status = mp__sql_row(store, MP__FETCH_FRESH)) == MP_OK) {
        if (!has_room(fetch)) {
            fetch->more_fresh = true;
            break;
        }
        struct mp_record draft = {.last_status = 0};
        draft.seq = MP__SEQ(sqlite3_column_int64(statement, 0), false);
        mp__sql_draft(statement, 1, &draft);
        draft.due_ms = draft.first_ms;
        status = take(store, fetch, &draft);
        if (status != MP_OK) {
            break;
        }
        fetch->fresh_after = MP__SEQ_NUMBER(draft.seq);
    }
    mp__sql_reset(store, MP__FETCH_FRESH);
    return status == MP_ENOTFOUND ? MP_OK : status;
}

static int read_next_due(struct mp__store *store, struct mp__fetch *fetch)
{
    sqlite3_stmt *statement = store->statements[MP__NEXT_DUE];
    sqlite3_bind_text(statement, 1, fetch->lane, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, fetch->now_ms);
    fetch->next_due_ms = INT64_MAX;
    int status = mp__sql_row(store, MP__NEXT_DUE);
    if (status == MP_OK) {
        fetch->next_due_ms = sqlite3_column_int64(statement, 0);
        mp__sql_reset(store, MP__NEXT_DUE);
    }
    return status == MP_ENOTFOUND ? MP_OK : status;
}

int mp__store_fetch(struct mp__store *store, struct mp__fetch *fetch)
{
    int status = fetch_retries(store, fetch);
    if (status == MP_OK) {
        status = fetch_fresh(store, fetch);
    }
    return status == MP_OK ? read_next_due(store, fetch) : status;
}

/* The partner is the name's beginning: see record.h. */
static struct mp_str partner_of(struct mp_str lane)
{
    const char *space = memchr(lane.data, ' ', lane.length);
    lane.length = space ? (size_t)(space - lane.data) : lane.length;
    return lane;
}

/* Both read nothing but an index. */
static int recover_lanes(struct mp__store *store, struct mp__recovered *out, bool retries)
{
    static const char of_fresh[] = "SELECT lane, count(*) FROM fresh GROUP BY lane";
    static const char of_retry[] =
        "SELECT lane, count(*), min(due_ms) FROM retry GROUP BY lane";
    sqlite3_stmt *statement;
    int code = sqlite3_prepare_v2(store->db, retries ? of_retry : of_fresh, -1,
                                  &statement, NULL);
    int status = MP_OK;
    while (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct mp_str lane = mp__sql_text(statement, 0);
        uint64_t count = (uint64_t)sqlite3_column_int64(statement, 1);
        int64_t due_ms = retries ? sqlite3_column_int64(statement, 2) : INT64_MAX;
        status = lane.length == 0
                     ? MP_OK
                     : out->on_lane(out->arg, lane, partner_of(lane), retries ? 0 : count,
                                    retries ? count : 0, due_ms);
        code = status == MP_OK ? SQLITE_OK : SQLITE_DONE;
    }
    if (code != SQLITE_DONE) {
        status = mp__sql_status(code, &store->why);
    }
    sqlite3_finalize(statement);
    return status;
}

static void copy_text(sqlite3_stmt *statement, int column, char *out, size_t bytes)
{
    struct mp_str text = mp__sql_text(statement, column);
    size_t length = text.length < bytes ? text.length : bytes - 1;
    if (length > 0) {
        memcpy(out, text.data, length);
    }
    out[length] = '\0';
}

static int recover_pauses(struct mp__store *store, struct mp__recovered *out)
{
    sqlite3_stmt *statement;
    int code = sqlite3_prepare_v2(
        store->db, "SELECT name, kind, reason, since_ms FROM pauses ORDER BY name", -1,
        &statement, NULL);
    int status = MP_OK;
    while (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct mp_pause pause = {
            .kind = (enum mp_pause_kind)sqlite3_column_int(statement, 1)};
        copy_text(statement, 0, pause.name, sizeof(pause.name));
        copy_text(statement, 2, pause.reason, sizeof(pause.reason));
        pause.since_ms = sqlite3_column_int64(statement, 3);
        status = out->on_pause(out->arg, &pause);
        code = status == MP_OK ? SQLITE_OK : SQLITE_DONE;
    }
    if (code != SQLITE_DONE) {
        status = mp__sql_status(code, &store->why);
    }
    sqlite3_finalize(statement);
    return status;
}

static int recover_number(struct mp__store *store, struct mp__recovered *out)
{
    sqlite3_stmt *statement;
    int code = sqlite3_prepare_v2(store->db,
                                  "SELECT max(ifnull((SELECT max(seq) FROM fresh), 0), "
                                  "ifnull((SELECT max(seq) FROM retry), 0))",
                                  -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
        out->last_number = (uint64_t)sqlite3_column_int64(statement, 0);
    }
    sqlite3_finalize(statement);
    return code == SQLITE_ROW ? MP_OK : mp__sql_status(code, &store->why);
}

int mp__store_recover(struct mp__store *store, struct mp__recovered *out)
{
    int status = recover_lanes(store, out, false);
    if (status == MP_OK) {
        status = recover_lanes(store, out, true);
    }
    if (status == MP_OK) {
        status = recover_pauses(store, out);
    }
    return status == MP_OK ? recover_number(store, out) : status;
}
