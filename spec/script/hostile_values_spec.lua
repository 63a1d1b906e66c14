--- Scripts that reach for what is closed, and give back what nobody can use.
local uv = require("luv")
local hostile = require("spec.support.hostile")
local runtime = require("spec.support.runtime")
local script = require("spec.support.script")
local testing = require("moonpost.testing")
local c = require("spec.support.cdef").load()

local HIDDEN = "hidden-value-of-it"

-- A closed thing: no value, or an error that says so; nothing else is left in the state.
local closed = {
  "coroutine.wrap(function() while true do end end)()", "getfenv(0)", "getfenv(pcall)", "setfenv(1, {})", "load(\"return 1\")()",
  "loadstring(\"return 1\")()", "dofile(\"/etc/passwd\")", "loadfile(\"/etc/passwd\")", "require(\"io\")", "require(\"ffi\")",
  "require(\"../x\")", "rawset(string, \"x\", 1)", "rawget({}, 1)", "rawequal(1, 1)", "getmetatable(\"\").__index.upper()",
  "setmetatable({}, {})", "newproxy(true)", "collectgarbage(\"stop\")", "_G.string.upper(\"x\")", "string.dump(function() end)",
  "math.randomseed(1)", "io.open(\"/etc/passwd\")", "os.getenv(\"HOME\")", "os.execute(\"true\")", "ffi.C.abort()",
  "debug.getregistry()", "jit.on()", "package.loaded.os.exit()", "module(\"x\")", "print(1)", "gcinfo()", "table.foreach({}, error)",
  "arg[0]", "_VERSION:upper()", "string.gfind(\"x\", \"x\")", "bit.x()", "json.x()", "secret()", "secret {}",
  "string.upper = nil", "string[1] = 1", "math.pi = 3", "json.encode = nil", "hmac.sha256 = nil", "pcall = nil", "new_global = 1",
  "next(nil)", "unpack({}, 1, 1e8)", "select(-1e9, 1)", "string.char(256)", "string.format(\"%p\", {})", "string.format(\"%99999d\", 1)",
  "string.rep(\"x\", -1)()", "table.concat({ {} })", "tonumber(\"1\", 99)", "table.insert({}, 5, 1)", "table.insert({}, -2147483648, 1)",
  "by(\"x\", { a = 1 })", "text \"{x}\"", "items.x()", "#items", "items()", "items .. \"\"", "items < items",
}

-- What is thrown, and what of it is told.
local thrown = {
  { "nil", "error()" }, { "a table", "error({})", "{}" }, { "a table with a message", "error({ message = \"why\" })", "why" },
  { "a message that is none", "error({ message = {} })", "message" }, { "a table inside itself", "local t = {} t.t = t error(t)", "a table" },
  { "json.null", "error(json.null)", "userdata" }, { "a function", "error(pcall)", "function" }, { "a number", "error(17)", "17" },
  { "a boolean", "error(false)", "boolean" }, { "a secret", "error(secret \"hostile\")", "userdata" },
  { "a table of secrets", "error({ a = secret \"hostile\" })", "a table" }, { "items", "error(items)", "userdata" },
  { "a megabyte", "error((\"x\"):rep(1e6))", "xxxx" }, { "lines", "error(\"a\\r\\nb\\0c\\27[31m\", 0)", "a  b c [31m" },
  { "half a character", "error((\"é\"):rep(1000))", "é" }, { "the event", "error(event)", "\"go\":true" },
  { "a table that is locked", "error(string)", "{}" }, { "deep nesting", "local t = {} for _ = 1, 1e4 do t = { t } end error(t)", "a table" },
  { "an error in an error's handler", "local ok, e = xpcall(error, error, \"x\") error(tostring(e))", "x" },
  { "recursion", "local function f() return 1 + f() end f()", "stack overflow" },
  { "recursion through pcall", "local function f() local _, e = pcall(f) error(e, 0) end f()", "nested over 190 deep" },
  { "recursion through xpcall", "local function f() assert(xpcall(f, error)) end f()", "" },
  { "recursion through gsub", "local function f(s) return (s:gsub(\".\", f)) end f(\"x\")", "gsub is nested over 16 deep" },
  { "recursion through sort", "local function f() table.sort({ 2, 1 }, function() f() end) end f()", "" },
  { "recursion through gmatch", "local function f() for _ in (\"x\"):gmatch(\".\") do f() end end f()", "stack overflow" },
  { "a pattern's recursion", "(\"x\"):rep(1000):find((\".?\"):rep(1e5))", "pattern too complex" },
  { "1000 captures", "(\"x\"):find((\"(\"):rep(1000))", "too many captures" },
  { "a table too deep for JSON", "local t = {} for _ = 1, 1000 do t = { t } end json.encode(t)", "nested over 128 deep" },
  { "a table inside itself for JSON", "local t = {} t.t = t json.encode(t)", "inside itself" },
  { "holes for JSON", "json.encode({ [1] = 1, [1e9] = 2 })", "holes" }, { "a function for JSON", "json.encode({ pcall })", "a function cannot be JSON" },
  { "a number that is none for JSON", "json.encode({ 0 / 0 })", "NaN" }, { "booleans as keys for JSON", "json.encode({ [true] = 1 })", "a key that is no string" },
  { "a subject of more than a mebibyte", "(\"x\"):rep(2e6):find(\"y\")", "more than 1 MiB" },
  { "indexing nil", "event.a.b = 1", "field 'a'" }, { "a call of nothing", "event.a()", "field 'a'" },
}

