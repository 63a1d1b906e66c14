/* SPDX-License-Identifier: MIT */
#pragma once

#include "state.h"

/* Between C's values and Lua's. Everything here runs inside mp__call and throws. No call
 * runs a metamethod: tables are read raw. */

extern const char mp__null; /* json.null is this address */
void mp__push_null(lua_State *lua);
bool mp__is_null(lua_State *lua, int index);

void mp__push_str(lua_State *lua, struct mp_str text);
/* The string there; not for numbers, which would be changed in place. */
struct mp_str mp__str_at(lua_State *lua, int index);
bool mp__str_begins(struct mp_str text, const char *prefix);
void mp__check_status(lua_State *lua, int status); /* throws for what is not MP_OK */

/* JSON to Lua; `raw` has been checked. Null is nil in an object, json.null elsewhere. */
void mp__push_json(struct mp_script_state *state, struct mp_str raw);
void mp__fill_json(struct mp_script_state *state, struct mp_str raw); /* an object's
                                                                         members into the
                                                                         table on top */
/* Lua to JSON: keys sorted, 17 digits. */
void mp__write_json(struct mp_script_state *state, int index, struct mp_buf *out);
void mp__write_number(lua_State *lua, double number, struct mp_buf *out);

/* What kind of JSON value a table is. OBJECT leaves a userdatum with the sorted keys on
 * the stack, the others nil. */
enum mp__shape_kind {
    MP__SHAPE_LIST,
    MP__SHAPE_OBJECT,
    MP__SHAPE_MIXED,
    MP__SHAPE_HOLES,
    MP__SHAPE_KEYS
};
struct mp__shape {
    enum mp__shape_kind kind;
    size_t count;
    struct mp_str *keys;
};
struct mp__shape mp__push_shape(struct mp_script_state *state, int index);
const char *mp__shape_fault(enum mp__shape_kind kind); /* NULL: it has none */

/* Text of a string, number, boolean or secret; `shown` gets it with secrets hidden. False
 * for any other value; nothing is written then. */
bool mp__text_at(struct mp_script_state *state, int index, struct mp_buf *text,
                 struct mp_buf *shown, bool *is_secret);

/* secret.c: a secret is pieces of text, some of them hidden. */
struct mp__secret;
const struct mp__secret *mp__secret_at(struct mp_script_state *state, int index);
size_t mp__secret_count(const struct mp__secret *secret);
/* `secret` is the name of a hidden piece, empty for plain text. */
struct mp_template_part mp__secret_part(const struct mp__secret *secret, size_t index);
/* Pushes text whose shown form is another; the same as a string when they are equal. */
void mp__push_hidden(struct mp_script_state *state, struct mp_str text,
                     struct mp_str shown);
void mp__secret_open(struct mp_script_state *state);
int mp__secret_new(lua_State *lua); /* the script's `secret` */

/* Tables for hooks. */
void mp__push_event(struct mp_script_state *state);
void mp__push_context(struct mp_script_state *state);
void mp__fill_context(struct mp_script_state *state); /* the table on top */
/* An event or ctx that was not read yet is filled: for whoever reads a script's table
 * raw. `index` is from the bottom. */
void mp__force(struct mp_script_state *state, int index);
bool mp__is_lazy_event(struct mp_script_state *state, int index);
void mp__lazy_open(struct mp_script_state *state);
/* Our next and pairs into the table at `to`; the stock ones are at `from`. */
void mp__lazy_functions(lua_State *lua, int from, int to);
void mp__push_response(struct mp_script_state *state, const struct mp_response *response);
void mp__push_request(struct mp_script_state *state, const struct mp_request *request);
/* Writes back what the hook left: the table at `index`, or the one pushed when nil.
 * MP_OK or MP_EDEAD with `err`. */
int mp__take_request(struct mp_script_state *state, int index, struct mp_request *request,
                     struct mp_error *err);
/* The value on top becomes the body or query of the request under way. */
void mp__assign_body(struct mp_script_state *state);
void mp__assign_query(struct mp_script_state *state);
extern const char *const mp__request_fields[];
void mp__response_open(struct mp_script_state *state);
void mp__request_open(struct mp_script_state *state);
void mp__lower(lua_State *lua, int index); /* pushes the string there in lower case */
/* The query parameters of `url` that differ between two tables are replaced, removed or
 * appended in place; `hide` writes secrets as [secret x]. */
void mp__query_read(struct mp_script_state *state, struct mp_str url,
                    struct mp_str shown); /* pushes a table */
void mp__query_write(struct mp_script_state *state, int now, int old, bool hide,
                     struct mp_buf *url);

/* The globals, and the functions among them. */
void mp__sandbox_open(struct mp_script_state *state);
/* The near miss of `name` among `known` (NULL at the end), or NULL. */
const char *mp__near_miss(struct mp_str name, const char *const *known);
extern const luaL_Reg mp__json_functions[];   /* and json.null */
extern const luaL_Reg mp__event_functions[];  /* get, num, as_sent */
extern const luaL_Reg mp__string_functions[]; /* find, match, gmatch, gsub */
extern const luaL_Reg mp__marker_functions[]; /* by text number hashed xml literal */
extern const luaL_Reg mp__json_markers[];     /* string */
void mp__push_items(struct mp_script_state *state);
extern const luaL_Reg mp__require_functions[]; /* require */
extern const luaL_Reg mp__crypto_functions[];  /* sha256 sha1 md5 base64 hex basic */
extern const luaL_Reg mp__hmac_functions[];    /* sha256 sha1 sha512 */
extern const luaL_Reg mp__webhook_functions[]; /* sign */
extern const luaL_Reg mp__time_functions[];    /* now parse format */
extern const luaL_Reg mp__uri_functions[];     /* encode expand macros */
extern const luaL_Reg mp__tool_functions[];    /* decimal uuid log */
void mp__push_format(lua_State *lua); /* pops the stock string.format, pushes ours */
int mp__tostring(lua_State *lua);
void mp__json_open(struct mp_script_state *state);
void mp__call_open(struct mp_script_state *state);
