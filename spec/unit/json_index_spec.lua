--- Finding by an index is finding by reading, only sooner.
local ffi = require("ffi")
local c = require("spec.support.cdef").load()
local slice = require("spec.support.slice").of

local function both(object, path)
  local text, name = slice(object), slice(path)
  local read, found = ffi.new("struct mp_str"), ffi.new("struct mp_str")
  local index = ffi.gc(c.mp_json_index_new(text), c.mp_json_index_free)
  local is_read, is_found = c.mp_json_path(text, name, read), c.mp_json_index_path(index, name, found)
  assert.equal(is_read, is_found, object .. " " .. path)
  assert.equal(is_read and ffi.string(read.data, read.length), is_found and ffi.string(found.data, found.length), path)
  return is_found
end

describe("an index of an object's members", function()
  it("finds what reading finds, in random objects", function()
    math.randomseed(11)
    local names = { "a", "b", "c", "a.b", "a.b.c", "", "a.", ".a", "0", "long name", "é", "a\\u0062", "b.c" }
    local function value(depth)
      local kind = math.random(depth > 3 and 2 or 4)
      if kind == 1 then
        return tostring(math.random(99))
      elseif kind == 2 then
        return "\"v" .. math.random(9) .. "\""
      end
      local out = {}
      for i = 1, math.random(0, 5) do
        local escaped = math.random(40) == 1
        local name = names[math.random(#names)]
        name = not escaped and name:gsub("\\.*", "") or name
        out[i] = (kind == 3 and "\"" .. name .. "\":" or "") .. value(depth + 1)
      end
      return kind == 3 and "{" .. table.concat(out, ",") .. "}" or "[" .. table.concat(out, " , ") .. "]"
    end
    local hits = 0
    for _ = 1, 3000 do
      local object
      repeat
        object = value(0)
      until object:sub(1, 1) == "{"
      for _, path in ipairs({ "a", "a.b", "a.b.c", "b.0", "c.a.b", "", ".", "a.", ".a", "0", "x", "ab", "é", "b.c.0.a" }) do
        hits = hits + (both(object, path) and 1 or 0)
      end
    end
    assert.is_true(hits > 1000, hits)
  end)

  it("gives the last of many equal keys, and none of no object", function()
    assert.is_true(both("{" .. ("\"k\":1,"):rep(1000) .. "\"k\":2}", "k"))
    assert.is_true(c.mp_json_index_new(slice("[1]")) == nil)
    assert.is_true(c.mp_json_index_new(slice("\"x\"")) == nil)
  end)
end)
