/* SPDX-License-Identifier: MIT */
#include "values.h"

/* `require` of the files in lib. */

const luaL_Reg mp__require_functions[] = {{NULL, NULL}};
