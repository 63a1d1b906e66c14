/* SPDX-License-Identifier: MIT */
#pragma once

#include "moonpost/buf.h"
#include "moonpost/cli.h"
#include "moonpost/json.h"
#include "moonpost/template.h"

/* What the commands share: words out, words in, a table, a client. Every call blocks. */

#define MP_CLI_BYTES_MAX (64u * 1024 * 1024) /* of a file, an answer, an output */

/* Output. */

/* Writes to stdout and flushes. MP_EXIT_OK; MP_EXIT_FAILED when it could not, which is
 * told on stderr unless the reader is just gone (EPIPE). */
int mp__print(struct mp_str text);
/* Prints the buffer (or says that memory is out when `failed`) and frees it. */
int mp__print_buf(struct mp_buf *buf, bool failed);
/* "moonpost: …" on stderr. Returns `code`. */
int mp__complain(int code, const char *format, ...) MP_PRINTF(2, 3);
/* Appends, with each control byte but tab and line feed shown as `?`: what a stranger
 * sent must not steer a terminal. */
MP_MUST_CHECK int mp__append_shown(struct mp_buf *out, struct mp_str text);
/* "1h30m": exact, largest unit first. */
MP_MUST_CHECK int mp__append_span(struct mp_buf *out, int64_t ms);

/* Appends the request as a line for curl, secrets as "$MOONPOST_SECRET_NAME". */
MP_MUST_CHECK int mp__write_curl(struct mp_buf *out, const struct mp_try *try_);

/* Input. */

/* `word` is a file, `-` for stdin, or JSON itself when it begins with `{` or `[`. MP_OK,
 * or `err` says which file and why. */
MP_MUST_CHECK int mp__read_word(const char *word, struct mp_buf *out,
                                struct mp_error *err);
/* 'GET http://…' into two slices of `text`. MP_EINVAL says how it is to be written. */
MP_MUST_CHECK int mp__read_endpoint(const char *text, struct mp_str *method,
                                    struct mp_str *url, struct mp_error *err);

/* Without a leading "./", so that an error reads scripts/acme.lua:7. Points into `path`.
 */
const char *mp__plain_path(const char *path);

/* A table of text columns; the last is not padded. */
struct mp__table {
    size_t columns;
    char **cells;
    size_t count, capacity;
    bool failed;
};
void mp__table_init(struct mp__table *table, size_t columns);
void mp__table_fini(struct mp__table *table);
void mp__table_cell(struct mp__table *table, struct mp_str text);
/* A member of a JSON object: a string unescaped, null and what is absent as "-", else the
 * token. */
void mp__table_member(struct mp__table *table, struct mp_str object, const char *key);
int mp__table_print(const struct mp__table *table);

/* The client. */

struct mp__answer {
    long status;
    struct mp_buf body;
};
/* One request to settings->server. `body.data` NULL sends a GET, else a POST. `type` is
 * its media type, `fields` further names and values by turns, ended by NULL (or NULL).
 * MP_OK: there is an answer, to be freed with mp__answer_fini. Otherwise `err` says it
 * whole. */
MP_MUST_CHECK int mp__http(const struct mp_settings *settings, const char *path,
                           struct mp_str body, const char *type,
                           const char *const *fields, struct mp__answer *answer,
                           struct mp_error *err);
/* A GET that is given up after so long. */
MP_MUST_CHECK int mp__http_get_within(const struct mp_settings *settings,
                                      const char *path, long whole_ms,
                                      struct mp__answer *answer, struct mp_error *err);
void mp__answer_fini(struct mp__answer *answer);
/* Appends the problem's detail, its title, or what was said instead of a problem. */
MP_MUST_CHECK int mp__answer_append_detail(const struct mp__answer *answer,
                                           struct mp_buf *out);
/* True for 2xx. Else tells the problem's detail on stderr. */
bool mp__answer_is_good(const struct mp__answer *answer);
/* mp__http with JSON, whose errors and refusals are told here: the exit code, MP_EXIT_OK
 * when the answer is a 2xx of JSON and to be freed. */
int mp__api_call(const struct mp_settings *settings, const char *path, struct mp_str body,
                 struct mp__answer *answer);
/* Calls `each` for every item of a list, page by page, until it returns other than
 * MP_EXIT_OK. `path` may have a query. The exit code. */
int mp__api_list(const struct mp_settings *settings, const char *path,
                 int (*each)(void *arg, struct mp_str item), void *arg);
