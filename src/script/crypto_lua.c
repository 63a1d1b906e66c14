/* SPDX-License-Identifier: MIT */
#include "values.h"

/* Digests and signatures for scripts. */

const luaL_Reg mp__crypto_functions[] = {{NULL, NULL}};
const luaL_Reg mp__hmac_functions[] = {{NULL, NULL}};
