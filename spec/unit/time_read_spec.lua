local ffi = require("ffi")
local c = require("spec.support.cdef").load()
local slice = require("spec.support.slice")

local function read(text)
  local out = ffi.new("int64_t[1]", -7)
  local status = c.mp_time_read(slice.of(text), out)
  if status ~= 0 then
    assert.equal(-2, status)
    assert.equal(-7, tonumber(out[0]))
    return nil
  end
  return tonumber(out[0])
end

describe("a moment as events write it", function()
  it("is RFC 3339 or an HTTP date", function()
    assert.equal(1795471459123, read("2026-11-23T22:04:19.123Z"))
    assert.equal(1795460659000, read("2026-11-23T22:04:19+03:00"))
    assert.equal(-1000, read("1969-12-31T23:59:59Z"))
    assert.equal(784111777000, read("Sun, 06 Nov 1994 08:49:37 GMT"))
    assert.equal(784111777000, read("Sunday, 06-Nov-94 08:49:37 GMT"))
    assert.equal(784111777000, read("Sun Nov  6 08:49:37 1994"))
  end)

  it("is a number of seconds, its fraction kept to the millisecond", function()
    for text, ms in pairs({ ["0"] = 0, ["0.0"] = 0, ["1"] = 1000, ["1795471459"] = 1795471459000, ["1795471459.1"] = 1795471459100,
      ["1795471459.123"] = 1795471459123, ["1795471459.1239999999999999999999999999"] = 1795471459123, ["0.001"] = 1, ["0.0009"] = 0,
      ["0.01"] = 10, ["10.05"] = 10050, ["001795471459"] = 1795471459000, ["99999999999"] = 99999999999000 }) do
      assert.equal(ms, read(text), text)
    end
  end)

  it("is a number of milliseconds from 10^11 on", function()
    for text, ms in pairs({ ["100000000000"] = 100000000000, ["1795471459123"] = 1795471459123, ["1795471459123.9"] = 1795471459123,
      ["253402300799999"] = 253402300799999, ["000000001795471459123"] = 1795471459123 }) do
      assert.equal(ms, read(text), text)
    end
  end)

  it("may have an exponent, as JSON numbers do", function()
    for text, ms in pairs({ ["1.795471459e9"] = 1795471459000, ["1.795471459123E+12"] = 1795471459123, ["17954714591e-1"] = 1795471459100,
      ["1e0"] = 1000, ["0e99"] = 0, ["5e-3"] = 5, ["5e-4"] = 0, ["1e-999"] = 0, ["1e11"] = 100000000000 }) do
      assert.equal(ms, read(text), text)
    end
  end)

  it("is refused in any other form, negative, or past the year 9999", function()
    for _, text in ipairs({ "", " ", "x", "-1", "+1", "1.", ".5", "1..2", "1.2.3", "1e", "1e+", "1e1.5", "1e1x", "0x10", "1,5", "1 ", " 1", "1s", "nan", "inf",
      "253402300800000", "9999999999999999", "1e15", "1e16", "1e999", "1e9999999999999999999999", ("9"):rep(400), "2026-11-23", "2026-11-23T22:04:19",
      "\"1795471459\"", "null", "1795471459\0" }) do
      assert.is_nil(read(text), text)
    end
  end)
end)
