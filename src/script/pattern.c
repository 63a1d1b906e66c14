/* SPDX-License-Identifier: MIT */
#include "pattern.h"

#include <string.h>

/* Each level is a frame of C: the same bound as Lua's own matcher. */
#define NESTING_MAX  200
#define STEPS_A_LOOK 4096

static bool is_letter(unsigned char c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

static bool in_class(unsigned char c, unsigned char name)
{
    bool is;
    switch (name | 0x20) {
    case 'a':
        is = is_letter(c);
        break;
    case 'c':
        is = c < ' ' || c == 0x7f;
        break;
    case 'd':
        is = is_digit(c);
        break;
    case 'g':
        is = c > ' ' && c < 0x7f;
        break;
    case 'l':
        is = c >= 'a' && c <= 'z';
        break;
    case 'p':
        is = c > ' ' && c < 0x7f && !is_letter(c) && !is_digit(c);
        break;
    case 's':
        is = c == ' ' || (c >= '\t' && c <= '\r');
        break;
    case 'u':
        is = c >= 'A' && c <= 'Z';
        break;
    case 'w':
        is = is_letter(c) || is_digit(c);
        break;
    case 'x':
        is = is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
        break;
    case 'z':
        is = c == 0;
        break;
    default:
        return name == c;
    }
    if (!is_letter(name)) {
        return name == c;
    }
    return name >= 'a' ? is : !is; /* an upper-case name is the complement */
}

void mp__match_charge(struct mp__matcher *matcher, uint64_t steps)
{
    matcher->steps += steps;
    if (matcher->steps < matcher->look_at) {
        return;
    }
    matcher->look_at = matcher->steps + STEPS_A_LOOK;
    mp__budget_check(matcher->state);
    if (matcher->steps > MP__STEPS_MAX) {
        luaL_error(matcher->state->lua, "pattern too complex: over %d steps",
                   MP__STEPS_MAX);
    }
}

static void count_step(struct mp__matcher *matcher)
{
    mp__match_charge(matcher, 1);
}

/* Behind the single character class at `p`. */
static const char *class_end(struct mp__matcher *matcher, const char *p)
{
    const char *start = p, *end = matcher->pattern_end;
    lua_State *lua = matcher->state->lua;
    char first = *p++;
    if (first == '%') {
        if (p == end) {
            luaL_error(lua, "malformed pattern (ends with '%%')");
        }
        return p + 1;
    }
    if (first != '[') {
        return p;
    }
    if (p < end && *p == '^') {
        p++;
    }
    do { /* a ] in the first place is no end */
        if (p >= end) {
            luaL_error(lua, "malformed pattern (missing ']')");
        }
        p += *p == '%' ? 2 : 1;
    } while (p >= end || *p != ']');
    mp__match_charge(matcher, (uint64_t)(p - start) / MP__BYTES_A_STEP);
    return p + 1;
}

/* `set` is at the [, `close` at the ] that ends it. */
static bool in_set(struct mp__matcher *matcher, unsigned char c, const char *set,
                   const char *close)
{
    mp__match_charge(matcher, (uint64_t)(close - set) / MP__BYTES_A_STEP);
    bool found = true;
    if (set[1] == '^') {
        found = false;
        set++;
    }
    while (++set < close) {
        if (*set == '%') {
            set++;
            if (in_class(c, (unsigned char)*set)) {
                return found;
            }
        } else if (set + 2 < close && set[1] == '-') {
            if ((unsigned char)*set <= c && c <= (unsigned char)set[2]) {
                return found;
            }
            set += 2;
        } else if ((unsigned char)*set == c) {
            return found;
        }
    }
    return !found;
}

static bool matches_one(struct mp__matcher *matcher, const char *at, const char *p,
                        const char *p_end)
{
    count_step(matcher);
    if (at >= matcher->subject_end) {
        return false;
    }
    unsigned char c = (unsigned char)*at;
    switch (*p) {
    case '.':
        return true;
    case '%':
        return in_class(c, (unsigned char)p[1]);
    case '[':
        return in_set(matcher, c, p, p_end - 1);
    default:
        return (unsigned char)*p == c;
    }
}

static const char *match_balance(struct mp__matcher *matcher, const char *at,
                                 const char *p)
{
    if (matcher->pattern_end - p < 2) {
        luaL_error(matcher->state->lua, "unbalanced pattern");
    }
    if (at >= matcher->subject_end || *at != p[0]) {
        return NULL;
    }
    size_t open = 1;
    while (++at < matcher->subject_end) {
        count_step(matcher);
        if (*at == p[1]) {
            if (--open == 0) {
                return at + 1;
            }
        } else if (*at == p[0]) {
            open++;
        }
    }
    return NULL;
}

static const char *match_most(struct mp__matcher *matcher, const char *at, const char *p,
                              const char *p_end)
{
    const char *to = at;
    while (matches_one(matcher, to, p, p_end)) {
        to++;
    }
    for (;; to--) {
        const char *end = mp__match(matcher, to, p_end + 1);
        if (end || to == at) {
            return end;
        }
    }
}

static const char *match_least(struct mp__matcher *matcher, const char *at, const char *p,
                               const char *p_end)
{
    for (;; at++) {
        const char *end = mp__match(matcher, at, p_end + 1);
        if (end) {
            return end;
        }
        if (!matches_one(matcher, at, p, p_end)) {
            return NULL;
        }
    }
}

static const char *open_capture(struct mp__matcher *matcher, const char *at,
                                const char *p, ptrdiff_t what)
{
    if (matcher->level >= MP__CAPTURES_MAX) {
        luaL_error(matcher->state->lua, "too many captures");
    }
    matcher->captures[matcher->level++] = (struct mp__capture){at, what};
    const char *end = mp__match(matcher, at, p);
    if (!end) {
        matcher->level--;
    }
    return end;
}

static const char *close_capture(struct mp__matcher *matcher, const char *at,
                                 const char *p)
{
    int level = matcher->level - 1;
    while (level >= 0 && matcher->captures[level].length != MP__CAPTURE_OPEN) {
        level--;
    }
    if (level < 0) {
        luaL_error(matcher->state->lua, "invalid pattern capture");
    }
    matcher->captures[level].length = at - matcher->captures[level].start;
    const char *end = mp__match(matcher, at, p);
    if (!end) {
        matcher->captures[level].length = MP__CAPTURE_OPEN;
    }
    return end;
}

static const char *match_back(struct mp__matcher *matcher, const char *at, char digit)
{
    int level = digit - '1';
    if (level < 0 || level >= matcher->level ||
        matcher->captures[level].length == MP__CAPTURE_OPEN) {
        luaL_error(matcher->state->lua, "invalid capture index");
    }
    const struct mp__capture *capture = &matcher->captures[level];
    /* Lua takes a place's length for a size that nothing has. */
    if (capture->length == MP__CAPTURE_PLACE) {
        return NULL;
    }
    size_t length = (size_t)capture->length;
    mp__match_charge(matcher, length / MP__BYTES_A_STEP);
    bool same = (size_t)(matcher->subject_end - at) >= length &&
                memcmp(capture->start, at, length) == 0;
    return same ? at + length : NULL;
}

static bool at_frontier(struct mp__matcher *matcher, const char *at, const char *set,
                        const char *set_end)
{
    unsigned char before = at == matcher->subject ? 0 : (unsigned char)at[-1];
    unsigned char after = at == matcher->subject_end ? 0 : (unsigned char)*at;
    return !in_set(matcher, before, set, set_end - 1) &&
           in_set(matcher, after, set, set_end - 1);
}

/* One single class and its suffix. True: go on at *at and *p; false: *at is the answer.
 */
static bool match_single(struct mp__matcher *matcher, const char **at, const char **p)
{
    const char *end = class_end(matcher, *p);
    char suffix = end < matcher->pattern_end ? *end : '\0';
    switch (suffix) {
    case '?':
        if (matches_one(matcher, *at, *p, end)) {
            const char *rest = mp__match(matcher, *at + 1, end + 1);
            if (rest) {
                *at = rest;
                return false;
            }
        }
        *p = end + 1;
        return true;
    case '*':
        *at = match_most(matcher, *at, *p, end);
        return false;
    case '+':
        *at = matches_one(matcher, *at, *p, end) ? match_most(matcher, *at + 1, *p, end)
                                                 : NULL;
        return false;
    case '-':
        *at = match_least(matcher, *at, *p, end);
        return false;
    default:
        if (!matches_one(matcher, *at, *p, end)) {
            *at = NULL;
            return false;
        }
        (*at)++;
        *p = end;
        return true;
    }
}

/* %b, %f and %1 to %9; any other % is a single class. */
static bool match_escape(struct mp__matcher *matcher, const char **at, const char **p)
{
    const char *end = matcher->pattern_end;
    char name = *p + 1 < end ? (*p)[1] : '\0';
    if (name == 'b') {
        *at = match_balance(matcher, *at, *p + 2);
        *p += 4;
        return *at != NULL;
    }
    if (name == 'f') {
        const char *set = *p + 2;
        if (set >= end || *set != '[') {
            luaL_error(matcher->state->lua, "missing '[' after '%%f' in pattern");
        }
        const char *set_end = class_end(matcher, set);
        if (!at_frontier(matcher, *at, set, set_end)) {
            *at = NULL;
            return false;
        }
        *p = set_end;
        return true;
    }
    if (is_digit((unsigned char)name)) {
        *at = match_back(matcher, *at, name);
        *p += 2;
        return *at != NULL;
    }
    return match_single(matcher, at, p);
}

/* One item of the pattern, as match_single. */
static bool match_item(struct mp__matcher *matcher, const char **at, const char **p)
{
    const char *end = matcher->pattern_end;
    switch (**p) {
    case '(':
        *at = *p + 1 < end && (*p)[1] == ')'
                  ? open_capture(matcher, *at, *p + 2, MP__CAPTURE_PLACE)
                  : open_capture(matcher, *at, *p + 1, MP__CAPTURE_OPEN);
        return false;
    case ')':
        *at = close_capture(matcher, *at, *p + 1);
        return false;
    case '$':
        if (*p + 1 == end) {
            *at = *at == matcher->subject_end ? *at : NULL;
            return false;
        }
        return match_single(matcher, at, p);
    case '%':
        return match_escape(matcher, at, p);
    default:
        return match_single(matcher, at, p);
    }
}

const char *mp__match(struct mp__matcher *matcher, const char *at, const char *p)
{
    if (matcher->nesting >= NESTING_MAX) {
        luaL_error(matcher->state->lua, "pattern too complex");
    }
    matcher->nesting++;
    count_step(matcher);
    while (p < matcher->pattern_end && match_item(matcher, &at, &p)) {
        /* each item moves both on */
    }
    matcher->nesting--;
    return at;
}
