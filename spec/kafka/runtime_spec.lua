--- Moonpost on Kafka as its users see it: the API, kcat, several processes.
local support = require("spec.support")
local faults = require("spec.support.faults")
local kafka = require("spec.support.kafka")
local process = require("spec.support.process")
local eventually, partner, runtime = support.eventually, support.partner, support.runtime

local broker, prefix, topics, fake

local function flags(more)
  local list = { "--kafka", broker.bootstrap, "--topic-prefix", prefix,
                 "-X", "session.timeout.ms=1000", "-X", "heartbeat.interval.ms=300",
                 "-X", "fetch.wait.max.ms=50" }
  for _, flag in ipairs(more or {}) do
    list[#list + 1] = flag
  end
  return list
end

local function script(more)
  return ('return { method = "POST", url = "%s", retry = { schedule = { "1s" }, jitter = 0 }, %s }')
    :format(fake:url("/hook"), more or "")
end

local function start(more, scripts)
  return runtime.start({ flags = flags(more), scripts = scripts or { acme = script() } })
end

local function arrived(count)
  eventually(function() return #fake.requests >= count, #fake.requests end, nil, count .. " requests")
  return fake.requests
end

local function records(name, count)
  local found
  eventually(function()
    found = broker:consume(prefix .. name)
    return #found >= (count or 1), #found
  end, nil, (count or 1) .. " records of " .. name)
  return found
end

local function make_topics()
  local made = process.run(runtime.binary(), {
    args = { "topics", "create", "--kafka", broker.bootstrap, "--topic-prefix", prefix, "--partitions", "2" },
  })
  assert.equal(0, made.code, made:text() .. made:text("out"))
end

describe("Moonpost on Kafka", function()
  before_each(function()
    broker = kafka.shared()
    if broker then
      prefix = kafka.prefix()
      topics = { postbacks = prefix .. "postbacks" }
      fake = partner.new()
      make_topics()
    end
  end)
  after_each(support.clean)

  kafka.it("delivers what was posted, and keeps it as a record that reads well", function()
    local rt = start()
    local id = rt:accept("/events/acme", '{"click": "c-1", "n":1.50}')[1]
    assert.equal('{"click": "c-1", "n":1.50}', arrived(1)[1].body)
    assert.equal(id, fake.requests[1].headers["moonpost-id"])
    local record = records("postbacks")[1]
    assert.same({ "acme/" .. id, '{"click": "c-1", "n":1.50}' }, { record.key, record.value })
    assert.equal("acme", record.header.ce_subject)
    assert.equal(id, record.header.ce_id)
    assert.equal("1.0", record.header.ce_specversion)
    assert.equal("application/json", record.header["content-type"])
    for name in pairs(record.header) do
      assert.is_nil(name:find("^mp_"), name .. " is there though it says nothing")
    end
  end)

  kafka.it("keeps what a CloudEvents producer said, also in a retry", function()
    fake.handler = function(request)
      return request.headers["moonpost-attempt"] == "1" and 503 or 200
    end
    local rt = start()
    rt:accept("/events/acme", '{"n":1}', {
      ["Ce-Id"] = "e-1", ["Ce-Source"] = "/shop", ["Ce-Type"] = "order.paid", ["Ce-Specversion"] = "1.0",
      ["Ce-Subject"] = "order 7", ["Ce-Time"] = "2026-01-02T03:04:05Z", ["Ce-Partitionkey"] = "user-9",
    })
    arrived(2)
    for _, name in ipairs({ "postbacks", "postbacks.retry.5s" }) do
      local record = records(name)[1]
      local header = record.header
      assert.equal("acme/user-9", record.key)
      assert.same({ "e-1", "order 7", "/shop", "order.paid" },
        { header.mp_event_id, header.mp_subject, header.ce_source, header.ce_type })
      assert.matches("^2026%-01%-02T03:04:05", header.ce_time)
    end
    local header = records("postbacks.retry.5s")[1].header
    assert.same({ "1", "503" }, { header.mp_attempt, header.mp_status })
  end)

  kafka.it("delivers records that kcat wrote like its own", function()
    local rt = start(nil, { acme = script(), postback = [[return { endpoint = "event" }]] })
    broker:produce(topics.postbacks, { value = '{"n":1}', headers = { { "ce_subject", "acme" } } })
    local request = arrived(1)[1]
    assert.equal('{"n":1}', request.body)
    assert.matches("^" .. topics.postbacks:gsub("%p", "%%%0") .. "%-%d+%-%d+$", request.headers["moonpost-id"])
    broker:produce(topics.postbacks, { value = '{"n":2}', key = "any key",
      headers = { { "ce_subject", "acme" }, { "ce_id", "mine" }, { "x", "y" }, { "mp_attempt", "1" } } })
    request = arrived(2)[2]
    assert.same({ "mine", "2" }, { request.headers["moonpost-id"], request.headers["moonpost-attempt"] })
    eventually(function() return rt:partner("acme").waiting == 0 end, nil, "an empty queue")
  end)

  kafka.it("delivers a postback that kcat wrote, by its own template", function()
    local text = assert(io.open("scripts/postback.lua")):read("*a")
    start(nil, { postback = text })
    broker:produce(topics.postbacks, { value = '{"x":"a b"}', headers = { { "ce_subject", "postback" },
      { "mp_endpoint", ('{"method":"GET","url":"%s"}'):format(fake:url("/p?x={x}")) } } })
    assert.same({ "GET", "/p?x=a%20b" }, { arrived(1)[1].method, fake.requests[1].target })
  end)

  kafka.it("lays a malformed record to the dead letters, and goes on behind it", function()
    local rt = start()
    broker:produce(topics.postbacks, { partition = 0, value = "no json", headers = { { "ce_subject", "acme" } } })
    broker:produce(topics.postbacks, { partition = 0, value = "{}" })
    broker:produce(topics.postbacks, { partition = 0, headers = { { "ce_subject", "acme" } } })
    broker:produce(topics.postbacks, { partition = 0, value = '{"n":4}', headers = { { "ce_subject", "acme" } } })
    assert.equal('{"n":4}', arrived(1)[1].body)
    local items = eventually(function()
      local list = rt:api("/api/dead").items
      return #list == 3 and list, #list
    end, nil, "three dead letters")
    local reasons = {}
    for _, item in ipairs(items) do
      assert.equal("-", item.partner)
      reasons[item.id] = item.reason
    end
    assert.matches("not JSON", reasons[topics.postbacks .. "-0-0"])
    assert.matches("ce_subject", reasons[topics.postbacks .. "-0-1"])
    assert.is_string(reasons[topics.postbacks .. "-0-2"])
    assert.equal("no json", rt:api("/api/dead/" .. topics.postbacks .. "-0-0").event)
    assert.equal(0, rt:post("/api/dead/replay", { ids = { topics.postbacks .. "-0-0" } }).json.replayed)
    assert.equal(1, #rt:post("/api/dead/purge", { ids = { topics.postbacks .. "-0-0", "nobody" } }).json.unknown)
  end)

  kafka.it("keeps a Retry-After of hours over a restart, in the tier that fits", function()
    fake.handler = function()
      return { status = 503, headers = { ["Retry-After"] = "7500" } }
    end
    local rt = start()
    local id = rt:accept("/events/acme", "{}")[1]
    local line = rt:attempt(id)
    assert.is_string(line.next_at)
    local header = records("postbacks.retry.1h")[1].header
    local wait_ms = tonumber(header.mp_due) - os.time() * 1000
    assert.is_true(wait_ms > 7400000 and wait_ms < 7600000, "it waits " .. wait_ms .. " ms")
    rt:restart()
    eventually(function() return rt:partner("acme").waiting == 1 end, nil, "the delivery that waits")
    assert.equal(1, #fake.requests)
    assert.equal(1, #records("postbacks.retry.1h"))
  end)

  kafka.it("takes a delivery to the dead letters, and replays it", function()
    local status = 400
    fake.handler = function() return status end
    local rt = start()
    local id = rt:accept("/events/acme", '{"n":1}')[1]
    local letter = eventually(function() return rt:api("/api/dead").items[1] end, nil, "a dead letter")
    assert.same({ id, "acme", 400, 1 }, { letter.id, letter.partner, letter.status, letter.attempts })
    local origin = records("postbacks.dead")[1].header.mp_origin
    assert.equal(records("postbacks.dead")[1].key, "acme/" .. id .. "/0")
    assert.matches("%-%d+%-%d+$", origin)
    status = 200
    local answer = rt:post("/api/dead/replay", { ids = { id, "nobody" } }).json
    assert.same({ 1, 1, { "nobody" } }, { answer.matched, answer.replayed, answer.unknown })
    local again = arrived(2)[2]
    assert.same({ id, "1" }, { again.headers["moonpost-id"], again.headers["moonpost-attempt"] })
    assert.equal(0, #rt:api("/api/dead").items)
  end)

  kafka.it("sends a record of an unknown partner round the tiers, and buries it when its time is over", function()
    local rt = start()
    broker:produce(topics.postbacks, { value = "{}", headers = { { "ce_subject", "nobody" } } })
    local record = records("postbacks.retry.10m")[1]
    assert.is_string(record.header.mp_unknown)
    assert.is_nil(record.header.mp_attempt)
    assert.equal(404, rt:post("/events/nobody", "{}").status)
    rt:stop()
    rt = start({ "--unknown-partner", "0" })
    broker:produce(topics.postbacks, { value = "{}", headers = { { "ce_subject", "nobody" } } })
    local letter = eventually(function() return rt:api("/api/dead").items[1] end, nil, "a dead letter")
    assert.same({ "nobody", "there is no script for the partner nobody" }, { letter.partner, letter.reason })
  end)

  kafka.it("ingests and delivers in separate processes, for partners whose script is elsewhere", function()
    local ingest = start({ "--role", "ingest", "--partners", "globex,initech" },
      { acme = script('subscribes = { "*" }') })
    local deliver = start({ "--role", "deliver" }, { acme = script(), globex = script('subscribes = { "*" }') })
    ingest:accept("/events/acme", '{"n":1}')
    ingest:accept("/events/globex", '{"n":2}')
    arrived(2)
    assert.equal(404, ingest:post("/events/nobody", "{}").status)
    local answer = deliver:post("/events/acme", "{}")
    assert.equal(404, answer.status)
    assert.matches("--role deliver", answer.body, nil, true)
    assert.equal(200, deliver:get("/metrics").status)
    -- Whose script is elsewhere subscribes to nothing here.
    local _, told = ingest:accept("/events", '{"type":"x","n":3}')
    assert.equal(1, told.accepted)
    assert.equal("acme", told.deliveries[1].partner)
    arrived(3)
  end)

  kafka.it("takes no more while it drains: what comes meanwhile is whose the partitions are next", function()
    fake.handler = function(request) return request.body:find("wait") and { hang = true } or 200 end
    local first = start({ "--drain", "20s" })
    first:accept("/events/acme", '{"wait":1}')
    arrived(1)
    first:terminate()
    first.child:wait_for("draining", nil, "err")
    local values = {}
    for i = 1, 600 do
      values[i] = ('{"n":%d}'):format(i)
    end
    broker:produce(topics.postbacks, { values = values, headers = { { "ce_subject", "acme" } } })
    faults.let_pass(1500) -- what a lane must not hold up is spilled within a second
    fake:release()
    first:stop()
    start()
    arrived(601)
    for _, tier in ipairs({ "5s", "30s", "2m", "10m" }) do
      assert.equal(0, #broker:consume(prefix .. "postbacks.retry." .. tier))
    end
  end)

  kafka.it("holds a pause on every process, and lifts it on every process", function()
    local one = start()
    local two = start()
    assert.equal(200, one:post("/api/partners/acme/pause", "{}").status)
    eventually(function() return two:partner("acme").state == "paused" end, nil, "the pause on the other")
    assert.equal("by the operator", two:partner("acme").reason)
    two:accept("/events/acme", "{}")
    records("postbacks.retry.10m")
    assert.equal(0, #fake.requests)
    assert.equal(200, two:post("/api/partners/acme/resume", "{}").status)
    eventually(function() return one:partner("acme").state == "ok" end, nil, "the end of the pause")
    one:accept("/events/acme", "{}")
    arrived(1)
  end)

  kafka.it("keeps a pause over the restart of all", function()
    local rt = start()
    rt:post("/api/partners/acme/pause", "{}")
    eventually(function() return #broker:consume(prefix .. "postbacks.partners") == 1 end, nil, "the pause")
    rt:restart()
    assert.same({ "paused", "by the operator" }, { rt:partner("acme").state, rt:partner("acme").reason })
  end)

  kafka.it("says in /readyz which topic is missing, and is ready once it is there", function()
    local rt = start()
    assert.equal(200, rt:get("/readyz").status)
    prefix = kafka.prefix()
    local child = process.spawn(runtime.binary(), {
      args = { "run", "--listen", "127.0.0.1:0", "--scripts", rt.scripts, unpack(flags()) },
    })
    local address = child:wait_for("listening on http://%S+"):match("(http://%S+)")
    local function ready()
      return support.http.request({ method = "GET", url = address .. "/readyz" })
    end
    local answer = eventually(function()
      local got = ready()
      return got.body:find("missing", 1, true) and got, got.body
    end, nil, "the missing topic")
    assert.equal(503, answer.status)
    assert.matches("topics create", answer.body, nil, true)
    local post = support.http.request({ method = "POST", url = address .. "/events/acme", body = "{}",
      headers = { ["Content-Type"] = "application/json" } })
    assert.equal(503, post.status)
    assert.is_string(post.headers["retry-after"])
    make_topics()
    eventually(function() return ready().status == 200 end, nil, "readiness")
    child:kill("sigterm")
    assert.equal(0, (child:wait()))
  end)

  kafka.it("tells lag, partitions and what is spilled in /metrics", function()
    local rt = start()
    rt:accept("/events/acme", "[{},{}]")
    arrived(2)
    eventually(function()
      local text = rt:get("/metrics").body
      local function value(pattern) return tonumber(text:match("\n" .. pattern .. " (%d+)\n")) end
      local function lag(partition)
        return value(('moonpost_kafka_lag{topic="%s",partition="%d"}'):format(topics.postbacks, partition)
          :gsub("%p", "%%%0"))
      end
      return lag(0) == 0 and lag(1) == 0
        and value("moonpost_kafka_partitions") == 16 and value('moonpost_kafka_spilled_total{reason="slow"}') == 0
        and value("moonpost_kafka_commits_total") > 0, text
    end, nil, "the metrics")
  end)

  kafka.it("refuses an event that is too large for a record, and takes the next", function()
    local rt = start({ "--body-limit", "4MiB" })
    local answer = rt:post("/events/acme", '{"x":"' .. ("y"):rep(2200000) .. '"}')
    assert.equal(413, answer.status)
    assert.matches("2 MiB", answer.body, nil, true)
    -- Random digits, so that no compression makes it small.
    local digits = {}
    math.randomseed(7)
    for i = 1, 210000 do
      digits[i] = ("%09d"):format(math.random(0, 999999999))
    end
    rt:accept("/events/acme", '{"x":"' .. table.concat(digits) .. '"}')
    assert.equal(210000 * 9 + 8, #arrived(1)[1].body)
  end)

  it("does nothing without --kafka in a role of its own", function()
    local child = process.run(runtime.binary(), { args = { "run", "--role", "deliver" } })
    assert.equal(2, child.code)
    assert.matches("--role deliver needs --kafka", child:text(), nil, true)
    child = process.run(runtime.binary(), { args = { "run", "--kafka", "127.0.0.1:1", "--partners", "A B" } })
    assert.equal(2, child.code)
    assert.matches('--partners: "A"', child:text(), nil, true)
  end)
end)
