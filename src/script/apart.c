/* SPDX-License-Identifier: MIT */
#include <pthread.h>

#include "loader.h"

int mp_script_apart(void *(*body)(void *), void *arg)
{
    pthread_t thread;
    int status = mp_script_watchdog_start();
    if (status != MP_OK) {
        return status;
    }
    status = mp__thread_start(&thread, body, arg);
    if (status == MP_OK) {
        pthread_join(thread, NULL);
    }
    mp_script_watchdog_stop();
    return status;
}
