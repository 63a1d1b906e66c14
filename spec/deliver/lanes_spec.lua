--- Lanes: concurrency, breaker, streaks, pauses, and one not in another's way.
local deliver = require("spec.support.deliver")
local partner, eventually = deliver.partner, deliver.eventually

local function script(fake, more)
  return ("return { url = %q, method = 'POST', retry = { schedule = { '5s', '5s', '5s' }, jitter = 0 }, %s }"):format(
    fake:url("/"), more or "")
end

local quick = { breaker_open_ms = 150, breaker_open_max_ms = 300 }

describe("a lane", function()
  after_each(deliver.clean)

  it("has as many attempts in flight as its script allows, and no more", function()
    local fake = partner.new({ handler = function() return { hang = true } end })
    local room = deliver.start({ scripts = { acme = script(fake, "limits = { concurrency = 5 }") } })
    room:send({ id = "a", count = 12 })
    eventually(function() return #fake.hanging == 5 end)
    assert.equal(5, room:in_flight())
    fake.handler = nil
    fake:release()
    fake.handler = function() return 200 end
    eventually(function() return room:outcomes().settle == 12 end)
    assert.equal(0, room:in_flight())
    assert.equal(12, #fake.requests)
  end)

  it("holds no more bodies in flight than it may, and one whatever its size", function()
    local fake = partner.new({ handler = function() return { hang = true } end })
    local body = "limits = { concurrency = 100 }, body = function(event) return ('x'):rep(event.n) end"
    local room = deliver.start({ scripts = { acme = script(fake, body) },
      tune = { lane_bodies_bytes = 1000000, slow_call_us = 60000000, slow_once_us = 60000000 } }) -- it stays where it is
    room:send({ id = "a", count = 20, event = { n = 300000 } })
    eventually(function() return #fake.hanging >= 2 and room:in_flight() == #fake.hanging end)
    assert.is_true(room:in_flight() <= 4, room:in_flight())
    fake.handler = function() return 200 end
    fake:release()
    eventually(function() return room:outcomes().settle == 20 end)
    assert.equal("settle", room:deliver({ id = "b", event = { n = 2000000 } }).outcome)
  end)

  it("asks a verdict hook that nobody knows about few at first", function()
    local fake = partner.new({ handler = function() return { hang = true } end })
    local room = deliver.start({ scripts = { acme = script(fake, "verdict = function() end") } })
    room:send({ id = "a", count = 20 })
    eventually(function() return #fake.hanging == 4 end)
    assert.equal(4, room:in_flight())
    fake:release()
    eventually(function() return #fake.hanging >= 8 end)
    fake.handler = function() return 200 end
    fake:release()
    eventually(function() return room:in_flight() == 0 end)
  end)

  it("asks a verdict hook no more once it has overrun three times, however many are in flight", function()
    local fake = partner.new({ handler = function() return { hang = true } end })
    local room = deliver.start({ scripts = { acme = script(fake, "verdict = function(response) while response.body == 'loop' do end end") } })
    room:send({ id = "warm", count = 20 })
    eventually(function() return #fake.hanging == 4 end)
    fake.handler = function() return 200 end
    fake:release()
    eventually(function() return room:outcomes().settle == 20 end)
    fake.handler = function() return { hang = true } end
    room:send({ id = "a", count = 16 })
    eventually(function() return #fake.hanging == 16 end)
    fake:release({ body = "loop" })
    eventually(function() return room:outcomes().settle == 36 end)
    eventually(function()
      local told, asked = 0, 0
      for _, line in ipairs(room.child.out) do
        told = told + (line:find("overran its budget too often to be asked", 1, true) and 1 or 0)
        asked = asked + (line:find("verdict threw: ", 1, true) and line:find("50 ms", 1, true) and 1 or 0)
      end
      return asked == 3 and told == 13, asked .. " " .. told
    end)
  end)

  it("is not behind twenty whose scripts nobody knows, and which loop", function()
    local fake, scripts = partner.new(), {}
    for i = 1, 20 do
      scripts["h" .. i] = script(fake, "accepts = function() while true do end end")
    end
    scripts.acme = script(fake, "accepts = function() return true end")
    local room = deliver.start({ scripts = scripts })
    room:deliver({ id = "known" })
    for i = 1, 20 do
      room:send({ id = "h" .. i, partner = "h" .. i })
    end
    room:send({ id = "good" })
    room:outcome("good")
    local before = 0
    for _, line in ipairs(room.child.out) do
      before = before + (line:find("50 ms", 1, true) and 1 or 0)
    end
    assert.is_true(before < 10, before)
    eventually(function() return #room:all(function(value) return value.why and value.why:find("50 ms", 1, true) end, "out") == 20 end)
  end)

  it("that hangs leaves the others alone", function()
    local hang = partner.new({ handler = function() return { hang = true } end })
    local fake = partner.new()
    local room = deliver.start({ scripts = { stuck = script(hang), acme = script(fake) } })
    room:send({ id = "h", partner = "stuck", count = 200 })
    room:send({ id = "a", count = 200 })
    eventually(function() return room:outcomes().settle == 200 end)
    assert.equal(32, room:in_flight("stuck"))
    assert.equal(32, #hang.requests)
  end)

  it("is an authority where the hosts are free", function()
    local hang = partner.new({ handler = function() return { hang = true } end })
    local fake = partner.new()
    local room = deliver.start({ workers = 2, scripts = { postback = "return { limits = { concurrency = 3 } }" } })
    local function post(to, id, count)
      room:send({ id = id, partner = "postback", lane = "postback http://127.0.0.1:" .. to.port, count = count,
                  endpoint_method = "GET", endpoint_url = to:url("/x?a={a}") })
    end
    post(hang, "h", 50)
    post(fake, "a", 50)
    eventually(function() return room:outcomes().settle == 50 and #hang.requests >= 3 end)
    assert.equal(3, #hang.requests)
    assert.equal("/x?a=1", fake.requests[1].target)
  end)

  it("shares a worker's places with the others, turn by turn", function()
    local one, two = partner.new(), partner.new()
    local room = deliver.start({ tune = { in_flight_max = 1 }, scripts = { one = script(one), two = script(two) } })
    room:send({ id = "a", partner = "one", count = 300 })
    room:send({ id = "b", partner = "two", count = 20 })
    eventually(function() return #two.requests == 20 end)
    assert.is_true(#one.requests < 100, #one.requests)
  end)
end)

-- Waits until a lane's hold is over: the room goes by the wall clock.
local function wait_until(ms)
  eventually(function()
    local seconds, micros = require("luv").gettimeofday()
    return seconds * 1000 + micros / 1000 > ms
  end)
end

describe("the breaker", function()
  after_each(deliver.clean)

  it("opens after ten retries in a row and parks what waits, no attempt spent", function()
    local fake = partner.new({ handler = function() return 503 end })
    local room = deliver.start({ scripts = { acme = script(fake, "limits = { concurrency = 1 }") } })
    room:send({ id = "a", count = 30 })
    local hold = room:hold()
    assert.equal("acme", hold.hold)
    assert.is_true(hold.for_ms > 25000 and hold.for_ms <= 30000, hold.for_ms)
    eventually(function() return room:outcomes().park == 20 and room:outcomes().retry == 10 end)
    assert.equal(10, #fake.requests)
    assert.equal(0, room:all(function(v) return v.outcome == "park" end)[1].attempts)
    assert.equal("park", room:deliver({ id = "b" }).outcome)
    assert.truthy(room:metrics():find('moonpost_breaker_open{partner="acme"} 1', 1, true))
    assert.matches("acme: the breaker is open for %d+ s: status 503", room.child:text())
    room:stop()
    assert.is_nil(room.child:text():find("the breaker is closed", 1, true)) -- it ended open
  end)

  it("is told of again when records come before its time, whatever ended the hold", function()
    local fake = partner.new({ handler = function() return 503 end })
    local room = deliver.start({ scripts = { acme = script(fake, "limits = { concurrency = 1 }") } })
    room:send({ id = "a", count = 10 })
    local first = room:hold()
    room:script("acme", script(fake, "limits = { concurrency = 2 }"))
    room:send({ id = "b", count = 20 })
    assert.equal(first["until"], room:hold(2)["until"])
    eventually(function() return room:outcomes().park == 20 end)
    assert.equal(10, #fake.requests)
    assert.equal(2, #room:all(function(v) return v.hold end))
  end)

  it("shortens no pause", function()
    local fake = partner.new({ handler = function() return { hang = true } end })
    local room = deliver.start({ scripts = { acme = script(fake, "limits = { concurrency = 10 }") } })
    room:send({ id = "a", count = 10 })
    eventually(function() return #fake.hanging == 10 end)
    room:tell({ op = "pause", name = "acme" })
    fake:release({ status = 503 })
    eventually(function() return room:outcomes().retry == 10 end)
    assert.truthy(room:metrics():find('moonpost_breaker_open{partner="acme"} 1', 1, true))
    assert.equal(0, #room:all(function(v) return v.hold end))
    room:tell({ op = "resume", name = "acme" })
    assert.equal("park", room:deliver({ id = "b" }).outcome)
    room:hold(1)
  end)

  it("sends one probe when its time is over, closes when that succeeds, stays open twice as long when not", function()
    local status = 503
    local fake = partner.new({ handler = function() return status end })
    local room = deliver.start({ tune = quick, scripts = { acme = script(fake, "limits = { concurrency = 1 }") } })
    room:send({ id = "a", count = 10 })
    wait_until(room:hold(1)["until"])
    room:send({ id = "b", count = 5 })
    local second = room:hold(2)
    assert.is_true(second.for_ms > 150 and second.for_ms <= 300, second.for_ms)
    assert.equal(11, #fake.requests)
    assert.equal("b1", fake.requests[11].headers["moonpost-id"])
    assert.equal("retry", room:outcome("b1").outcome)
    assert.equal("park", room:outcome("b2").outcome)
    status = 200
    wait_until(second["until"])
    room:send({ id = "c", count = 5 })
    eventually(function() return room:outcomes().settle == 5 end)
    assert.matches("acme: the breaker is closed", room.child:text())
    status = 503
    room:send({ id = "d", count = 9 })
    eventually(function() return room:outcomes().retry == 20 end)
    assert.is_true(room:deliver({ id = "e" }).outcome == "retry")
    assert.is_true(room:hold(3).for_ms <= 150)
  end)

  it("does not count 429, and forgets at any other verdict", function()
    local answers = {}
    for i = 1, 40 do
      answers[i] = 429
    end
    for _ = 1, 3 do
      for _ = 1, 9 do
        answers[#answers + 1] = 500
      end
      answers[#answers + 1] = 200
    end
    local n = 0
    local fake = partner.new({ handler = function() n = n + 1 return answers[n] end })
    local room = deliver.start({ scripts = { acme = script(fake, "limits = { concurrency = 1 }") } })
    room:send({ id = "a", count = #answers })
    eventually(function() return #fake.requests == #answers end)
    eventually(function() return room:outcomes().settle == 3 end)
    assert.equal(0, #room:all(function(v) return v.hold end))
  end)
end)

describe("a partner is paused", function()
  after_each(deliver.clean)

  it("when it refuses twenty times in a row", function()
    local fake = partner.new({ handler = function() return 401 end })
    local room = deliver.start({ scripts = { acme = script(fake, "limits = { concurrency = 1 }") } })
    room:send({ id = "a", count = 30 })
    local pause = room:paused()
    assert.same({ "acme", "auth" }, { pause.pause, pause.kind })
    assert.equal("auth: 20 answers of 401 or 403 in a row", pause.reason)
    eventually(function() return room:outcomes().park == 10 and room:outcomes().retry == 20 end)
    assert.equal(20, #fake.requests)
    assert.equal("park", room:deliver({ id = "b" }).outcome)
    fake.handler = function() return 200 end
    room:tell({ op = "resume", name = "acme" })
    assert.equal("settle", room:deliver({ id = "c" }).outcome)
  end)

  it("when it is gone, and the delivery that heard so waits without an attempt spent", function()
    local fake = partner.new({ handler = function() return 410 end })
    local room = deliver.start({ scripts = { acme = script(fake, "limits = { concurrency = 1 }") } })
    room:send({ id = "a", count = 3 })
    local pause = room:paused()
    assert.same({ "acme", "gone", "410 Gone" }, { pause.pause, pause.kind, pause.reason })
    eventually(function() return room:outcomes().park == 3 end)
    assert.same({ 1, 0 }, { #fake.requests, room:outcome("a1").attempts })
    assert.equal("pause", room:attempt("a1").verdict)
  end)

  it("when its script says so", function()
    local fake = partner.new()
    local room = deliver.start({ scripts = { acme = script(fake, "answers = { { status = 200, 'pause', 'token refused' } }") } })
    assert.equal("park", room:deliver({ id = "a" }).outcome)
    assert.same({ "verdict", "token refused" }, { room:paused().kind, room:paused().reason })
  end)

  it("when twenty different deliveries in a row throw, however often each did", function()
    local fake = partner.new()
    local room = deliver.start({ scripts = { acme = script(fake, "accepts = function(e) if e.bad then error('x') end return true end") } })
    for i = 1, 19 do
      room:deliver({ id = "a" .. i, event = { bad = true } })
      room:deliver({ id = "a" .. i, event = { bad = true }, attempts = 1 })
    end
    assert.equal("settle", room:deliver({ id = "good" }).outcome)
    for i = 1, 19 do
      room:deliver({ id = "b" .. i, event = { bad = true } })
    end
    assert.equal(0, #room:all(function(v) return v.pause end))
    room:deliver({ id = "b20", event = { bad = true } })
    assert.equal("script", room:paused().kind)
    assert.truthy(room:paused().reason:find("^20 deliveries in a row threw: .*acme.lua:1: x"))
    assert.equal(0, #room:all(function(v) return v.hold end))
  end)

  it("when its script overruns three times in a minute, wherever it ran meanwhile", function()
    local fake = partner.new()
    local room = deliver.start({ scripts = { acme = script(fake, "accepts = function(e) while true do end end") } })
    for i = 1, 3 do
      room:deliver({ id = "a" .. i })
    end
    assert.equal("script", room:paused().kind)
    assert.truthy(room:paused().reason:find("^overran its budget 3 times: "))
  end)

  it("when its verdicts overrun three times, though it moves meanwhile", function()
    local fake = partner.new({ handler = function() return { hang = true } end })
    local room = deliver.start({ scripts = { acme = script(fake, "verdict = function() while true do end end") } })
    room:send({ id = "a", count = 4 })
    eventually(function() return #fake.hanging == 4 end)
    fake:release()
    assert.equal("script", room:paused().kind)
    assert.truthy(room:paused().reason:find("^overran its budget 3 times: "))
    eventually(function() return room:outcomes().settle == 4 end)
  end)

  it("by name, what waits with it, and resumed", function()
    local fake = partner.new({ handler = function() return { hang = true } end })
    local room = deliver.start({ scripts = { acme = script(fake, "limits = { concurrency = 2 }") } })
    room:send({ id = "a", count = 5 })
    eventually(function() return #fake.hanging == 2 end)
    room:tell({ op = "pause", name = "acme" })
    eventually(function() return room:outcomes().park == 3 end)
    assert.equal("park", room:deliver({ id = "b" }).outcome)
    fake:release()
    eventually(function() return room:outcomes().settle == 2 end)
    fake.handler = function() return 200 end
    room:tell({ op = "resume", name = "acme" })
    assert.equal("settle", room:deliver({ id = "c" }).outcome)
  end)

  it("for one authority alone where the hosts are free", function()
    local gone = partner.new({ handler = function() return 410 end })
    local fake = partner.new()
    local room = deliver.start({ workers = 2, scripts = { postback = "return {}" } })
    local function post(to, id)
      return room:deliver({ id = id, partner = "postback", lane = "postback http://127.0.0.1:" .. to.port,
                            endpoint_method = "GET", endpoint_url = to:url("/") }).outcome
    end
    assert.equal("park", post(gone, "a"))
    assert.equal("postback http://127.0.0.1:" .. gone.port, room:paused().pause)
    assert.equal("park", post(gone, "b"))
    assert.equal("settle", post(fake, "c"))
    assert.equal(1, #gone.requests)
  end)
end)
