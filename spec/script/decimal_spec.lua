local script = require("spec.support.script")
local c = require("spec.support.cdef").load()

--- What decimal makes of a list of argument lists, in one call.
local function each(cases)
  local lines = {}
  for i, case in ipairs(cases) do
    lines[i] = "tostring(decimal(" .. case[1] .. "))"
  end
  local got, err = script.run("return table.concat({" .. table.concat(lines, ",") .. "}, \"|\")")
  local at = 1
  for answer in (assert(got, err) .. "|"):gmatch("([^|]*)|") do
    assert.equal(cases[at][2], answer, cases[at][1])
    at = at + 1
  end
  assert.equal(#cases + 1, at)
end

local function fails(arguments, want)
  local got, err = script.run("local x = decimal(" .. arguments .. ") return x")
  assert.is_nil(got)
  assert.truthy(err:find("scripts/acme.lua:2: " .. want, 1, true), err)
end

describe("decimal", function()
  setup(function()
    assert.equal(c.MP_OK, c.mp_script_watchdog_start())
  end)
  teardown(function()
    c.mp_script_watchdog_stop()
  end)

  it("rounds half away from zero, on the digits", function()
    each({ { '"1.005", 2', "1.01" }, { '"1.0049999999999999999999", 2', "1.00" }, { '"2.5", 0', "3" }, { '"3.5", 0', "4" }, { '"-2.5", 0', "-3" },
      { '"-1.005", 2', "-1.01" }, { '"0.5", 0', "1" }, { '"0.49", 0', "0" }, { '"0.05", 1', "0.1" }, { '"0.04", 1', "0.0" }, { '"9.995", 2', "10.00" },
      { '"99.5", 0', "100" }, { '"0.995", 2', "1.00" }, { '"8.325", 2', "8.33" }, { '"1.45", 1', "1.5" }, { '"0.0005", 2', "0.00" }, { '"0.5e-1", 1', "0.1" } })
  end)

  it("writes exactly so many places", function()
    each({ { '"1", 0', "1" }, { '"1", 2', "1.00" }, { '"1.5", 2', "1.50" }, { '"0", 3', "0.000" }, { '"12.340", 1', "12.3" }, { '"007", 1', "7.0" },
      { '".5", 2', "0.50" }, { '"5.", 1', "5.0" }, { '"+5", 0', "5" }, { '" 5 ", 0', "5" }, { '"0.001", 5', "0.00100" }, { '"1", 100', "1." .. ("0"):rep(100) } })
  end)

  it("has no minus before nothing", function()
    each({ { '"-0", 2', "0.00" }, { '"-0.001", 2', "0.00" }, { '"-0.005", 2', "-0.01" }, { '-0.0, 1', "0.0" } })
  end)

  it("takes exponents, as JSON numbers have", function()
    each({ { '"1e3", 2', "1000.00" }, { '"1.5E+2", 0', "150" }, { '"125e-2", 1', "1.3" }, { '"1e-5", 2', "0.00" }, { '"5e-3", 2', "0.01" }, { '"0e999999999", 1', "0.0" } })
  end)

  it("takes numbers by their shortest digits", function()
    each({ { "1.005, 2", "1.01" }, { "0.1, 3", "0.100" }, { "1e21, 0", "1" .. ("0"):rep(21) }, { "1/3, 4", "0.3333" }, { "12, 2", "12.00" }, { "-7.125, 2", "-7.13" } })
  end)

  it("multiplies by a factor on the digits", function()
    each({ { '"1.50", 0, 100', "150" }, { '"19.99", 0, "100"', "1999" }, { '"1.005", 2, "1.1"', "1.11" }, { '"1234", 2, "0.01"', "12.34" }, { '"0.1", 2, 0.1', "0.01" },
      { '"-3", 1, "-0.5"', "1.5" }, { '"3", 1, 0', "0.0" }, { '"99999999999999999999", 0, "99999999999999999999"', "9999999999999999999800000000000000000001" },
      { '"1.15", 1, 1', "1.2" }, { '"1e2", 0, "1e-2"', "1" }, { '"0.30000000000000004", 17, "1"', "0.30000000000000004" } })
  end)

  it("keeps digits that no double can", function()
    local digits = ("1234567890"):rep(90)
    each({ { '"9007199254740993", 2', "9007199254740993.00" }, { '"0.1234567890123456789012345", 24', "0.123456789012345678901235" },
      { '"' .. digits .. '.555", 2', digits .. ".56" }, { '"' .. ("9"):rep(900) .. '.5", 0', "1" .. ("0"):rep(900) } })
  end)

  it("gives nil for what is no number, and for numbers past a thousand digits", function()
    local cases = {}
    for _, text in ipairs({ '""', '" "', '"x"', '"1,5"', '"1.2.3"', '"1 2"', '"0x10"', '"1e"', '"1e+"', '"."', '"-"', '"+-1"', '"nan"', '"inf"', '"1\\0"', "nil", "true", "{}",
      "json.null", "0/0", "1/0", '("9"):rep(1001)', '"1e1001"', '"1e99999999999999999999"', '"1e-99999999999999999999"', '"0." .. ("0"):rep(2000) .. "1"' }) do
      cases[#cases + 1] = { text .. ", 2", "nil" }
    end
    each(cases)
  end)

  it("agrees with whole numbers, whatever is cut off", function()
    local got, err = script.run([[
      for i = -1200, 1200 do
        local size = math.abs(i)
        local want = math.floor(size / 10) + (size % 10 >= 5 and 1 or 0)
        want = (i < 0 and want > 0 and "-" or "") .. string.format("%d.%d", math.floor(want / 10), want % 10)
        local text = (i < 0 and "-" or "") .. string.format("%d.%02d", math.floor(size / 100), size % 100)
        if decimal(text, 1) ~= want then return text .. ": " .. decimal(text, 1) .. ", not " .. want end
      end
      return "good"]])
    assert.equal("good", got, err)
  end)

  it("names what is wrong with its other arguments", function()
    for _, places in ipairs({ "nil", '"2"', "-1", "1.5", "101", "0/0", "{}" }) do
      fails('"1", ' .. places, "decimal(text, places): places is a whole number from 0 to 100")
    end
    for _, factor in ipairs({ '"x"', "{}", "true", "0/0" }) do
      fails('"1", 2, ' .. factor, "decimal(text, places, factor): the factor is no number: pass one such as 100 or \"0.01\"")
    end
  end)

  it("ends with the call's budget when it multiplies long numbers for ever", function()
    local got, err, status = script.run('local x = ("7"):rep(1000) while true do pcall(decimal, x, 2, x) end')
    assert.is_nil(got)
    assert.equal(c.MP_EBUDGET, status)
    assert.truthy(err:find("processor time", 1, true), err)
  end)
end)
