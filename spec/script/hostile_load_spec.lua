--- Scripts that are hostile before the first event: what they return, how they are written, and what
-- their templates would cost.
local hostile = require("spec.support.hostile")
local runtime = require("spec.support.runtime")
local script = require("spec.support.script")
local testing = require("moonpost.testing")
local c = require("spec.support.cdef").load()

local MOST_S = 0.5 * hostile.patience
local U = "url = \"https://a.example/\""

local function many(count, item)
  return "local t = {} for i = 1, " .. count .. " do t[" .. item .. " end "
end

-- What is written, and a part of the error; one that is "" may load.
local tables = {
  { "a body inside itself", "local t = {} t.t = t return { " .. U .. ", body = t }", "inside itself" },
  { "a body 20,000 deep", "local t = {} for _ = 1, 20000 do t = { t } end return { " .. U .. ", body = t }", "nested over 128 deep" },
  { "a body of 2^24 leaves", "local t = { \"x\" } for _ = 1, 24 do t = { t, t } end return { " .. U .. ", body = { a = t } }", "over 16 MiB when compiled" },
  { "a by inside itself", "local t = { a = 1 } t.b = by(\"x\", t) return { " .. U .. ", vars = { v = t.b } }", "inside itself" },
  { "a by 20,000 deep", "local t = \"x\" for _ = 1, 20000 do t = by(\"x\", { a = t }) end return { " .. U .. ", headers = { X = t } }", "nested over 128 deep" },
  { "a by of 2^24 results", "local t = \"x\" for _ = 1, 24 do t = by(\"x\", { a = t, b = t }) end return { " .. U .. ", headers = { X = t } }", "" },
  { "a by of 100,000 cases", many(1e5, "\"k\" .. i] = \"v{x}\"") .. "return { " .. U .. ", headers = { X = by(\"x\", t) } }", "" },
  { "json.string inside itself", "local t = {} t.a = json.string(t) return { " .. U .. ", body = t }", "inside itself" },
  { "100,000 vars", many(1e5, "\"k\" .. i] = \"{x}\"") .. "return { " .. U .. ", vars = t }", "" },
  { "100,000 headers", many(1e5, "\"k\" .. i] = \"{x}\"") .. "return { " .. U .. ", headers = t }", "" },
  { "100,000 functions", many(1e5, "\"k\" .. i] = function() end") .. "return { " .. U .. ", body = t }", "" },
  { "100,000 hosts", many(1e5, "i] = \"https://h\" .. i .. \".example\"") .. "return { " .. U .. ", hosts = t }", "more than 64" },
  { "100,000 answers", many(1e5, "i] = { status = 400, \"dead\" }") .. "return { " .. U .. ", answers = t }", "more than 256" },
  { "100,000 defaults", many(1e5, "\"k\" .. i] = \"v\"") .. "return { " .. U .. ", defaults = t }", "" },
  { "megabytes of macros", "return { url = \"https://a.example/\" .. uri.macros((\"[a](\"):rep(1e6)) }", "" },
  { "a pattern of stars", "return { " .. U .. ", subscribes = { (\"*a\"):rep(1e5) } }", "1 to 256 bytes" },
  { "a header of five megabytes", "return { " .. U .. ", headers = { X = (\"x\"):rep(5e6) } }", "more than 64 KiB" },
  { "a template of a million places", "return { " .. U .. ", body = text((\"{x}\"):rep(1e6)) }", "" },
  { "a place with a million dots", "return { url = \"https://a.example/{\" .. (\"a.\"):rep(5e5) .. \"b}\" }", "" },
  { "a method with NUL", "return { " .. U .. ", method = \"GET\\0X\" }", "no HTTP method" },
  { "a header's name with NUL", "return { " .. U .. ", headers = { [\"a\\0b\"] = \"x\" } }", "NUL" },
  { "a header's value with CR LF", "return { " .. U .. ", headers = { a = \"x\\r\\nb: c\" } }", "line break" },
  { "a url without a scheme", "return { url = \"//a.example/\" }", "" }, { "a url of a file", "return { url = \"file:///etc/passwd\" }", "" },
  { "a place in the host", "return { url = \"https://{x}.example/\" }", "" }, { "a place for the scheme", "return { url = \"{x}://a.example/\" }", "" },
  { "nothing", "local _ = 1", "returned nothing" }, { "a function", "return function() end", "returned function" },
  { "a library", "return string", "no url" }, { "items", "return items", "userdata" }, { "a list", "return { \"https://a.example\" }", "is a list" },
  { "numbers that are none", "return { " .. U .. ", timeout = 0 / 0 }", "duration" }, { "infinity", "return { " .. U .. ", limits = { concurrency = 1 / 0 } }", "whole number" },
  { "a concurrency of 2^60", "return { " .. U .. ", limits = { concurrency = 2 ^ 60 } }", "1 to 10000" },
}

