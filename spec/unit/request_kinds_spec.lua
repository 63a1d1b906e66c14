--- The request with secrets in it, of postback, tried without sending; and its own fields.
local ffi = require("ffi")
local script = require("spec.support.script")
local c = require("spec.support.cdef").load()
local request_of = require("spec.support.request")

local slice, text_of = script.slice, script.text_of
local build, built, with = request_of.build, request_of.built, request_of.with

describe("the request", function()
  setup(function()
    assert.equal(c.MP_OK, c.mp_script_watchdog_start())
  end)
  teardown(function()
    c.mp_script_watchdog_stop()
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
      local context, kept = script.context("{}", { id = "0191", attempt = 2 })
      assert(c.mp_request_stamp(request, context, "9") == 0)
      context.attempt = 3
      assert(c.mp_request_stamp(request, context, "8") == 0)
      assert(kept)
      local got = script.read(request)
      assert.same({ "Moonpost-Id", "Moonpost-Attempt", "User-Agent" }, got.order)
      assert.equal("2", got.headers["Moonpost-Attempt"])
      c.mp_request_fini(request)
      assert(text_of)
      return got.headers["User-Agent"]
    end)())
  end)
end)
