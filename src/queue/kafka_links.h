/* SPDX-License-Identifier: MIT */
#pragma once

/* Lists whose members know which one they are in. Zeroed: an empty list, and in none. */

struct mp__kafka_link {
    struct mp__kafka_link *next, *previous;
    struct mp__kafka_links *in;
};
struct mp__kafka_links {
    struct mp__kafka_link *first, *last;
};
void mp__kafka_links_push(struct mp__kafka_links *links, struct mp__kafka_link *link);
void mp__kafka_links_remove(struct mp__kafka_link *link); /* in none: nothing */
