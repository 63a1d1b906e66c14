/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "intake.h"
#include "moonpost/template.h"

void mp__intake_fini(struct mp__intake *intake)
{
    for (size_t i = 0; intake->urls && i < MP__URLS; i++) {
        free(intake->urls[i].text);
    }
    free(intake->urls);
    mp_buf_fini(&intake->ids);
    mp_buf_fini(&intake->deliveries);
    mp_buf_fini(&intake->text);
}

static int check(struct mp_str url, char lane[MP_LANE_BYTES], struct mp_error *err)
{
    static const char PREFIX[] = "postback ";
    char authority[MP_LANE_BYTES];
    struct mp_template *template = NULL;
    struct mp_template_part part = {.text = url};
    int status = mp_authority_of(url, authority, NULL, err);
    if (status != MP_OK) {
        return status;
    }
    if (strlen(authority) + sizeof(PREFIX) > MP_LANE_BYTES) {
        return mp_error_set(err, MP_EINVAL, "the host is too long");
    }
    status = mp_template_compile(&part, 1, MP_TEMPLATE_URL, &template, err);
    if (status != MP_OK) {
        return status;
    }
    mp_template_free(template);
    memcpy(lane, PREFIX, sizeof(PREFIX) - 1);
    memcpy(lane + sizeof(PREFIX) - 1, authority, strlen(authority) + 1);
    return MP_OK;
}

static struct mp__url *slot_of(struct mp__intake *intake, struct mp_str url)
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < url.length; i++) {
        hash = (hash ^ (unsigned char)url.data[i]) * 1099511628211u;
    }
    return &intake->urls[(hash >> 32) % MP__URLS];
}

/* A template that comes with every request is read once. */
int mp__url_lane(struct mp__intake *intake, struct mp_str url, const char **lane,
                 char room[MP_LANE_BYTES], struct mp_error *err)
{
    struct mp__url *slot = slot_of(intake, url);
    if (slot->text && slot->length == url.length &&
        memcmp(slot->text, url.data, url.length) == 0) {
        *lane = slot->lane;
        return MP_OK;
    }
    int status = check(url, room, err);
    *lane = room;
    if (status != MP_OK || url.length > MP__URL_KEPT_MAX) {
        return status;
    }
    char *text = malloc(url.length);
    if (text) {
        free(slot->text);
        memcpy(text, url.data, url.length);
        slot->text = text;
        slot->length = url.length;
        memcpy(slot->lane, room, sizeof(slot->lane));
    }
    return MP_OK;
}
