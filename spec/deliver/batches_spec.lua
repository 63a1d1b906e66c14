--- Batches: what goes together and when, what each member is told, and what a refusal costs.
local cjson = require("cjson")
local deliver = require("spec.support.deliver")
local partner, eventually = deliver.partner, deliver.eventually

-- `batch` is the text inside its braces.
local function script(fake, batch, more)
  return ("return { url = %q, batch = { %s }, retry = { schedule = { '5s', '7s' }, jitter = 0 }, %s }"):format(
    fake:url("/"), batch, more or "")
end

local function start(fake, batch, more, options)
  options = options or {}
  options.scripts = { acme = script(fake, batch, more) }
  return deliver.start(options)
end

-- Sends events { n = from } … { n = to } with the ids a<n>.
local function send(room, from, to, event)
  for n = from, to do
    local one = { n = n }
    for key, value in pairs(event or {}) do
      one[key] = value
    end
    room:send({ id = "a" .. n, event = one })
  end
end

-- The n of the events in each request, as "1 2 3".
local function seen(fake)
  local list = {}
  for i, request in ipairs(fake.requests) do
    local numbers = {}
    for _, event in ipairs(cjson.decode(request.body)) do
      numbers[#numbers + 1] = event.n
    end
    list[i] = table.concat(numbers, " ")
  end
  return list
end

local function wait_for(room, want)
  eventually(function()
    local count = room:outcomes()
    for kind, number in pairs(want) do
      if count[kind] ~= number then
        return false, cjson.encode(count)
      end
    end
    return true
  end)
end

-- A partner that refuses what holds one of these, with this status.
local function refusing(bad, status)
  return partner.new({
    handler = function(request)
      for _, event in ipairs(cjson.decode(request.body)) do
        if bad[event.n] then
          return status or 400
        end
      end
      return 200
    end,
  })
end

describe("a batch", function()
  after_each(deliver.clean)

  it("goes as soon as it has its size", function()
    local fake = partner.new()
    local room = start(fake, "size = 4, wait = '1h'", "limits = { concurrency = 1 }")
    send(room, 1, 9)
    wait_for(room, { settle = 8 })
    assert.same({ "1 2 3 4", "5 6 7 8" }, seen(fake))
    assert.equal(0, room:in_flight())
  end)

  it("goes with what it has when its oldest has waited", function()
    local fake = partner.new()
    local room = start(fake, "size = 100, wait = '30ms'")
    send(room, 1, 3)
    wait_for(room, { settle = 3 })
    assert.same({ 1, 2, 3 }, (function()
      local all = table.concat(seen(fake), " ")
      local numbers = {}
      for n in all:gmatch("%d+") do
        numbers[#numbers + 1] = tonumber(n)
      end
      return numbers
    end)())
  end)

  it("goes before it would exceed its bytes, and a big piece alone", function()
    local fake = partner.new()
    local room = start(fake, "size = 100, wait = '1h', bytes = 100")
    for n, pad in ipairs({ 10, 10, 60, 200, 10 }) do
      room:send({ id = "a" .. n, event = { n = n, pad = ("x"):rep(pad) } })
    end
    wait_for(room, { settle = 4 })
    table.sort(fake.requests, function(a, b) return a.at < b.at end)
    local list = seen(fake)
    table.sort(list)
    assert.same({ "1 2", "3", "4" }, list)
  end)

  it("is of one group: what `by` names is the same in it", function()
    local fake = partner.new()
    local room = start(fake, "size = 2, wait = '1h', by = { 'c' }", "headers = { ['X-C'] = '{c}' }")
    for n, customer in ipairs({ "x", "y", "x", "z", "y" }) do
      room:send({ id = "a" .. n, event = { n = n, c = customer } })
    end
    wait_for(room, { settle = 4 })
    local list = {}
    for i, numbers in ipairs(seen(fake)) do
      list[fake.requests[i].headers["x-c"]] = numbers
    end
    assert.same({ x = "1 3", y = "2 5" }, list)
  end)

  it("does not wait for what the queue cannot give: its lane is full of groups", function()
    local fake = partner.new()
    local room = start(fake, "size = 10, wait = '1h', by = { 'n' }")
    send(room, 1, 300)
    eventually(function() return room:outcomes().settle and room:outcomes().settle >= 45 end)
    assert.equal("1", seen(fake)[1])
    room:drain()
  end)

  it("has one line a delivery, each with the batch and the exchange", function()
    local fake = partner.new()
    local room = start(fake, "size = 2, wait = '1h'")
    send(room, 1, 2)
    local one, two = room:attempt("a1"), room:attempt("a2")
    assert.equal(fake.requests[1].headers["moonpost-id"], one.batch)
    assert.equal("1", fake.requests[1].headers["moonpost-attempt"])
    assert.equal(36, #one.batch)
    one.id, two.id = nil, nil
    assert.same(one, two)
    assert.equal("delivered", one.verdict)
    assert.equal(200, one.status)
  end)

  it("of one is its delivery", function()
    local fake = partner.new()
    local room = start(fake, "size = 1")
    send(room, 1, 1)
    assert.equal("a1", room:attempt("a1").batch)
    assert.equal("a1", fake.requests[1].headers["moonpost-id"])
  end)

  it("counts deliveries as attempts, and its exchange once", function()
    local fake = partner.new()
    local room = start(fake, "size = 5, wait = '1h'")
    send(room, 1, 5)
    wait_for(room, { settle = 5 })
    local text = room:metrics()
    assert.truthy(text:find('moonpost_attempts_total{partner="acme",verdict="delivered"} 5', 1, true))
    assert.truthy(text:find('moonpost_attempt_duration_seconds_count{partner="acme"} 1', 1, true))
    assert.truthy(text:find('moonpost_deliveries_total{partner="acme",outcome="delivered"} 5', 1, true))
  end)

  it("counts as one in concurrency, and gathers the next meanwhile", function()
    local fake = partner.new({ handler = function() return { hang = true } end })
    local room = start(fake, "size = 3, wait = '1h'", "limits = { concurrency = 2 }")
    send(room, 1, 12)
    eventually(function() return #fake.hanging == 2 end)
    assert.equal(2, room:in_flight())
    fake.handler = function() return 200 end
    fake:release()
    wait_for(room, { settle = 12 })
    assert.equal(4, #fake.requests)
  end)

  it("is without whom its own hooks refuse, each with a line of its own", function()
    local fake = partner.new()
    local room = start(fake, "size = 3, wait = '1h'", [[
      required = { "n" }, item = { n = number "{n}", id = "{ctx.id}" },
      accepts = function(event) if event.n == 3 then error("three") end return event.n ~= 2, "two" end]])
    send(room, 1, 5)
    room:send({ id = "none" })
    room:send({ id = "text", event = { n = "x" } })
    wait_for(room, { settle = 4, bury = 2, retry = 1 })
    assert.same({ "1 4 5" }, seen(fake))
    assert.equal("a4", cjson.decode(fake.requests[1].body)[2].id)
    for id, want in pairs({
      a2 = { "skipped", "two" }, none = { "dead", "missing n" }, text = { "dead", "n is no number" },
    }) do
      local line = room:attempt(id)
      assert.same(want, { line.verdict, line.why })
      assert.is_nil(line.batch)
      assert.equal(cjson.null, line.url)
    end
    assert.equal("retry", room:attempt("a3").verdict)
    assert.matches("three", room:attempt("a3").why)
    assert.truthy(room:metrics():find('moonpost_deliveries_total{partner="acme",outcome="skipped"} 1', 1, true))
  end)

  it("loses who grew too old while it waited", function()
    local fake = partner.new({ handler = function() return { hang = true } end })
    local room = start(fake, "size = 2, wait = '1h'", "limits = { concurrency = 1 }, max_age = { '1s', of = 't' }")
    local seconds = require("luv").gettimeofday()
    send(room, 1, 2, { t = seconds + 3600 })
    eventually(function() return #fake.hanging == 1 end)
    -- It is old a while after it joined.
    room:send({ id = "old", event = { n = 3, t = seconds } })
    send(room, 4, 4, { t = seconds + 3600 })
    eventually(function() return require("luv").gettimeofday() > seconds + 2 end)
    fake.handler = function() return 200 end
    fake:release()
    wait_for(room, { bury = 1 })
    assert.equal("expired", room:outcome("old").reason)
  end)
end)

describe("a refused batch", function()
  after_each(deliver.clean)

  for _, status in ipairs({ 400, 413, 422 }) do
    it(("is split for %d until only the bad one is charged"):format(status), function()
      local fake = refusing({ [7] = true }, status)
      local room = start(fake, "size = 10, wait = '1h'", "limits = { concurrency = 1 }")
      send(room, 1, 10)
      wait_for(room, { settle = 9, bury = 1 })
      assert.same({ "1 2 3 4 5 6 7 8 9 10", "1 2 3 4 5", "6 7 8 9 10", "6 7 8", "6 7", "6", "7", "8", "9 10" }, seen(fake))
      local dead = room:outcome("a7")
      assert.same({ "bury", 1, "status " .. status }, { dead.outcome, dead.attempts, dead.reason })
      assert.equal(1, room:outcome("a1").attempts)
      for _, request in ipairs(fake.requests) do
        assert.equal("1", request.headers["moonpost-attempt"])
      end
      assert.same({ "split", 1 }, { room:attempt("a6", 1).verdict, room:attempt("a6", 1).attempt })
      assert.equal("delivered", room:attempt("a6", 5).verdict)
      assert.is_true(room:attempt("a6", 1).batch ~= room:attempt("a6", 2).batch)
    end)
  end

  it("delivers every good one once around several bad ones", function()
    local fake = refusing({ [1] = true, [50] = true, [51] = true, [128] = true })
    local room = start(fake, "size = 128, wait = '1h'")
    send(room, 1, 128)
    wait_for(room, { settle = 124, bury = 4 })
    local delivered = {}
    for i, request in ipairs(fake.requests) do
      if request.status == 200 then
        for n in seen(fake)[i]:gmatch("%d+") do
          delivered[n] = (delivered[n] or 0) + 1
        end
      end
    end
    for n = 1, 128 do
      local is_bad = n == 1 or n == 50 or n == 51 or n == 128
      assert.equal(not is_bad and 1 or nil, delivered[tostring(n)], "of " .. n)
    end
    assert.truthy(room:metrics():find('moonpost_breaker_open{partner="acme"} 0', 1, true))
  end)

  it("is not split when answers say otherwise", function()
    local fake = partner.new({ handler = function() return 400 end })
    local room = start(fake, "size = 3, wait = '1h'", 'answers = { { status = 400, "retry", "1h" } }')
    send(room, 1, 3)
    wait_for(room, { retry = 3 })
    assert.equal(1, #fake.requests)
  end)

  it("is split by a hook's word, for whatever answer", function()
    local fake = partner.new()
    local room = start(fake, "size = 4, wait = '1h'", [[
      verdict = function(response, ctx) if #ctx.ids > 1 then return "split" end end]])
    send(room, 1, 4)
    wait_for(room, { settle = 4 })
    assert.equal(7, #fake.requests)
  end)

  it("has its bad one dead when a 200 refuses it", function()
    local fake = partner.new({ handler = function(request)
      return { status = 200, body = request.body:find('"n":2[,}]') and '{"code":40002}' or '{"code":0}' }
    end })
    local answers = start(fake, "size = 4, wait = '1h'", [[
      answers = { { json = { code = 40002 }, "split" } }, limits = { concurrency = 1 }]])
    send(answers, 1, 4)
    wait_for(answers, { settle = 3, bury = 1 })
    assert.same({ "1 2 3 4", "1 2", "1", "2", "3 4" }, seen(fake))
    assert.equal("answers: json code", answers:outcome("a2").reason)
    local hook = start(fake, "size = 2, wait = '1h'", [[
      verdict = function(response) if response.json.code ~= 0 then return "split" end end]])
    send(hook, 1, 2)
    wait_for(hook, { settle = 1, bury = 1 })
    assert.equal("refused alone: status 200", hook:outcome("a2").reason)
  end)

  it("has its parts tried again when it is split for what passes", function()
    local fake = partner.new({ handler = function() return 503 end })
    local room = start(fake, "size = 2, wait = '1h'", 'answers = { { status = 503, "split" } }')
    send(room, 1, 2)
    wait_for(room, { retry = 2 })
    assert.same({ "1 2", "1", "2" }, seen(fake))
  end)

  it("has its halves parked when its partner is paused meanwhile", function()
    local fake = partner.new({ handler = function() return { hang = true } end })
    local room = start(fake, "size = 4, wait = '1h'")
    send(room, 1, 4)
    eventually(function() return #fake.hanging == 1 end)
    room:tell({ op = "pause", name = "acme" })
    room:in_flight() -- the worker has been told
    fake:release({ status = 400 })
    wait_for(room, { park = 4 })
    assert.equal(1, #fake.requests)
    assert.equal(0, room:outcome("a1").attempts)
  end)

  it("is parked by a new generation, its halves with the pieces of the old", function()
    local fake = partner.new({ handler = function() return { hang = true } end })
    local room = start(fake, "size = 4, wait = '1h'")
    send(room, 1, 4)
    eventually(function() return #fake.hanging == 1 end)
    room:script("acme", script(fake, "size = 4, wait = '1h'", "item = { x = '{n}' }"))
    room:in_flight() -- the worker has been told
    fake.handler = function() return 200 end
    fake:release({ status = 400 })
    wait_for(room, { park = 4 })
  end)
end)

describe("each member", function()
  after_each(deliver.clean)

  it("has the verdict that a table gives it, the others the status's", function()
    local fake = partner.new({ handler = function() return { body = '{"failed":[2,4]}' } end })
    local room = start(fake, "size = 5, wait = '1h'", [=[
      verdict = function(response, ctx)
        local out = { [1] = { "retry", "6h" }, [ctx.ids[5]] = { "skipped", "not ours" } }
        for _, place in ipairs(response.json.failed) do out[place] = { "dead", "refused" } end
        return out
      end]=])
    send(room, 1, 5)
    wait_for(room, { settle = 2, bury = 2, retry = 1 })
    assert.equal(6 * 3600 * 1000, room:outcome("a1").wait_ms)
    assert.same({ "dead", "refused" }, { room:attempt("a2").verdict, room:attempt("a2").why })
    assert.same({ "delivered", "status 200" }, { room:attempt("a3").verdict, room:attempt("a3").why })
    assert.same({ "skipped", "not ours" }, { room:attempt("a5").verdict, room:attempt("a5").why })
  end)

  it("has the status's verdict when the table is wrong, and the log says what was", function()
    local fake = partner.new()
    local room = start(fake, "size = 2, wait = '1h'", "verdict = function() return { [3] = 'dead' } end")
    send(room, 1, 2)
    wait_for(room, { settle = 2 })
    assert.matches("^status 200; verdict threw: .*3 is neither a place from 1 to 2", room:attempt("a2").why)
    assert.truthy(room:metrics():find('moonpost_script_errors_total{partner="acme"} 1', 1, true))
  end)

  it("waits by its own schedule after a retried batch, and dies by its own", function()
    local fake = partner.new({ handler = function() return 500 end })
    local room = start(fake, "size = 3, wait = '1h'")
    room:send({ id = "first", event = { n = 1 } })
    room:send({ id = "second", event = { n = 2 }, attempts = 1 })
    room:send({ id = "last", event = { n = 3 }, attempts = 2 })
    wait_for(room, { retry = 2, bury = 1 })
    assert.equal(5000, room:outcome("first").wait_ms)
    assert.equal(7000, room:outcome("second").wait_ms)
    assert.equal("gave up after 3 attempts: status 500", room:outcome("last").reason)
    assert.equal("3", fake.requests[1].headers["moonpost-attempt"])
    assert.equal(2, room:attempt("second").attempt)
  end)

  it("is parked, and spends nothing, when one of them pauses the partner", function()
    local fake = partner.new()
    local room = start(fake, "size = 2, wait = '1h'", "verdict = function() return { [2] = { 'pause', 'no quota' } } end")
    send(room, 1, 3)
    wait_for(room, { settle = 1, park = 2 })
    assert.same({ "acme", "verdict", "no quota" }, { room:paused().pause, room:paused().kind, room:paused().reason })
    assert.equal(0, room:outcome("a2").attempts)
  end)
end)

describe("the partner's health", function()
  after_each(deliver.clean)

  it("counts a refused batch once for the breaker, and probes with one delivery", function()
    local fake = partner.new({ handler = function() return 503 end })
    local room = start(fake, "size = 5, wait = '1h'", "limits = { concurrency = 1 }",
      { tune = { breaker_open_ms = 150, breaker_open_max_ms = 150 } })
    send(room, 1, 45)
    wait_for(room, { retry = 45 })
    assert.equal(0, #room:all(function(v) return v.hold end))
    send(room, 46, 60)
    local hold = room:hold()
    wait_for(room, { retry = 50, park = 10 })
    fake.requests = {}
    eventually(function()
      local seconds, micros = require("luv").gettimeofday()
      return seconds * 1000 + micros / 1000 > hold["until"]
    end)
    room:send({ id = "p", count = 10, event = { n = 61 } })
    wait_for(room, { retry = 51, park = 19 })
    assert.same({ "61" }, seen(fake))
    assert.equal("retry", room:outcome("p1").outcome)
  end)

  it("is not harmed by a batch of which a part is to be tried again", function()
    local fake = partner.new()
    local room = start(fake, "size = 2, wait = '1h'", "limits = { concurrency = 1 }, verdict = function() return { 'retry' } end")
    send(room, 1, 40)
    wait_for(room, { retry = 20, settle = 20 })
    assert.equal(0, #room:all(function(v) return v.hold end))
  end)

  it("counts a 401 once a batch", function()
    local fake = partner.new({ handler = function() return 401 end })
    local room = start(fake, "size = 2, wait = '1h'", "limits = { concurrency = 1 }")
    send(room, 1, 38)
    wait_for(room, { retry = 38 })
    assert.equal(0, #room:all(function(v) return v.pause end))
    send(room, 39, 40)
    assert.equal("auth", room:paused().kind)
  end)
end)

describe("what gathers", function()
  after_each(deliver.clean)

  it("is parked whole by a pause, and by a recall", function()
    local fake = partner.new()
    local room = start(fake, "size = 10, wait = '1h'")
    send(room, 1, 5)
    room:tell({ op = "pause", name = "acme" })
    wait_for(room, { park = 5 })
    room:tell({ op = "resume", name = "acme" })
    send(room, 6, 8)
    room:tell({ op = "recall" })
    wait_for(room, { park = 8 })
    assert.equal(0, #fake.requests)
    assert.equal(0, room:outcome("a1").attempts)
  end)

  it("is made anew by a new generation, none lost and none twice", function()
    local fake = partner.new()
    local room = start(fake, "size = 4, wait = '1h'")
    send(room, 1, 3)
    room:script("acme", script(fake, "size = 4, wait = '1h'", "item = { n = '{n}', new = true }"))
    send(room, 4, 4)
    wait_for(room, { settle = 4 })
    assert.same({ "1 2 3 4" }, seen(fake))
    assert.is_true(cjson.decode(fake.requests[1].body)[1].new)
  end)

  it("goes one by one when a new generation has no batches, and together when it has", function()
    local fake = partner.new()
    local room = start(fake, "size = 4, wait = '1h'")
    send(room, 1, 3)
    room:script("acme", ("return { url = %q, method = 'POST' }"):format(fake:url("/")))
    wait_for(room, { settle = 3 })
    assert.equal(3, #fake.requests)
    room:script("acme", script(fake, "size = 2, wait = '1h'"))
    fake.requests = {}
    send(room, 4, 5)
    wait_for(room, { settle = 5 })
    assert.same({ "4 5" }, seen(fake))
  end)

  it("goes at a drain, and what does not fit is parked", function()
    local fake = partner.new({ handler = function() return { delay_ms = 20 } end })
    local room = deliver.start({ scripts = {
      acme = script(fake, "size = 10, wait = '1h', by = { 'k' }", "limits = { concurrency = 1 }"),
      other = ("return { url = %q, method = 'POST' }"):format(partner.new():url("/")),
    } })
    send(room, 1, 3, { k = 1 })
    send(room, 4, 6, { k = 2 })
    room:deliver({ id = "behind", partner = "other" }) -- the others have gathered by then
    room:drain()
    wait_for(room, { settle = 4, park = 3 })
    assert.same({ "1 2 3" }, seen(fake))
  end)

  it("is parked when a drain has no time, also what is under way", function()
    local fake = partner.new({ handler = function() return { hang = true } end })
    local room = start(fake, "size = 2, wait = '1h'")
    send(room, 1, 3)
    eventually(function() return #fake.hanging == 1 end)
    room:tell({ op = "drain", ms = 0 })
    wait_for(room, { park = 3 })
  end)

  it("is in no other partner's way, however slowly its pieces are made", function()
    local slow, fake = partner.new(), partner.new()
    local room = deliver.start({ scripts = {
      acme = script(slow, "size = 1000, wait = '1s'", "accepts = function() for i = 1, 2e5 do local x = i end end"),
      other = ("return { url = %q, method = 'POST' }"):format(fake:url("/")),
    } })
    room:send({ id = "s", count = 1000 })
    room:send({ id = "o", partner = "other", count = 50 })
    eventually(function() return #fake.requests == 50 end)
    assert.is_true(#slow.requests <= 1)
  end)
end)
