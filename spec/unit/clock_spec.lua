local ffi = require("ffi")
local c = require("spec.support.cdef").load()
local slice = require("spec.support.slice")

local OK, EINVAL = 0, -2

local function parsed(parse, text, kind)
  local out = ffi.new(kind or "int64_t[1]")
  local status = parse(slice.of(text), out)
  if status ~= OK then
    assert.equal(EINVAL, status)
    return nil
  end
  return tonumber(out[0])
end

local function duration(text)
  return parsed(c.mp_duration_parse, text)
end

local function size(text)
  return parsed(c.mp_size_parse, text, "uint64_t[1]")
end

local function time(text)
  return parsed(c.mp_time_parse, text)
end

local function http_date(text)
  return parsed(c.mp_http_date_parse, text)
end

local function format(ms)
  local out = ffi.new("char[25]")
  c.mp_time_format(ms, out)
  return ffi.string(out)
end

describe("a duration", function()
  it("is a number and a unit, seconds without one", function()
    for text, ms in pairs({ ["30"] = 30000, ["30s"] = 30000, ["5m"] = 300000, ["2h"] = 7200000, ["7d"] = 604800000, ["250ms"] = 250,
      ["0"] = 0, ["0ms"] = 0, ["007s"] = 7000, ["3653d"] = 315619200000 }) do
      assert.equal(ms, duration(text), text)
    end
  end)

  it("is refused when malformed, negative or past ten years", function()
    for _, text in ipairs({ "", "s", "-1", "+1", "1.5s", "1 s", " 1s", "1s ", "1h30m", "1S", "1w", "1sec", "3654d", "315619201",
      "9223372036854775807d", "99999999999999999999", "1\0" }) do
      assert.is_nil(duration(text), text)
    end
  end)

  it("is written in its shortest exact form, and read back", function()
    for ms, text in pairs({ [0] = "0s", [90000] = "90s", [120000] = "2m", [1500] = "1500ms", [7200000] = "2h", [86400000] = "1d",
      [1] = "1ms", [3660000] = "61m" }) do
      local out = slice.buf()
      assert.equal(OK, c.mp_duration_write(out, ms))
      assert.equal(text, slice.content(out))
      assert.equal(ms, duration(text))
    end
    local small = slice.buf(3)
    assert.equal(-3, c.mp_duration_write(small, 1500))
    assert.equal("", slice.content(small))
  end)
end)

describe("a size", function()
  it("is bytes, or a number of KiB, MiB, GiB", function()
    for text, bytes in pairs({ ["1000"] = 1000, ["64KiB"] = 65536, ["1MiB"] = 1048576, ["2GiB"] = 2147483648, ["0"] = 0 }) do
      assert.equal(bytes, size(text), text)
    end
  end)

  it("is refused in any other form", function()
    for _, text in ipairs({ "", "KiB", "-1", "1KB", "1k", "1M", "1 MiB", "1kib", "1.5MiB", "9999999999GiB", "99999999999999999999" }) do
      assert.is_nil(size(text), text)
    end
  end)
end)

