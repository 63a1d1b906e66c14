--- The request of one attempt, from a script and an event: what is sent, and what never is.
local ffi = require("ffi")
local c = require("spec.support.cdef").load()
local request_of = require("spec.support.request")

local build, built, with, url_of, body_of, assert_dead = request_of.build, request_of.built, request_of.with, request_of.url_of, request_of.body_of, request_of.assert_dead

describe("the request", function()
  setup(function()
    assert.equal(c.MP_OK, c.mp_script_watchdog_start())
  end)
  teardown(function()
    c.mp_script_watchdog_stop()
  end)

  describe("url", function()
    it("carries values digit for digit", function()
      assert.equal("https://a.example/p?a=12345678901234567890&b=1.50&c=1e400&d=caf%C3%A9%20%2F",
        url_of("/p?a={a}&b={b}&c={c}&d={d}", '{"a":12345678901234567890,"b":1.50,"c":1e400,"d":"caf\\u00e9 /"}'))
    end)

    it("reaches into objects and lists", function()
      assert.equal("https://a.example/?x=7", url_of("/?x={items.0.id}", '{"items":[{"id":7}]}'))
      assert.equal("https://a.example/?x=8", url_of("/?x={a.b}", '{"a":{"b":1},"a.b":8}'))
    end)

    it("takes what is missing as nothing, and defaults for it", function()
      assert.equal("https://a.example/?a=&b=", url_of("/?a={a}&b={b}", '{"b":null}'))
      local defaults = 'defaults = { a = "ZZ", n = 5 }'
      for _, event in ipairs({ "{}", '{"a":null}', '{"a":[]}', '{"a":{}}' }) do
        assert.equal("https://a.example/?a=ZZ&n=5", url_of("/?a={a}&n={n}", event, defaults))
      end
      assert.equal("https://a.example/?a=&n=6", url_of("/?a={a}&n={n}", '{"a":"","n":6}', defaults))
    end)

    it("drops empty parameters when asked to", function()
      assert.equal("https://a.example/?b=1", url_of("/?a={a}&b={b}&c={c}", '{"b":1,"c":""}', 'missing = "drop"'))
    end)

    it("knows ctx, which no key of the event's can hide", function()
      local more = { id = "0191", type = "click", source = "/s", subject = "sub", attempt = 3, last = true,
                     first_ms = 1700000000999, occurred_ms = 1600000000001, attempts = 2, last_status = 503,
                     last_verdict = c.MP_VERDICT_RETRY }
      assert.equal("https://a.example/?0191,acme,click,/s,sub,3,true,1700000000,1600000000,503,retry",
        (url_of("/?{+ctx.id},{+ctx.partner},{+ctx.type},{+ctx.source},{+ctx.subject},{+ctx.attempt},"
          .. "{+ctx.last},{+ctx.received_at},{+ctx.occurred_at},{+ctx.previous.status},{+ctx.previous.verdict}",
          '{"ctx.id":"mine","ctx":{"id":"mine"}}', nil, more)))
      assert.equal("https://a.example/?,,,false", url_of(
        "/?{ctx.type},{ctx.occurred_at},{ctx.previous.status},{ctx.last}", "{}"))
    end)

    it("may be a function's", function()
      assert.equal("https://a.example/f?x=1", built(
        'return { hosts = { "https://a.example" }, url = function(event) return "https://a.example/f?x=" .. event.x end }',
        '{"x":1}').url)
      local _, status, why = build('return { hosts = { "https://a.example" }, url = function() end }')
      assert.equal("ESCRIPT", status)
      assert.truthy(why:find("scripts/acme.lua", 1, true), why)
    end)

    it("goes only to a declared host", function()
      local source = [[return { url = "https://a.example/", hosts = { "https://b.example:8443" },
        request = function(event, request) request.url = event.to end }]]
      assert.equal("https://b.example:8443/x", built(source, '{"to":"https://b.example:8443/x"}').url)
      assert.equal("https://A.example:443/x", built(source, '{"to":"https://A.example:443/x"}').url)
      for _, to in ipairs({ "https://b.example/x", "http://a.example/x", "https://a.example.evil/x",
        "https://c.example", "https://a.example:444" }) do
        assert_dead("host not declared", source, '{"to":"' .. to .. '"}')
      end
      for _, to in ipairs({ "https://u:p@a.example/", "https://u@b.example:8443/", "ftp://a.example/",
        "/path", "https://a.example\\\\@c.example/" }) do
        local _, word, why = build(source, '{"to":"' .. to .. '"}')
        assert.equal("dead", word)
        assert.truthy(why:find("could not use the url", 1, true), why)
      end
    end)

    it("has no byte that a request line cannot carry", function()
      local source = [[return { url = "https://a.example/",
        request = function(event, request) request.url = "https://a.example/" .. event.to end }]]
      assert_dead("url has a line break", source, '{"to":"a\\r\\nX: y"}')
      assert_dead("url has a NUL", source, '{"to":"a\\u0000b"}')
      assert_dead("url has a byte that must be percent-encoded", source, '{"to":"a b"}')
      assert_dead("url has a byte that must be percent-encoded", source, '{"to":"\\u00e9"}')
      assert.equal("https://a.example/%0D%0A%00", url_of("/{x}", '{"x":"\\r\\n\\u0000"}'))
    end)

    it("does not climb through a value", function()
      for _, value in ipairs({ "..", ".", "../../x", "%2e%2e", "%2E.", "a/../b", "a/.%2e" }) do
        assert_dead("path would climb", with("https://a.example/a/{+x}/b"), '{"x":"' .. value .. '"}')
      end
      assert_dead("path would climb", with("https://a.example/a/{x}/b"), '{"x":".."}')
      assert_dead("path would climb", with("https://a.example/a/{x}./b"), '{"x":"."}')
      assert_dead("path would climb", with("https://a.example/a/.{x}"), "{}")
      assert_dead("path would climb", with("https://a.example/p{/x}"), '{"x":".."}')
      assert.equal("https://a.example/a/...//b..", url_of("/a/{+x}//b..", '{"x":"..."}'))
      assert.equal("https://a.example/a?x=../..", url_of("/a?x={+x}", '{"x":"../.."}'))
      assert.equal("https://a.example/a/../b/x", url_of("/a/../b/{x}", '{"x":"x"}'))
      assert_dead("path would climb", with("https://a.example/a/../b/{x}"), '{"x":".."}')
    end)

    it("is dead past 64 KiB", function()
      local long = ("x"):rep(64 * 1024 - #"https://a.example/")
      assert.equal(64 * 1024, #url_of("/{x}", '{"x":"' .. long .. '"}'))
      assert_dead("url over 64 KiB", with("https://a.example/{x}"), '{"x":"' .. long .. 'x"}')
    end)
  end)

  describe("method and default body", function()
    it("is GET without a body, POST with one", function()
      assert.equal("GET", built(with("https://a.example/")).method)
      assert.equal("POST", built(with("https://a.example/", "body = { a = 1 }")).method)
      assert.equal("POST", built(with("https://a.example/", "form = { a = 1 }")).method)
    end)

    it("sends the event's own bytes with POST, PUT and PATCH, nothing with others", function()
      local event = '{ "b" : 1.50,"a":12345678901234567890 }'
      for _, method in ipairs({ "POST", "PUT", "PATCH" }) do
        local request = built(with("https://a.example/", ('method = "%s"'):format(method)), event)
        assert.same({ method, event, "application/json" },
          { request.method, request.body, request.headers["Content-Type"] })
      end
      for _, method in ipairs({ "GET", "HEAD", "DELETE" }) do
        local request = built(with("https://a.example/", ('method = "%s"'):format(method)), event)
        assert.same({ method }, { request.method, request.body, request.headers["Content-Type"] })
      end
    end)

    it("is dead with a method that can never be sent", function()
      local source = [[return { url = "https://a.example/", method = "POST",
        request = function(event, request) request.method = event.m end }]]
      for method, want in pairs({ ["GET /x"] = "dead", ["A\\nB"] = "dead", ["A\\u0000"] = "dead",
        [""] = "ESCRIPT", [("M"):rep(32)] = "ESCRIPT" }) do
        local _, word, why = build(source, '{"m":"' .. method .. '"}')
        assert.equal(want, word)
        assert.truthy(why:find("method", 1, true), why)
      end
    end)
  end)

  describe("JSON body", function()
    it("takes the event's values as they are", function()
      local body, type = body_of('{ n = "{n}", s = "{s}", z = "{z}", o = "{o}", t = true, k = 2.5, c = "é/\\"" }',
        '{"n":1.50,"s":"a\\u0062\\/","z":null,"o":{"x": [1, 2]}}')
      assert.equal('{"c":"é/\\"","k":2.5,"n":1.50,"o":{"x": [1, 2]},"s":"a\\u0062\\/","t":true,"z":null}', body)
      assert.equal("application/json", type)
    end)

    it("leaves out what is missing, and what that empties", function()
      assert.equal('{"a":1}', (body_of('{ a = 1, b = "{b}", c = { d = { "{e}" } }, f = { g = "{h}" } }')))
      assert.equal("{}", (body_of('{ a = "{a}" }')))
      assert.equal('[1,3]', (body_of('{ 1, "{x}", 3 }')))
      assert.equal('{"a":0}', (body_of('{ a = "{a}" }', "{}", "defaults = { a = 0 }")))
      assert.equal('{"a":0}', (body_of('{ a = "{a}" }', '{"a":null}', "defaults = { a = 0 }")))
    end)

    it("escapes what a template puts together", function()
      assert.equal('{"a":"<x\\"y\\n> é","id":"0191-id"}',
        (body_of('{ a = "<{x}> {y}", id = "{ctx.id}" }', '{"x":"x\\"y\\n","y":"\\u00e9"}')))
    end)

    it("takes a function's values, and leaves out nil", function()
      assert.equal('{"a":[1,"x"],"c":"q\\"","d":0.1}', (body_of([[{ a = function() return { 1, "x" } end,
        b = function() end, c = function() return 'q"' end, d = function() return 0.1 end,
        e = { f = function() end } }]])))
    end)

    it("calls a function once for an attempt", function()
      local source = [[local n = 0
        return { url = "https://a.example/?t=" .. secret "token",
          body = { n = function() n = n + 1 return n end } }]]
      ffi.C.setenv("MOONPOST_SECRET_TOKEN", "s3cret", 1)
      assert.equal('{"n":1}', built(source).body)
    end)

    it("is dead past 16 MiB", function()
      local event = '{"x":"' .. ("x"):rep(8 * 1024 * 1024) .. '"}'
      assert_dead("body over 16 MiB", with("https://a.example/", 'body = { a = "{x}", b = "{x}" }'), event)
    end)
  end)

  describe("text body", function()
    it("is sent as it is", function()
      local body, type = body_of([["no expression é"]])
      assert.same({ "no expression é", "text/plain; charset=utf-8" }, { body, type })
    end)

    it("may be a function's", function()
      local body = body_of([[function(event) return "x=" .. event.x end]], '{"x":"y"}')
      assert.equal("x=y", body)
      assert.is_nil((body_of("function() end")))
    end)

    it("is JSON when the function returns a table", function()
      assert.same({ '{"n":1.50,"x":"y"}', "application/json" }, { body_of(
        [[function(event) return { x = event.x, n = json.raw(as_sent(event, "n")) } end]], '{"x":"y","n":1.50}') })
    end)
  end)

  describe("form", function()
    local function form(fields, event)
      local request = built(with("https://a.example/", "form = " .. fields), event)
      assert.equal("application/x-www-form-urlencoded", request.headers["Content-Type"])
      return request.body
    end

    it("is encoded as browsers do", function()
      assert.equal("a=x+y%26z%3D%7E*-._&b+%C3%A9=1&c=%5B1%2C2%5D",
        form('{ a = "{a}", ["b é"] = 1, c = "{c}" }', '{"a":"x y&z=~*-._","c":[1,2]}'))
    end)

    it("leaves out what is missing or null, and keeps what is empty", function()
      assert.equal("d=&e=t", form('{ a = "{a}", b = "{b}", c = function() end, d = "{d}", e = "t{f}" }',
        '{"b":null,"d":""}'))
    end)

    it("keeps text and a function's result from ending a field", function()
      assert.equal("a=1%262%3D3&b=x%26y&c=p%26-%26", form('{ a = "1&2=3", b = function() return "x&y" end, c = "p&-{d}" }',
        '{"d":"&"}'))
    end)
  end)

  describe("headers", function()
    local function headers(fields, event, more)
      return built(with("https://a.example/", "headers = { " .. fields .. " }, " .. (more or "")), event).headers
    end

    it("take constants, templates, values and functions", function()
      assert.same({ ["X-A"] = "a", ["X-B"] = "n=1.50", ["X-C"] = "é", ["X-D"] = "GET https://a.example/" }, headers(
        [=[["X-A"] = "a", ["X-B"] = "n={n}", ["X-C"] = "{c}",
        ["X-D"] = function(event, ctx, request) return request.method .. " " .. request.url end]=],
        '{"n":1.50,"c":"é"}'))
    end)

    it("are left out when their value is missing or null, not when it is empty", function()
      assert.same({ ["X-C"] = "", ["X-E"] = "d" }, headers(
        [=[["X-A"] = "{a}", ["X-B"] = "{b}", ["X-C"] = "{c}", ["X-D"] = function() end, ["X-E"] = "{e}"]=],
        '{"b":null,"c":""}', 'defaults = { e = "d" }'))
    end)

    it("come before the default Content-Type", function()
      assert.same({ ["content-type"] = "application/vnd.x+json" },
        headers([=[["content-type"] = "application/vnd.x+json"]=], "{}", "body = { a = 1 }"))
    end)

    it("lose the white space around a value, and no more", function()
      assert.equal("a  b", headers([=[["X-A"] = "{a}"]=], '{"a":" \\ta  b\\t "}')["X-A"])
      assert.equal("a  b", headers("", '{"a":" \\ta  b\\t "}',
        [=[request = function(event, request) request.headers["X-A"] = event.a end]=])["X-A"])
    end)

    for what, value in pairs({ ["line break"] = "a\\nb", NUL = "a\\u0000" }) do
      it("are dead with a " .. what, function()
        assert_dead("header X-Foo has a " .. what, with("https://a.example/", [=[headers = { ["X-Foo"] = "{a}" }]=]),
          '{"a":"' .. value .. '"}')
        assert_dead("header X-Foo has a " .. what, with("https://a.example/",
          [=[headers = { ["X-Foo"] = function(event) return event.a end }]=]), '{"a":"' .. value .. '"}')
        assert_dead("header X-Foo has a " .. what, with("https://a.example/",
          [=[request = function(event, request) request.headers["X-Foo"] = event.a end]=]), '{"a":"' .. value .. '"}')
      end)
    end

    it("see the body that is sent", function()
      assert.equal('{"a":1}', headers([=[["X-A"] = function(event, ctx, request) return request.body end]=],
        "{}", "body = { a = 1 }")["X-A"])
    end)
  end)

  describe("order", function()
    local source = [[return { url = "https://a.example/{x}", required = { "click_id", "n" },
      accepts = function(event) return event.payout, event.why end }]]

    it("asks for what is required first", function()
      for _, event in ipairs({ "{}", '{"click_id":null}', '{"click_id":""}' }) do
        assert_dead("missing click_id", source, event)
      end
      assert_dead("missing n", source, '{"click_id":0}')
    end)

    it("takes a default for what is required", function()
      assert.equal("https://a.example/7", built(with("https://a.example/{a}",
        'required = { "a" }, defaults = { a = 7 }')).url)
    end)

    it("skips what is not accepted, with the reason", function()
      assert.same({ "skipped", "no payout" }, { select(2, build(source,
        '{"click_id":1,"n":1,"payout":false,"why":"no payout"}')) })
      assert.same({ "skipped", "not accepted" }, { select(2, build(source,
        '{"click_id":1,"n":1,"payout":false}')) })
      assert.equal("https://a.example/", built(source, '{"click_id":1,"n":1,"payout":true}').url)
    end)

    it("lets request change all that was built", function()
      local request = built([[return { url = "https://a.example/?a=1", body = { a = 1 },
        headers = { ["X-A"] = "a", ["X-B"] = "b" },
        request = function(event, request, ctx)
          request.method = "PUT"
          request.query.v = "2"
          request.headers["x-a"] = false
          request.headers["X-C"] = request.body
          request.body = { b = 2, a = ctx.attempt }
        end }]])
      assert.equal("PUT", request.method)
      assert.equal("https://a.example/?a=1&v=2", request.url)
      assert.same({ ["X-B"] = "b", ["X-C"] = '{"a":1}', ["Content-Type"] = "application/json" }, request.headers)
      assert.equal('{"a":1,"b":2}', request.body)
    end)

    it("gives what a hook throws to the caller, with file and line", function()
      local _, status, why = build("return { url = 'https://a.example/',\n request = function()\n error('no') end }")
      assert.equal("ESCRIPT", status)
      assert.truthy(why:find("scripts/acme.lua:3", 1, true), why)
    end)
  end)
end)
