--- Lua strings as struct mp_str and back, and buffers, for specs that call C.
local ffi = require("ffi")
local c = require("spec.support.cdef").load()
local slice = {}

-- A slice borrows its bytes: the string must live as long as the slice does.
local kept = setmetatable({}, { __mode = "k" })

function slice.of(text)
  local str = ffi.new("struct mp_str", text, #text)
  kept[str] = text
  return str
end

function slice.text(str)
  return ffi.string(str.data, str.length)
end

--- A buffer that frees itself.
function slice.buf(max_bytes)
  local buf = ffi.new("struct mp_buf[1]")
  c.mp_buf_init(buf, max_bytes or 1048576)
  return ffi.gc(buf, c.mp_buf_fini)
end

function slice.content(buf)
  return ffi.string(buf[0].data, buf[0].length)
end

return slice