-- What the request hook may leave behind, each with what becomes of the delivery.
local requests = {
  { "a method with a line break", "request.method = \"GET\\r\\nX: y\"", "is dead", "line break" },
  { "a method with NUL", "request.method = \"GET\\0\"", "is dead", "NUL" }, { "a method of blanks", "request.method = \" \"", "is dead", "byte" },
  { "no method", "request.method = nil", "throws", "request.method is a nil" }, { "a method of a megabyte", "request.method = (\"x\"):rep(1e6)", "throws", "1 to 31" },
  { "a method that is a function", "request.method = function() end", "throws", "is a function" },
  { "a header's name with CR LF", "request.headers[\"a\\r\\nb\"] = 1", "is dead", "line break" },
  { "a header's name with NUL", "request.headers[\"a\\0b\"] = 1", "is dead", "NUL" },
  { "a header's name with a colon", "request.headers[\"a: b\"] = 1", "is dead", "" }, { "a header without a name", "request.headers[\"\"] = 1", "is dead", "" },
  { "a header's value with CR LF", "request.headers.a = \"b\\r\\nc: d\"", "is dead", "line break" },
  { "a header's value with NUL", "request.headers.a = \"b\\0\"", "is dead", "NUL" },
  { "a header's value that is a table", "request.headers.a = { \"b\" }", "throws", "a table" },
  { "a header's value that is true", "request.headers.a = true", "ok" }, { "infinity in a header", "request.headers.a = 1 / 0", "throws", "no number" },
  { "a header of a megabyte", "request.headers.a = (\"x\"):rep(1e6)", "throws", "64 KiB" },
  { "a header's name of a megabyte", "request.headers[(\"x\"):rep(1e6)] = \"y\"", "throws", "" },
  { "1000 headers", "for i = 1, 1000 do request.headers[\"x\" .. i] = 1 end", "throws", "more than 100" },
  { "headers that are a list", "request.headers = { \"a: b\" }", "throws", "a table of names" },
  { "headers by number", "request.headers[7] = \"x\"", "throws", "a header's name is a string" },
  { "headers with holes", "request.headers = { [3] = \"x\", a = \"b\" }", "throws", "a table of names" },
  { "headers that are a string", "request.headers = \"a: b\"", "throws", "is a string" },
  { "no headers", "request.headers = nil", "throws", "is a nil" }, { "headers that are locked", "request.headers = string", "ok" },
  { "Host", "request.headers.hOsT = \"x\"", "throws", "Moonpost sets it itself" },
  { "Content-Length", "request.headers[\"Content-Length\"] = \"1\"", "throws", "Moonpost sets it itself" },
  { "Transfer-Encoding", "request.headers[\"transfer-encoding\"] = \"chunked\"", "throws", "Moonpost sets it itself" },
  { "a url that is a table", "request.url = {}", "throws", "request.url is a table" }, { "a url of ten megabytes", "request.url = (\"x\"):rep(1e7)", "overruns", "16 MiB" },
  { "a body that is a function", "request.body = function() end", "throws", "is a function" },
  { "a body inside itself", "local t = {} t.t = t request.body = t", "throws", "inside itself" },
  { "a body with holes", "request.body = { 1, nil, 3, [1000] = 4 }", "throws", "holes" }, { "a body that is true", "request.body = true", "throws", "is a boolean" },
  { "a body of json.null", "request.body = json.null", "throws", "userdata" }, { "a body of items", "request.body = items", "throws", "userdata" },
  { "a query inside a query", "request.query.a = { b = 1 }", "throws", "a value is a table" }, { "a query that is a string", "request.query = \"a=b\"", "throws", "it is a table" },
  { "a query by number", "request.query[1] = \"x\"", "throws", "a table of names" }, { "a query with line breaks", "request.query[\"a\\r\\n\"] = \"b\\r\\n\"", "ok" },
  { "a query of megabytes", "request.query.a = (\"x\"):rep(6e6)", "throws", "" }, { "a field that is none", "request.boddy = 1", "throws", "did you mean `body`" },
  { "a request that it made itself", "return { method = {}, headers = 5 }", "throws", "" }, { "a number", "return 5", "throws", "returned a number" },
  { "a table inside itself", "local t = {} t.body = t return t", "throws", "inside itself" }, { "the event", "return event", "ok" }, { "the library", "return string", "ok" },
}

