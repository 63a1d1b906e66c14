/* SPDX-License-Identifier: MIT */
#include "values.h"

/* URLs for scripts. */

const luaL_Reg mp__uri_functions[] = {{NULL, NULL}};
