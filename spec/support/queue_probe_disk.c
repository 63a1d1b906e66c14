/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "queue_probe.h"

/* A disk that fails on command: SQLite's own way to it, but for what is to fail. */

static int (*open_well)(sqlite3_vfs *, const char *, sqlite3_file *, int, int *);
static struct way {
    sqlite3_io_methods failing; /* first: a file knows its way by it */
    const sqlite3_io_methods *well;
} ways[4]; /* the database and its logs have different ones */
static atomic_int pass_reads, fail_reads, fail_syncs; /* so many from now on */

static bool fails(atomic_int *left)
{
    return *left > 0 && atomic_fetch_sub(left, 1) > 0;
}

static const sqlite3_io_methods *well(const sqlite3_file *file)
{
    return ((const struct way *)(const void *)file->pMethods)->well;
}

static int read_or_fail(sqlite3_file *file, void *to, int bytes, sqlite3_int64 at)
{
    return !fails(&pass_reads) && fails(&fail_reads)
               ? SQLITE_IOERR_READ
               : well(file)->xRead(file, to, bytes, at);
}

static int sync_or_fail(sqlite3_file *file, int flags)
{
    return fails(&fail_syncs) ? SQLITE_IOERR_FSYNC : well(file)->xSync(file, flags);
}

/* Files are opened on several threads: a way is made once and does not change again. */
static struct way *way_of(const sqlite3_io_methods *methods)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    struct way *way = ways;
    pthread_mutex_lock(&lock);
    while (way->well && way->well != methods) {
        if (++way == ways + sizeof(ways) / sizeof(*ways)) {
            abort();
        }
    }
    if (!way->well) {
        way->failing = *methods;
        way->failing.xRead = read_or_fail;
        way->failing.xSync = sync_or_fail;
        way->well = methods;
    }
    pthread_mutex_unlock(&lock);
    return way;
}

static int open_failing(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                        int *out)
{
    int code = open_well(vfs, name, file, flags, out);
    if (code == SQLITE_OK) {
        file->pMethods = &way_of(file->pMethods)->failing;
    }
    return code;
}

void mp__probe_put_disk_between(void)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    open_well = vfs->xOpen;
    vfs->xOpen = open_failing;
}

/* disk read|sync TIMES [AFTER]: they fail */
void mp__probe_disk(char **word, int count)
{
    *(strcmp(word[1], "read") == 0 ? &fail_reads : &fail_syncs) = atoi(word[2]);
    pass_reads = count > 3 ? atoi(word[3]) : 0;
    mp__probe_say("disk\t%s", word[2]);
}
