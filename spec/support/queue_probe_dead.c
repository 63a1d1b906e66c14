/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "queue_probe.h"

/* The commands about dead letters. */

static void on_page(void *arg, int status, const char *why, struct mp_dead_page *page)
{
    (void)arg;
    for (size_t i = 0; page && i < page->count; i++) {
        const struct mp_record *r = page->items[i].record;
        mp__probe_say("letter\t%.*s\t%.*s\t%s\t%u\t%u\t%" PRId64 "\t%u\t%.*s",
                      (int)r->id.length, r->id.data, (int)r->partner.length,
                      r->partner.data, page->items[i].reason, r->attempts,
                      (unsigned)r->last_status, r->last_ms, r->replays,
                      (int)r->event.length, r->event.data ? r->event.data : "");
    }
    mp__probe_say("page\t%s\t%s\t%s", mp_status_name(status), page ? page->next : "",
                  why ? why : "");
}

static void on_count(void *arg, int status, const char *why, struct mp_dead_count *count)
{
    (void)arg;
    for (size_t i = 0; i < count->unknown_count; i++) {
        mp__probe_say("unknown\t%.*s", (int)count->unknown[i].length,
                      count->unknown[i].data);
    }
    mp__probe_say("count\t%s\t%" PRIu64 "\t%" PRIu64 "\t%s", mp_status_name(status),
                  count->matched, count->done, why ? why : "");
}

/* replay|purge ids|range run|dry ID[,ID…] | PARTNER SINCE UNTIL */
void mp__probe_dead(char **word, int count)
{
    (void)count;
    struct mp_str ids[MP__PROBE_WORDS * 8];
    struct mp_dead_filter filter = {.since_ms = -1, .until_ms = -1};
    if (strcmp(word[1], "ids") == 0) {
        filter.ids = ids;
        char *rest = word[3];
        for (char *id = strtok_r(NULL, ",", &rest); id; id = strtok_r(NULL, ",", &rest)) {
            ids[filter.id_count++] = mp_str_of(id);
        }
    } else {
        filter.partner = mp_str_of(strcmp(word[3], "-") == 0 ? "" : word[3]);
        filter.since_ms = strtoll(word[4], NULL, 10);
        filter.until_ms = strtoll(word[5], NULL, 10);
    }
    bool dry = strcmp(word[2], "dry") == 0;
    int status = strcmp(word[0], "replay") == 0
                     ? mp_queue_dead_replay(mp__probe.queue, &filter, dry, on_count, NULL)
                     : mp_queue_dead_purge(mp__probe.queue, &filter, dry, on_count, NULL);
    if (status != MP_OK) {
        mp__probe_say("count\t%s\t0\t0\trefused", mp_status_name(status));
    }
}

void mp__probe_list(char **word, int count)
{
    struct mp_str partner = mp_str_of(strcmp(word[1], "-") == 0 ? "" : word[1]);
    struct mp_str cursor = mp_str_of(count > 3 ? word[3] : "");
    int status = mp_queue_dead_list(mp__probe.queue, partner, strtoull(word[2], NULL, 10),
                                    cursor, on_page, NULL);
    if (status != MP_OK) {
        mp__probe_say("page\t%s\t\trefused", mp_status_name(status));
    }
}

void mp__probe_show(char **word, int count)
{
    (void)count;
    if (mp_queue_dead_show(mp__probe.queue, mp_str_of(word[1]), on_page, NULL) != MP_OK) {
        mp__probe_say("page\tEINVAL\t\trefused");
    }
}
