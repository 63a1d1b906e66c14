local script = require("spec.support.script")
local c = require("spec.support.cdef").load()

local URL = "url = \"https://a.example/\", "

local function hooked(code)
  return assert(script.state("return { " .. URL .. code .. " }"))
end

describe("a call", function()
  setup(function()
    assert.equal(c.MP_OK, c.mp_script_watchdog_start())
  end)
  teardown(function()
    c.mp_script_watchdog_stop()
  end)

  describe("of a function in a leaf", function()
    it("gives text of strings, numbers and booleans, and nothing of nil", function()
      assert.same({ "a", "text" }, { script.run("return \"a\"") })
      assert.same({ "1.5", "text" }, { script.run("return 1.50") })
      assert.same({ "true", "text" }, { script.run("return true") })
      assert.same({ "", "none" }, { script.run("return nil") })
      assert.same({ "", "none" }, { script.run("") })
      local got, err = script.run("\nreturn {}")
      assert.is_nil(got)
      assert.is_truthy(err:find("the function returned a table", 1, true), err)
    end)

    it("gives JSON of what is no string where JSON is wanted", function()
      assert.same({ "{\"a\":[1,2],\"b\":null}", "json" }, { script.run("return { b = json.null, a = { 1, 2 } }", nil, true) })
      assert.same({ "0.1", "json" }, { script.run("return 0.1", nil, true) })
      assert.same({ "0.30000000000000004", "json" }, { script.run("return 0.1 + 0.2", nil, true) })
      assert.same({ "1e+300", "json" }, { script.run("return 1e300", nil, true) })
      assert.same({ "x", "text" }, { script.run("return \"x\"", nil, true) })
      assert.same({ "12.50", "json" }, { script.run("return json.raw(\" 12.50 \")", nil, true) })
      assert.is_nil((script.run("return 0/0", nil, true)))
    end)

    it("numbers functions in the plan as in the state", function()
      local state, loaded = hooked("body = { b = function() return \"b\" end, a = function() return \"a\" end }")
      for i = 0, 1 do
        local node = loaded.body.children[i]
        assert.equal(script.text_of(node.key), (script.leaf(state, node.leaf["function"], "{}")))
      end
    end)

    it("shows the request so far to a header's function", function()
      local state = hooked("headers = { X = function(_, _, request) return request.method .. request.url .. "
        .. "request.body .. request.headers[\"x-a\"] .. (request.query.q or \"\") end }")
      local request = script.request({ method = "PUT", url = "https://a.example/?q=%20z", body = "B", headers = { { "X-A", "h" } } })
      assert.equal("PUThttps://a.example/?q=%20zBh z", (script.leaf(state, 0, "{}", false, nil, request)))
    end)
  end)

  describe("sees the event", function()
    local function seen(event, code)
      return (assert(script.run(code, event)))
    end

    it("as a copy that no other call changes", function()
      local state = hooked("headers = { X = function(event) event.n = event.n + 1; event.l[1] = event.l[1] .. \"!\""
        .. " return event.n .. event.l[1] end }")
      assert.equal("2x!", (script.leaf(state, 0, "{\"n\":1,\"l\":[\"x\"]}")))
      assert.equal("2x!", (script.leaf(state, 0, "{\"n\":1,\"l\":[\"x\"]}")))
    end)

    it("with numbers only where a double and 14 digits keep them", function()
      local numbers = { ["1"] = "number", ["1.50"] = "number", ["0.1"] = "number", ["-0.0"] = "number", ["1e5"] = "number",
        ["12345678901234"] = "number", ["123456789012345"] = "string", ["12345678901234567890"] = "string",
        ["1e400"] = "string", ["1e-400"] = "string", ["1.234567890123456"] = "string", ["100000000000000000000"] = "number",
        ["0.00000000000000000001"] = "number", ["0e999999"] = "number", ["1e99999999999999999999"] = "string",
        ["9007199254740993"] = "string", ["1.10000000000000000000000"] = "number" }
      for token, kind in pairs(numbers) do
        local text = seen("{\"n\":" .. token .. "}", "return type(event.n) .. \" \" .. tostring(event.n)")
        assert.equal(kind, text:match("^%a+"), token)
        local value = text:match(" (.*)")
        assert.is_true(kind == "string" and value == token or kind == "number" and tonumber(value) == tonumber(token), token)
      end
    end)

    it("as text of a number only when the value stays the same, for random tokens", function()
      math.randomseed(7)
      local state = hooked("headers = { X = function(event) return type(event.n) == \"number\" and event.n or \"\" end }")
      for _ = 1, 3000 do
        local digits = {}
        for i = 1, math.random(1, 18) do
          digits[i] = math.random(0, 9)
        end
        local token = tostring(math.random(1, 9)) .. table.concat(digits)
        local at = math.random(1, #token)
        token = token:sub(1, at) .. (at < #token and "." .. token:sub(at + 1) or "")
          .. (math.random() < 0.5 and "e" .. math.random(-40, 40) or "")
        local text = script.leaf(state, 0, "{\"n\":" .. token .. "}")
        if text ~= "" then
          assert.equal(tonumber(token), tonumber(text), token)
          local plain = token:gsub("e.*", ""):gsub("%.", ""):gsub("^0+", ""):gsub("0+$", "")
          assert.is_true(#plain <= 14, token)
        end
      end
    end)

    it("with null as nil in objects and json.null in lists, and the last of equal keys", function()
      assert.equal("nil", seen("{\"a\":1,\"a\":null}", "return tostring(event.a)"))
      assert.equal("2", seen("{\"a\":1,\"a\":2}", "return tostring(event.a)"))
      assert.equal("true 2", seen("{\"a\":[null,5]}", "return tostring(event.a[1] == json.null) .. \" \" .. #event.a"))
    end)

    it("whole, by whatever way it looks first", function()
      for _, code in ipairs({ "return event.a .. event.b", "local out = {} for k, v in pairs(event) do out[k] = v end return out.a .. out.b",
        "local k, v = next(event) return k == \"a\" and v .. event.b or event.a .. v", "return json.encode(event):gsub(\"[^12]\", \"\"), nil",
        "return (\"ab\"):gsub(\".\", event), nil", "event.c = 3 return event.a .. event.b", "return get(event, \"a\") .. event.b",
        "return num(event, \"a\") .. num(event, \"b\")", "return uri.expand(\"{a}{b}\", event)", "local copy = event return copy.a .. event.b",
        "local ok, e = pcall(error, event) return e.a .. e.b", "return (tostring(#event):gsub(\"0\", \"\")) .. event.a .. event.b",
        "local keys = 0 for _ in next, event do keys = keys + 1 end return event.a .. keys" }) do
        assert.equal("12", (script.run(code, "{\"a\":1,\"b\":2}")), code)
      end
      local _, err = script.run("error(event)", "{\"a\":1}")
      assert.equal("scripts/acme.lua:2: {\"a\":1}", err)
      for _, code in ipairs({ "return ctx.id", "for k, v in pairs(ctx) do if k == \"id\" then return v end end", "return json.decode(json.encode(ctx)).id",
        "ctx.id = \"0191-id\" return ctx.partner == \"acme\" and ctx.id" }) do
        assert.equal("0191-id", (script.run(code)), code)
      end
    end)

    it("empty, when it was kept unread from an earlier call", function()
      local state = assert(script.state("local kept return { " .. URL .. "headers = { X = function(event, ctx)\n"
        .. "if not kept then kept = { event, ctx } return \"kept\" end\n"
        .. "return tostring(kept[1].n) .. tostring(kept[2].id) .. event.n end } }"))
      assert.equal("kept", (script.leaf(state, 0, "{\"n\":1}")))
      assert.equal("nilnil2", (script.leaf(state, 0, "{\"n\":2}")))
    end)

    it("with escapes undone and nesting kept", function()
      assert.equal("a\"b\\/\n\195\169\240\159\152\128", seen("{\"a\":[{\"b\":\"a\\\"b\\\\\\/\\n\\u00e9\\ud83d\\ude00\"}]}", "return event.a[1].b"))
    end)

    it("through get, which never throws and counts from 0", function()
      local event = "{\"user\":{\"email\":\"e\",\"no\":null},\"items\":[{\"id\":7}],\"a.b\":\"dotted\",\"a\":{\"b\":\"inner\"}}"
      assert.equal("e 7 dotted nil nil nil nil nil", seen(event, [[
        local out = {}
        for i, path in ipairs({ "user.email", "items.0.id", "a.b", "user.no", "x.y.z", "user.email.x", "" }) do
          out[i] = tostring(get(event, path))
        end
        out[8] = tostring(get(nil, "x"))
        return table.concat(out, " ")]]))
    end)

    it("through num, a number or nil", function()
      assert.equal("1.5 2 nil nil nil nil nil", seen("{\"a\":1.50,\"b\":\"2\",\"c\":\"x\",\"d\":\"0x10\",\"e\":true,\"f\":\"inf\"}", [[
        local out = {}
        for i, path in ipairs({ "a", "b", "c", "d", "e", "f", "g" }) do
          out[i] = tostring(num(event, path))
        end
        return table.concat(out, " ")]]))
    end)

    it("through as_sent, byte for byte", function()
      assert.equal("1.50 1e400 a\"b {\"x\": [ 1 ]} null nil", seen("{\"a\":1.50,\"b\":1e400,\"c\":\"a\\\"b\",\"d\":{\"x\": [ 1 ]},\"e\":null}", [[
        local out = {}
        for i, path in ipairs({ "a", "b", "c", "d", "e", "f" }) do
          out[i] = tostring(as_sent(event, path))
        end
        return table.concat(out, " ")]]))
    end)

    it("through as_sent without a path, whole", function()
      local event = "{ \"n\": 1.50, \"n\":12345678901234567890 }"
      assert.equal(event, seen(event, "return as_sent(event)"))
      assert.equal("{\"data\":" .. event .. "}", seen(event, "return json.encode({ data = json.raw(as_sent(event)) })"))
    end)

    it("with a ctx that says what is known of the delivery", function()
      local code = [[return table.concat({ ctx.id, ctx.partner, tostring(ctx.type), tostring(ctx.subject), ctx.attempt,
        tostring(ctx.last), ctx.received_at, tostring(ctx.occurred_at), tostring(ctx.previous), tostring(ctx.endpoint) }, " ")]]
      assert.equal("0191-id acme nil nil 1 false 1700000000.5 nil nil nil", seen("{}", code))
      local text = script.run("return table.concat({ ctx.type, ctx.source, ctx.subject, ctx.attempt, tostring(ctx.last), ctx.occurred_at,"
        .. " ctx.previous.status, ctx.previous.verdict, ctx.endpoint.method, ctx.endpoint.url }, \" \")", "{}", false,
        { type = "t", source = "s", subject = "u", attempt = 3, last = true, occurred_ms = 2000, attempts = 2,
          last_status = 503, last_verdict = c.MP_VERDICT_RETRY, endpoint_method = "GET", endpoint_url = "http://x/{y}" })
      assert.equal("t s u 3 true 2 503 retry GET http://x/{y}", text)
    end)
  end)

  describe("of accepts", function()
    local function accepts(body, event)
      return script.accepts(hooked("accepts = function(event, ctx) " .. body .. " end"), event or "{}")
    end

    it("skips for false alone, with its reason", function()
      assert.same({ false, "no payout" }, { accepts("return (num(event, \"payout\") or 0) > 0, \"no payout\"") })
      assert.same({ true, "" }, { accepts("return (num(event, \"payout\") or 0) > 0, \"no payout\"", "{\"payout\":\"0.5\"}") })
      assert.same({ true, "" }, { accepts("return nil") })
      assert.same({ true, "" }, { accepts("") })
      assert.same({ false, "" }, { accepts("return false") })
      assert.is_nil((accepts("return false, {}")))
    end)

    it("says true when there is no such hook", function()
      assert.same({ true, "" }, { script.accepts(hooked(""), "{}") })
    end)
  end)

  describe("of request", function()
    local function hook(body, given, event)
      given = given or { url = "https://a.example/p?a=1&b=%20x&&c#f", headers = { { "Content-Type", "a/b" }, { "User-Agent", "m" } }, body = "B" }
      return script.hook(hooked("request = function(event, request, ctx)\n" .. body .. "\nend"), given, event)
    end

    it("leaves what it does not touch byte for byte", function()
      local got = assert(hook(""))
      assert.equal("https://a.example/p?a=1&b=%20x&&c#f", got.url)
      assert.equal("B", got.body)
      assert.same({ "Content-Type", "User-Agent" }, got.order)
    end)

    it("changes method, url, headers in any case and body", function()
      local got = assert(hook([[
        request.method = "PATCH"
        request.headers["content-TYPE"] = request.headers["CONTENT-type"] .. "; x"
        request.headers["X-New"] = 5
        request.headers["user-agent"] = false
        request.url = request.url:gsub("#.*", "")
        request.body = request.body .. "!"]]))
      assert.equal("PATCH", got.method)
      assert.equal("https://a.example/p?a=1&b=%20x&&c", got.url)
      assert.equal("B!", got.body)
      assert.same({ ["Content-Type"] = "a/b; x", ["X-New"] = "5" }, got.headers)
    end)

    it("edits the query and keeps the rest of it as it is", function()
      assert.equal("https://a.example/p?a=2%20%26&b=%20x&&c&v=1&z=%C3%A9#f",
        hook("request.query.a = \"2 &\"; request.query.z = \"é\"; request.query.v = 1").url)
      assert.equal("https://a.example/p?b=%20x&&c#f", hook("request.query.a = nil").url)
      assert.equal("https://a.example/p?a=1&&c#f", hook("request.query.b = false").url)
      assert.equal("https://a.example/p?a=1x&b=%20x&&c#f", hook("request.query.a = request.query.a .. \"x\"").url)
      assert.equal("https://a.example/p?a=1&b=%20x&&c#f", hook("request.query.b = request.query.b").url)
      assert.equal("https://a.example/p?only=1#f", hook("request.query = { only = 1 }").url)
      assert.equal("https://a.example/?k=v", hook("request.query.k = \"v\"", { url = "https://a.example/" }).url)
      assert.equal("https://a.example/", hook("request.query.k = nil", { url = "https://a.example/?k=1&k=2" }).url)
      assert.equal("https://a.example/?k=3", hook("request.query.k = 3", { url = "https://a.example/?k=1&k=2" }).url)
      assert.is_nil((hook("request.query.a = {}")))
    end)

    it("encodes a table assigned to the body at once", function()
      local got = assert(hook("request.body = { b = 1, a = \"/\" }; request.headers.len = #request.body; request.headers.b = request.body"))
      assert.equal("{\"a\":\"/\",\"b\":1}", got.body)
      assert.equal("15", got.headers.len)
      assert.equal(got.body, got.headers.b)
      assert.is_nil(hook("request.body = nil").body)
    end)

    it("takes a table that it returns for what it names", function()
      local got = assert(hook("return { method = \"PUT\", body = { x = 1 }, headers = { A = \"1\", [\"content-type\"] = false }, query = { q = 1 } }"))
      assert.equal("PUT", got.method)
      assert.equal("https://a.example/p?q=1#f", got.url)
      assert.equal("{\"x\":1}", got.body)
      assert.same({ A = "1", ["User-Agent"] = "m" }, got.headers)
      assert.is_truthy(hook("return request"))
    end)

    it("is dead for bytes that can never be sent", function()
      for body, why in pairs({ ["request.method = \"A\\rB\""] = "the method has a line break",
        ["request.method = \"A\\0\""] = "the method has a NUL", ["request.method = \"A B\""] = "the method has a byte",
        ["request.headers.x = \"a\\nb\""] = "header x has a line break", ["request.headers.x = \"a\\0b\""] = "header x has a NUL",
        ["request.headers[\"a\\nb\"] = 1"] = "a header's name has a line break" }) do
        local got, err, status = hook(body)
        assert.is_nil(got, body)
        assert.equal(c.MP_EDEAD, status, err)
        assert.is_truthy(err:find(why, 1, true), err)
      end
    end)

    it("refuses what the contract forbids, with file and line or a reason", function()
      for body, part in pairs({
        ["request.headers.Host = \"x\""] = "Host",
        ["request.headers[\"content-length\"] = 1"] = "Moonpost sets it itself",
        ["request.boddy = 1"] = "did you mean `body`?",
        ["request.body = function() end"] = "scripts/acme.lua:2: request.body is a function",
        ["request.url = {}"] = "request.url is a table",
        ["request.url = nil"] = "request.url is a nil",
        ["request.method = 5"] = "request.method is a number",
        ["request.method = (\"x\"):rep(40)"] = "1 to 31",
        ["request.headers = 5"] = "request.headers is a number",
        ["request.headers = { 1, 2 }"] = "table of names",
        ["request.headers.x = {}"] = "value of a field is a table",
        ["return 5"] = "request returned a number",
        ["for i = 1, 200 do request.headers[\"x\" .. i] = 1 end"] = "more than 100",
        ["request.url = (\"x\"):rep(100000)"] = "scripts/acme.lua",
      }) do
        local got, err, status = hook(body)
        assert.is_nil(got, body)
        assert.equal(c.MP_ESCRIPT, status, body)
        assert.is_truthy(err:find(part, 1, true), body .. ": " .. err)
      end
    end)
  end)

  describe("of verdict", function()
    local function verdict(body, given)
      return script.verdict(hooked("verdict = function(response, ctx)\n" .. body .. "\nend"), given or { status = 200 })
    end

    it("reads the contract's words", function()
      assert.same({ "", -1, "" }, { verdict("") })
      assert.same({ "delivered", -1, "" }, { verdict("return \"delivered\"") })
      assert.same({ "retry", -1, "" }, { verdict("return \"retry\"") })
      assert.same({ "retry", 600000, "" }, { verdict("return \"retry\", \"10m\"") })
      assert.same({ "retry", 1500, "" }, { verdict("return \"retry\", 1.5") })
      assert.same({ "dead", -1, "bad goal" }, { verdict("return \"dead\", \"bad goal\"") })
      assert.same({ "skipped", -1, "17" }, { verdict("return \"skipped\", 17") })
      assert.same({ "pause", -1, "a b" }, { verdict("return \"pause\", \"a\\nb\"") })
    end)

    it("calls anything else a script error", function()
      for _, body in ipairs({ "return \"ok\"", "return 5", "return true", "return {}", "return \"split\"",
        "return \"retry\", \"soon\"", "return \"retry\", -1", "return \"dead\", {}", "error()", "error(nil)", "error({})" }) do
        local got, err, status = verdict(body)
        assert.is_nil(got, body)
        assert.equal(c.MP_ESCRIPT, status)
        assert.is_truthy(err:find("scripts/acme.lua", 1, true), err)
      end
    end)

    it("that gives a partner's words back shows no part of a secret", function()
      local key = "sk-" .. ("0123456789abcdef"):rep(5)
      local state = assert(script.state("return { " .. URL .. "verdict = function(response) if response.status == 0 then "
        .. 'return secret "key" end return response.body end }', nil, { secrets = { key = key } }))
      local _, err = script.verdict(state, { status = 200, body = key .. " is no key" })
      assert.truthy(err:find('verdict: "[secret key] is no key" is no verdict', 1, true), err)
      _, err = script.verdict(state, { status = 200, body = ("x"):rep(58) .. key })
      assert.truthy(err:find(("x"):rep(58) .. '[s" is no verdict', 1, true), err)
    end)

    it("sees the response", function()
      local given = { status = 429, headers = "X-A: 1\r\nRetry-After: 7 \r\nx-a:2\r\nbroken", body = "{\"code\":17,\"n\":null}", truncated = true, duration_ms = 55 }
      assert.same({ "dead", -1, "429 nil 1, 2 7 nil 17 nil true 55 20" }, { verdict([[return "dead", table.concat({ response.status,
        tostring(response.error), response.headers["X-a"], response.headers["retry-after"], tostring(response.headers.none),
        response.json.code, tostring(response.json.n), tostring(response.truncated), response.duration_ms, #response.body }, " ")]], given) })
    end)

    it("sees an attempt without an answer", function()
      assert.same({ "dead", -1, "nil timeout nil" }, { verdict("return \"dead\", tostring(response.status) .. \" \" .. response.error"
        .. " .. \" \" .. tostring(response.json)", { error = "timeout" }) })
    end)
  end)

  describe("that fails", function()
    it("names file and line", function()
      local _, err = script.run("\n\nlocal x = event.a.b")
      assert.equal("scripts/acme.lua:4: attempt to index field 'a' (a nil value)", err)
      _, err = script.run("error(\"why\", 0)")
      assert.equal("scripts/acme.lua:2: why", err)
      _, err = script.run("get()\nlocal x = tonumber(nil, 99)")
      assert.is_truthy(err:find("^scripts/acme.lua:3: bad argument"), err)
    end)

    it("shows errors that are tables as JSON", function()
      local _, err = script.run("error({ code = 1 })")
      assert.equal("scripts/acme.lua:2: {\"code\":1}", err)
      _, err = script.run("error({ message = \"said\" })")
      assert.equal("scripts/acme.lua:2: said", err)
      _, err = script.run("error({ f = print_ })")
      assert.is_truthy(err:find("print_", 1, true), err)
      _, err = script.run("local t = {} t.t = t error(t)")
      assert.equal("scripts/acme.lua:2: (a table)", err)
      _, err = script.run("error(nil)")
      assert.is_truthy(err:find("scripts/acme.lua:2:", 1, true), err)
    end)

    it("leaves the state fit for the next", function()
      local state = hooked("headers = { X = function(event) if event.bad then error(\"bad\") end return \"ok\" end }")
      for _ = 1, 50 do
        assert.is_nil((script.leaf(state, 0, "{\"bad\":1}")))
        assert.equal("ok", (script.leaf(state, 0, "{}")))
      end
    end)
  end)

  it("keeps memory flat over a hundred megabytes of events", function()
    local state = hooked("headers = { X = function(event) return #event.items end }")
    local items = {}
    for i = 1, 500 do
      items[i] = "{\"id\":" .. i .. ",\"name\":\"item number " .. i .. "\"}"
    end
    local event = "{\"items\":[" .. table.concat(items, ",") .. "]}"
    for _ = 1, 1000 do
      assert.equal("500", (assert(script.leaf(state, 0, event))))
    end
  end)
end)
