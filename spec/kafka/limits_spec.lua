--- What could hold a partition up for ever: large keys, records too large for where they go, memory
-- that nothing frees, clocks that disagree.
local eventually = require("spec.support.eventually")
local harness = require("spec.support.queue_harness")
local kafka = require("spec.support.kafka")
local process = require("spec.support.process")

local engine = { name = "Kafka", spills = true }
local broker, prefix

local function topic(name)
  return prefix .. "postbacks" .. (name and "." .. name or "")
end

local function deliverer(...)
  return harness.start(engine, prefix, { "--kafka", broker.bootstrap, prefix, "session.timeout.ms=1000",
                                         "heartbeat.interval.ms=300", ... })
end

-- A record for acme as a stranger would write it, into the only partition.
local function produce(id, options)
  options = options or {}
  local headers = { { "ce_subject", "acme" }, { "ce_id", id } }
  for name, value in pairs(options.headers or {}) do
    headers[#headers + 1] = { name, tostring(value) }
  end
  broker:produce(topic(options.topic), {
    partition = 0, key = options.key, value = options.value or "{}", headers = headers,
  })
end

local function of_bytes(bytes)
  return '{"x":"' .. ("x"):rep(bytes) .. '"}'
end

describe("On Kafka", function()
  before_each(function()
    broker = kafka.shared()
    if not broker then
      return
    end
    prefix = kafka.prefix()
    local done = process.run((os.getenv("MOONPOST_BUILD") or "build") .. "/moonpost", {
      args = { "topics", "create", "--kafka", broker.bootstrap, "--topic-prefix", prefix,
               "--partitions", "1", "--replication", "1" },
      deadline_ms = 40000,
    })
    assert(done.code == 0, done:text("out") .. done:text())
  end)
  after_each(harness.clean)

  kafka.it("a retry keeps its key, however long it is", function()
    local queue = deliverer()
    local key = "acme/" .. ("k"):rep(20000)
    produce("a1", { key = key })
    queue:taken("a1")
    queue:tell("retry", "a1", "0")
    assert.equal(1, queue:taken("a1").attempts)
    assert.equal(key, broker:consume(topic("retry.5s"))[1].key)
    queue:close()
  end)

  kafka.it("large records that wait for hours keep no other from being read", function()
    local queue = deliverer("memory=100000")
    local hours = { mp_due = os.time() * 1000 + 7 * 3600000, mp_attempt = 1 }
    produce("held1", { topic = "retry.1h", headers = hours, value = of_bytes(60000) })
    produce("held2", { topic = "retry.6h", headers = hours, value = of_bytes(60000) })
    queue:wait_stat("waiting", 2)
    produce("soon", { topic = "retry.5s", headers = { mp_due = os.time() * 1000, mp_attempt = 1 } })
    queue:taken("soon")
    produce("now")
    queue:taken("now")
    queue:close()
  end)

  kafka.it("a record from a clock that is ahead holds up a tier no longer than the tier lasts", function()
    local queue = deliverer()
    local hour, now = 3600000, os.time() * 1000
    queue:tell("shift", -hour) -- so that all who produce are ahead of it
    queue:wait("shifted")
    produce("ahead", { topic = "retry.2m", headers = { mp_due = now + 130000, mp_attempt = 1 } })
    produce("right", { topic = "retry.2m", headers = { mp_due = now - hour + 125000, mp_attempt = 1 } })
    queue:wait_stat("waiting", 1)
    queue:tell("shift", -hour + 200000)
    assert.is_true(queue:taken("right").late_ms >= 0)
    assert.equal(0, queue:count("take"))
    queue:tell("shift", 140000)
    assert.is_true(queue:taken("ahead").late_ms >= 0)
    queue:close()
  end)

  kafka.it("what is due in hours does not fill the window of the 5s tier", function()
    local queue = deliverer("window=2")
    local hours = { mp_due = os.time() * 1000 + 7 * 3600000, mp_attempt = 1 }
    produce("late1", { topic = "retry.5s", headers = hours })
    produce("late2", { topic = "retry.5s", headers = hours })
    produce("soon", { topic = "retry.5s", headers = { mp_due = os.time() * 1000, mp_attempt = 1 } })
    queue:taken("soon")
    queue:close()
  end)

  kafka.it("a wait as long as a tier goes there, though a moment of it has passed", function()
    local queue = deliverer()
    produce("a1")
    queue:taken("a1")
    queue:tell("retry", "a1", "599800")
    queue:wait_stat("waiting", 1)
    eventually(function() return #broker:consume(topic("retry.10m")) == 1 end, nil, "a record of 10m")
    queue:tell("shift", 600000)
    assert.is_true(queue:taken("a1").late_ms >= 0)
    assert.equal(0, #broker:consume(topic("retry.2m")))
    queue:close()
  end)

  kafka.it("what is too large for its retry tier is a dead letter, and read once", function()
    broker:delete(topic("retry.5s"))
    broker:create(topic("retry.5s"), { partitions = 1, replication = 1,
                                       config = { ["max.message.bytes"] = "1000" } })
    local queue = deliverer("compression.codec=none")
    produce("a1", { value = of_bytes(3000) })
    queue:taken("a1")
    queue:tell("retry", "a1", "0")
    local dead = eventually(function() return broker:consume(topic("dead"))[1] end, nil, "a dead letter")
    assert.equal("acme/a1/0", dead.key)
    assert.matches("larger than the topic takes", dead.header.mp_reason)
    queue:wait_stat("waiting", 0)
    queue:close()
  end)
end)