-- Where a url of a function's own may lead, and why it does not.
local urls = {
  { "another host", "\"https://evil.example/\"", "host not declared" }, { "a user in the address", "\"https://a.example@evil.example/\"", "" },
  { "a user of ours", "\"https://me:secret@a.example/\"", "" }, { "another scheme", "\"http://a.example/\"", "host not declared" },
  { "a file", "\"file:///etc/passwd\"", "" }, { "gopher", "\"gopher://a.example/\"", "" }, { "another port", "\"https://a.example:22/\"", "host not declared" },
  { "no host", "\"https:///\"", "" }, { "a relative one", "\"/x\"", "" }, { "nothing", "\"\"", "" }, { "CR LF", "\"https://a.example/\\r\\nHost: b\"", "" },
  { "NUL", "\"https://a.example/\\0\"", "" }, { "a blank", "\"https://a.example/ x\"", "" }, { "ten megabytes", "\"https://a.example/\" .. (\"x\"):rep(1e7)", "" },
  { "a host that ends elsewhere", "\"https://a.example.evil.example/\"", "host not declared" }, { "a backslash", "\"https://a.example\\\\@evil.example/\"", "" },
  { "letters that look alike", "\"https://а.example/\"", "" }, { "a table", "{}", "returned a table" }, { "a number", "17", "" }, { "true", "true", "" },
}