-- How a text may be written to keep the parser busy, or to lead somewhere else.
local texts = {
  { "parentheses", "return " .. ("("):rep(5000) .. "1" .. (")"):rep(5000) }, { "braces", "return " .. ("{"):rep(5000) .. ("}"):rep(5000) },
  { "joins", "local x = \"a\" return { url = \"https://a.example/\"" .. (" .. x"):rep(20000) .. " }" },
  { "locals", ("local a = 1\n"):rep(300) }, { "labels", ("::a::\n"):rep(300) }, { "functions", ("local function f() "):rep(300) .. ("end "):rep(300) },
  { "a file that ends in a string", "return { url = \"https" }, { "bytes", ("\255\254\0\1"):rep(1000) }, { "NUL", "return\0{}" },
  { "a byte order mark", "\239\187\191return {" }, { "bytecode", string.dump(function() return {} end) }, { "a shebang", "#!/bin/sh\nreturn {" },
  { "upvalues", (function()
    local out = {}
    for i = 1, 150 do
      out[i] = "local a" .. i .. " = 1"
    end
    return table.concat(out, "\n") .. "\nlocal function f() return " .. ("a1 + a150 + "):rep(300) .. " end"
  end)() },
}

describe("a hostile script, before the first event,", function()
  setup(function()
    assert.equal(c.MP_OK, c.mp_script_watchdog_start())
  end)
  teardown(function()
    c.mp_script_watchdog_stop()
  end)
  after_each(runtime.clean)

  for _, case in ipairs(tables) do
    it("returns " .. case[1], function()
      local before = os.clock()
      local loaded, err, status = script.load(case[2])
      assert.is_true(os.clock() - before < MOST_S)
      if case[3] ~= "" then
        assert.is_nil(loaded)
      end
      if not loaded then
        assert.is_true(status == c.MP_ESCRIPT or status == c.MP_EBUDGET, err)
        assert.is_truthy(err:find("^scripts/acme.lua:"), err)
        assert.is_true(#err < 512 and not err:find("[%z\1-\31\127]"), err)
        assert.is_truthy(err:find(case[3], 1, true) or status == c.MP_EBUDGET, err)
      end
    end)
  end

  for _, case in ipairs(texts) do
    it("is written with too many " .. case[1], function()
      local before = os.clock()
      local loaded, err = script.load(case[2])
      assert.is_true(os.clock() - before < MOST_S)
      assert.is_nil(loaded)
      assert.is_truthy(err:find("^scripts/acme.lua:"), err)
      assert.is_true(#err < 512 and not err:find("[%z\1-\31\127]"), err)
    end)
  end

  local function render(text, event)
    local path = runtime.folder() .. "/acme.lua"
    runtime.write_file(path, text)
    local acme = assert(testing.partner(path))
    local before = os.clock()
    local request, why = acme:render(event)
    return request, why, os.clock() - before
  end

  it("finds thousands of places in a great event at once", function()
    local event = "{" .. ("\"k\":1,"):rep(140000) .. "\"x\":1}"
    local request, why, took = render("local t = {} for i = 1, 3000 do t[\"f\" .. i] = \"{x}\" end return { " .. U .. ", body = t }", event)
    assert.is_truthy(request, why)
    assert.equal(1, request.json.f3000)
    assert.is_true(took < MOST_S, took)
  end)

  it("is stopped where places need a great event's depth, and told why", function()
    local event = "{\"i\":[" .. ("{\"a\":1},"):rep(100000) .. "{\"a\":2}]}"
    local request, why, took = render("local t = {} for i = 1, 3000 do t[\"f\" .. i] = \"{i.100000.a}\" end return { " .. U .. ", body = t }", event)
    assert.is_nil(request)
    assert.is_truthy(why:find("its templates took more than 50 ms of processor time", 1, true), why)
    assert.is_true(took < MOST_S, took)
  end)

  it("makes no more of vars than the budget of one request", function()
    local request, why, took = render("local t = {} for i = 1, 60 do t[\"v\" .. i] = function() return (\"x\"):rep(7e6) end end return { "
      .. U .. ", vars = t }", {})
    assert.is_nil(request)
    assert.is_truthy(why:find("took more than 50 ms", 1, true), why)
    assert.is_true(took < MOST_S, took)
  end)

  it("makes no body over its limit, however its places multiply", function()
    for _, body in ipairs({ "{ a = \"{v}\", b = \"{v}\", c = \"{v}\" }", "text \"{v}{v}{v}\"" }) do
      local request, why = render("return { " .. U .. ", vars = { v = function() return (\"x\"):rep(6e6) end }, body = " .. body .. " }", {})
      assert.is_nil(request)
      assert.is_truthy(why:find("over 16 MiB", 1, true) or why:find("16 MiB", 1, true), why)
    end
  end)
end)
