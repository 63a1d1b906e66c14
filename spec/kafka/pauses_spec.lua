--- Pauses that hold on every process: the order of `postbacks.partners` decides.
local harness = require("spec.support.queue_harness")
local kafka = require("spec.support.kafka")
local process = require("spec.support.process")
local runtime = require("spec.support.runtime")
local eventually = harness.eventually

local engine = { name = "Kafka" }
function engine.open(prefix)
  return harness.start(engine, prefix, { "--kafka", kafka.shared().bootstrap, prefix,
    "session.timeout.ms=1000", "heartbeat.interval.ms=300" })
end

local function open(count)
  local prefix, queues = kafka.prefix(), {}
  local made = process.run(runtime.binary(), {
    args = { "topics", "create", "--kafka", kafka.shared().bootstrap, "--topic-prefix", prefix,
             "--partitions", "1", "--replication", "1" },
    deadline_ms = 60000 })
  assert.equal(0, made.code, made:text() .. made:text("out"))
  for i = 1, count do
    queues[i] = engine.open(prefix)
  end
  return prefix, unpack(queues)
end

local function close(...)
  for _, queue in ipairs({ ... }) do
    queue:close()
  end
end

--- What was told to this process of a name, since the line `from`: the reason, or "resumed"; the last.
local function told(queue, name, from)
  local last
  for i = from or 1, #queue.child.out do
    local what, of, rest = queue.child.out[i]:match("^(%a+)\t([^\t]*)\t?(.*)$")
    if of == name and what == "pause" then
      last = rest:match("^%d+\t([^\t]*)")
    elseif of == name and what == "resume" then
      last = "resumed"
    end
  end
  return last
end

describe("a pause on Kafka", function()
  after_each(harness.clean)

  kafka.it("holds on the other processes within two seconds, and is lifted there", function()
    local _, one, other = open(2)
    one:tell("pause", "acme", 1, "twenty 401")
    eventually(function() return told(other, "acme") == "twenty 401" end, 2000, "the pause")
    assert.same({ "pause", "acme", "1", "twenty 401", "1234" }, other:wait("pause", "acme"))
    one:tell("unpause", "acme")
    eventually(function() return told(other, "acme") == "resumed" end, 2000, "the end of the pause")
    close(one, other)
  end)

  kafka.it("is stored as JSON under its name, and lifted by a tombstone", function()
    local prefix, one = open(1)
    one:tell("pause", "postback http://a:80", 2, 'gone "away"')
    one:tell("unpause", "acme")
    local records = eventually(function()
      local all = kafka.shared():consume(prefix .. "postbacks.partners")
      return #all == 2 and all
    end)
    assert.same({ "postback http://a:80", '{"kind":"gone","reason":"gone \\"away\\"","since":1234}', "acme" },
      { records[1].key, records[1].value, records[2].key })
    assert.is_nil(records[2].value)
    close(one)
  end)

  kafka.it("is not told to the process that set it, nor what it has overtaken", function()
    local _, one, other = open(2)
    for round = 1, 20 do
      one:tell("pause", "acme", 0, "round " .. round)
      one:tell("unpause", "acme")
    end
    one:tell("pause", "acme", 0, "at last")
    eventually(function() return told(other, "acme") == "at last" end)
    other:tell("pause", "fence", 0, "behind it all")
    eventually(function() return told(one, "fence") end)
    assert.is_nil(told(one, "acme"))
    close(one, other)
  end)

  kafka.it("that several set at once is in the end that of the topic's last record, for all", function()
    local prefix, one, other = open(2)
    for round = 1, 30 do
      one:tell("pause", "acme", 0, "one " .. round)
      other:tell(round % 3 == 0 and "unpause" or "pause", "acme", 0, "other " .. round)
    end
    one:tell("pause", "fence1", 0, "x")
    other:tell("pause", "fence2", 0, "x")
    eventually(function() return told(one, "fence2") and told(other, "fence1") end)
    local last
    for _, record in ipairs(kafka.shared():consume(prefix .. "postbacks.partners")) do
      if record.key == "acme" then
        last = record.value and record.value:match('"reason":"([^"]*)"') or "resumed"
      end
    end
    local fresh = engine.open(prefix)
    assert.equal(last, told(fresh, "acme") or "resumed")
    -- Its own is not told: then the last one told before is another's.
    assert.is_true(last:match("^one") ~= nil or told(one, "acme") == last, tostring(told(one, "acme")))
    assert.is_true(not last:match("^one") or told(other, "acme") == last, tostring(told(other, "acme")))
    close(one, other, fresh)
  end)

  kafka.it("is known before the first delivery, and only as it was last", function()
    local _, one = open(1)
    one:tell("pause", "acme", 1, "first")
    one:tell("unpause", "acme")
    one:tell("pause", "globex", 1, "first")
    one:tell("pause", "globex", 2, "second")
    one:append("globex", "g1")
    close(one)
    one = one:again()
    one:taken("g1")
    local first, count = nil, 0
    for _, line in ipairs(one.child.out) do
      first = first or line:match("^pause") or line:match("^take")
      count = count + (line:match("^pause") and 1 or 0)
    end
    assert.same({ "pause", 1, "second" }, { first, count, told(one, "globex") })
    close(one)
  end)

  kafka.it("that a stranger wrote is taken when it is one, and warned of and ignored when not", function()
    local prefix, one = open(1)
    local broker, topic = kafka.shared(), prefix .. "postbacks.partners"
    broker:produce(topic, { key = "acme", value = "no json" })
    broker:produce(topic, { key = "acme", value = '{"kind":"holiday"}' })
    broker:produce(topic, { key = "acme", value = '{"kind":"gone","since":-1}' })
    broker:produce(topic, { key = ("x"):rep(400), value = '{"kind":"gone"}' })
    broker:produce(topic, { key = "acme", value = '{"kind":"auth","reason":"' .. ("ä"):rep(300) .. '","more":1}' })
    local pause = one:wait("pause", "acme")
    assert.same({ "1", ("ä"):rep(127), "0" }, { pause[3], pause[4], pause[5] })
    assert.equal(4, select(2, one.child:text():gsub("is no pause: ", "")))
    close(one)
  end)
end)
