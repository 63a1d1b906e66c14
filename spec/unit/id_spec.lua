local ffi = require("ffi")
local c = require("spec.support.cdef").load()
local slice = require("spec.support.slice")

local function new_id()
  local out = ffi.new("char[37]")
  c.mp_id_new(out)
  return ffi.string(out)
end

local function of_key(key, partner, index, event)
  local out = ffi.new("char[37]")
  c.mp_id_of_key(slice.of(key), slice.of(partner), index, slice.of(event), out)
  return ffi.string(out)
end

local function sha256(...)
  local parts = ffi.new("struct mp_str[?]", math.max(select("#", ...), 1))
  for i, text in ipairs({ ... }) do
    parts[i - 1] = slice.of(text)
  end
  local digest, hex = ffi.new("uint8_t[32]"), ffi.new("char[65]")
  c.mp_sha256_of(parts, select("#", ...), digest)
  c.mp_hex(digest, 32, hex)
  return ffi.string(hex)
end

describe("a new id", function()
  it("is a UUIDv7 of this moment", function()
    local before = tonumber(c.mp_clock_wall_ms())
    local id = new_id()
    assert.truthy(id:match("^%x%x%x%x%x%x%x%x%-%x%x%x%x%-7%x%x%x%-[89ab]%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$"))
    assert.equal(id, id:lower())
    local ms = tonumber(id:sub(1, 8) .. id:sub(10, 13), 16)
    assert.is_true(ms >= before and ms <= before + 60000)
  end)

  it("sorts after all made before it, also while the clock stands or goes back", function()
    local last = new_id()
    for i = 1, 20000 do
      if i == 10000 then
        c.mp_clock_shift_wall(-5000)
      end
      local id = new_id()
      assert(id > last, id .. " after " .. last)
      last = id
    end
    c.mp_clock_shift_wall(0)
  end)

  it("is not told by the one before it", function()
    local tails = {}
    for _ = 1, 2000 do
      local id = new_id()
      tails[id:sub(-4)] = true
    end
    local count = 0
    for _ in pairs(tails) do
      count = count + 1
    end
    assert.is_true(count > 1800, "only " .. count .. " endings")
  end)
end)

describe("an id of a key", function()
  it("is the same UUIDv8 everywhere", function()
    local id = of_key("k", "acme", 1, '{"a":1}')
    -- SHA-256 over each piece with its length before it, eight bytes, big-endian.
    local function piece(text)
      return ("\0"):rep(7) .. string.char(#text) .. text
    end
    local hex = sha256(piece("k") .. piece("acme") .. piece(("\0"):rep(7) .. "\1") .. piece('{"a":1}'))
    local variant = ("89ab"):sub(tonumber(hex:sub(17, 17), 16) % 4 + 1, tonumber(hex:sub(17, 17), 16) % 4 + 1)
    local expected = ("%s-%s-8%s-%s%s-%s"):format(hex:sub(1, 8), hex:sub(9, 12), hex:sub(14, 16), variant, hex:sub(18, 20), hex:sub(21, 32))
    assert.equal(expected, id)
    assert.equal(id, of_key("k", "acme", 1, '{"a":1}'))
  end)

  it("differs when any piece does, and when bytes move from one to the next", function()
    local seen = {}
    for _, piece in ipairs({ { "k", "acme", 0, "{}" }, { "l", "acme", 0, "{}" }, { "k", "acmf", 0, "{}" }, { "k", "acme", 1, "{}" },
      { "k", "acme", 256, "{}" }, { "k", "acme", 0, "{ }" }, { "ka", "cme", 0, "{}" }, { "", "kacme", 0, "{}" } }) do
      local id = of_key(unpack(piece))
      assert.is_nil(seen[id])
      seen[id] = true
    end
  end)
end)

describe("the digest", function()
  it("is SHA-256", function()
    assert.equal("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", sha256(""))
    assert.equal("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", sha256("abc"))
    assert.equal("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", sha256())
    local digest, hex = ffi.new("uint8_t[32]"), ffi.new("char[65]")
    c.mp_sha256(slice.of("abc"), digest)
    c.mp_hex(digest, 32, hex)
    assert.equal(sha256("abc"), ffi.string(hex))
  end)

  it("of several pieces is that of the whole", function()
    assert.equal(sha256("abcdef"), sha256("ab", "", "cdef"))
  end)
end)

describe("comparing in constant time", function()
  it("tells equal from different", function()
    assert.is_true(c.mp_equal_constant_time(slice.of("abc"), slice.of("abc")))
    assert.is_true(c.mp_equal_constant_time(slice.of(""), slice.of("")))
    assert.is_false(c.mp_equal_constant_time(slice.of("abc"), slice.of("abd")))
    assert.is_false(c.mp_equal_constant_time(slice.of("abc"), slice.of("abcd")))
    assert.is_false(c.mp_equal_constant_time(slice.of(""), slice.of("a")))
  end)
end)

describe("randomness", function()
  it("fills all of what is asked, small and large, differently each time", function()
    for _, length in ipairs({ 1, 16, 127, 128, 129, 512, 5000 }) do
      local a, b = ffi.new("uint8_t[?]", length + 1), ffi.new("uint8_t[?]", length + 1)
      a[length], b[length] = 7, 7
      c.mp_random_bytes(a, length)
      c.mp_random_bytes(b, length)
      assert.equal(7, a[length])
      if length >= 16 then
        assert.are_not.equal(ffi.string(a, length), ffi.string(b, length))
        assert.is_falsy(ffi.string(a, length):find(("\0"):rep(8), 1, true))
      end
    end
  end)

  it("is uniform from 0 to below 1", function()
    local sum, low, high = 0, 1, 0
    for _ = 1, 10000 do
      local x = c.mp_random_unit()
      assert(x >= 0 and x < 1)
      sum, low, high = sum + x, math.min(low, x), math.max(high, x)
    end
    assert.is_true(math.abs(sum / 10000 - 0.5) < 0.05)
    assert.is_true(low < 0.05 and high > 0.95)
  end)
end)
