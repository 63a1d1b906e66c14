/* SPDX-License-Identifier: MIT */
#include "json_text.h"
#include "moonpost/json.h"

/* Bytes that matter while a container is skipped: brackets and quotes; and those that end
 * a number or a word. */
enum { PLAIN, OPEN, CLOSE, QUOTE };
static const uint8_t structure[256] = {
    ['['] = OPEN, ['{'] = OPEN, [']'] = CLOSE, ['}'] = CLOSE, ['"'] = QUOTE,
};
static const bool ends_scalar[256] = {
    [' '] = true, ['\t'] = true, ['\n'] = true, ['\r'] = true,
    [','] = true, [']'] = true,  ['}'] = true,
};

static const char *skip_string(const char *at, const char *end)
{
    at++;
    for (;;) {
        at = mp__json_scan(at, end, false);
        if (at >= end) {
            return end;
        }
        if (*at == '"') {
            return at + 1;
        }
        at += 2; /* the backslash and what it escapes */
    }
}

static const char *skip_container(const char *at, const char *end)
{
    size_t depth = 0;
    while (at < end) {
        switch (structure[(unsigned char)*at]) {
        case OPEN:
            depth++;
            at++;
            break;
        case CLOSE:
            at++;
            if (--depth == 0) {
                return at;
            }
            break;
        case QUOTE:
            at = skip_string(at, end);
            break;
        default:
            at++;
        }
    }
    return end;
}

static const char *skip_value(const char *at, const char *end)
{
    if (*at == '"') {
        return skip_string(at, end);
    }
    if (*at == '{' || *at == '[') {
        return skip_container(at, end);
    }
    while (at < end && !ends_scalar[(unsigned char)*at]) {
        at++;
    }
    return at;
}

enum mp_json_kind mp_json_kind(struct mp_str raw)
{
    if (raw.length == 0) {
        return MP_JSON_NONE;
    }
    switch (raw.data[0]) {
    case '{':
        return MP_JSON_OBJECT;
    case '[':
        return MP_JSON_ARRAY;
    case '"':
        return MP_JSON_STRING;
    case 't':
        return MP_JSON_TRUE;
    case 'f':
        return MP_JSON_FALSE;
    case 'n':
        return MP_JSON_NULL;
    default:
        return MP_JSON_NUMBER;
    }
}

void mp_json_iter_init(struct mp_json_iter *iter, struct mp_str raw)
{
    enum mp_json_kind kind = mp_json_kind(raw);
    *iter = (struct mp_json_iter){.is_object = kind == MP_JSON_OBJECT};
    if (kind == MP_JSON_OBJECT || kind == MP_JSON_ARRAY) {
        iter->at = raw.data + 1;
        iter->end = raw.data + raw.length - 1;
    }
}

bool mp_json_iter_next(struct mp_json_iter *iter, struct mp_str *key,
                       struct mp_str *value)
{
    const char *end = iter->end;
    const char *at = mp__json_skip_space(iter->at, end);
    if (at < end && *at == ',') {
        at = mp__json_skip_space(at + 1, end);
    }
    if (at == end) {
        iter->at = at;
        return false;
    }
    const char *key_start = at;
    if (iter->is_object) {
        at = skip_string(at, end);
    }
    if (key) {
        *key = (struct mp_str){key_start, (size_t)(at - key_start)};
    }
    if (iter->is_object) {
        at = mp__json_skip_space(at, end) + 1; /* the colon */
        at = mp__json_skip_space(at, end);
    }
    const char *stop = skip_value(at, end);
    *value = (struct mp_str){at, (size_t)(stop - at)};
    iter->at = stop;
    return true;
}

bool mp_json_string_is(struct mp_str raw, struct mp_str text)
{
    struct mp__text inner = mp__text_of_string(raw);
    size_t length = (size_t)(inner.end - inner.at);
    /* An escape is always longer than what it stands for. */
    if (length < text.length) {
        return false;
    }
    if (length == text.length) {
        return length == 0 || (memcmp(inner.at, text.data, length) == 0 &&
                               !memchr(inner.at, '\\', length));
    }
    if (!memchr(inner.at, '\\', length)) {
        return false;
    }
    char piece[4];
    size_t used = 0;
    for (size_t n = mp__text_next(&inner, piece); n > 0;
         n = mp__text_next(&inner, piece)) {
        if (n > text.length - used || memcmp(text.data + used, piece, n) != 0) {
            return false;
        }
        used += n;
    }
    return used == text.length;
}

