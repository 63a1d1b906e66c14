/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdarg.h>
#include <stddef.h>

/* Two of the three kinds of failure. A status says whether a call worked: 0, or negative.
 * An explanation is a sentence for a person, always "could not <verb> <subject>:
 * <reason>". (The third, the verdict, says what became of a delivery: exchange.h.)
 *
 * The law of callbacks: when a function that takes a callback returns an error, the
 * callback never runs; otherwise it runs exactly once. */

#ifdef MP_CDEF
#define MP_PRINTF(text, from)
#define MP_MUST_CHECK
#else
#define MP_PRINTF(text, from) __attribute__((format(printf, text, from)))
#define MP_MUST_CHECK         __attribute__((warn_unused_result))
#endif

#define MP_STATUS_MAP(X)                                                                 \
    X(OK, 0, "ok")                                                                       \
    X(ENOMEM, -1, "out of memory")                                                       \
    X(EINVAL, -2, "malformed")                                                           \
    X(ELIMIT, -3, "over a limit")                                                        \
    X(ENOTFOUND, -4, "not found")                                                        \
    X(EAGAIN, -5, "full for now, try again")                                             \
    X(EBUSY, -6, "in use by another process")                                            \
    X(EIO, -7, "input or output failed")                                                 \
    X(EFULL, -8, "no space left on the device")                                          \
    X(EDUPLICATE, -9, "seen before, with the same content")                              \
    X(ECONFLICT, -10, "seen before, with other content")                                 \
    X(ECLOSED, -11, "shutting down")                                                     \
    X(ESCRIPT, -12, "the script failed")                                                 \
    X(EBUDGET, -13, "the script overran its budget")                                     \
    X(EDENIED, -14, "not allowed")                                                       \
    X(EDEAD, -15, "can never be sent")

enum mp_status {
#define X(name, value, text) MP_##name = value,
    MP_STATUS_MAP(X)
#undef X
};

struct mp_error {
    int status;
    char text[512];
};

/* "ENOMEM" and "out of memory". Never NULL: an unknown value gives "UNKNOWN". */
const char *mp_status_name(int status);
const char *mp_status_text(int status);

/* Sets the explanation and returns `status`, so that a failing line reads
 * `return mp_error_set(err, MP_EIO, "could not open %s: %s", path, why);`.
 * `err` may be NULL: then only the status travels. Text past the end is cut. */
int mp_error_set(struct mp_error *err, int status, const char *format, ...)
    MP_PRINTF(3, 4);

/* Puts "<format>: " before what is there, keeps the status and returns it. */
int mp_error_wrap(struct mp_error *err, const char *format, ...) MP_PRINTF(2, 3);
