/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "deliver_probe.h"
#include "moonpost/clock.h"

/* Records of one partner, as many at once as a lane's window holds. */

static int64_t bench_left;
static struct rusage bench_before;
static int64_t bench_began_us;

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static void bench_report(void)
{
    struct rusage now;
    getrusage(RUSAGE_SELF, &now);
    double user = seconds(now.ru_utime) - seconds(bench_before.ru_utime);
    double system = seconds(now.ru_stime) - seconds(bench_before.ru_stime);
    double wall = (double)(mp_clock_mono_us() - bench_began_us) / 1e6;
    double total = (double)mp__probe.bench_total;
    printf("%.0f deliveries, %.0f/s, CPU %.2f us each (user %.2f, system %.2f)\n", total,
           total / wall, (user + system) * 1e6 / total, user * 1e6 / total,
           system * 1e6 / total);
    fflush(stdout);
}

void mp__probe_bench_more(void)
{
    struct mp_record_list list = {0};
    while (bench_left > 0 && mp__probe.bench_out < 256) {
        struct mp_record draft = {
            .id = mp_str_of("01890a5d-ac96-774b-bcce-b302099a8057"),
            .partner = mp_str_of(mp__probe.bench_partner),
            .event = mp_str_of(
                "{\"click_id\":\"c-1234567890\",\"payout\":1.50,\"geo\":\"DE\"}"),
            .first_ms = mp_clock_wall_ms(),
            .occurred_ms = -1,
        };
        struct mp_record *record;
        if (mp_record_new(&draft, &record) != MP_OK) {
            exit(2);
        }
        mp_record_list_push(&list, record);
        bench_left--;
        mp__probe.bench_out++;
    }
    if (list.count > 0) {
        mp_deliver_take(mp__probe.deliver, &list);
    } else if (bench_left == 0 && mp__probe.bench_out == 0) {
        bench_report();
        mp_deliver_drain(mp__probe.deliver, 0, mp__probe_on_last_drained, NULL);
    }
}

void mp__probe_bench(void)
{
    bench_left = mp__probe.bench_total;
    getrusage(RUSAGE_SELF, &bench_before);
    bench_began_us = mp_clock_mono_us();
    mp__probe_bench_more();
}
