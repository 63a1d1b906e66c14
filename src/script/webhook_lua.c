/* SPDX-License-Identifier: MIT */
#include "values.h"

/* Standard Webhooks 1.0. */

const luaL_Reg mp__webhook_functions[] = {{NULL, NULL}};
