--- moonpost.testing: what the spec of a partner has in hand.
local uv = require("luv")
local runtime = require("spec.support.runtime")
local testing = require("moonpost.testing")

local ID = "00000000-0000-7000-8000-00000000000"

local function write(text, name)
  local path = ("%s/%s.lua"):format(runtime.folder(), name or "acme")
  runtime.write_file(path, text)
  return path
end

local function partner(text, options)
  return assert(testing.partner(write(text), options))
end

local function get(rest)
  return partner('return { url = "https://acme.example/pb?id={id}", ' .. (rest or "") .. " }")
end

describe("testing.partner", function()
  after_each(runtime.clean)

  it("gives nil and the script's file and line when it does not load", function()
    local path = write('return {\n  url = "https://acme.example/",\n  hedaers = {},\n}\n')
    local acme, why = testing.partner(path)
    assert.is_nil(acme)
    assert.equal(path .. ":3: unknown key `hedaers`: did you mean `headers`?", why)
    acme, why = testing.partner(path .. ".gone.lua")
    assert.is_nil(acme)
    assert.matches("could not open .*No such file", why)
    assert.matches("named <partner>%.lua", select(2, testing.partner("spec/README.md")))
  end)

  it("finds the script from the spec's folder upward, wherever busted was started", function()
    local folder = runtime.folder()
    uv.fs_mkdir(folder .. "/scripts", 493)
    runtime.write_file(folder .. "/scripts/acme.lua", 'return { url = "https://found.example/" }')
    local spec = assert(loadstring([[return (require("moonpost.testing").partner("scripts/acme.lua"))]],
                                   "@" .. folder .. "/scripts/spec/acme_spec.lua"))
    assert.equal("found.example", spec():render({}).host)
  end)

  it("knows the secrets it is given, and invents the others", function()
    local acme = partner([[return { url = "https://acme.example/?a=" .. secret "one" .. "&b=" .. secret "two" }]],
                         { secrets = { one = "1st" } })
    assert.same({ a = "1st", b = "test-two" }, acme:render({}).query)
  end)

  it("takes its clock and id from the options", function()
    local text = [[return { url = "https://acme.example/", headers = {
      Id = "{ctx.id}", Now = function() return tostring(time.now()) end, Seen = "{ctx.received_at}" } }]]
    local headers = partner(text, { now = "2026-01-02T03:04:05Z", id = "x" }):render({}).headers
    assert.same({ "x", "1767323045", "1767323045" }, { headers.Id, headers.Now, headers.Seen })
    assert.equal("1767323045", partner(text, { now = 1767323045 }):render({}).headers.now)
  end)

  it("throws what the spec got wrong", function()
    local path = write('return { url = "https://acme.example/" }')
    local function throws(pattern, ...)
      local ok, why = pcall(...)
      assert.is_false(ok)
      assert.matches(pattern, why)
    end
    local acme = testing.partner(path)
    throws("options has no `secret`", testing.partner, path, { secret = {} })
    throws("today is no time", testing.partner, path, { now = "today" })
    throws("ctx has no `atempt`", acme.render, acme, {}, { atempt = 2 })
    throws("no JSON object: line 1, column 2", acme.render, acme, "{]")
    throws("no JSON object: it is no object", acme.render, acme, "[]")
    throws("not a number", acme.render, acme, 1)
    throws("it.a mixes a list and names", acme.render, acme, { a = { 1, x = 2 } })
    throws("a response has no `code`", acme.verdict, acme, { code = 200 })
    throws('no error "time_out": timeout', acme.verdict, acme, "time_out")
    throws("there are no answers", acme.deliver, acme, {}, {})
    throws("no answer to request 1", acme.deliver, acme, {}, function() end)
    throws("is no time", testing.time, "yesterday")
  end)
end)

describe("testing's values", function()
  after_each(runtime.clean)

  it("reach the partner as they were sent", function()
    local acme = partner('return { url = "https://acme.example/{n}" }')
    assert.equal("https://acme.example/1.50", acme:render({ n = testing.raw("1.50") }).url)
    assert.equal("https://acme.example/12345678901234567890", acme:render('{"n":12345678901234567890}').url)
    assert.equal("https://acme.example/0.1", acme:render({ n = 0.1 }).url)
    assert.equal("https://acme.example/1000000", acme:render({ n = 1e6 }).url)
    assert.equal("https://acme.example/", acme:render({ n = testing.null }).url)
  end)

  it("are written as JSON with sorted keys", function()
    local acme = partner('return { url = "https://acme.example/", method = "POST" }')
    local event = { b = { 1, true, { z = "\1\"\\\n", a = {} } }, a = "é/" }
    assert.equal([[{"a":"é/","b":[1,true,{"a":{},"z":"\u0001\"\\\n"}]}]], acme:render(event).body)
  end)

  it("tell a moment in seconds", function()
    assert.equal(1767323045.25, testing.time("2026-01-02T04:04:05.250+01:00"))
  end)
end)

