/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "testing.h"

/* Which deliveries would go together, were all there at once. */

/* The newest group of one key; full ones are left as they are. */
struct gathering {
    struct mp_buf key;
    size_t number, count, bytes;
};
struct grouping {
    const struct mp_script *script;
    struct gathering *open; /* one a key */
    size_t open_count;
    size_t *number_of; /* of each delivery; SIZE_MAX: it fell out */
    size_t count;      /* groups so far */
};

static struct gathering *find(struct grouping *grouping, struct mp_str key)
{
    for (size_t i = 0; i < grouping->open_count; i++) {
        if (mp_str_equal(mp_buf_str(&grouping->open[i].key), key)) {
            return &grouping->open[i];
        }
    }
    return NULL;
}

static int gather(struct grouping *grouping, const struct mp__subject *subject,
                  size_t *number)
{
    const struct mp_batch_plan *plan = &grouping->script->batch;
    struct mp_buf key;
    mp_buf_init(&key, MP_REQUEST_BODY_MAX);
    int status = mp_batch_key(grouping->script, subject->record, &key);
    struct gathering *into = status == MP_OK ? find(grouping, mp_buf_str(&key)) : NULL;
    if (status != MP_OK || into) {
        mp_buf_fini(&key);
    } else {
        into = &grouping->open[grouping->open_count++];
        *into = (struct gathering){.key = key, .number = grouping->count++};
    }
    if (status != MP_OK) {
        return status;
    }
    size_t bytes = subject->item.wire.length;
    bool is_full =
        into->count == (size_t)plan->size || into->bytes + bytes > (size_t)plan->bytes;
    if (into->count > 0 && is_full) {
        into->count = into->bytes = 0;
        into->number = grouping->count++;
    }
    into->count++;
    into->bytes += bytes;
    *number = into->number;
    return MP_OK;
}

static int gather_all(struct grouping *grouping, const struct mp__subjects *subjects)
{
    int status = MP_OK;
    for (size_t i = 0; i < subjects->count && status == MP_OK; i++) {
        grouping->number_of[i] = SIZE_MAX;
        if (mp__goes_on(&subjects->items[i])) {
            status = gather(grouping, &subjects->items[i], &grouping->number_of[i]);
        }
    }
    return status;
}

static int write_groups(struct mp_buf *out, const struct grouping *grouping, size_t count)
{
    int status = mp_buf_append_text(out, "{\"groups\":[");
    for (size_t g = 0; g < grouping->count && status == MP_OK; g++) {
        status = mp_buf_append_text(out, g == 0 ? "[" : ",[");
        bool is_first = true;
        for (size_t i = 0; i < count && status == MP_OK; i++) {
            if (grouping->number_of[i] == g) {
                status = mp_buf_printf(out, "%s%zu", is_first ? "" : ",", i + 1);
                is_first = false;
            }
        }
        status = status ? status : mp_buf_append_char(out, ']');
    }
    return status ? status : mp_buf_append_char(out, ']');
}

int mp__testing_group(struct mp_testing *testing, struct mp__subjects *subjects,
                      struct mp_error *err)
{
    struct grouping grouping = {
        .script = testing->script,
        .open = calloc(subjects->count, sizeof(*grouping.open)),
        .number_of = calloc(subjects->count, sizeof(*grouping.number_of)),
    };
    int status = MP_ENOMEM;
    if (testing->script->batch.size == 0) {
        status =
            mp_error_set(err, MP_EINVAL, "%s has no batch", testing->script->path.data);
    } else if (grouping.open && grouping.number_of) {
        mp__pieces_build(testing, subjects);
        status = gather_all(&grouping, subjects);
        status =
            status ? status : write_groups(&testing->answer, &grouping, subjects->count);
        status = status ? status : mp__write_fates(&testing->answer, testing, subjects);
        status = status ? status : mp_buf_append_char(&testing->answer, '}');
    }
    for (size_t i = 0; i < grouping.open_count; i++) {
        mp_buf_fini(&grouping.open[i].key);
    }
    free(grouping.open);
    free(grouping.number_of);
    return status;
}
