/* SPDX-License-Identifier: MIT */
#include "values.h"

/* The markers of a script's table. */

void mp__push_items(struct mp_script_state *state)
{
    lua_newtable(state->lua);
}

const luaL_Reg mp__marker_functions[] = {{NULL, NULL}};
const luaL_Reg mp__json_markers[] = {{NULL, NULL}};
