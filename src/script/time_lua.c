/* SPDX-License-Identifier: MIT */
#include "values.h"

/* Time for scripts. */

const luaL_Reg mp__time_functions[] = {{NULL, NULL}};
