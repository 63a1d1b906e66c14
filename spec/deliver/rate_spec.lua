--- `limits.rate`: how fast a lane goes, whatever waits in it.
local deliver = require("spec.support.deliver")
local uv = require("luv")
local partner, eventually = deliver.partner, deliver.eventually

local function script(fake, rate, more)
  return ("return { url = %q, method = 'POST', limits = { rate = %q }, %s }"):format(fake:url("/"), rate, more or "")
end

-- Arrivals may be late and never early: what came since `from` was let through since then.
local function assert_kept(fake, from, per_second, holds)
  for n, request in ipairs(fake.requests) do
    local seconds = (tonumber(request.at) - from) / 1e9
    assert.is_true(n <= holds + per_second * seconds, ("%d requests within %.3f s"):format(n, seconds))
  end
end

local function settled(room, count)
  eventually(function() return room:outcomes().settle == count end)
end

describe("a lane with a rate", function()
  after_each(deliver.clean)

  it("lets no time since it began see more than the rate and what it holds", function()
    local fake = partner.new()
    local room = deliver.start({ scripts = { acme = script(fake, "100/s") } })
    local from = tonumber(uv.hrtime())
    room:send({ id = "a", count = 50 })
    settled(room, 50)
    assert_kept(fake, from, 100, 10)
  end)

  it("sends at once what it holds, and then waits however long", function()
    local fake = partner.new()
    local room = deliver.start({ scripts = { acme = script(fake, "2/h") } })
    room:send({ id = "a", count = 3 })
    settled(room, 1)
    room:script("acme", script(fake, "3/h"))
    room:send({ id = "b" })
    room:drain()
    assert.equal(1, #fake.requests)
    assert.equal(3, room:outcomes().park)
  end)

  it("goes on when a new generation has another rate, or none", function()
    local fake = partner.new()
    local room = deliver.start({ scripts = { acme = script(fake, "2/h") } })
    room:send({ id = "a", count = 30 })
    settled(room, 1)
    local from = tonumber(uv.hrtime())
    fake.requests = {}
    room:script("acme", script(fake, "100/s"))
    eventually(function() return #fake.requests >= 8 end)
    assert_kept(fake, from, 100, 1)
    room:script("acme", script(fake, "1000000/s"))
    settled(room, 30)
  end)

  it("is an authority's own where the hosts are free", function()
    local one, two = partner.new(), partner.new()
    local room = deliver.start({ workers = 2, scripts = { postback = "return { limits = { rate = '2/h' } }" } })
    for _, to in ipairs({ one, two }) do
      room:send({ id = "h" .. to.port, partner = "postback", lane = "postback http://127.0.0.1:" .. to.port, count = 3,
                  endpoint_method = "GET", endpoint_url = to:url("/x") })
    end
    settled(room, 2)
    room:drain()
    assert.same({ 1, 1 }, { #one.requests, #two.requests })
  end)

  it("keeps its tokens when it moves to the slow worker", function()
    local fake = partner.new()
    local room = deliver.start({ tune = { slow_call_us = 0 }, scripts = {
      acme = script(fake, "100/s", "accepts = function() return true end") } })
    local from = tonumber(uv.hrtime())
    room:send({ id = "a", count = 40 })
    room.child:wait_for("acme: its script is slow; moved to the slow worker")
    -- What waited comes back parked: the queue would give it again.
    eventually(function()
      local count = room:outcomes()
      return (count.settle or 0) + (count.park or 0) == 40
    end)
    room:send({ id = "b", count = room:outcomes().park })
    settled(room, 40)
    assert_kept(fake, from, 100, 10)
  end)

  it("keeps its tokens over new generations", function()
    local fake = partner.new()
    local room = deliver.start({ scripts = { acme = script(fake, "100/s") } })
    local from = tonumber(uv.hrtime())
    room:send({ id = "a", count = 40 })
    for i = 1, 8 do
      eventually(function() return #fake.requests >= 2 * i end)
      room:script("acme", script(fake, i % 2 == 1 and "101/s" or "100/s"))
    end
    settled(room, 40)
    assert_kept(fake, from, 101, 10.1)
  end)

  it("spends none for what is not sent", function()
    local fake = partner.new()
    local room = deliver.start({ scripts = {
      acme = script(fake, "1/h", "accepts = function(event) return event.a ~= 2, 'two' end") } })
    room:send({ id = "no", count = 20, event = { a = 2 } })
    settled(room, 20)
    room:send({ id = "yes", count = 2 })
    settled(room, 21)
    assert.equal(1, #fake.requests)
    assert.equal("skipped", room:attempt("no7").verdict)
    assert.equal("two", room:attempt("no7").why)
    assert.truthy(room:metrics():find('moonpost_deliveries_total{partner="acme",outcome="skipped"} 20', 1, true))
  end)

  it("spends one for the probe of its breaker", function()
    local fake = partner.new({ handler = function() return 503 end })
    local room = deliver.start({ tune = { breaker_open_ms = 1, breaker_open_max_ms = 1 }, scripts = {
      acme = script(fake, "100/s", "retry = { schedule = { '5s' } }") } })
    room:send({ id = "a", count = 10 })
    eventually(function() return room:outcomes().retry == 10 end)
    local from = tonumber(uv.hrtime())
    fake.requests = {}
    room:script("acme", script(fake, "20/s", "retry = { schedule = { '5s' } }"))
    eventually(function()
      room:send({ id = "b" })
      return #fake.requests == 6
    end)
    assert_kept(fake, from, 20, 2)
  end)

  it("that waits is in nobody's way and costs no turns", function()
    local slow, fake = partner.new(), partner.new()
    local room = deliver.start({ scripts = { slow = script(slow, "1/h"), acme = script(fake, "1000000/s") } })
    room:send({ id = "s", partner = "slow", count = 200 })
    room:send({ id = "a", count = 300 })
    settled(room, 301)
    local before = room:cpu_ms()
    for i = 1, 100 do
      room:deliver({ id = "b" .. i })
    end
    assert.is_true(room:cpu_ms() - before <= 500, "a lane that waits costs turns")
  end)

  it("may have a rate and batches: a batch spends one token", function()
    local fake = partner.new()
    local room = deliver.start({ scripts = { acme = script(fake, "1/h", "batch = { size = 20, wait = '1h' }") } })
    room:send({ id = "a", count = 60 })
    settled(room, 20)
    room:drain()
    assert.equal(1, #fake.requests)
  end)
end)
