--- Makes the functions of our headers callable from a spec: reads the declarations with the C
-- compiler's preprocessor and opens the testing library.
--   local c = require("spec.support.cdef").load()
--   c.mp_json_check(…)
-- The headers are named in spec/support/cdef_all.lua.
local ffi = require("ffi")
local cdef = {}

local seen = false

-- A preloaded sanitizer is for this interpreter, not for the compiler it calls.
ffi.cdef("int unsetenv(const char *name);")

local function preprocess(headers)
  ffi.C.unsetenv("LD_PRELOAD")
  local lines = {}
  for _, header in ipairs(headers) do
    local path = header:find("/") and header or ("moonpost/" .. header)
    lines[#lines + 1] = '#include "' .. path .. '"'
  end
  local name = os.tmpname()
  local file = assert(io.open(name, "w"))
  file:write(table.concat(lines, "\n"), "\n")
  file:close()
  local command = "cc -E -P -nostdinc -DMP_CDEF -x c -I spec/support/cdef -I include -I . " .. name
  local pipe = assert(io.popen(command))
  local text = pipe:read("*a")
  pipe:close()
  os.remove(name)
  assert(#text > 0, "could not read the headers: " .. command)
  return text
end

local library

--- Declares the headers and opens the library, once a process.
function cdef.load()
  if not seen then
    seen = true
    ffi.cdef(preprocess(require("spec.support.cdef_all")))
  end
  if not library then
    library = ffi.load((os.getenv("MOONPOST_BUILD") or "build") .. "/libmp_testing.so")
  end
  return library
end

return cdef
