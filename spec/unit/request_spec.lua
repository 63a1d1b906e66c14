--- The request of one attempt, from a script and an event: what is sent, and what never is.
local ffi = require("ffi")
local script = require("spec.support.script")
local c = require("spec.support.cdef").load()

local slice, text_of = script.slice, script.text_of

-- The request; or nil, the word or status, and why.
local function build(source, event, more, name)
  local loaded = assert(script.load(source, name))
  local state
  if loaded.has_functions then
    local out = ffi.new("struct mp_script_state *[1]")
    assert(c.mp_script_state_new(loaded, out, nil) == c.MP_OK)
    state = ffi.gc(out[0], c.mp_script_state_free)
  end
  more = more or {}
  more.partner = name
  local context, kept = script.context(event or "{}", more)
  local request = ffi.new("struct mp_request")
  c.mp_request_init(request)
  local verdict, err = ffi.new("struct mp_verdict"), ffi.new("struct mp_error")
  local status = c.mp_request_build(loaded, state, context, request, verdict, err)
  local got = status == c.MP_OK and script.read(request) or nil
  if got and request.body_shown.length > 0 then
    got.body_shown = text_of(c.mp_buf_str(request.body_shown))
  end
  c.mp_request_fini(request)
  assert(kept)
  if status == c.MP_EDEAD then
    return nil, ffi.string(c.mp_verdict_name(verdict.kind)), ffi.string(verdict.why)
  elseif status ~= c.MP_OK then
    return nil, ffi.string(c.mp_status_name(status)), ffi.string(err.text)
  end
  return got
end

local function built(...)
  local request, word, why = build(...)
  assert(request, ("%s: %s"):format(word, why))
  return request
end

-- A script with this url and these fields.
local function with(url, fields)
  return ("return {\n  url = %q,\n  %s\n}\n"):format(url, fields or "")
end

local function url_of(template, event, fields, more)
  return built(with("https://a.example" .. template, fields), event, more).url
end

local function body_of(body, event, fields)
  local request = built(with("https://a.example/", "body = " .. body .. ", " .. (fields or "")), event)
  return request.body, request.headers["Content-Type"]
end

local function assert_dead(why, ...)
  assert.same({ "dead", why }, { select(2, build(...)) })