bool mp_json_member(struct mp_str object, struct mp_str key, struct mp_str *value)
{
    struct mp_json_iter iter;
    struct mp_str name;
    struct mp_str each;
    bool found = false;
    mp_json_iter_init(&iter, object);
    while (iter.is_object && mp_json_iter_next(&iter, &name, &each)) {
        if (mp_json_string_is(name, key)) {
            *value = each;
            found = true;
        }
    }
    return found;
}

static bool list_index(struct mp_str text, size_t *index)
{
    if (text.length == 0 || text.length > 9 || (text.length > 1 && text.data[0] == '0')) {
        return false;
    }
    *index = 0;
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        *index = *index * 10 + (size_t)(text.data[i] - '0');
    }
    return true;
}

static bool list_item(struct mp_str list, struct mp_str place, struct mp_str *value)
{
    size_t index;
    struct mp_json_iter iter;
    struct mp_str each;
    if (!list_index(place, &index)) {
        return false;
    }
    mp_json_iter_init(&iter, list);
    while (mp_json_iter_next(&iter, NULL, &each)) {
        if (index-- == 0) {
            *value = each;
            return true;
        }
    }
    return false;
}

/* The beginnings of a path that may be a key: all of it, then up to each dot from the
 * last one on. */
#define CUTS_MAX 33
struct cut {
    size_t length;
    struct mp_str value;
    bool is_there;
};

static size_t cut_path(struct mp_str path, struct cut cuts[CUTS_MAX])
{
    size_t ends[CUTS_MAX - 1];
    size_t dots = 0, count = 0;
    for (size_t i = 0; i < path.length && dots < CUTS_MAX - 1; i++) {
        if (path.data[i] == '.') {
            ends[dots++] = i;
        }
    }
    cuts[count++] = (struct cut){.length = path.length};
    while (dots > 0) {
        cuts[count++] = (struct cut){.length = ends[--dots]};
    }
    return count;
}

/* Each value is looked through once, however many dots the path has. */
static void find_members(struct mp_str object, struct mp_str path, struct cut *cuts,
                         size_t count)
{
    struct mp_json_iter iter;
    struct mp_str name, each;
    mp_json_iter_init(&iter, object);
    while (mp_json_iter_next(&iter, &name, &each)) {
        for (size_t i = 0; i < count; i++) {
            if (mp_json_string_is(name, (struct mp_str){path.data, cuts[i].length})) {
                cuts[i].value = each;
                cuts[i].is_there = true;
                break;
            }
        }
    }
}

static void find_cuts(struct mp_str value, struct mp_str path, struct cut *cuts,
                      size_t count)
{
    enum mp_json_kind kind = mp_json_kind(value);
    if (kind == MP_JSON_OBJECT) {
        find_members(value, path, cuts, count);
    } else if (kind == MP_JSON_ARRAY) {
        struct cut *first = &cuts[count - 1]; /* a place has no dots */
        first->is_there =
            list_item(value, (struct mp_str){path.data, first->length}, &first->value);
    }
}

/* Longest key first, so that one with dots of its own wins. Each level of recursion is a
 * level of the value, whose depth the check has bounded; no part of it is looked at
 * twice, because a part has one name only. */
bool mp_json_path(struct mp_str value, struct mp_str path, struct mp_str *found)
{
    struct cut cuts[CUTS_MAX];
    size_t count = cut_path(path, cuts);
    find_cuts(value, path, cuts, count);
    if (cuts[0].is_there) {
        *found = cuts[0].value;
        return true;
    }
    for (size_t i = 1; i < count; i++) {
        size_t used = cuts[i].length + 1;
        struct mp_str rest = {path.data + used, path.length - used};
        if (cuts[i].is_there && mp_json_path(cuts[i].value, rest, found)) {
            return true;
        }
    }
    return false;
}
