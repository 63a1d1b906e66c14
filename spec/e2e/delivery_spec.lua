--- One partner's deliveries: tried again, given up, replayed, paused, and told in the attempt log.
local cjson = require("cjson")
local support = require("spec.support")
local eventually, partner, runtime = support.eventually, support.partner, support.runtime

local function script(fake, more)
  return ('return { method = "POST", url = "%s", retry = { schedule = { "1s", "1s" }, jitter = 0 }, %s }')
    :format(fake:url("/hook?c={click}"), more or "")
end

local function start(handler, more)
  local fake = partner.new({ handler = handler })
  return runtime.start({ scripts = { acme = script(fake, more) } }), fake
end

local function arrived(fake, count)
  eventually(function() return #fake.requests >= count, #fake.requests end, nil, count .. " requests")
  return fake.requests
end

local function command(rt, path, body)
  local answer = rt:post(path, body or "{}")
  assert.is_true(answer.status < 300, path .. ": " .. answer.status .. " " .. answer.body)
  return answer.json
end

local function dead_letters(rt, count)
  return eventually(function()
    local items = rt:api("/api/dead").items
    return #items == count and items, #items
  end, nil, count .. " dead letters")
end

describe("a delivery", function()
  after_each(support.clean)

  it("is tried again with the same id until the partner takes it", function()
    local answers = { 503, 500, 200 }
    local rt, fake = start(function() return table.remove(answers, 1) end)
    local id = rt:accept("/events/acme", '{"click":"c-1","n":1.50}')[1]
    local requests = arrived(fake, 3)
    for attempt = 1, 3 do
      assert.equal(id, requests[attempt].headers["moonpost-id"])
      assert.equal(tostring(attempt), requests[attempt].headers["moonpost-attempt"])
      assert.equal('{"click":"c-1","n":1.50}', requests[attempt].body)
    end
    assert.is_true(requests[2].at - requests[1].at >= 0.99e9, "the retry came early")
    local first, last = rt:attempt(id, 1), rt:attempt(id, 3)
    assert.equal("retry", first.verdict)
    assert.is_string(first.next_at)
    assert.equal("delivered", last.verdict)
    eventually(function() return rt:partner("acme").waiting == 0 end, nil, "an empty queue")
  end)

  it("tells of each attempt in one line of JSON", function()
    local rt = start(function()
      return { status = 200, body = "thanks \255 " .. ("x"):rep(3000) }
    end)
    local id = rt:accept("/events/acme", '{"click":"c-1"}')[1]
    local line = rt:attempt(id)
    assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$", line.time)
    assert.equal("acme", line.partner)
    assert.equal(1, line.attempt)
    assert.matches("^%x+$", line.generation)
    assert.equal(12, #line.generation)
    assert.equal("POST", line.method)
    assert.matches("/hook%?c=c%-1$", line.url)
    assert.equal(200, line.status)
    assert.is_number(line.duration_ms)
    assert.matches("^thanks \239\191\189 x+$", line.body)
    assert.is_true(#line.body <= 1024 + 2, "the body is cut at 1 KiB")
    assert.equal("delivered", line.verdict)
    assert.is_true(line.error == nil or line.error == cjson.null)
  end)

  it("tells of an attempt without an answer by its error", function()
    local rt = runtime.start({ scripts = {
      acme = ('return { url = "%s", retry = { schedule = { "1h" } } }'):format(partner.refused_url()),
    } })
    local line = rt:attempt(rt:accept("/events/acme", "{}")[1])
    assert.equal(cjson.null, line.status)
    assert.equal("connection_refused", line.error)
    assert.equal("retry", line.verdict)
  end)

  it("rests in the dead letters when the partner refuses it, and is replayed with its id", function()
    local status = 400
    local rt, fake = start(function() return { status = status, body = "no such click" } end)
    local id = rt:accept("/events/acme", '{"click":"c-1"}')[1]
    local item = dead_letters(rt, 1)[1]
    assert.equal(id, item.id)
    assert.equal("acme", item.partner)
    assert.equal(1, item.attempts)
    assert.equal(400, item.status)
    assert.is_string(item.reason)
    assert.same({ click = "c-1" }, rt:api("/api/dead/" .. id).event)

    status = 200
    local body = ('{"ids":["%s","nobody"],"dry_run":true}'):format(id)
    assert.equal(0, command(rt, "/api/dead/replay", body).replayed)
    assert.equal(1, #dead_letters(rt, 1))
    local answer = command(rt, "/api/dead/replay", ('{"ids":["%s","nobody"]}'):format(id))
    assert.equal(1, answer.matched)
    assert.equal(1, answer.replayed)
    assert.same({ "nobody" }, answer.unknown)
    local request = arrived(fake, 2)[2]
    assert.equal(id, request.headers["moonpost-id"])
    assert.equal("1", request.headers["moonpost-attempt"])
    dead_letters(rt, 0)
  end)

  it("dies when the schedule is used up", function()
    local rt, fake = start(function() return 503 end)
    rt:accept("/events/acme", '{"click":"c-1"}')
    local item = dead_letters(rt, 1)[1]
    assert.equal(3, item.attempts)
    assert.equal(3, #fake.requests)
  end)

  it("comes once for one Idempotency-Key, and another body under it is refused", function()
    local rt, fake = start()
    local key = { ["Idempotency-Key"] = "order-17" }
    local ids, first = rt:accept("/events/acme", '[{"click":"a"},{"click":"b"}]', key)
    local again, second = rt:accept("/events/acme", '[{"click":"a"},{"click":"b"}]', key)
    assert.same(ids, again)
    assert.is_nil(first.duplicate)
    assert.is_true(second.duplicate)
    assert.equal(422, rt:post("/events/acme", '[{"click":"z"}]', key).status)
    rt:accept("/events/acme", '{"click":"last"}')
    arrived(fake, 3)
    rt:stop()
    assert.equal(3, #fake.requests)
  end)

  it("has the same answer under one Idempotency-Key, however long it is", function()
    local rt = start()
    rt:post("/api/partners/acme/pause", "{}")
    local body, key = "[" .. ("{},"):rep(29999) .. "{}]", { ["Idempotency-Key"] = "large" }
    local ids = rt:accept("/events/acme", body, key)
    local again, second = rt:accept("/events/acme", body, key)
    assert.equal(30000, #again)
    assert.same(ids, again)
    assert.is_true(second.duplicate)
    rt:stop()
  end)

  it("has the same answer under one Idempotency-Key also when there was none to make", function()
    local rt = start()
    local key = { ["Idempotency-Key"] = "none" }
    rt:accept("/events/acme", "[]", key)
    local ids, second = rt:accept("/events/acme", "[]", key)
    assert.same({}, ids)
    assert.is_true(second.duplicate)
    assert.equal(422, rt:post("/events/acme", "[{}]", key).status)
    rt:stop()
  end)

  it("follows the partner's own rules: answers, required, Retry-After", function()
    local rt, fake = start(function(request)
      if request.query == "c=dup" then
        return { status = 409, body = "DUPLICATE" }
      elseif request.headers["moonpost-attempt"] == "1" then
        return { status = 503, headers = { ["Retry-After"] = "2" } }
      end
    end, 'required = { "click" }, answers = { { body = "DUPLICATE", "delivered" } }')
    local dup = rt:accept("/events/acme", '{"click":"dup"}')[1]
    local missing = rt:accept("/events/acme", "{}")[1]
    local later = rt:accept("/events/acme", '{"click":"later"}')[1]
    assert.equal("delivered", rt:attempt(dup).verdict)
    local line = rt:attempt(missing)
    assert.equal("dead", line.verdict)
    assert.equal("missing click", line.why)
    assert.equal(cjson.null, line.url)
    rt:attempt(later, 2)
    local at = {}
    for _, request in ipairs(fake.requests) do
      if request.headers["moonpost-id"] == later then
        at[#at + 1] = request.at
      end
    end
    assert.is_true(at[2] - at[1] >= 1.99e9, "Retry-After was not kept")
  end)
end)

describe("a paused partner", function()
  after_each(support.clean)

  it("takes events, which wait until it is resumed, across a restart too", function()
    local acme, other = partner.new(), partner.new()
    local rt = runtime.start({ scripts = { acme = script(acme), other = script(other) } })
    command(rt, "/api/partners/acme/pause")
    local ids = rt:accept("/events/acme", '[{"click":"a"},{"click":"b"}]')
    rt:accept("/events/other", "{}")
    arrived(other, 1)
    assert.equal("paused", rt:partner("acme").state)
    assert.equal(2, rt:partner("acme").waiting)
    assert.equal(0, #acme.requests)

    rt:restart()
    assert.equal("paused", rt:partner("acme").state)
    assert.equal(2, rt:partner("acme").waiting)
    rt:accept("/events/other", "{}")
    arrived(other, 2)
    assert.equal(0, #acme.requests)

    command(rt, "/api/partners/acme/resume")
    arrived(acme, 2)
    assert.equal("ok", rt:partner("acme").state)
    assert.equal(1, acme:count(ids[1], "id"))
    assert.equal(1, acme:count(ids[2], "id"))
  end)

  it("is one that refuses our credentials twenty times in a row", function()
    local rt, fake = start(function() return 401 end)
    local events = {}
    for i = 1, 20 do
      events[i] = '{"click":' .. i .. "}"
    end
    rt:accept("/events/acme", "[" .. table.concat(events, ",") .. "]")
    eventually(function() return rt:partner("acme").state == "paused" end, nil, "the pause")
    assert.is_true(#fake.requests >= 20)
    assert.equal(20, rt:partner("acme").waiting)
    assert.is_string(rt:partner("acme").reason)
  end)
end)
