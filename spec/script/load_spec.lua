local ffi = require("ffi")
local script = require("spec.support.script")
local c = require("spec.support.cdef").load()

local function text(str)
  return ffi.string(str.data, str.length)
end

local function load(source, name)
  return assert(script.load(source, name))
end

local function fails(source, ...)
  local loaded, err = script.load(source)
  assert.is_nil(loaded)
  for _, part in ipairs({ ... }) do
    assert.is_truthy(err:find(part, 1, true), err .. " should say: " .. part)
  end
end

-- `fields` inside a script that is whole without them.
local function with(fields)
  return "return {\n  url = \"https://a.example/\",\n  " .. fields .. ",\n}\n"
end

describe("loading a script", function()
  setup(function()
    assert.equal(c.MP_OK, c.mp_script_watchdog_start())
  end)
  teardown(function()
    c.mp_script_watchdog_stop()
  end)

  it("gives the contract's defaults to one that has only a url", function()
    local s = load("return { url = \"https://a.example/pb?x={x}\" }")
    assert.equal("", ffi.string(s.method))
    assert.equal(c.MP_LEAF_TEMPLATE, s.url.kind)
    assert.equal(10, tonumber(s.schedule_count))
    local waits = {}
    for i = 0, 9 do
      waits[i + 1] = tonumber(s.schedule_ms[i]) / 1000
    end
    assert.same({ 5, 30, 120, 600, 1800, 7200, 18000, 36000, 36000, 50400 }, waits)
    assert.equal(0.2, s.jitter)
    assert.equal(15000, tonumber(s.timeout_ms))
    assert.equal(32, tonumber(s.concurrency))
    assert.equal(1, tonumber(s.host_count))
    assert.equal("https://a.example:443", text(s.hosts[0]))
    assert.is_false(s.has_functions)
    assert.is_false(s.hosts_free)
    assert.equal(c.MP_BODY_DEFAULT, s.body_kind)
    assert.equal(0, s.rate_per_second)
    assert.equal(-1, tonumber(s.max_age_ms))
    assert.equal(0, tonumber(s.batch.size))
  end)

  it("posts where there is a body, form or batch and no method", function()
    for _, fields in ipairs({ "body = { a = 1 }", "form = { a = 1 }", "batch = {}", "body = \"x\"" }) do
      assert.equal("POST", ffi.string(load(with(fields)).method))
    end
    assert.equal("", ffi.string(load("return { body = { a = 1 } }", "postback").method))
  end)

  it("names a generation by the first 12 digits of its text's SHA-256", function()
    local source = "return { url = \"https://a.example/\" }"
    local file = os.tmpname()
    local out = assert(io.open(file, "w"))
    out:write(source)
    out:close()
    local pipe = assert(io.popen("sha256sum " .. file))
    local sum = pipe:read(12)
    pipe:close()
    os.remove(file)
    assert.equal(sum, ffi.string(load(source).generation))
  end)

  it("reads every plain key", function()
    local s = load(with([[method = "PUT", timeout = "2s", limits = { concurrency = 7, rate = "300/m" }, max_age = { "7d", of = "event_time" },
      retry = { schedule = { "1s", 2, "3m" }, jitter = 0 }, required = { "a", "b.c" },
      missing = "drop", defaults = { geo = "ZZ", n = 1.5 }, subscribes = { "a.*", "*" },
      hosts = { "https://EU.acme.example", "http://x.example:8080/" },
      headers = { ["X-A"] = "v{x}", ["X-B"] = "{y}", ["X-C"] = "c", ["X-D"] = 5 }]]))
    assert.equal("PUT", ffi.string(s.method))
    assert.equal(2000, tonumber(s.timeout_ms))
    assert.equal(7, tonumber(s.concurrency))
    assert.equal(0, s.jitter)
    assert.equal(3, tonumber(s.schedule_count))
    assert.equal(2000, tonumber(s.schedule_ms[1]))
    assert.equal("b.c", text(s.required[1]))
    assert.is_true(s.missing_drop)
    assert.equal("\"ZZ\"", text(s.defaults[0].json))
    assert.equal("1.5", text(s.defaults[1].json))
    assert.equal(5, s.rate_per_second)
    assert.equal(604800000, tonumber(s.max_age_ms))
    assert.equal("event_time", text(s.max_age_of))
    assert.equal("a.*", text(s.subscribes[0]))
    assert.equal(3, tonumber(s.host_count))
    assert.equal("https://eu.acme.example:443", text(s.hosts[1]))
    assert.equal("http://x.example:8080", text(s.hosts[2]))
    local kinds = {}
    for i = 0, 3 do
      kinds[text(s.headers[i].name)] = tonumber(s.headers[i].leaf.kind)
    end
    assert.same({ ["X-A"] = 3, ["X-B"] = 4, ["X-C"] = 1, ["X-D"] = 1 }, kinds)
  end)

  it("reads a schedule with no wait in it: one attempt", function()
    assert.equal(0, tonumber(load(with("retry = { schedule = {} }")).schedule_count))
  end)

  it("keeps a table body sorted, with lists, constants, values and functions", function()
    local s = load(with([[body = { b = "{x}", a = { 1, "t", "{y}!" }, c = 1.5, d = true,
      e = json.null, f = function() end, g = {}, h = 12345678901 }]]))
    assert.equal(c.MP_BODY_JSON, s.body_kind)
    local seen = {}
    for i = 0, tonumber(s.body.count) - 1 do
      local node = s.body.children[i]
      local leaf = node.leaf
      seen[#seen + 1] = text(node.key) .. tonumber(node.kind) .. tonumber(leaf.kind)
        .. (leaf.text.length > 0 and text(leaf.text) or "")
    end
    assert.same({ "a20", "b04x", "c021.5", "d02true", "e02null", "f05", "g10", "h0212345678901" }, seen)
    assert.equal(3, tonumber(s.body.children[0].count))
    assert.equal(c.MP_LEAF_TEMPLATE, s.body.children[0].children[2].leaf.kind)
    assert.is_true(s.has_functions)
  end)

  it("reads answers with their conditions and words", function()
    local s = load(with([[answers = {
      { status = 409, "delivered" }, { status = { 400, 422 }, body = "LATER", "retry", "10m" },
      { json = { ["error.code"] = { 1, "x" }, ok = false }, "dead", "refused" }, { body = "p", "pause" } }]]))
    assert.equal(4, tonumber(s.answer_count))
    assert.equal(409, s.answers[0].statuses[0])
    assert.equal(c.MP_VERDICT_DELIVERED, s.answers[0].verdict.kind)
    assert.equal(2, tonumber(s.answers[1].status_count))
    assert.equal("LATER", text(s.answers[1].body))
    assert.equal(600000, tonumber(s.answers[1].verdict.delay_ms))
    assert.equal("error.code", text(s.answers[2].json[0].path))
    assert.equal("\"x\"", text(s.answers[2].json[0].values[1]))
    assert.equal("false", text(s.answers[2].json[1].values[0]))
    assert.equal("refused", ffi.string(s.answers[2].verdict.why))
    assert.equal(-1, tonumber(s.answers[3].verdict.delay_ms))
  end)

  it("lets postback alone go without url and method, and free of hosts", function()
    local s = load("return {}", "postback")
    assert.is_true(s.hosts_free)
    assert.equal(c.MP_LEAF_NONE, s.url.kind)
    fails("return {}", "there is no url")
  end)

  it("takes a request hook with hosts in the url's place", function()
    assert.is_truthy(load("return { hosts = { \"https://a.example\" }, request = function() end }"))
    fails("return { request = function() end }", "there is no url", "hosts")
    fails("return { url = function() end }", "hosts")
  end)

  it("lets a script have locals and globals of its own at load", function()
    load("base = \"https://a.example\"\nfunction path() return \"/x\" end\nreturn { url = base .. path() }")
  end)

  for _, case in ipairs({
    { "return {", "scripts/acme.lua:1:" },
    { "local a = {}\nlocal b = a.c.d\nreturn {}", "scripts/acme.lua:2: attempt to index field 'c'" },
    { "x()", "scripts/acme.lua:1: unknown global `x`" },
    { "return { url = tostrin(1) }", "unknown global `tostrin`: did you mean `tostring`?" },
    { "return 5", "it returned number" },
    { "local a", "it returned nothing" },
    { with("heads = {}"), "scripts/acme.lua:3:", "unknown key `heads`: did you mean `headers`?" },
    { with("zzz = 1"), "scripts/acme.lua:3:", "unknown key `zzz`" },
    { with("rate = \"5/s\""), "scripts/acme.lua:3:", "unknown key `rate`: write limits = { rate" },
    { with("query = { a = 1 }"), "unknown key `query`: write the parameters in url" },
    { with("limits = { rate = 5 }"), "scripts/acme.lua:3: limits.rate:", "it is a number: write \"500/s\"" },
    { with("limits = { rate = \"5 a second\" }"), "\"5 a second\" is no rate: write \"500/s\"" },
    { with("limits = { burst = 5 }"), "there are concurrency, rate" },
    { with("max_age = \"soon\""), "scripts/acme.lua:3: max_age:", "is no duration" },
    { with("max_age = { of = \"at\" }"), "it has no age" },
    { with("max_age = { \"7d\", off = \"at\" }"), "of = \"event_time\"" },
    { with("max_age = { \"7d\", of = \"{at}\" }"), "has braces", "\"at\"" },
    { with("max_age = 0"), "every delivery would be dead" },
    { with("method = \"post\""), "methods are in capitals: write \"POST\"" },
    { with("required = { \"{a}\" }"), "has braces: write the field's name alone, \"a\"" },
    { with("defaults = { a = number \"{x}\" }"), "scripts/acme.lua:3: defaults.a: it is a `number`: write a constant" },
    { with("defaults = { a = { f = function() end } }"), "scripts/acme.lua:3: defaults.a:", "function cannot be JSON" },
    { with("limits = { concurency = 5 }"), "did you mean `concurrency`?" },
    { with("limits = { concurrency = 0 }"), "scripts/acme.lua:3:", "from 1 to 10000" },
    { with("limits = { concurrency = 1.5 }"), "from 1 to 10000" },
    { with("retry = { shedule = {} }"), "did you mean `schedule`?" },
    { with("retry = { schedule = { \"soon\" } }"), "\"soon\" is no duration" },
    { with("retry = { jitter = 2 }"), "from 0 to 1" },
    { with("retry = { schedule = { " .. ("1,"):rep(64) .. " } }"), "more than 63" },
    { with("timeout = \"11m\""), "scripts/acme.lua:3: timeout: it is from 1ms to 10m" },
    { with("timeout = \"0\""), "from 1ms to 10m" },
    { with("method = \"G T\""), "no HTTP method" },
    { with("missing = \"gone\""), "\"drop\" or \"empty\"" },
    { with("accepts = 5"), "it is a number: write a function" },
    { with("subscribes = \"x\""), "write a list, { \"x\" }" },
    { with("subscribes = { 5 }"), "write a string" },
    { with("required = { a = 1 }"), "write a list" },
    { with("hosts = { \"acme.example\" }"), "hosts:" },
    { with("hosts = { \"https://a.example/path\" }"), "a host has no path" },
    { with("headers = { Host = \"x\" }"), "Host", "Moonpost sets it itself" },
    { with("headers = { [\"X A\"] = \"x\" }"), "no token" },
    { with("headers = { [\"X-A\"] = \"a\\r\\nb\" }"), "X-A" },
    { with("headers = { [\"X-A\"] = \"a\", [\"x-a\"] = \"b\" }"), "twice" },
    { with("headers = { [\"X-A\"] = {} }"), "headers.X-A: it is a table" },
    { with("body = \"a {x}\""), "scripts/acme.lua:3: body:", "write a table" },
    { with("body = '{\"a\":1}'"), "write a table" },
    { with("method = \"GET\", body = { a = 1 }"), "a GET has no body" },
    { with("method = \"GET\", form = { a = 1 }"), "a GET has no body" },
    { with("form = { a = 1 }, body = { a = 1 }"), "keep one of the two" },
    { with("form = { a = {} }"), "form.a: it is a table" },
    { with("body = { [2] = 1 }"), "holes" },
    { with("body = { 1, a = 1 }"), "mixes" },
    { with("body = { [1.5] = 1 }"), "no string" },
    { with("body = { a = 0/0 }"), "NaN" },
    { with("body = (function() local t = {} t.t = t return t end)()"), "inside itself" },
    { with("answers = { { status = 200 } }"), "entry 1", "no verdict" },
    { with("answers = { { status = 200, \"split\" } }"), "\"split\" is for batches" },
    { with("answers = { { status = 99, \"dead\" } }"), "from 100 to 599" },
    { with("answers = { { \"dead\" } }"), "no condition" },
    { with("answers = { { status = 200, \"retry\", \"soon\" } }"), "duration" },
    { with("answers = { { staus = 200, \"dead\" } }"), "did you mean `status`?" },
    { with("answers = { { status = 200, \"dead\", \"a\", \"b\" } }"), "more than a verdict" },
    { "return { url = \"https://{x}.example/\" }", "scripts/acme.lua:1: url:", "after them" },
    { "return { url = \"https://a{x}/\" }", "expression" },
    { "return { url = \"ftp://a.example/\" }", "url:" },
    { "return { url = \"https://a.example/{x\" }", "url:", "column" },
    { "return { url = 5 }", "write a string" },
    { "return { url = \"https://a.example/\", [1] = 2 }", "mixes" },
    { "\27LJ\2", "scripts/acme.lua", "bytecode" },
  }) do
    it("refuses " .. case[1]:gsub("%s+", " "):sub(1, 70):gsub("%c", "?"), function()
      fails(case[1], unpack(case, 2))
    end)
  end

  it("names the line of a key behind comments and strings that look like it", function()
    fails("-- heads = 1\nlocal s = \"heads = 1\"\nlocal l = [[\nheads = 1]]\nreturn {\n"
      .. "url = \"https://a.example/\",\nheads = 1 }", "scripts/acme.lua:7:")
  end)

  it("keeps an error to one line of at most 511 bytes", function()
    local _, err = script.load("error(\"a\\nb\" .. (\"x\"):rep(5000))")
    assert.is_true(#err <= 511)
    assert.is_nil(err:find("%c"))
    assert.is_truthy(err:find("scripts/acme.lua:1: a bxx", 1, true))
  end)

  it("refuses a name that no partner has", function()
    local _, err = script.load("return {}", "Acme!")
    assert.is_truthy(err:find("[a-z0-9]", 1, true))
  end)

  it("refuses a text of more than 1 MiB", function()
    fails("--" .. ("x"):rep(1024 * 1024), "1 MiB")
  end)
end)
