/* SPDX-License-Identifier: MIT */
#include "moonpost/json.h"
#include "request_leaf.h"

/* `by`: the event's own value chooses. */

static int key_of(struct mp__build *build, const struct mp_by *by, struct mp_value *out)
{
    struct mp__got got = {0};
    int status = MP_OK;
    if (by->key.length > 0) {
        got.value = mp__build_lookup(build, by->key);
        status = build->failed;
    } else {
        status = mp__function_read(build, by->function, MP__AS_JSON, &got);
    }
    *out = got.value;
    return status;
}

/* Null chooses nothing, nor does a list or an object. */
static bool can_choose(const struct mp_value *key)
{
    if (key->is_text) {
        return true;
    }
    switch (mp_json_kind(key->json)) {
    case MP_JSON_STRING:
    case MP_JSON_NUMBER:
    case MP_JSON_TRUE:
    case MP_JSON_FALSE:
        return true;
    default:
        return false;
    }
}

static const struct mp_node *find(const struct mp_by *by, struct mp_str text)
{
    size_t low = 0;
    size_t high = by->case_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = mp_str_order(text, by->cases[middle].value);
        if (order == 0) {
            return &by->cases[middle].result;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return &by->otherwise;
}

static int choose(struct mp__build *build, const struct mp_by *by,
                  const struct mp_node **out)
{
    struct mp_value key;
    struct mp_str text;
    *out = &by->otherwise;
    int status = key_of(build, by, &key);
    if (status == MP_OK && can_choose(&key)) {
        status = mp__value_text(build, &key, &text);
        if (status == MP_OK) {
            *out = find(by, text);
        }
    }
    return status;
}

int mp__by_resolve_leaf(struct mp__build *build, const struct mp_leaf *leaf,
                        const struct mp_node **out)
{
    int status = choose(build, leaf->by, out);
    return status == MP_OK ? mp__by_resolve(build, *out, out) : status;
}

int mp__by_resolve(struct mp__build *build, const struct mp_node *node,
                   const struct mp_node **out)
{
    int status = MP_OK;
    while (status == MP_OK && node->kind == MP_NODE_LEAF &&
           node->leaf.kind == MP_LEAF_BY) {
        status = choose(build, node->leaf.by, &node);
    }
    *out = node;
    return status;
}