describe("a time", function()
  it("is written in RFC 3339, in UTC with milliseconds", function()
    assert.equal("1970-01-01T00:00:00.000Z", format(0))
    assert.equal("1969-12-31T23:59:59.999Z", format(-1))
    assert.equal("2026-11-23T22:04:19.123Z", format(1795471459123LL))
    assert.equal("2000-02-29T12:00:00.000Z", format(951825600000LL))
    assert.equal("9999-12-31T23:59:59.999Z", format(9223372036854775807LL))
    assert.equal("0000-01-01T00:00:00.000Z", format(-9223372036854775807LL))
  end)

  it("is read with any offset and fraction", function()
    assert.equal(1795471459123, time("2026-11-23T22:04:19.123Z"))
    assert.equal(1795471459000, time("2026-11-23T22:04:19Z"))
    assert.equal(1795471459120, time("2026-11-23T22:04:19.12z"))
    assert.equal(1795471459123, time("2026-11-23t22:04:19.1239999999999999Z"))
    assert.equal(1795460659000, time("2026-11-23T22:04:19+03:00"))
    assert.equal(1795491259000, time("2026-11-23T22:04:19-05:30"))
    assert.equal(0, time("1970-01-01T00:00:00-00:00"))
    assert.equal(951782400000, time("2000-02-29T00:00:00Z"))
    assert.equal(1483228800000, time("2016-12-31T23:59:60Z"))
  end)

  it("is refused in any other form", function()
    for _, text in ipairs({ "", "2026-11-23", "2026-11-23T22:04:19", "2026-11-23 22:04:19Z", "2026-13-23T22:04:19Z", "2026-00-23T22:04:19Z",
      "2026-11-31T22:04:19Z", "2026-02-29T22:04:19Z", "2026-11-00T22:04:19Z", "1900-02-29T00:00:00Z", "2026-11-23T24:00:00Z", "2026-11-23T22:60:00Z",
      "2026-11-23T22:04:61Z", "2026-11-23T22:04:19.Z", "2026-11-23T22:04:19,5Z", "2026-11-23T22:04:19+3:00", "2026-11-23T22:04:19+0300",
      "2026-11-23T22:04:19+24:00", "2026-11-23T22:04:19+03:60", "2026-11-23T22:04:19Zx", "26-11-23T22:04:19Z", "2026-11-23T22:04Z", "x" }) do
      assert.is_nil(time(text), text)
    end
  end)

  it("is the same after writing and reading, over four centuries", function()
    for ms = -6e12, 9e12, 86399999 * 37 do
      assert.equal(ms, time(format(ms)))
    end
  end)

  it("goes on, and is shifted for specs", function()
    local before = tonumber(c.mp_clock_wall_ms())
    assert.is_true(math.abs(before / 1000 - os.time()) < 5)
    c.mp_clock_shift_wall(3600000)
    assert.is_true(tonumber(c.mp_clock_wall_ms()) >= before + 3600000)
    c.mp_clock_shift_wall(0)
    local first = tonumber(c.mp_clock_mono_us())
    assert.is_true(tonumber(c.mp_clock_mono_us()) >= first)
    assert.is_true(math.abs(tonumber(c.mp_clock_mono_ms()) - first / 1000) < 5000)
  end)
end)

describe("an HTTP date", function()
  it("is read in the three forms of RFC 9110", function()
    assert.equal(784111777000, http_date("Sun, 06 Nov 1994 08:49:37 GMT"))
    assert.equal(784111777000, http_date("Sunday, 06-Nov-94 08:49:37 GMT"))
    assert.equal(784111777000, http_date("Sun Nov  6 08:49:37 1994"))
    assert.equal(784975777000, http_date("Wed Nov 16 08:49:37 1994"))
  end)

  it("takes two digits of a year for at most 50 years ahead", function()
    local year = os.date("!*t").year
    local near, far = (year + 49) % 100, (year + 51) % 100
    local function year_of(short)
      return tonumber(format(http_date(("Monday, 01-Jan-%02d 00:00:00 GMT"):format(short))):sub(1, 4))
    end
    assert.equal(year + 49, year_of(near))
    assert.equal(year + 51 - 100, year_of(far))
  end)

  it("is refused in any other form", function()
    for _, text in ipairs({ "", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 6 Nov 1994 08:49:37 GMT", "sun, 06 Nov 1994 08:49:37 GMT",
      "Sun, 06 nov 1994 08:49:37 GMT", "Sun, 31 Nov 1994 08:49:37 GMT", "06 Nov 1994 08:49:37 GMT", "Sunday, 06 Nov 1994 08:49:37 GMT",
      "Sun, 06-Nov-94 08:49:37 GMT", "Sun Nov 6 08:49:37 1994", "Sunday Nov  6 08:49:37 1994", "Sun, 06 Nov 1994 08:49:37 GMT ", "120", "Sun, 06 Nov 1994 25:49:37 GMT" }) do
      assert.is_nil(http_date(text), text)
    end
  end)
end)

describe("a rate", function()
  local function rate(text)
    local out = ffi.new("double[1]")
    return c.mp_rate_parse(slice.of(text), out) == 0 and out[0] or nil
  end

  it("is a number a second, a minute or an hour", function()
    assert.equal(500, rate("500/s"))
    assert.equal(0.5, rate("30/m"))
    assert.equal(1, rate("3600/h"))
  end)

  it("is refused in any other form", function()
    for _, text in ipairs({ "", "/s", "0/s", "-1/s", "1.5/s", "500", "500/", "500/d", "500/ss", "500 /s", "9999999999/s" }) do
      assert.is_nil(rate(text), text)
    end
  end)
end)