describe("render", function()
  after_each(runtime.clean)

  it("shows a GET with its host, query and headers", function()
    local acme = partner([[return { url = "HTTPS://Acme.Example:8443/p?a={a}&l=1&l={b}#f", headers = { ["X-A"] = "{a}" } }]])
    local request = assert(acme:render({ a = "x y&", b = "ü" }))
    assert.equal("GET", request.method)
    assert.equal("HTTPS://Acme.Example:8443/p?a=x%20y%26&l=1&l=%C3%BC#f", request.url)
    assert.equal("acme.example:8443", request.host)
    assert.same({ a = "x y&", l = { "1", "ü" } }, request.query)
    assert.equal("x y&", request.headers["x-a"])
    assert.equal(ID .. "1", request.headers["moonpost-id"])
    assert.is_nil(request.body)
    assert.equal("acme.example", get():render({}).host)
  end)

  it("decodes bodies of JSON and forms by their type", function()
    local json = partner('return { url = "https://a.example/", body = { n = "{n}", s = "{s}" } }')
    assert.same({ n = 1.5, s = "x" }, json:render({ n = 1.5, s = "x" }).json)
    local form = partner('return { url = "https://a.example/", form = { a = "{a}", b = "1" } }'):render({ a = "x y&é" })
    assert.same({ a = "x y&é", b = "1" }, form.form)
    assert.is_nil(form.json)
    assert.matches("a=x", form.body, 1, true)
  end)

  it("gives nil, why and what becomes of the event when nothing is sent", function()
    local acme = get([[required = { "id" }, accepts = function(event)
      if event.bad then error("oh") end return event.ok == true, "not ok" end]])
    assert.same({ "missing id", "dead" }, { select(2, acme:render({})) })
    assert.same({ "not ok", "skipped" }, { select(2, acme:render({ id = 1 })) })
    local request, why, what = acme:render({ id = 1, bad = true })
    assert.is_nil(request)
    assert.matches("acme%.lua:2: oh", why)
    assert.equal("error", what)
  end)

  it("gives hooks the ctx that is named", function()
    local acme = partner([[return { url = "https://a.example/", method = "POST", body = { ctx = function(_, ctx)
      return { ctx.id, ctx.type, ctx.source, ctx.subject, ctx.attempt, ctx.last, ctx.received_at, ctx.occurred_at,
               ctx.previous.status, ctx.previous.verdict } end }, retry = { schedule = { "1s", "2s" } } }]])
    local ctx = { id = "i", type = "t", source = "s", subject = "u", attempt = 3, received_at = 10,
                  occurred_at = "1970-01-01T00:00:20Z", previous = { status = 503, verdict = "retry" } }
    assert.same({ "i", "t", "s", "u", 3, true, 10, 20, 503, "retry" }, acme:render({}, ctx).json.ctx)
  end)

  it("takes the type from the event when the ctx names none", function()
    local acme = partner('return { url = "https://a.example/{ctx.type}" }')
    assert.equal("https://a.example/signup", acme:render({ type = "signup" }).url)
    assert.equal("https://a.example/other", acme:render({ type = "signup" }, { type = "other" }).url)
  end)

  it("has the event's own bytes as the body, whatever was rendered before", function()
    local acme = partner('return { url = "https://a.example/", method = "POST" }')
    local bodies, events = {}, {}
    for length = 1, 200 do
      events[length] = ('{"text": "%s"}'):format(("x"):rep(length))
      bodies[length] = acme:render(events[length]).body
    end
    assert.same(events, bodies)
  end)

  it("expands a postback's own endpoint", function()
    local postback = assert(testing.partner(write("return {}", "postback")))
    local endpoint = { method = "PUT", url = "http://a.example/{x}" }
    local request = postback:render({ x = "a/b" }, { endpoint = endpoint })
    assert.same({ "PUT", "http://a.example/a%2Fb" }, { request.method, request.url })
  end)

  it("takes one event at a time from a script that does not batch", function()
    local request, why = get():render({ { id = 1 }, { id = 2 } })
    assert.is_nil(request)
    assert.matches("acme.lua has no batch", why)
  end)

  it("survives a script that overran its budget", function()
    local acme = get("headers = { A = function(event) while event.loop do end return 'x' end }")
    assert.matches("acme%.lua:1: .*50 ms", select(2, acme:render({ id = 1, loop = true })))
    assert.equal("x", assert(acme:render({ id = 1 })).headers.a)
  end)
end)

