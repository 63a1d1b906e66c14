--- Loaded by busted before the specs (.busted).
local ffi = require("ffi")
local uv = require("luv")
local busted = require("busted")

-- A child or a server that ended is something to assert, not to die of.
ffi.cdef("void *signal(int number, intptr_t handler);")
local SIGPIPE, SIG_IGN = 13, 1
ffi.C.signal(SIGPIPE, SIG_IGN)

-- A preloaded sanitizer is meant for this interpreter alone: sh does not even start under TSan's.
uv.os_unsetenv("LD_PRELOAD")

-- The specs of scripts meet the library that was just built.
uv.os_setenv("MOONPOST_LIBRARY", (os.getenv("MOONPOST_BUILD") or "build") .. "/libmp_testing.so")

-- A handle that is still closing when Lua ends takes the interpreter with it, so all are closed
-- and seen to their end.

busted.subscribe({ "suite", "end" }, function()
  uv.walk(function(handle)
    if not handle:is_closing() then
      handle:close()
    end
  end)
  uv.run("nowait")
  return nil, true
end)
