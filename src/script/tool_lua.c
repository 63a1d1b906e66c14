/* SPDX-License-Identifier: MIT */
#include "values.h"

/* Small tools for scripts. */

const luaL_Reg mp__tool_functions[] = {{NULL, NULL}};