describe("accepts", function()
  after_each(runtime.clean)

  it("gives true, or false and why, or nil and the error", function()
    local acme = get([[accepts = function(event, ctx)
      if event.bad then error("oh") end return event.id ~= nil, ctx.type end]])
    assert.same({ true }, { acme:accepts({ id = 1 }) })
    assert.same({ false, "signup" }, { acme:accepts({}, { type = "signup" }) })
    assert.same({ false, "not accepted" }, { acme:accepts({}) })
    local accepted, why = acme:accepts({ bad = true })
    assert.is_nil(accepted)
    assert.matches("acme%.lua:2: oh", why)
    assert.is_true(get():accepts({}))
  end)
end)

describe("verdict", function()
  after_each(runtime.clean)

  it("says the word, its detail and who said it", function()
    local acme = get([[answers = { { body = "LATER", "retry", "10m" }, { status = 404, "delivered" } },
      verdict = function(response, ctx)
        if response.json and response.json.code == 17 then return "retry", "90s" end
        if response.error == "timeout" then return "dead", "too slow" end
        if response.headers["x-gone"] then return "pause", response.headers["X-Gone"] end
      end]])
    assert.same({ "delivered", "status 200", "default" }, { acme:verdict(200) })
    assert.same({ "retry", "status 503", "default" }, { acme:verdict(503) })
    assert.same({ "dead", "status 400", "default" }, { acme:verdict(400) })
    assert.same({ "retry", "10m", "answers" }, { acme:verdict({ status = 200, body = "try LATER" }) })
    assert.same({ "delivered", "answers: status 404", "answers" }, { acme:verdict(404) })
    assert.same({ "retry", "90s", "verdict" }, { acme:verdict({ status = 200, json = { code = 17 } }) })
    assert.same({ "dead", "too slow", "verdict" }, { acme:verdict("timeout") })
    assert.same({ "retry", "dns_error", "default" }, { acme:verdict({ error = "dns_error" }) })
    assert.same({ "pause", "away", "verdict" }, { acme:verdict({ status = 500, headers = { ["X-GONE"] = "away" } }) })
  end)

  it("sees bodies of any bytes", function()
    local acme = get([[verdict = function(response) return "dead", ("%d %d"):format(#response.body, response.body:byte(2)) end]])
    assert.equal("3 255", select(2, acme:verdict({ status = 200, body = "a\255\0" })))
  end)

  it("gives nil and file and line when the hook throws", function()
    local word, why = get("verdict = function() error('oh') end"):verdict(200)
    assert.is_nil(word)
    assert.matches("acme%.lua:1: oh", why)
  end)
end)

describe("deliver", function()
  after_each(runtime.clean)

  local schedule = 'retry = { schedule = { "5s", "30s" }, jitter = 0.2 }'

  it("plays a list of answers through the schedule, Retry-After and named delays", function()
    local acme = get(schedule .. ', answers = { { body = "LATER", "retry", "10m" } }')
    local later = { status = 429, headers = { ["Retry-After"] = 60 } }
    local played = acme:deliver({ id = 7 }, { later, { status = 200, body = "LATER" }, 200 })
    assert.same({ "retry", "retry", "delivered" }, played.verdicts)
    assert.same({ 60, 600 }, played.waits)
    assert.is_true(played.delivered)
    assert.is_nil(played.dead)
    assert.equal(3, #played.requests)
    assert.same({ "1", "2", "3" }, { played.requests[1].headers["Moonpost-Attempt"],
      played.requests[2].headers["Moonpost-Attempt"], played.requests[3].headers["Moonpost-Attempt"] })
  end)

  it("repeats the last answer until the schedule is used up", function()
    local played = get(schedule):deliver({ id = 7 }, { 503 })
    assert.same({ "retry", "retry", "dead" }, played.verdicts)
    assert.same({ 5, 30 }, played.waits)
    assert.is_false(played.delivered)
    assert.equal("gave up after 3 attempts: status 503", played.dead)
  end)

  it("asks a function for each answer", function()
    local seen = {}
    local played = get(schedule):deliver({ id = 7 }, function(request, number)
      seen[number] = request.query.id
      return number == 2 and "timeout" or number == 3 and 200 or 500
    end)
    assert.same({ "7", "7", "7" }, seen)
    assert.is_true(played.delivered)
  end)

  it("moves the clock that the script sees, and tells it of the attempt before", function()
    local acme = partner([[return { url = "https://a.example/", retry = { schedule = { "5s" } }, headers = {
      Now = function(_, ctx) return tostring(time.now()) end,
      Seen = function(_, ctx) return tostring(ctx.received_at) end,
      Before = function(_, ctx) return ctx.previous and ctx.previous.status .. ctx.previous.verdict end } }]],
      { now = 1000 })
    local requests = acme:deliver({}, { 502, 200 }).requests
    assert.same({ "1000", "1000" }, { requests[1].headers.now, requests[1].headers.seen })
    assert.same({ "1005", "1000", "502retry" },
                { requests[2].headers.now, requests[2].headers.seen, requests[2].headers.before })
  end)

  it("ends what is skipped, dead, paused or thrown as the runtime would", function()
    local acme = get(schedule .. [[, required = { "id" }, accepts = function(event)
      if event.bad then error("oh") end return not event.no, "no" end]])
    assert.equal("missing id", acme:deliver({}, 200).dead)
    assert.equal("no", acme:deliver({ id = 1, no = true }, 200).skipped)
    assert.equal("410 Gone", acme:deliver({ id = 1 }, 410).paused)
    local thrown = acme:deliver({ id = 1, bad = true }, 200)
    assert.same({ "retry", "retry", "dead" }, thrown.verdicts)
    assert.matches("gave up after 3 attempts: .*acme%.lua:2: oh", thrown.dead)
    assert.equal(0, #thrown.requests)
  end)

  it("plays several events, each on its own way", function()
    local played = get(schedule .. ', required = { "id" }'):deliver({ { id = 1 }, {}, { id = 3 }, { id = 4 } }, function(request)
      return ({ ["1"] = 200, ["3"] = 400, ["4"] = request.headers["Moonpost-Attempt"] == "2" and 200 or 500 })[request.query.id]
    end)
    assert.same({ 1, 4 }, played.delivered)
    assert.same({ [2] = "missing id", [3] = "status 400" }, played.dead)
    assert.same({ { "delivered" }, { "dead" }, { "dead" }, { "retry", "delivered" } }, played.verdicts)
    assert.same({ {}, {}, {}, { 5 } }, played.waits)
    assert.same({ 4 }, played.requests[4].places)
  end)
end)

describe("deliver of a batch", function()
  after_each(runtime.clean)

  local function played(rest, count, answers)
    local events = {}
    for i = 1, count do
      events[i] = { i = i }
    end
    local acme = partner('return { url = "https://acme.example/", batch = { size = 10 }, ' .. rest .. " }")
    return acme:deliver(events, answers)
  end

  local function places(got)
    local out = {}
    for i, request in ipairs(got.requests) do
      out[i] = table.concat(request.places, " ")
    end
    return out
  end

  it("splits around the one that is refused, and charges it alone", function()
    local got = played("", 5, function(request)
      for _, place in ipairs(request.places) do
        if place == 4 then return 422 end
      end
      return 200
    end)
    assert.same({ "1 2 3 4 5", "1 2 3", "4 5", "4", "5" }, places(got))
    assert.same({ 1, 2, 3, 5 }, got.delivered)
    assert.same({ [4] = "status 422" }, got.dead)
    assert.same({ "dead" }, got.verdicts[4])
  end)

  it("splits only those whom the verdict's table does not name", function()
    local got = played([[verdict = function(response, ctx)
      if #ctx.ids == 4 then return { [2] = { "dead", "bad" }, [4] = "skipped" } end
    end]], 4, { 400, 200 })
    assert.same({ "1 2 3 4", "1", "3" }, places(got))
    assert.same({ 1, 3 }, got.delivered)
    assert.same({ [2] = "bad" }, got.dead)
    assert.same({ [4] = "skipped" }, got.skipped)
  end)

  it("loses none that a 200 refuses alone", function()
    local got = played('answers = { { json = { code = 4 }, "split", "bad event" } }', 3, function(request)
      return { status = 200, json = { code = table.concat(request.places, " "):find("3") and 4 or 0 } }
    end)
    assert.same({ "1 2 3", "1 2", "3" }, places(got))
    assert.same({ { 1, 2 }, { [3] = "bad event" } }, { got.delivered, got.dead })
  end)

  it("lets one that is named split alone go again by itself", function()
    local got = played('verdict = function(_, ctx) return #ctx.ids > 1 and { [2] = "split" } or nil end', 3, 200)
    assert.same({ "1 2 3", "2" }, places(got))
    assert.same({ 1, 2, 3 }, got.delivered)
  end)
end)

describe("the module", function()
  after_each(runtime.clean)

  it("says on another Lua what to run instead", function()
    local native = assert(loadfile("lua/moonpost/testing/native.lua"))
    local ok, why = pcall(setfenv(native, { rawget = function() end, error = error }))
    assert.is_false(ok)
    assert.equal("moonpost.testing needs LuaJIT: run `moonpost test`, or busted with --lua=luajit", why)
  end)

  it("says where it looked for a library that is not there", function()
    local before = os.getenv("MOONPOST_LIBRARY")
    uv.os_setenv("MOONPOST_LIBRARY", "/nowhere/libmp_testing.so")
    local ok, why = pcall(assert(loadfile("lua/moonpost/testing/native.lua")))
    uv.os_setenv("MOONPOST_LIBRARY", before)
    assert.is_false(ok)
    assert.matches("set MOONPOST_LIBRARY .* looked for /nowhere/libmp_testing.so", why)
  end)
end)
