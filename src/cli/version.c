/* SPDX-License-Identifier: MIT */
#include <curl/curl.h>
#include <luajit.h>
#include <sqlite3.h>
#include <uv.h>

#include "moonpost/kafka.h"
#include "tools.h"

int mp_cli_version(void)
{
    struct mp_buf out;
    const curl_version_info_data *curl = curl_version_info(CURLVERSION_NOW);
    mp_buf_init(&out, 4096);
    bool failed = mp_buf_printf(&out,
                                "moonpost " MP_VERSION "\n"
                                "libuv %s\nlibcurl %s (%s)\n" LUAJIT_VERSION
                                "\nSQLite %s\nlibrdkafka %s\n",
                                uv_version_string(), curl->version,
                                curl->ssl_version ? curl->ssl_version : "no TLS",
                                sqlite3_libversion(), mp_kafka_version());
    return mp__print_buf(&out, failed);
}
