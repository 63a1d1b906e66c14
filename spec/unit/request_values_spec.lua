--- What a script's values come to: vars, by, markers, in every place they may stand.
local ffi = require("ffi")
local c = require("spec.support.cdef").load()
local script = require("spec.support.script")
local request_of = require("spec.support.request")

local build, built, with, url_of, body_of, assert_dead = request_of.build, request_of.built, request_of.with,
  request_of.url_of, request_of.body_of, request_of.assert_dead

-- Of "gopher@example.com".
local HASH = "63335fdbb3c4037a2139230470ec3078074fff2dd8e361f30039a79a6c58d72b"

local function in_a(fields, event, more)
  return built(with("https://a.example/", fields), event, more)
end

local function vars(text)
  return "vars = { " .. text .. " }"
end

describe("the request's values", function()
  setup(function()
    assert.equal(c.MP_OK, c.mp_script_watchdog_start())
    ffi.C.setenv("MOONPOST_SECRET_TOKEN", "s3cret/&", 1)
  end)
  teardown(function()
    c.mp_script_watchdog_stop()
  end)

  describe("vars", function()
    it("win over the event's keys, not over ctx", function()
      assert.equal("https://a.example/?a=v1&b=2&id=0191-id",
        url_of("/?a={a}&b={b}&id={ctx.id}", '{"a":1,"b":2}', vars('a = "v{a}"')))
    end)

    it("stand in every place", function()
      local request = in_a([=[headers = { ["X-A"] = "{a}", ["X-B"] = "b{a}" }, body = { a = "{a}", b = "b{a}", n = "{n}" },
        vars = { a = "x {e}", n = "{n}" }]=], '{"e":"é","n":1.50}')
      assert.same({ "x é", "bx é" }, { request.headers["X-A"], request.headers["X-B"] })
      assert.equal('{"a":"x é","b":"bx é","n":1.50}', request.body)
      assert.equal("a=x+y&b=x+y.", in_a('form = { a = "{a}", b = "{a}." }, vars = { a = "x {e}" }', '{"e":"y"}').body)
    end)

    it("are reached into when they are a list or an object", function()
      assert.equal("https://a.example/?a=1&b=7&c=", url_of("/?a={u.id}&b={u.items.0}&c={u.x}", '{"o":{"id":1,"items":[7]},"u":{"x":9}}',
        vars('u = "{o}"')))
      assert.equal("https://a.example/?a=1", url_of("/?a={u.id}", '{"u":{"id":9}}',
        vars("u = function(event) return { id = 1 } end")))
    end)

    it("are found by the whole name first, then by the longest", function()
      local two = vars('["u.v"] = "{o}", u = "{p}", ["u.v.x"] = "whole"')
      assert.equal("https://a.example/?whole,1,2,", url_of("/?{u.v.x},{u.v.y},{u.z},{u.v.z}",
        '{"o":{"x":0,"y":1},"p":{"v":{"z":3},"z":2}}', two))
    end)

    it("that are text are not reached into; one that is missing is missing inside", function()
      assert.equal("https://a.example/?9", url_of("/?{u.id}", '{"u":{"id":9}}', vars('u = "text"')))
      assert.equal("https://a.example/?", url_of("/?{u.id}", '{"u":{"id":9}}', vars('u = "{gone}"')))
      assert.equal("https://a.example/?", url_of("/?{u.id}", '{"u":{"id":9}}', vars("u = function() end")))
      assert.equal("https://a.example/?", url_of("/?{u}", '{"u":9}', vars("u = function() end")))
    end)

    it("see the event, ctx and defaults, and no other var", function()
      assert.equal("https://a.example/?a=1-ZZ-0191-id-2&b=B", url_of("/?a={a}&b={b}", '{"a":1,"b":2}',
        vars('a = "{a}-{geo}-{ctx.id}-{b}", b = "B"') .. ', defaults = { geo = "ZZ" }'))
    end)

    it("that are missing take a default", function()
      assert.equal("https://a.example/?a=5&b=6", url_of("/?a={a}&b={b}", '{"a":1}',
        vars('a = "{gone}", b = function() end') .. ", defaults = { a = 5, b = 6 }"))
    end)

    it("keep null a null in JSON, and count as missing for required and in templates", function()
      assert.equal('{"a":null}', (body_of('{ a = "{v}", b = "{w}" }', '{"n":null}', vars('v = "{n}", w = "{gone}"'))))
      assert.equal("https://a.example/?a=", url_of("/?a={v}", '{"n":null,"v":1}', vars('v = "{n}"')))
      assert_dead("missing v", with("https://a.example/", 'required = { "v" }, ' .. vars('v = "{n}"')), '{"v":1}')
      assert.equal("https://a.example/", url_of("/", '{"n":1}', 'required = { "v" }, ' .. vars('v = "{n}"')))
    end)

    it("call functions once a build, in order of name, after accepts and before the url", function()
      local source = [[local calls = {}
        local function note(name) return function() calls[#calls + 1] = name return name end end
        return { hosts = { "https://a.example" }, vars = { c = note "c", a = note "a", b = "{x}" },
          accepts = function() note "accepts" () return true end,
          url = function() note "url" () return "https://a.example/" end,
          body = { a = "{a}", again = "{a}", calls = function() return table.concat(calls, " ") end } }]]
      assert.equal('{"a":"a","again":"a","calls":"accepts a c url"}', built(source).body)
    end)

    it("call no function for an event that is not wanted", function()
      local throws = 'vars = { a = function() error("called") end }'
      assert_dead("missing b", with("https://a.example/", 'required = { "b" }, ' .. throws))
      assert.same({ "skipped", "no" }, { select(2, build(with("https://a.example/",
        'accepts = function() return false, "no" end, ' .. throws))) })
    end)

    it("that required names are made then", function()
      assert_dead("missing a", with("https://a.example/", 'required = { "a" }, vars = { a = function(event) return event.x end }'))
      assert.equal("https://a.example/?7", url_of("/?{a}", '{"x":7}', 'required = { "a" }, vars = { a = function(event) return event.x end }'))
    end)

    it("that throw, or are no number, end the build", function()
      local _, status, why = build("return { url = 'https://a.example/{a}',\n vars = { a = function()\n error('no') end } }")
      assert.equal("ESCRIPT", status)
      assert.truthy(why:find("scripts/acme.lua:3", 1, true), why)
      assert.equal("ESCRIPT", (select(2, build(with("https://a.example/", 'vars = { unused = function() error("no") end }')))))
      for _, fields in ipairs({ 'headers = { ["X-A"] = "{n}" }', 'headers = { ["X-A"] = "a{n}" }', 'body = { "{n}" }',
        'body = { "a{n}" }', 'form = { a = "{n}" }', 'form = { a = text "{n}" }', 'required = { "n" }', 'max_age = { "1d", of = "n" }',
        'body = { a = by("n", { x = 1 }) }', 'body = xml "<a>{n}</a>"', 'body = { json.string { "{n}" } }' }) do
        assert_dead("x is no number", with("https://a.example/", fields .. ', vars = { n = number "{x}" }'), '{"x":"a"}')
      end
      assert_dead("x is no number", with("https://a.example/{n}", 'vars = { n = number "{x}" }'), '{"x":"a"}')
    end)
  end)

  describe("by", function()
    it("chooses by a string, a number as it was sent, true and false", function()
      local fields = vars('v = by("k", { ["a/"] = "slash", ["1.50"] = "number", ["true"] = "yes", ["false"] = "no", [""] = "empty", [7] = "seven" }, "else")')
      for event, want in pairs({ ['"a/"'] = "slash", ['"\\u0061\\/"'] = "slash", ["1.50"] = "number", ['"1.50"'] = "number",
        ["1.5"] = "else", ["true"] = "yes", ["false"] = "no", ['""'] = "empty", ["7"] = "seven", ["null"] = "else", ["[]"] = "else",
        ['["a/"]'] = "else", ['{"a/":1}'] = "else", ['"zz"'] = "else", ['"a"'] = "else" }) do
        assert.equal("https://a.example/?" .. want, url_of("/?{v}", '{"k":' .. event .. "}", fields))
      end
      assert.equal("https://a.example/?else", url_of("/?{v}", "{}", fields))
    end)

    it("finds each of many cases, and none between them", function()
      local cases = {}
      for n = 1, 99, 2 do
        cases[#cases + 1] = ("k%02d = \"v%d\""):format(n, n)
      end
      local fields = vars('v = by("k", { ' .. table.concat(cases, ", ") .. " })")
      local loaded = assert(script.load(with("https://a.example/?{v}", fields)))
      assert.is_false(loaded.has_functions)
      for n = 0, 100, 7 do
        assert.equal("https://a.example/?" .. (n % 2 == 1 and "v" .. n or ""), url_of("/?{v}", ('{"k":"k%02d"}'):format(n), fields))
      end
    end)

    it("without a default is missing where nothing is chosen", function()
      local request = in_a([=[headers = { ["X-A"] = by("k", { a = "A" }) }, body = { v = by("k", { a = 1 }), w = 2, t = { by("k", { a = { 3 } }) } }]=],
        '{"k":"b"}')
      assert.is_nil(request.headers["X-A"])
      assert.equal('{"w":2}', request.body)
      assert.equal("b=1", in_a('form = { a = by("k", { a = "A" }), b = 1 }').body)
    end)

    it("gives templates, tables, functions and other choices", function()
      local body = [[{ v = by("k", { t = "<{x}>", o = { x = "{x}", y = { "{none}" } }, f = function(event) return { event.x } end,
        b = by("x", { ["1"] = "one" }, json.null) }) }]]
      assert.equal('{"v":"<1>"}', (body_of(body, '{"k":"t","x":1}')))
      assert.equal('{"v":{"x":1}}', (body_of(body, '{"k":"o","x":1}')))
      assert.equal('{"v":[1]}', (body_of(body, '{"k":"f","x":1}')))
      assert.equal('{"v":"one"}', (body_of(body, '{"k":"b","x":1}')))
      assert.equal('{"v":null}', (body_of(body, '{"k":"b","x":2}')))
    end)

    it("may be the whole body", function()
      local tables = 'by("k", { a = { a = "{x}" }, b = { "{x}" } })'
      assert.same({ '{"a":1}', "application/json" }, { body_of(tables, '{"k":"a","x":1}') })
      assert.same({ "[1]", "application/json" }, { body_of(tables, '{"k":"b","x":1}') })
      assert.is_nil((body_of(tables, '{"k":"c","x":1}')))
      local texts = 'by("k", { a = xml "<a>{x}</a>", b = text "b={x}" }, "plain")'
      assert.same({ "<a>1</a>", "application/xml" }, { body_of(texts, '{"k":"a","x":1}') })
      assert.same({ "b=1", "text/plain; charset=utf-8" }, { body_of(texts, '{"k":"b","x":1}') })
      assert.same({ "plain", "text/plain; charset=utf-8" }, { body_of(texts, '{"x":1}') })
    end)

    it("may have a function for its key, called once", function()
      local source = [[local n = 0
        return { url = "https://a.example/?{v}&{v}&{n}", vars = {
          v = by(function(event, ctx) n = n + 1 return event.k end, { a = "A", ["17"] = "number", ["true"] = "yes" }, "else"),
          n = function() return n end } }]]
      for event, want in pairs({ ['"a"'] = "A", ["17"] = "number", ["true"] = "yes", ["null"] = "else", ['{"a":1}'] = "else" }) do
        assert.equal(("https://a.example/?%s&%s&0"):format(want, want), built(source, '{"k":' .. event .. "}").url)
      end
    end)

    it("looks at vars, and may stand in them", function()
      assert.equal("https://a.example/?B", url_of("/?{w}", '{"k":"x"}', vars('k = by("k", { x = "b" }), w = by("k", { x = "B" })')))
      assert.equal('{"a":"B"}', (body_of('{ a = by("k", { b = "B" }) }', '{"k":"x"}', vars('k = by("k", { x = "b" })'))))
    end)

    it("chooses a url, template or not, and keeps it from climbing", function()
      local source = [[return { url = by("geo", { DE = "https://eu.a.example/{x}", FR = "https://fr.a.example/../p",
        XX = function() return "https://eu.a.example/f" end }), hosts = { "https://x.example" } }]]
      assert.equal("https://eu.a.example/1", built(source, '{"geo":"DE","x":1}').url)
      assert.equal("https://fr.a.example/../p", built(source, '{"geo":"FR"}').url)
      assert.equal("https://eu.a.example/f", built(source, '{"geo":"XX"}').url)
      assert_dead("path would climb", source, '{"geo":"DE","x":".."}')
      assert_dead("no url for geo", source, '{"geo":"US"}')
      assert_dead("no url for geo", source, "{}")
      assert_dead("no url for this event", 'return { url = by(function() end, { a = "https://a.example/" }) }')
      assert_dead("host not declared", [[return { url = by("geo", { DE = "https://eu.a.example/" }),
        request = function(event, request) request.url = "https://us.a.example/" end }]], '{"geo":"DE"}')
    end)
  end)

  describe("markers", function()
    local function member(value, event, fields)
      return (body_of("{ v = " .. value .. ", k = 0 }", event, fields)):match('^{"k":0,?(.*)}$')
    end

    it("text is a string, whatever was sent", function()
      for event, want in pairs({ ["1.50"] = '"1.50"', ["true"] = '"true"', ['"a\\n"'] = '"a\\n"', ['{"a":"b"}'] = [["{\"a\":\"b\"}"]],
        ['[1, 2]'] = '"[1, 2]"', ['""'] = '""' }) do
        assert.equal('"v":' .. want, member('text "{x}"', '{"x":' .. event .. "}"))
      end
      assert.equal('"v":"1-2"', member('text "{x}-{y}"', '{"x":1,"y":2}'))
    end)

    it("number is a number digit for digit, or the delivery is dead", function()
      for event, want in pairs({ ["1.50"] = "1.50", ['"1.50"'] = "1.50", ['"-0"'] = "-0", ['"12345678901234567890"'] = "12345678901234567890",
        ['"1e400"'] = "1e400", ['"\\u0031"'] = "1" }) do
        assert.equal('"v":' .. want, member('number "{x}"', '{"x":' .. event .. "}"))
      end
      assert.equal('"v":100', member('number "{x}00"', '{"x":1}'))
      for _, event in ipairs({ '"a"', '""', '" 1"', '"1 "', '"01"', '"+1"', '"1."', '"0x1"', '"NaN"', "true", "[1]", '{"a":1}', '"1,5"', '"\\"1\\""' }) do
        assert_dead("x.y is no number", with("https://a.example/", 'body = { v = number "{x.y}" }'), '{"x":{"y":' .. event .. "}}")
      end
      assert_dead("x is no number", with("https://a.example/", 'body = { v = number "{x}{y}" }'), '{"x":"1","y":"z"}')
    end)

    it("hashed is trimmed, lower case, SHA-256", function()
      for _, event in ipairs({ '"gopher@example.com"', '" Gopher@Example.COM\\n"', '"\\t\\u0047opher@example.com\\r\\f\\u000b"' }) do
        assert.equal('"v":"' .. HASH .. '"', member('hashed "{x}"', '{"x":' .. event .. "}"))
      end
      assert.equal('"v":"' .. HASH .. '"', member('hashed "{x}@{y}"', '{"x":" GOPHER","y":"example.com "}'))
      assert.equal('"v":"' .. HASH .. '"', member('hashed "Gopher@example.com"', "{}"))
      -- "ärger", and 15551234567 as a number.
      assert.equal('"v":"55fb019d0ed8ebe9e13ba186c28a9dfe8f4e9f5bf91c4a88fa2b8bceb39a3dff"', member('hashed "{x}"', '{"x":"ÄRGER"}'))
      assert.equal('"v":"d6736136ea896c1bfdc553e0e86e702c70d060d805696ca3e4e9e0961353860a"', member('hashed "{x}"', '{"x":15551234567}'))
    end)

    it("of a missing value is missing, in every place", function()
      for _, event in ipairs({ "{}", '{"x":null}', '{"x":[]}', '{"x":{}}' }) do
        for _, mark in ipairs({ "text", "number", "hashed" }) do
          assert.equal("", member(mark .. ' "{x}"', event))
          assert.equal("", member("{ " .. mark .. ' "{x}" }', event))
          assert.equal("b=1", in_a('form = { a = ' .. mark .. ' "{x}", b = 1 }', event).body)
          assert.is_nil(in_a('headers = { ["X-A"] = ' .. mark .. ' "{x}" }', event).headers["X-A"])
          assert.equal("https://a.example/?a=", url_of("/?a={v}", event, vars("v = " .. mark .. ' "{x}"')))
          assert.is_nil(in_a("body = " .. mark .. ' "{x}"', event).body)
        end
        assert.equal("", member('hashed "a{x}"', event))
      end
      assert.equal('"v":"-"', member('text "{x}-{y}"', '{"x":null}'))
      assert.equal('"v":"1-"', member('text "{x}-{y}"', '{"x":1}'))
      assert.equal("", member('hashed "{x}"', '{"x":" \\n "}'))
      assert.equal("", member('hashed "{x}{y}"', "{}"))
      assert.equal('"v":"5"', member('text "{x}"', '{"x":null}', "defaults = { x = 5 }"))
    end)

    it("stand in forms, headers, text and vars", function()
      local event = '{"n":"1.50","e":" Gopher@Example.com ","o":{"a":1}}'
      assert.equal("e=" .. HASH .. "&n=1.50&o=%7B%22a%22%3A1%7D",
        in_a('form = { n = number "{n}", e = hashed "{e}", o = text "{o}" }', event).body)
      local headers = in_a([=[headers = { ["X-N"] = number "{n}", ["X-E"] = hashed "{e}", ["X-X"] = xml "<{e}>" }]=], event).headers
      assert.same({ "1.50", HASH, "< Gopher@Example.com >" }, { headers["X-N"], headers["X-E"], headers["X-X"] })
      assert.same({ HASH, "text/plain; charset=utf-8" }, { body_of('hashed "{e}"', event) })
      assert.same({ "1.50", "text/plain; charset=utf-8" }, { body_of('number "{n}"', event) })
      assert.same({ 'o={"a":1}', "text/plain; charset=utf-8" }, { body_of('text "o={o}"', event) })
      assert.equal("https://a.example/?" .. HASH .. ",1.50", url_of("/?{h},{n}", event, vars('h = hashed "{e}", n = number "{n}"')))
      assert.equal('{"n":1.50}', (body_of('{ n = "{n}" }', event, vars('n = number "{n}"'))))
    end)

    it("xml escapes values in a body, and is missing nowhere", function()
      local body, type = body_of('xml [[<a b="{x}">{y}{z}</a>]]', '{"x":"<&>\\"\'\\n\\u0000","y":1.50,"z":null}')
      assert.same({ '<a b="&lt;&amp;&gt;&quot;&#39;&#10;\239\191\189">1.50</a>', "application/xml" }, { body, type })
      assert.same({ "<ping/>", "application/xml" }, { body_of('xml "<ping/>"') })
      assert.equal('"v":"<a>&lt;</a>"', member('xml "<a>{x}</a>"', '{"x":"<"}'))
      assert.equal('"v":"&lt;"', member('xml "{x}"', '{"x":"<"}'))
      assert.equal("", member('xml "{x}"', "{}"))
      assert.equal("a=%3Ca%3E%26amp%3B%3C%2Fa%3E", in_a('form = { a = xml "<a>{x}</a>" }', '{"x":"&"}').body)
    end)

    it("json.string is JSON in a string, keys sorted, nested, and missing when emptied", function()
      assert.equal([["v":"{\"a\":\"x\\\"\",\"b\":[1.50,\"{\\\"c\\\":1}\"]}"]],
        member('json.string { b = { "{n}", json.string { c = 1, d = "{none}" } }, a = "{s}" }', '{"n":1.50,"s":"x\\""}'))
      assert.equal("", member('json.string { a = "{x}", b = { "{y}" }, c = json.string { "{x}" } }'))
      assert.equal('"v":"{}"', member("json.string {}"))
      assert.equal("a=%7B%22x%22%3A1%7D&b=1", in_a('form = { a = json.string { x = "{x}" }, c = json.string { "{y}" }, b = 1 }', '{"x":1}').body)
      assert.equal('{"x":1}', in_a([=[headers = { ["X-A"] = json.string { x = "{x}" } }]=], '{"x":1}').headers["X-A"])
      assert.equal("https://a.example/?%7B%22x%22%3A1%7D", url_of("/?{v}", '{"x":1}', vars('v = json.string { x = "{x}" }')))
      assert.equal([["v":"{\"f\":[1]}"]], member("json.string { f = function() return { 1 } end }"))
    end)

    it("literal keeps its braces", function()
      assert.equal('"v":"{x}"', member('literal "{x}"', '{"x":1}'))
      assert.equal("{x}", in_a([=[headers = { ["X-A"] = literal "{x}" }]=]).headers["X-A"])
      local request = in_a('body = { v = literal("{\\"" .. secret "token") }')
      assert.same({ '{"v":"{\\"s3cret/&"}', '{"v":"{\\"[secret token]"}' }, { request.body, request.body_shown })
    end)

    it("ask no Lua", function()
      local loaded = assert(script.load(with("https://a.example/{v}", [=[headers = { ["X-A"] = by("k", { a = text "{x}" }, "{y}") },
        vars = { v = by("k", { a = number "{x}" }), h = hashed "{e}" },
        body = { a = json.string { "{h}" }, b = xml "<{x}>", c = by("k", { a = { "{v}" } }) }]=])))
      assert.is_false(loaded.has_functions)
    end)
  end)

  describe("with secrets", function()
    it("show none of them, in whatever they stand", function()
      local request = in_a([=[
        vars = { t = "k" .. secret "token", f = function() return secret "token" end, o = "{x}",
          c = by("x", { ["1"] = "c" .. secret "token" }), s = json.string { a = secret "token" } },
        headers = { ["X-V"] = "{t}", ["X-T"] = "a{f}", ["X-B"] = by("x", { ["1"] = "b{t}" }), ["X-M"] = text "{f}" },
        body = { v = "{t}", t = "a{f}", m = text "{t}", h = hashed "{t}", x = xml("<a>{f}</a>" .. secret "token"), j = json.string { "{t}" },
          c = "{c}", s = "{s}", o = "{o}", ho = hashed "{o}" }]=], '{"x":1}')
      assert.same({ "ks3cret/&", "as3cret/&", "bks3cret/&", "s3cret/&" },
        { request.headers["X-V"], request.headers["X-T"], request.headers["X-B"], request.headers["X-M"] })
      assert.same({ "k[secret token]", "a[secret token]", "bk[secret token]", "[secret token]" },
        { request.shown["X-V"], request.shown["X-T"], request.shown["X-B"], request.shown["X-M"] })
      assert.truthy(request.body:find('"x":"<a>s3cret/&amp;</a>s3cret/&amp;"', 1, true), request.body)
      local one = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"
      assert.equal('{"c":"c[secret token]","h":"k[secret token]","ho":"' .. one .. '","j":"[\\"k[secret token]\\"]",'
        .. '"m":"k[secret token]","o":1,"s":"{\\"a\\":\\"[secret token]\\"}","t":"a[secret token]","v":"k[secret token]",'
        .. '"x":"<a>[secret token]</a>[secret token]"}', request.body_shown)
    end)

    it("show none in urls, forms and text", function()
      local request = built(with("https://a.example/?v={t}&m={h}", 'vars = { t = secret "token", h = hashed(secret "token") }'))
      assert.truthy(request.url:find("^https://a.example/%?v=s3cret%%2F%%26&m=%x+$"), request.url)
      assert.equal("https://a.example/?v=%5Bsecret%20token%5D&m=%5Bsecret%20token%5D", request.url_shown)
      request = in_a('form = { a = "{t}", b = text "{t}", c = number "{n}", d = "d{t}" }, vars = { t = secret "token" }', '{"n":1}')
      assert.equal("a=s3cret%2F%26&b=s3cret%2F%26&c=1&d=ds3cret%2F%26", request.body)
      assert.falsy(request.body_shown:find("s3cret", 1, true))
      request = in_a('body = xml("<a>{x}</a>" .. secret "token")', '{"x":"<"}')
      assert.same({ "<a>&lt;</a>s3cret/&amp;", "<a>&lt;</a>[secret token]" }, { request.body, request.body_shown })
    end)

    it("give no prefix of one, byte by byte it could be guessed", function()
      for _, url in ipairs({ "https://a.example/{v:3}", "https://a.example/{?v:1}", "https://a.example/?v={v:2}" }) do
        for _, var in ipairs({ 'v = secret "token"', 'v = "x" .. secret "token"', 'v = function() return secret "token" end' }) do
          assert_dead("url: a prefix, as in {x:3}, of a list, an object or a secret", with(url, "vars = { " .. var .. ' }, missing = "drop"'), "{}")
        end
      end
      assert.equal("https://a.example/abc", built(with("https://a.example/{v:3}", 'vars = { v = "{x}" }, headers = { A = secret "token" }'), '{"x":"abcdef"}').url)
    end)
  end)

  describe("max_age", function()
    local DAY = 86400000
    local now = 1700000000000 + 8 * DAY

    local function expired(fields, event, more)
      more.now_ms = now
      local request, word, why = build(with("https://a.example/", fields), event, more)
      return not request and word .. ": " .. why
    end

    it("counts from the acceptance", function()
      assert.equal("dead: expired", expired('max_age = "7d"', "{}", { first_ms = now - 7 * DAY - 1 }))
      assert.is_false(expired('max_age = "7d"', "{}", { first_ms = now - 7 * DAY }))
      assert.is_false(expired("", "{}", { first_ms = 0 }))
    end)

    it("counts from a field when it is a moment, else from the acceptance", function()
      local of = 'max_age = { "7d", of = "at.time" }'
      for event, want in pairs({
        ['"2023-11-15T22:13:19Z"'] = "dead: expired", ['"2023-11-16T22:13:20Z"'] = false,
        ["1700000000"] = "dead: expired", ["1700600000"] = false, ["1700000000000"] = "dead: expired", ['"1700600000"'] = false,
        ['"2023-11-15T22:13:19\\u005a"'] = "dead: expired",
        ['"soon"'] = false, ["null"] = false, ["{}"] = false, ["[1]"] = false, ['""'] = false }) do
        assert.equal(want, expired(of, '{"at":{"time":' .. event .. "}}", { first_ms = now }), event)
      end
      assert.is_false(expired(of, "{}", { first_ms = now }))
      assert.equal("dead: expired", expired(of, '{"at":{"time":"soon"}}', { first_ms = now - 8 * DAY }))
    end)

    it("looks at vars and defaults", function()
      assert.equal("dead: expired", expired('max_age = { "7d", of = "t" }, vars = { t = "{x}" }', '{"x":1700000000}', { first_ms = now }))
      assert.equal("dead: expired", expired('max_age = { "7d", of = "t" }, defaults = { t = 1700000000 }', "{}", { first_ms = now }))
    end)

    it("comes before what is required and accepted", function()
      assert.equal("dead: expired", expired('max_age = "7d", required = { "a" }, accepts = function() error("called") end', "{}",
        { first_ms = 0 }))
    end)
  end)
end)
