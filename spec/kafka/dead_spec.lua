--- Dead letters as only Kafka keeps them: what is in the topic, and what strangers put there.
local harness = require("spec.support.queue_harness")
local kafka = require("spec.support.kafka")
local process = require("spec.support.process")
local runtime = require("spec.support.runtime")
local eventually = harness.eventually

local SETTINGS = { "session.timeout.ms=1000", "heartbeat.interval.ms=300" }
local DAY_MS = 86400000

local engine = { name = "Kafka" }
function engine.open(prefix)
  return harness.start(engine, prefix, { "--kafka", kafka.shared().bootstrap, prefix, unpack(SETTINGS) })
end

local function make_topics(prefix)
  return process.run(runtime.binary(), {
    args = { "topics", "create", "--kafka", kafka.shared().bootstrap, "--topic-prefix", prefix,
             "--partitions", "2", "--replication", "1" },
    deadline_ms = 60000 })
end

local function open()
  local prefix = kafka.prefix()
  local made = make_topics(prefix)
  assert.equal(0, made.code, made:text() .. made:text("out"))
  return engine.open(prefix), kafka.shared(), prefix .. "postbacks", prefix .. "postbacks.dead"
end

--- A dead letter as a process of ours, or anybody, writes it.
local function bury(broker, topic, partner, id, options)
  options = options or {}
  local headers = {
    { "ce_subject", partner }, { "ce_id", id }, { "mp_attempt", "1" }, { "mp_status", "500" },
    { "mp_reason", options.reason or "no good" }, { "mp_last", tostring(options.last_ms or 1000) },
    { "mp_first", tostring(options.first_ms or 500) },
  }
  if options.replays then
    headers[#headers + 1] = { "mp_replays", tostring(options.replays) }
  end
  broker:produce(topic, {
    key = ("%s/%s/%d"):format(partner, id, options.replays or 0), value = options.value or '{"n":1}',
    headers = headers, partition = options.partition })
end

local function ids_of(letters)
  local ids = {}
  for i, letter in ipairs(letters) do
    ids[i] = letter.id
  end
  return ids
end

--- "key" of each record with a value, "key gone" of each tombstone, in the order of their time.
local function history(broker, topic)
  local records = broker:consume(topic)
  table.sort(records, function(a, b) return a.timestamp < b.timestamp end)
  for i, record in ipairs(records) do
    records[i] = record.key .. (record.value and "" or " gone")
  end
  return records
end

describe("dead letters on Kafka", function()
  after_each(harness.clean)

  kafka.it("are purged with a tombstone of their key", function()
    local queue, broker, _, dead = open()
    queue:bury("acme", "a1", "404 from the partner")
    eventually(function() return #queue:list() == 1 end)
    assert.same({ "acme/a1/0" }, history(broker, dead))
    assert.equal(1, queue:dead("purge", { "a1" }).done)
    assert.same({ "acme/a1/0", "acme/a1/0 gone" }, history(broker, dead))
    assert.same({}, ids_of(queue:list()))
    queue:close()
  end)

  kafka.it("of records that were malformed are listed, shown and purged, but not replayed", function()
    local queue, broker, postbacks = open()
    broker:produce(postbacks, { key = "x", value = "no json", headers = { { "ce_subject", "acme" } }, partition = 1 })
    local id = postbacks .. "-1-0"
    local letter = eventually(function() return queue:list()[1] end)
    assert.same({ "-", id }, { letter.partner, letter.id })
    assert.matches("JSON", letter.reason)
    assert.equal('"no json"', queue:show(id)[1].event)
    assert.same({ status = "OK", matched = 0, done = 0, unknown = { id } }, queue:dead("replay", { id }))
    assert.same({ status = "OK", matched = 0, done = 0, unknown = {} }, queue:dead("replay", {}))
    assert.same({ status = "OK", matched = 1, done = 1, unknown = {} }, queue:dead("purge", { id }))
    assert.same({}, ids_of(queue:list()))
    queue:close()
  end)

  kafka.it("that a stranger wrote badly are found by their key, and purged", function()
    local queue, broker, postbacks, dead = open()
    broker:produce(dead, { key = "acme/bad/0", value = "{", headers = {} })
    broker:produce(dead, { key = "some key", value = "{}", headers = {} })
    bury(broker, dead, "acme", "good")
    assert.equal(3, #queue:list())
    assert.equal("acme", queue:show("bad")[1].partner)
    assert.equal("-", queue:show("some key")[1].partner)
    assert.same({ status = "OK", matched = 1, done = 1, unknown = { "bad", "some key" } },
      queue:dead("replay", { "bad", "good", "some key" }))
    queue:taken("good")
    assert.equal(1, #broker:consume(postbacks))
    assert.equal(2, queue:dead("purge", {}).done)
    assert.same({}, ids_of(queue:list()))
    queue:close()
  end)

  kafka.it("that die again after a replay are not erased by the replay's tombstone", function()
    local queue, broker, _, dead = open()
    queue:bury("acme", "a1", "once")
    eventually(function() return #queue:list() == 1 end)
    queue:dead("replay", { "a1" })
    queue:taken("a1")
    queue:tell("bury", "a1", "twice", 500, 2000)
    eventually(function() return #queue:list() == 1 end)
    assert.same({ "acme/a1/0", "acme/a1/0 gone", "acme/a1/1" }, history(broker, dead))
    assert.equal("twice", queue:show("a1")[1].reason)
    queue:close()
  end)

  kafka.it("are one of a delivery, though a replay was cut off before its tombstone", function()
    local queue, broker, _, dead = open()
    bury(broker, dead, "acme", "a1", { reason = "twice", replays = 1, last_ms = 2000 })
    bury(broker, dead, "acme", "a1", { reason = "once", last_ms = 9000 })
    bury(broker, dead, "globex", "a1", { reason = "another's" })
    local letters = queue:list()
    assert.same({ "twice", "another's" }, { letters[1].reason, letters[2].reason })
    assert.same({ status = "OK", matched = 1, done = 1, unknown = {} }, queue:dead("replay", { partner = "acme" }))
    assert.equal(2, queue:taken("a1").replays)
    assert.same({ "another's" }, { queue:list()[1].reason, queue:list()[2] })
    queue:close()
  end)

  kafka.it("are replayed as records of now that remember when they were accepted", function()
    local queue, broker, postbacks, dead = open()
    local now_ms = os.time() * 1000
    bury(broker, dead, "acme", "a1", { first_ms = now_ms - 60 * DAY_MS })
    assert.equal(1, queue:dead("replay", { "a1" }).done)
    queue:taken("a1")
    local record = broker:consume(postbacks)[1]
    assert.equal(tostring(now_ms - 60 * DAY_MS), record.header.mp_first)
    assert.is_true(record.timestamp >= now_ms - 1000)
    assert.is_nil(record.header.mp_attempt)
    queue:close()
  end)

  kafka.it("that another process purged are gone here, and not replayed", function()
    local queue = open()
    local other = engine.open(queue.home)
    for i = 1, 3 do
      bury(kafka.shared(), queue.home .. "postbacks.dead", "acme", "a" .. i)
    end
    assert.equal(3, #queue:list())
    assert.equal(1, other:dead("purge", { "a2" }).done)
    assert.same({ "a2" }, queue:dead("replay", { "a2" }).unknown)
    assert.equal("ENOTFOUND", queue:show("a2").status)
    assert.equal(2, #queue:list())
    other:close()
    queue:close()
  end)

  kafka.it("are found behind what compaction removed, and behind gaps", function()
    local prefix, broker = kafka.prefix(), kafka.shared()
    local dead = prefix .. "postbacks.dead"
    broker:create(dead, { partitions = 2, config = {
      ["cleanup.policy"] = "compact", ["segment.ms"] = 200, ["min.cleanable.dirty.ratio"] = 0.01,
      ["max.compaction.lag.ms"] = 100, ["delete.retention.ms"] = 1 } })
    make_topics(prefix)
    local queue = engine.open(prefix)
    for round = 1, 3 do
      for i = 1, 4 do
        bury(broker, dead, "acme", "a" .. i, { reason = "round " .. round, last_ms = 1000 * i, partition = i % 2 })
      end
    end
    assert.equal(4, #queue:list())
    assert.equal(1, queue:dead("purge", { "a4" }).done)
    eventually(function()
      -- A new record makes a new segment, and the one before it can be compacted.
      bury(broker, dead, "acme", "a1", { reason = "round 4", last_ms = 1000, partition = 1 })
      bury(broker, dead, "acme", "a2", { reason = "round 4", last_ms = 2000, partition = 0 })
      local count = #broker:consume(dead)
      return count < 8, count
    end, 60000, "a compacted topic")
    local fresh = engine.open(prefix)
    for _, reader in ipairs({ queue, fresh }) do
      assert.same({ "a3", "a2", "a1" }, ids_of(reader:list()))
      assert.equal("round 3", reader:show("a3")[1].reason)
      assert.equal("ENOTFOUND", reader:show("a4").status)
    end
    assert.equal(3, fresh:dead("purge", {}).done)
    assert.same({}, ids_of(queue:list()))
    fresh:close()
    queue:close()
  end)

  kafka.it("are looked for anew when the topic was made anew, be it shorter or longer than before", function()
    local queue, broker, _, dead = open()
    for i = 1, 4 do
      bury(broker, dead, "acme", "old" .. i, { partition = i % 2 })
    end
    assert.equal(4, #queue:list())
    for _, count in ipairs({ 1, 6 }) do
      broker:delete(dead)
      eventually(function()
        return (pcall(broker.create, broker, dead, { partitions = 2, config = { ["cleanup.policy"] = "compact" } }))
      end, 20000, "the topic again")
      local expected = {}
      for i = 1, count do
        local id = ("new%d.%d"):format(count, i)
        bury(broker, dead, "acme", id, { partition = i % 2, last_ms = 90000 - 10000 * count + i })
        table.insert(expected, 1, id)
      end
      expected = table.concat(expected, " ")
      eventually(function()
        local ids = table.concat(ids_of(queue:list()), " ")
        return ids == expected, ids
      end, 20000, expected)
    end
    queue:close()
  end)

  kafka.it("cannot be listed while no broker answers: an error within ten seconds, no wait when it closes", function()
    local function away(...)
      local child = process.spawn((os.getenv("MOONPOST_BUILD") or "build") .. "/mp_queue_probe", {
        args = { "--kafka", "127.0.0.1:1", "away." }, input = table.concat({ ... }, "\n") .. "\n", keep_input_open = true })
      return child
    end
    local closing, waiting = away("list\t-\t10", "close"), away("list\t-\t10")
    closing:wait_for("^page\tECLOSED\t\tcould not read the dead letters: ", 5000, "out")
    closing:wait_for("^closed", 5000, "out")
    closing.input:close()
    waiting:wait_for("^page\tEIO\t\tcould not read the dead letters: ", 10500, "out")
    waiting.input:close()
    waiting:wait_for("^closed", 15000, "out")
  end)
end)