describe("a hostile script", function()
  local neighbour

  setup(function()
    assert.equal(c.MP_OK, c.mp_script_watchdog_start())
    c.mp_log_set_level(c.MP_LOG_ERROR)
    uv.os_setenv("MOONPOST_SECRET_HOSTILE", HIDDEN)
    neighbour = assert(script.state("return { url = \"https://a.example/\", headers = { X = function() return (\"ok\"):upper() end } }"))
  end)
  teardown(function()
    neighbour = nil
    c.mp_log_set_level(c.MP_LOG_INFO)
    c.mp_script_watchdog_stop()
  end)
  after_each(runtime.clean)

  local function is_told_well(err)
    assert.is_truthy(err:find("^scripts/acme.lua:%d+: "), err)
    assert.is_true(#err < 512, #err)
    assert.is_nil(err:find("[%z\1-\31\127]"), err)
    assert.is_nil(err:find(HIDDEN, 1, true), err)
    assert.is_nil(err:find("0x%x%x%x%x"), err)
  end

  it("finds nothing that is closed", function()
    for _, code in ipairs(closed) do
      for _, place in ipairs({ "accepts", "header", "verdict" }) do
        local is_statement = code:find(" = ", 1, true) and not code:find("{ a = 1 }", 1, true)
        local how, err, state = hostile.run((is_statement and "" or "local _ = ") .. code, place)
        assert.equal("throws", how, code)
        is_told_well(err)
        assert.is_true(hostile.calm(state, place), code)
      end
    end
    assert.equal("OK", (script.leaf(neighbour, 0, "{}")))
  end)

  it("reads nothing through next and pairs of what is locked", function()
    assert.equal("nil nil nil 0", (script.run("local n = 0 for _ in pairs(json) do n = n + 1 end\n"
      .. "return tostring(next(string)) .. \" \" .. tostring(next(math)) .. \" \" .. tostring(next(hmac)) .. \" \" .. n")))
    assert.equal("X", (script.run("table.insert(string, 1, 2) table.sort(string) return (\"x\"):upper()")))
  end)

  for _, case in ipairs(thrown) do
    it("that throws is told in one line, and called again: " .. case[1], function()
      for _, place in ipairs({ "accepts", "header", "verdict" }) do
        local how, err, state = hostile.run(case[2], place)
        if place == "verdict" and case[2]:find("event", 1, true) then
          break
        end
        if how == "overruns" then
          break -- a machine may be too slow to come to the throw
        end
        assert.equal("throws", how, err)
        is_told_well(err)
        assert.is_truthy(err:find(case[3] or "", 1, true), err)
        assert.is_true(hostile.calm(state, place))
      end
      assert.equal("OK", (script.leaf(neighbour, 0, "{}")))
    end)
  end

  for _, case in ipairs(requests) do
    it("leaves no request that cannot be sent: " .. case[1], function()
      local how, err, state = hostile.run(case[2], "request")
      assert.equal(case[3], how, tostring(err))
      if how == "throws" then
        is_told_well(err)
      end
      if how ~= "ok" then
        assert.is_truthy(err:find(case[4], 1, true), err)
      end
      assert.are_not.equal(how == "overruns", hostile.calm(state, "request") or false)
    end)
  end

  for _, case in ipairs(urls) do
    it("leads nowhere but to its own hosts: " .. case[1], function()
      local path = runtime.folder() .. "/acme.lua"
      for _, text in ipairs({ "url = function() return " .. case[2] .. " end, hosts = { \"https://a.example\" }",
        "url = \"https://a.example/\", request = function(_, request) request.url = " .. case[2] .. " end" }) do
        runtime.write_file(path, "return { " .. text .. " }")
        local request, why = assert(testing.partner(path)):render({})
        assert.is_nil(request)
        assert.is_truthy(why:find(case[3], 1, true) or why:find("request.url is a table", 1, true), why)
      end
    end)
  end

  it("changes nothing of a later call through what it kept of an earlier one", function()
    local state = assert(script.state([[
      local kept
      return { url = "https://a.example/", request = function(event, request, ctx)
        if kept then
          for _, t in ipairs(kept) do
            pcall(function() t.url = "https://evil.example/" end)
            pcall(function() t.body = "evil" end)
            pcall(function() t.headers["x-evil"] = "1" end)
            pcall(function() t.query.evil = "1" end)
            pcall(function() t.id = "evil" t.name = "evil" end)
          end
          request.headers["x-seen"] = ctx.id .. event.name .. tostring(kept[2].body) .. tostring(kept[2].query)
        end
        kept = { event, request, ctx, request.headers, request.query }
      end }]]))
    local given = { url = "https://a.example/?q=1", headers = { { "X-A", "1" } }, body = "B" }
    assert.is_truthy(script.hook(state, given, "{\"name\":\"n\"}"))
    for _ = 1, 3 do
      local got = assert(script.hook(state, given, "{\"name\":\"n\"}"))
      assert.equal("https://a.example/?q=1", got.url)
      assert.equal("B", got.body)
      assert.same({ ["X-A"] = "1", ["x-seen"] = "0191-idnnilnil" }, got.headers)
    end
  end)

  it("learns no secret, and shows none", function()
    for _, code in ipairs({ "return #s", "return s + 1", "return -s", "return s < s", "return s <= \"a\"", "return s()", "return s.x", "s.x = 1",
      "return s:upper()", "return s:len()", "return ({ pairs(s) })[1]", "return next(s)", "return json.encode(s)", "return json.encode({ [s] = 1 })",
      "return json.encode({ s })", "return (\"%s\"):format(s)", "return (\"%q\"):format(s)", "return table.concat({ s })", "return string.rep(s, 2)",
      "return string.find(s, \"h\")", "return (\"x\"):gsub(\"x\", s)", "return (\"x\"):gsub(\"x\", function() return s end)", "return string.byte(s)",
      "return tonumber(s) + 1", "return bit.bor(s, 1)", "return math.floor(s)", "table.sort({ s, s })", "return unpack(s)", "error(s)", "error({ s })",
      "error({ message = s })", "return time.parse(s)", "return time.format(0, s)", "return decimal(s, 2)", "return get(s, \"x\").y", "return as_sent(event, s)",
      "return secret(s)", "return require(s)", "return json.decode(s)", "return json.raw(s)", "return select(s, 1)", "for i = 1, s do end",
      "return event[s].x", "return uri.macros(s)", "assert(false, s)", "return { s }", "return string.char(s)", "return (\"x\"):rep(s)" }) do
      local got, err, status = script.run("local s = secret \"hostile\" " .. code)
      assert.is_nil(got, code)
      assert.equal(c.MP_ESCRIPT, status, code)
      is_told_well(err)
    end
    for _, code in ipairs({ "return tostring(s)", "return tostring(s == secret \"hostile\")", "return tostring(s == \"" .. HIDDEN .. "\")",
      "return tostring(tonumber(s))", "log(s, { s }) return \"\"", "return type(s)", "return tostring(({ [s] = 1 })[secret \"hostile\"])",
      "return tostring(num({ a = s }, \"a\"))" }) do
      local got, err = script.run("local s = secret \"hostile\" " .. code)
      assert.is_truthy(got, err)
      assert.is_nil(got:find(HIDDEN, 1, true), code)
      assert.is_nil(got:find("true", 1, true), code)
    end
    for _, code in ipairs({ "return s", "return s .. \"x\"", "return base64(s)", "return hex(s)", "return uri.encode(s)", "return uri.expand(\"{s}\", { s = s })",
      "return basic(\"me\", s)" }) do
      local got, _, shown = script.run("local s = secret \"hostile\" " .. code)
      assert.is_truthy(got and shown, code)
      assert.is_nil(shown:find(HIDDEN:sub(1, 3), 1, true), code .. shown)
    end
  end)

  it("gives verdicts and reasons that nobody can use, and the default holds", function()
    for _, code in ipairs({ "return \"retry\", 1 / 0", "return \"retry\", 0 / 0", "return \"retry\", 1e300", "return \"retry\", -1", "return \"retry\", {}",
      "return \"retry\", (\"9\"):rep(1e5)", "return \"ok\"", "return (\"x\"):rep(1e6)", "return \"dead\\0\"", "return {}", "return json.null", "return 1",
      "return true", "return secret \"hostile\"", "return \"dead\", secret \"hostile\"", "return function() end", "return \"split\"", "return \"\"" }) do
      local how, err, state = hostile.run(code, "verdict")
      assert.equal("throws", how, code)
      is_told_well(err)
      assert.is_true(hostile.calm(state, "verdict"), code)
    end
    local how, why = hostile.run("return \"dead\", (\"é\\r\\n\"):rep(1e5)", "verdict")
    assert.same({ "ok", "dead" }, { how, why })
    for _, code in ipairs({ "return false, {}", "return false, secret \"hostile\"", "return false, function() end", "return false, json.null" }) do
      how, why = hostile.run(code, "accepts")
      assert.equal("throws", how, code)
      is_told_well(why)
    end
    for _, code in ipairs({ "return 0", "return \"\"", "return {}", "return json.null", "return nil, \"x\"" }) do
      how, why = hostile.run(code, "accepts")
      assert.same({ "ok", true }, { how, why }, code)
    end
    how, why = hostile.run("return false, (\"é\"):rep(1e6)", "accepts")
    assert.same({ "ok", false }, { how, why })
  end)

  it("meets ids and names with NUL as they are", function()
    assert.equal("a\0b 3", (script.run("return ctx.id .. \" \" .. #ctx.id", "{}", false, { id = "a\0b" })))
    assert.equal("5 x\0y", (script.run("return #event.n .. \" \" .. event[\"k\\0\"]", "{\"n\":\"ab\\u0000cd\",\"k\\u0000\":\"x\\u0000y\"}")))
    assert.is_nil((script.load("return { url = \"https://a.example/\" }", "ac\0me")))
  end)

  it("draws other random numbers in each state", function()
    local one, two = script.run("return math.random(1e9)"), script.run("return math.random(1e9)")
    assert.is_truthy(one)
    assert.are_not.equal(one, two)
  end)
end)
