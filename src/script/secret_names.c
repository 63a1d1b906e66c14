/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <string.h>

#include "plan.h"
#include "source_read.h"

/* The secrets that functions name. They are asked for when the function runs, which is
 * too late to say that one is not there: so they are looked up in the text at load. */

/* As in `partner.secret`, but not as in `"x" .. secret`. */
static bool is_field(struct mp_str source, const char *at)
{
    do {
        at--;
    } while (at >= source.data && isspace((unsigned char)*at));
    if (at < source.data || (*at != '.' && *at != ':')) {
        return false;
    }
    return *at == ':' || at == source.data || at[-1] != '.';
}

static char skip_space(struct mp__reader *reader)
{
    while (reader->at < reader->end && isspace((unsigned char)*reader->at)) {
        reader->line += *reader->at == '\n';
        reader->at++;
    }
    return reader->at < reader->end ? *reader->at : '\0';
}

/* What `secret` is called with; no data: it is no plain text. */
static struct mp_str read_name(struct mp__reader *reader)
{
    const struct mp_str none = {0};
    char c = skip_space(reader);
    bool has_paren = c == '(';
    if (has_paren) {
        reader->at++;
        c = skip_space(reader);
    }
    if (c != '"' && c != '\'') {
        return none;
    }
    struct mp_str name = mp__reader_word(reader).text;
    if (memchr(name.data, '\\', name.length) ||
        (has_paren && skip_space(reader) != ')')) {
        return none;
    }
    return name;
}

static int meet(struct mp_script *script, const char *path, struct mp_str name,
                unsigned line, struct mp_error *err)
{
    struct mp_str value;
    if (mp_script_uses_secret(script, name)) {
        return MP_OK;
    }
    if (mp__script_note_secret(script, name) != MP_OK) {
        return mp_error_set(err, MP_ENOMEM, "could not load %s: out of memory", path);
    }
    int status = mp_secrets_find(mp_script_secrets(script), name, &value, err);
    if (status == MP_OK) {
        return MP_OK;
    }
    mp_error_wrap(err, "%s:%u", path, line);
    return status == MP_ENOMEM ? status : MP_ESCRIPT;
}

static int meet_all(struct mp_script *script, const char *path, struct mp_str source,
                    struct mp_error *err)
{
    struct mp__reader reader = {
        .at = source.data, .end = source.data + source.length, .line = 1};
    int status = MP_OK;
    while (status == MP_OK) {
        struct mp__word word = mp__reader_word(&reader);
        if (!word.text.data) {
            break;
        }
        if (word.is_quoted || !mp_str_is(word.text, "secret") ||
            is_field(source, word.text.data)) {
            continue;
        }
        unsigned line = reader.line;
        struct mp__reader ahead = reader;
        bool is_key =
            skip_space(&ahead) == '=' && ahead.end - ahead.at > 1 && ahead.at[1] != '=';
        struct mp_str name = is_key ? (struct mp_str){0} : read_name(&reader);
        if (name.data) {
            status = meet(script, path, name, line, err);
        } else if (!is_key) {
            mp__private_of(script)->names_any_secret = true;
        }
    }
    return status;
}

int mp__script_note_secret(struct mp_script *script, struct mp_str name)
{
    if (mp_script_uses_secret(script, name)) {
        return MP_OK;
    }
    struct mp__used_secret *used = mp__script_alloc(script, sizeof(*used) + name.length);
    if (!used) {
        return MP_ENOMEM;
    }
    if (name.length > 0) {
        memcpy(used + 1, name.data, name.length);
    }
    used->name = (struct mp_str){(char *)(used + 1), name.length};
    used->next = mp__private_of(script)->used_secrets;
    mp__private_of(script)->used_secrets = used;
    return MP_OK;
}

int mp__script_meet_secrets(struct mp_script *script, struct mp_error *err)
{
    if (!script->has_functions) {
        return MP_OK;
    }
    int status = meet_all(script, script->path.data, script->source, err);
    for (const struct mp__module *each = mp__private_of(script)->modules;
         each && status == MP_OK; each = each->next) {
        if (each->source.data) {
            status = meet_all(script, each->path.data, each->source, err);
        }
    }
    return status;
}
