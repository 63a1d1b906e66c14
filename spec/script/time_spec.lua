local script = require("spec.support.script")
local c = require("spec.support.cdef").load()

local NOW = { now_ms = 1795471459123 } -- 2026-11-23T22:04:19.123Z

local function run(code)
  local got, kind = script.run("return tostring(" .. code .. ")", "{}", false, NOW)
  return assert(got, kind)
end

local function fails(code, want)
  local got, err = script.run("local x = " .. code .. " return x")
  assert.is_nil(got)
  assert.truthy(err:find("scripts/acme.lua:2: " .. want, 1, true), err)
end

describe("time for scripts:", function()
  setup(function()
    assert.equal(c.MP_OK, c.mp_script_watchdog_start())
  end)
  teardown(function()
    c.mp_script_watchdog_stop()
  end)

  it("now is the call's moment, in seconds with a fraction, and stands still", function()
    assert.equal("true", run("time.now() == 1795471459.123"))
    assert.equal("true", run([[(function()
      local first = time.now()
      for _ = 1, 1e5 do end
      return time.now() == first
    end)()]]))
  end)

  it("now is the load's own moment while the script loads", function()
    c.mp_clock_shift_wall(86400000 * 365)
    local s = script.load([[local first = time.now()
      for _ = 1, 1e5 do end
      if time.now() ~= first then error("it moved") end
      return { url = "https://a.example/" .. math.floor(first) }]])
    local around = tonumber(c.mp_clock_wall_ms()) / 1000
    c.mp_clock_shift_wall(0)
    local seconds = tonumber(script.text_of(assert(s).url.text):match("(%d+)$"))
    assert.is_true(seconds <= around and seconds > around - 60)
  end)

  it("parse reads RFC 3339, HTTP dates, seconds and milliseconds, as text or number", function()
    for code, seconds in pairs({
      ['"2026-11-23T22:04:19.123Z"'] = 1795471459.123, ['"2026-11-23T22:04:19+03:00"'] = 1795460659, ['"Sun, 06 Nov 1994 08:49:37 GMT"'] = 784111777,
      ['"1795471459"'] = 1795471459, ['"1795471459.5"'] = 1795471459.5, ['"1795471459123"'] = 1795471459.123, ["1795471459"] = 1795471459,
      ["1795471459.25"] = 1795471459.25, ["1795471459123"] = 1795471459.123, ["0"] = 0, ["99999999999"] = 99999999999, ["100000000000"] = 1e8,
      ['"1969-12-31T23:59:59Z"'] = -1,
    }) do
      assert.equal("true", run(("time.parse(%s) == %.17g"):format(code, seconds)), code)
    end
  end)

  it("parse gives nil for what is no time", function()
    for _, code in ipairs({ "nil", '""', '"soon"', "{}", "true", "json.null", "-1", '"-1"', "0/0", "1/0", "-1/0", "1e18", '"2026-11-23"', '"1e18"' }) do
      assert.equal("nil", run("time.parse(" .. code .. ")"), code)
    end
    assert.equal("nil", run("time.parse()"))
  end)

  it("format writes strftime's letters, in UTC", function()
    for letters, want in pairs({
      ["%Y-%m-%d %H:%M:%S.%L%z"] = "2026-11-23 22:04:19.123+0000", ["%FT%TZ"] = "2026-11-23T22:04:19Z", ["%FT%T%:z"] = "2026-11-23T22:04:19+00:00",
      ["%s"] = "1795471459", ["%s%L"] = "1795471459123", ["%j"] = "327", ["%a %A"] = "Mon Monday", ["%b %B"] = "Nov November", ["%y"] = "26", ["%I:%M %p"] = "10:04 PM",
      ["%e"] = "23", ["%Z"] = "UTC", ["%%"] = "%", ["%%Y"] = "%Y", ["%a, %d %b %Y %T GMT"] = "Mon, 23 Nov 2026 22:04:19 GMT", [""] = "", ["ü"] = "ü",
    }) do
      assert.equal(want, run(("time.format(time.now(), %q)"):format(letters)))
    end
    assert.equal(" 5|05|5|03|3|9|009", run('time.format("2024-03-05T09:00:00Z", "%e|%d|%-d|%m|%-m|%-H|") .. time.format("2024-01-09T09:00:00Z", "%j")'))
    assert.equal("12 AM 12 PM 1 PM", run('time.format(0, "%I %p ") .. time.format(43200, "%I %p ") .. time.format(46800, "%-I %p")'))
    assert.equal("a\0b", (script.run('return time.format(0, "a\\0b")')))
  end)

  it("format shifts by an offset", function()
    for offset, want in pairs({ ["+03:00"] = "2026-11-24 01:04:19 +0300 +03:00", ["-0530"] = "2026-11-23 16:34:19 -0530 -05:30",
      ["Z"] = "2026-11-23 22:04:19 +0000 UTC", ["-00:30"] = "2026-11-23 21:34:19 -0030 -00:30" }) do
      assert.equal(want, run(("time.format(time.now(), \"%%F %%T %%z %%Z\", %q)"):format(offset)))
    end
    assert.equal("1795471459", run('time.format(time.now(), "%s", "+03:00")'))
  end)

  it("format takes what parse takes, and moments before 1970", function()
    assert.equal("2026-11-23T22:04:19.123", run('time.format("1795471459123", "%FT%T.%L")'))
    assert.equal("2026-11-23T22:04:19.123", run('time.format(1795471459123, "%FT%T.%L")'))
    assert.equal("1994-11-06", run('time.format("Sun, 06 Nov 1994 08:49:37 GMT", "%F")'))
    assert.equal("1969-12-31T23:59:58.750 -2", run('time.format(-1.25, "%FT%T.%L %s")'))
    assert.equal("0000-01-01 9999-12-31", run('time.format(-62167219200, "%F ") .. time.format("9999-12-31T23:59:59.999Z", "%F")'))
  end)

  it("format keeps every millisecond that a double of seconds holds", function()
    assert.equal("true", run([[(function()
      for ms = 0, 999 do
        local text = ("1795471459%03d"):format(ms)
        if time.format(time.parse(text), "%s%L") ~= text then return text end
        if time.format(1 + ms / 1000, "%s%L") ~= ("1%03d"):format(ms) then return ms end
      end
      return true
    end)()]]))
  end)

  it("format's bad arguments are errors that say what to pass", function()
    fails('time.format(nil, "%Y")', "time.format(t, text): t is no time: pass seconds since 1970, such as time.now(), or what time.parse can read")
    fails('time.format("soon", "%Y")', "time.format(t, text): t is no time")
    fails('time.format(0/0, "%Y")', "time.format(t, text): t is no time")
    fails('time.format(1e18, "%Y")', "time.format(t, text): t is no time")
    fails("time.format(0)", "time.format(t, text): the text is a nil: pass one such as \"%Y-%m-%d %H:%M:%S\"")
    fails('time.format(0, "%Q")', "time.format: `%Q` is not known: write %Y %m %d")
    fails('time.format(0, "%")', "time.format: `%` is not known")
    fails('time.format(0, "%-")', "time.format: `%` is not known")
    fails('time.format(0, "%-a")', "time.format: `%a` is not known")
    fails('time.format(0, "%:Y")', "time.format: `%Y` is not known")
    fails('time.format(0, "%\\0")', "time.format: `%` is not known")
    fails('time.format(0, "%Y", "Europe/Berlin")', "time.format: the offset is such as \"+03:00\": names of zones are not known")
    for _, offset in ipairs({ '""', '"3"', '"+3:00"', '"+03:60"', '"+24:00"', '"03:00"', '"+03-00"', "180", "{}", '"+03:0\\0"' }) do
      fails('time.format(0, "%Y", ' .. offset .. ")", "time.format: the offset is such as")
    end
  end)
end)