end

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
      ffi.cdef("int setenv(const char *name, const char *value, int replace);")
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

  describe("with secrets", function()
    it("shows none of them", function()
      ffi.C.setenv("MOONPOST_SECRET_TOKEN", "s3cret/&", 1)
      local request = built([[return { url = "https://a.example/?x={x}&t=" .. secret "token",
        headers = { Authorization = "Bearer " .. secret "token", ["X-Plain"] = "{x}" },
        body = { k = secret "token", x = "{x}" } }]], '{"x":1}')
      assert.truthy(request.url:find("s3cret", 1, true))
      assert.equal("https://a.example/?x=1&t=[secret token]", request.url_shown)
      assert.equal("Bearer s3cret/&", request.headers.Authorization)
      assert.same({ "Bearer [secret token]", "1" }, { request.shown.Authorization, request.shown["X-Plain"] })
      assert.equal('{"k":"s3cret/&","x":1}', request.body)
      assert.equal('{"k":"[secret token]","x":1}', request.body_shown)
    end)

    it("shows none that a function gave", function()
      ffi.C.setenv("MOONPOST_SECRET_TOKEN", "s3cret/&", 1)
      local request = built([[local token = secret "token"
        local function give() return token end
        return { hosts = { "https://a.example" }, url = function() return "https://a.example/" .. token end,
          headers = { ["X-Key"] = give }, form = { k = give, x = "{x}" } }]], '{"x":1}')
      assert.equal("https://a.example/s3cret/&", request.url)
      assert.equal("https://a.example/[secret token]", request.url_shown)
      assert.same({ "s3cret/&", "[secret token]" }, { request.headers["X-Key"], request.shown["X-Key"] })
      assert.same({ "k=s3cret%2F%26&x=1", "k=[secret token]&x=1" }, { request.body, request.body_shown })
      request = built([[local token = secret "token"
        return { url = "https://a.example/", body = function() return "k=" .. token end }]])
      assert.same({ "k=s3cret/&", "k=[secret token]" }, { request.body, request.body_shown })
    end)
  end)

  describe("of postback", function()
    local function postback(method, url, event, source)
      return build(source or "return {}", event, { endpoint_method = method, endpoint_url = url }, "postback")
    end

    it("is the record's own", function()
      local request = postback("GET",
        "http://h.example:81/data?title={mascot}&image={location}&foo={bar}",
        '{"mascot":"Gopher","location":"https://blog.golang.org/gopher/gopher.png"}')
      assert.equal("GET", request.method)
      assert.equal("http://h.example:81/data?title=Gopher&image=https%3A%2F%2Fblog.golang.org%2Fgopher%2Fgopher.png&foo=",
        request.url)
      assert.is_nil(request.body)
      request = postback("POST", "https://h.example/{ctx.id}", '{"a":1.50}')
      assert.same({ "POST", "https://h.example/0191-id", '{"a":1.50}' }, { request.method, request.url, request.body })
    end)

    it("drops empty parameters and takes defaults when its script says so", function()
      local url, event = "http://h.example/?a={a}&b={b}&c={c}&d={d}", '{"b":1,"c":""}'
      assert.equal("http://h.example/?a=&b=1&c=&d=", postback("GET", url, event).url)
      assert.equal("http://h.example/?b=1&d=D", postback("GET", url, event, 'return { missing = "drop", defaults = { d = "D" } }').url)
      assert.equal("http://h.example/?a=&b=1&c=&d=", postback("GET", url, event).url)
    end)

    it("has no body with GET and HEAD, whatever the script declares", function()
      local source = 'return { body = { a = "{a}" } }'
      for _, method in ipairs({ "GET", "HEAD" }) do
        local request = postback(method, "https://h.example/", '{"a":1}', source)
        assert.same({ method }, { request.method, request.body, request.headers["Content-Type"] })
      end
      assert.equal('{"a":1}', postback("DELETE", "https://h.example/", '{"a":1}', source).body)
    end)

    it("takes many templates, one after another and again", function()
      for _ = 1, 2 do
        for n = 1, 600 do
          local request = postback("GET", ("https://h%d.example/?x={x}"):format(n), '{"x":' .. n .. "}")
          assert.equal(("https://h%d.example/?x=%d"):format(n, n), request.url)
        end
      end
    end)

    it("is dead when its url can never be one", function()
      for _, url in ipairs({ "", "https://{x}.example/", "ftp://h.example", "https://u@h.example/", "https://h.example/{x" }) do
        local request, word, why = postback("GET", url, '{"x":1}')
        assert.is_nil(request)
        assert.equal("dead", word)
        assert.truthy(why:find("endpoint", 1, true), why)
      end
    end)

    it("does not climb either", function()
      assert.same({ "dead", "path would climb" }, { select(2, postback("GET", "https://h.example/{+x}", '{"x":"../.."}')) })
    end)
  end)

  describe("tried", function()
    local function try(source, event, attempt)
      local loaded = assert(script.load(source))
      local t = ffi.new("struct mp_try")
      c.mp_request_init(t.request)
      local partner = "acme"
      t.partner, t.event, t.attempt = slice(partner), slice(event), attempt or 1
      c.mp_request_try(loaded, nil, t)
      local got = { status = t.status, reason = ffi.string(t.reason), generation = ffi.string(t.generation),
                    retry = {}, request = t.status == c.MP_OK and script.read(t.request) }
      for i = 0, tonumber(t.retry_count) - 1 do
        got.retry[#got.retry + 1] = tonumber(t.retry_ms[i])
      end
      c.mp_request_fini(t.request)
      return got, ffi.string(loaded.generation)
    end
    local source = with("https://a.example/?n={ctx.attempt}", 'retry = { schedule = { "1s", "5s", "1m" } }')

    it("is the exact request with the timetable that follows", function()
      local got, generation = try(source, "{}", 2)
      assert.equal(c.MP_OK, got.status)
      assert.equal("https://a.example/?n=2", got.request.url)
      assert.equal("2", got.request.headers["Moonpost-Attempt"])
      assert.equal(36, #got.request.headers["Moonpost-Id"])
      assert.truthy(got.request.headers["User-Agent"]:find("^Moonpost/%d"))
      assert.same({ 5000, 60000 }, got.retry)
      assert.equal(generation, got.generation)
      assert.same({ 1000, 5000, 60000 }, try(source, "{}", 1).retry)
      assert.same({}, try(source, "{}", 4).retry)
      assert.same({}, try(source, "{}", 1000).retry)
    end)

    it("says why there is none", function()
      local got = try(with("https://a.example/", 'required = { "a" }'), "{}")
      assert.same({ c.MP_EDEAD, "dead: missing a" }, { got.status, got.reason })
    end)
  end)
end)

describe("the request's own fields", function()
  it("are there once, and a script's own come first", function()
    assert.equal("Moonpost/9", (function()
      local request = ffi.new("struct mp_request")
      c.mp_request_init(request)
      local record = ffi.new("struct mp_record")
      local id = "0191"
      record.id = slice(id)
      ffi.cdef([[int mp__request_stamp(struct mp_request *request, const struct mp_record *record,
        uint32_t attempt, const char *version);]])
      assert(c.mp__request_stamp(request, record, 2, "9") == 0)
      assert(c.mp__request_stamp(request, record, 3, "8") == 0)
      local got = script.read(request)
      assert.same({ "Moonpost-Id", "Moonpost-Attempt", "User-Agent" }, got.order)
      assert.equal("2", got.headers["Moonpost-Attempt"])
      c.mp_request_fini(request)
      assert(text_of)
      return got.headers["User-Agent"]
    end)())
  end)
end)
