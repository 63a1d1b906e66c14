--- The JSON API under /api, against the real thing.
local cjson = require("cjson")
local support = require("spec.support")
local eventually, partner, runtime = support.eventually, support.partner, support.runtime

local function get(rt, path)
  local answer = rt:get(path)
  local ok, json = pcall(cjson.decode, answer.body)
  return answer.status, ok and json or nil, answer
end

local function is_problem(answer, status, text)
  assert.equal(status, answer.status, answer.body)
  assert.equal("application/problem+json", (answer.headers["content-type"]:gsub(";.*", "")))
  local problem = cjson.decode(answer.body)
  assert.equal(status, problem.status)
  assert.truthy((problem.detail or ""):find(text, 1, true), answer.body)
  return problem
end

local function script(url, rest)
  return ([[return { url = "%s"%s }]]):format(url, rest and ", " .. rest or "")
end

describe("the API", function()
  after_each(support.clean)

  describe("for partners", function()
    it("lists them in order of name, page by page", function()
      local scripts = {}
      for _, name in ipairs({ "b", "a-1", "a", "a_2", "z9", "0" }) do
        scripts[name] = script("http://p.example/")
      end
      local rt = runtime.start({ scripts = scripts })
      local names, path = {}, "/api/partners?limit=2"
      local pages = 0
      repeat
        local _, page = get(rt, path)
        assert.is_true(#page.items <= 2)
        for _, item in ipairs(page.items) do
          names[#names + 1] = item.name
        end
        path = page.next and "/api/partners?limit=2&cursor=" .. page.next
        pages = pages + 1
      until not path
      assert.same({ "0", "a", "a-1", "a_2", "b", "z9" }, names)
      assert.equal(3, pages)
    end)

    it("tells one as the list does, and 404 for what is none", function()
      local rt = runtime.start({ scripts = { acme = script("http://p.example/"),
                                             ac = script("http://p.example/") } })
      local status, acme = get(rt, "/api/partners/acme")
      assert.equal(200, status)
      assert.same({ name = "acme", state = "ok", reason = cjson.null, since = cjson.null,
                    generation = acme.generation, error = cjson.null, waiting = 0, in_flight = 0 }, acme)
      assert.equal(12, #acme.generation)
      assert.same(acme, rt:partner("acme"))
      for _, name in ipairs({ "acm", "acmf", "acme2", "ACME", "a%00", "acme%2Fpause", "%zz", ("a"):rep(65) }) do
        assert.equal(404, (get(rt, "/api/partners/" .. name)), name)
      end
    end)

    it("pauses and resumes one, and its events wait meanwhile", function()
      local fake = partner.new({ handler = function() return 200 end })
      local rt = runtime.start({ scripts = { acme = script(fake:url("/")) } })
      local paused = rt:post("/api/partners/acme/pause", "")
      assert.equal(200, paused.status, paused.body)
      assert.equal("paused", paused.json.state)
      assert.equal("string", type(paused.json.reason))
      assert.truthy(paused.json.since:match("^%d%d%d%d%-%d%d%-%d%dT[%d:.]+Z$"))
      rt:accept("/events/acme", "{}")
      assert.equal(1, rt:partner("acme").waiting)
      local resumed = rt:post("/api/partners/acme/resume", "{}")
      assert.equal("ok", resumed.json.state)
      assert.equal(cjson.null, resumed.json.since)
      eventually(function() return #fake.requests == 1 and rt:partner("acme").waiting == 0 end)
      is_problem(rt:post("/api/partners/nobody/pause", "{}"), 404, "nobody")
      is_problem(rt:post("/api/partners/acme/pause", '{"for":"1h"}'), 422, "for")
      assert.equal("ok", rt:partner("acme").state)
    end)

    it("tells why a script does not load", function()
      local rt = runtime.start({ scripts = { bad = "return {\n" } })
      local _, bad = get(rt, "/api/partners/bad")
      assert.equal("broken", bad.state)
      assert.equal(cjson.null, bad.generation)
      assert.truthy(bad.error:find("bad%.lua:%d"), bad.error)
      is_problem(rt:post("/api/try", { partner = "bad", event = { a = 1 } }), 422, "bad.lua:")
    end)

    it("refuses a limit or cursor that is none, by name", function()
      local rt = runtime.start({ scripts = {} })
      for _, list in ipairs({ "partners", "dead" }) do
        for _, limit in ipairs({ "0", "1001", "-1", "x", "", "1e2", "99999999999" }) do
          is_problem(rt:get(("/api/%s?limit=%s"):format(list, limit)), 422, "limit")
        end
        is_problem(rt:get(("/api/%s?cursor=%%7Bnonsense"):format(list)), 422, "cursor")
        assert.equal(200, rt:get(("/api/%s?limit=1000"):format(list)).status)
      end
    end)
  end)

  describe("for dead letters", function()
    -- Three that die of a 400, one after another.
    local function with_dead(count)
      local fake = partner.new({ handler = function() return 400 end })
      local rt = runtime.start({ scripts = { acme = script(fake:url("/")), postback = "return {}" } })
      local ids = {}
      for i = 1, count do
        ids[i] = rt:accept("/events/acme", ('{"n":%d.50,"type":"t.%d"}'):format(i, i))[1]
        eventually(function() return #rt:api("/api/dead").items == i end)
      end
      return rt, ids, fake
    end

    it("lists them newest first, page by page, and by partner", function()
      local rt, ids = with_dead(3)
      local _, first = get(rt, "/api/dead?limit=2")
      assert.equal(2, #first.items)
      local _, second = get(rt, "/api/dead?limit=2&cursor=" .. first.next)
      assert.equal(1, #second.items)
      assert.is_nil(second.next)
      assert.same({ ids[3], ids[2], ids[1] },
        { first.items[1].id, first.items[2].id, second.items[1].id })
      local item = first.items[1]
      assert.equal("acme", item.partner)
      assert.equal(400, item.status)
      assert.equal(1, item.attempts)
      assert.truthy(item.reason:find("400", 1, true), item.reason)
      assert.truthy(item.first_at:match("T[%d:.]+Z$"))
      assert.is_true(item.last_at >= item.first_at)
      assert.equal(3, #rt:api("/api/dead?partner=acme").items)
      assert.equal(0, #rt:api("/api/dead?partner=other").items)
      is_problem(rt:get("/api/dead?partner=NO"), 422, "partner")
    end)

    it("shows one with its event as it was sent", function()
      local rt, ids = with_dead(1)
      local answer = rt:get("/api/dead/" .. ids[1])
      assert.equal(200, answer.status)
      assert.truthy(answer.body:find('"event":{"n":1.50,"type":"t.1"}', 1, true), answer.body)
      local letter = cjson.decode(answer.body)
      assert.equal("t.1", letter.type)
      assert.is_nil(letter.endpoint)
      assert.is_nil(letter.source)
      is_problem(rt:get("/api/dead/no-such"), 404, "id")
      is_problem(rt:get("/api/dead/"), 404, "")
    end)

    it("shows a postback's endpoint, and null for the status of what had no answer", function()
      local rt = runtime.start({ scripts = { postback = [[return { required = { "x" } }]] } })
      local id = rt:accept("/postback", { endpoint = { method = "GET", url = "http://127.0.0.1:1/?x={x}" } })[1]
      eventually(function() return #rt:api("/api/dead").items == 1 end)
      local letter = rt:api("/api/dead/" .. id)
      assert.same({ method = "GET", url = "http://127.0.0.1:1/?x={x}" }, letter.endpoint)
      assert.equal(cjson.null, letter.status)
      assert.equal("missing x", letter.reason)
      assert.same({}, letter.event)
    end)

    it("replays by id: the same id, attempts from the start", function()
      local rt, ids, fake = with_dead(2)
      local dry = rt:post("/api/dead/replay", { ids = ids, dry_run = true })
      assert.same({ matched = 2, replayed = 0, unknown = {} }, dry.json)
      fake.handler = function() return 200 end
      local before = #fake.requests
      local answer = rt:post("/api/dead/replay", { ids = { ids[1], "nobody's" } })
      assert.same({ matched = 1, replayed = 1, unknown = { "nobody's" } }, answer.json)
      eventually(function() return #fake.requests == before + 1 end)
      assert.equal(ids[1], fake.requests[before + 1].headers["moonpost-id"])
      assert.equal("1", fake.requests[before + 1].headers["moonpost-attempt"])
      assert.equal(1, #rt:api("/api/dead").items)
    end)

    it("takes a range of last_at, its end not included, and purges", function()
      local rt, ids = with_dead(3)
      local function at(i)
        return rt:api("/api/dead/" .. ids[i]).last_at
      end
      local range = { since = at(1), ["until"] = at(3), dry_run = true }
      local distinct = at(1) < at(2) and at(2) < at(3)
      local dry = rt:post("/api/dead/purge", range)
      assert.equal(0, dry.json.purged)
      if distinct then
        assert.equal(2, dry.json.matched)
      end
      assert.equal(0, rt:post("/api/dead/purge", { partner = "other" }).json.matched)
      assert.same({ matched = 3, purged = 3, unknown = {} },
        rt:post("/api/dead/purge", { partner = "acme", since = "2020-01-01T00:00:00+01:00" }).json)
      assert.equal(0, #rt:api("/api/dead").items)
    end)

    it("changes nothing when it is not told which", function()
      local rt, ids = with_dead(1)
      for _, case in ipairs({
        { "", "empty" }, { "{}", "say which" }, { '{"dry_run":false}', "say which" },
        { cjson.encode({ ids = ids, partner = "acme" }), "not both" }, { "[]", "object" },
        { '{"ids":"x"}', "ids" }, { '{"ids":[1]}', '"ids"[0]' }, { '{"partner":7}', "partner" },
        { '{"partner":"NO!"}', "partner" }, { '{"since":"yesterday"}', "since" },
        { '{"since":null}', "since" }, { '{"until":1}', "until" },
        { '{"partner":"acme","dry_run":"yes"}', "dry_run" },
        { '{"since":"2026-01-02T00:00:00Z","until":"2026-01-01T00:00:00Z"}', "until" },
        { '{"partner":"acme","patrner":1}', "patrner" },
      }) do
        for _, verb in ipairs({ "replay", "purge" }) do
          is_problem(rt:post("/api/dead/" .. verb, case[1]), 422, case[2])
        end
      end
      is_problem(rt:post("/api/dead/purge", '{"partner":"acme"'), 400, "line 1")
      assert.equal(1, #rt:api("/api/dead").items)
    end)
  end)

  describe("for try", function()
    it("shows the request, unsent, secrets hidden", function()
      local rt = runtime.start({
        env = { MOONPOST_SECRET_KEY = "canary-51c0" },
        scripts = { acme = [[return {
          url = "https://acme.example/pb?n={n}&k=" .. secret "key",
          headers = { ["X-Key"] = secret "key" },
          body = { n = "{n}", id = "{ctx.type}" },
          retry = { schedule = { "5s", "1m" } },
        }]] } })
      local answer = rt:post("/api/try", '{"partner":"acme","event":{"n":12345678901234567890},"type":"a.b"}')
      assert.equal(200, answer.status, answer.body)
      local try = answer.json
      assert.equal("acme", try.partner)
      assert.equal(rt:partner("acme").generation, try.generation)
      assert.equal("POST", try.method)
      assert.equal("https://acme.example/pb?n=12345678901234567890&k=[secret key]", try.url)
      assert.equal("[secret key]", try.headers["X-Key"])
      assert.equal('{"id":"a.b","n":12345678901234567890}', try.body)
      assert.same({ 5000, 60000 }, try.retry)
      assert.falsy(answer.body:find("canary", 1, true))
      assert.equal(0, #rt:attempts())
    end)

    it("gives null for no body, and a postback's own template", function()
      local rt = runtime.start({ scripts = { postback = "return {}" } })
      local try = rt:post("/api/try", { partner = "postback", event = { bar = "a&b" },
        endpoint = { method = "GET", url = "http://p.example/x?bar={bar}&foo={foo}" } }).json
      assert.equal("GET", try.method)
      assert.equal("http://p.example/x?bar=a%26b&foo=", try.url)
      assert.equal(cjson.null, try.body)
    end)

    it("takes the event's own type and the attempt", function()
      local rt = runtime.start({ scripts = {
        acme = [[return { url = "http://p.example/{ctx.type}/{ctx.attempt}", method = "GET" }]] } })
      local function url(body)
        return rt:post("/api/try", body).json.url
      end
      assert.equal("http://p.example/own/1", url('{"partner":"acme","event":{"type":"own"}}'))
      assert.equal("http://p.example/told/3",
        url('{"partner":"acme","event":{"type":"own"},"type":"told","attempt":3}'))
      assert.equal("http://p.example//1", url('{"partner":"acme","event":{"type":7}}'))
    end)

    it("says the script's reason when it would not be sent", function()
      local rt = runtime.start({ scripts = {
        picky = [[return { url = "http://p.example/", accepts = function() return false, "too cheap" end }]],
        needy = [[return { url = "http://p.example/", required = { "click_id" } }]],
        thrower = "return { url = 'http://p.example/',\n request = function() error('oh no') end }",
      } })
      is_problem(rt:post("/api/try", '{"partner":"picky","event":{}}'), 422, "too cheap")
      is_problem(rt:post("/api/try", '{"partner":"needy","event":{}}'), 422, "missing click_id")
      is_problem(rt:post("/api/try", '{"partner":"thrower","event":{}}'), 422, "thrower.lua:2")
    end)

    it("refuses what is no try, naming the member", function()
      local rt = runtime.start({ scripts = { acme = script("http://p.example/"), postback = "return {}" } })
      for _, case in ipairs({
        { '{"event":{}}', "partner" }, { '{"partner":1,"event":{}}', "partner" },
        { '{"partner":"acme"}', "event" }, { '{"partner":"acme","event":[]}', "event" },
        { '{"partner":"acme","event":{},"type":1}', "type" },
        { '{"partner":"acme","event":{},"attempt":0}', "attempt" },
        { '{"partner":"acme","event":{},"attempt":1.5}', "attempt" },
        { '{"partner":"acme","event":{},"endpoint":{"method":"GET","url":"http://a/"}}', "endpoint" },
        { '{"partner":"postback","event":{}}', "endpoint" },
        { '{"partner":"postback","event":{},"endpoint":"x"}', "endpoint" },
        { '{"partner":"postback","event":{},"endpoint":{"method":"TRACE","url":"http://a/"}}', "method" },
        { '{"partner":"postback","event":{},"endpoint":{"method":"GET","url":"/a"}}', "absolute" },
        { '{"partner":"acme","event":{},"evnt":1}', "evnt" }, { "7", "object" }, { "", "empty" },
      }) do
        is_problem(rt:post("/api/try", case[1]), 422, case[2])
      end
      is_problem(rt:post("/api/try", '{"partner":"nobody","event":{}}'), 404, "")
      is_problem(rt:post("/api/try", '{"partner":"acme","event":{},}'), 400, "line 1, column 30")
    end)
  end)

  it("names the methods a path takes", function()
    local rt = runtime.start({ scripts = { acme = script("http://p.example/") } })
    for path, allow in pairs({
      ["/api/partners"] = "GET", ["/api/partners/acme"] = "GET", ["/api/dead"] = "GET",
      ["/api/partners/acme/pause"] = "POST", ["/api/partners/acme/resume"] = "POST",
      ["/api/dead/replay"] = "POST", ["/api/dead/purge"] = "POST", ["/api/try"] = "POST",
    }) do
      local answer = rt:request("DELETE", path, { ["Content-Type"] = "application/json" })
      assert.equal(405, answer.status, path)
      assert.truthy(answer.headers.allow:find(allow, 1, true), path)
      local other = allow == "GET" and "POST" or "GET"
      assert.equal(405, rt:request(other, path, { ["Content-Type"] = "application/json" }).status, path)
    end
    for _, path in ipairs({ "/api/", "/api/x", "/api/partners/acme/stop", "/api/partners/",
                            "/api/try/acme", "/api/dead/a/b" }) do
      is_problem(rt:get(path), 404, "")
    end
  end)

  it("takes a POST only as application/json", function()
    local rt = runtime.start({ scripts = { acme = script("http://p.example/") } })
    for _, kind in ipairs({ "text/plain", "application/x-www-form-urlencoded", "application/jsonx" }) do
      local answer = rt:post("/api/partners/acme/pause", "{}", { ["Content-Type"] = kind })
      assert.equal(415, answer.status, kind)
    end
    assert.equal("ok", rt:partner("acme").state)
    assert.equal(200, rt:post("/api/partners/acme/pause", "{}",
      { ["Content-Type"] = "Application/JSON; charset=utf-8" }).status)
  end)
end)
