--- The runtime's own code, through LuaJIT's ffi: libmp_testing.so.
if not rawget(_G, "jit") then
  error("moonpost.testing needs LuaJIT: run `moonpost test`, or busted with --lua=luajit", 0)
end
local ffi = require("ffi")

ffi.cdef([[
struct mp_testing;
struct mp_testing *mp_testing_open(const char *file, const char *options, size_t length, char *why);
void mp_testing_close(struct mp_testing *testing);
bool mp_testing_batches(const struct mp_testing *testing);
const char *mp_testing_call(struct mp_testing *testing, const char *call, size_t length, const char *body,
                            size_t body_length, size_t *answer_length, char *why);
const char *mp_testing_body(const struct mp_testing *testing, size_t *length);
bool mp_testing_check(const char *text, size_t length, char *why);
int64_t mp_testing_time(const char *text);
]])

local native = {}
local WHY_BYTES = 512

-- In a build's folder, in the tree, or under the prefix that this file was installed to. By its name: in a
-- build's folder lua is a link.
local function places()
  local given = os.getenv("MOONPOST_LIBRARY")
  if given and given ~= "" then
    return { given }
  end
  local above = debug.getinfo(1, "S").source:match("^@(.*)moonpost/testing/[^/]*$") or "./"
  local build = above:match("^(.*)lua/$") or "../"
  return {
    build .. "libmp_testing.so",
    build .. "build/libmp_testing.so",
    (above:match("^(.*)share/lua/5%.1/$") or above .. "../../../") .. "lib/moonpost/libmp_testing.so",
  }
end

local function load_library()
  local looked = places()
  for _, path in ipairs(looked) do
    local file = io.open(path)
    if file then
      file:close()
      return ffi.load(path)
    end
  end
  error("could not find Moonpost's library: set MOONPOST_LIBRARY to libmp_testing.so; looked for "
    .. table.concat(looked, ", "), 0)
end

local library = load_library()

local function copied(data, length)
  return data ~= nil and ffi.string(data, length[0]) or ""
end

--- A script loaded, or nil and why. `options` is JSON.
function native.open(file, options)
  local why = ffi.new("char[?]", WHY_BYTES)
  local testing = library.mp_testing_open(file, options, #options, why)
  if testing == nil then
    return nil, ffi.string(why)
  end
  return ffi.gc(testing, library.mp_testing_close)
end

function native.batches(testing)
  return library.mp_testing_batches(testing)
end

--- The answer's JSON, or nil and why.
function native.call(testing, call, body)
  local why, length = ffi.new("char[?]", WHY_BYTES), ffi.new("size_t[1]")
  local answer = library.mp_testing_call(testing, call, #call, body or "", #(body or ""), length, why)
  if answer == nil then
    return nil, ffi.string(why)
  end
  return copied(answer, length)
end

--- The body of the request built last.
function native.body(testing)
  local length = ffi.new("size_t[1]")
  return copied(library.mp_testing_body(testing, length), length)
end

--- True when the text is a JSON object; else false and why not.
function native.check(text)
  local why = ffi.new("char[?]", WHY_BYTES)
  if library.mp_testing_check(text, #text, why) then
    return true
  end
  return false, ffi.string(why)
end

--- Seconds since 1970 of RFC 3339; nil when it is none.
function native.time(text)
  local ms = tonumber(library.mp_testing_time(text))
  return ms >= 0 and ms / 1000 or nil
end

return native
