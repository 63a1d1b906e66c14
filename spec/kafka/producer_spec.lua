--- The producer by itself, against real brokers: what an end says is what became of the record.
local eventually = require("spec.support.eventually")
local kafka = require("spec.support.kafka")
local process = require("spec.support.process")
local runtime = require("spec.support.runtime")

local POSTBACKS, RETRY_5S, DEAD = 0, 1, 8

local producer = {}
producer.__index = producer
local opened = {}

-- With topics of its own, unless told not to make them.
local function open(cluster, options)
  options = options or {}
  local self = setmetatable({ prefix = options.prefix or kafka.prefix(), cluster = cluster }, producer)
  if not options.prefix then
    local made = process.run(runtime.binary(), {
      args = { "topics", "create", "--kafka", cluster.bootstrap, "--topic-prefix", self.prefix, "--partitions", "1" },
      deadline_ms = 60000 })
    assert.equal(0, made.code, made:text() .. made:text("out"))
  end
  self.child = process.spawn((os.getenv("MOONPOST_BUILD") or "build") .. "/mp_producer_probe", {
    args = { cluster.bootstrap, self.prefix, tostring(options.append_ms or 30000),
             options.idempotent and "1" or "0" },
    input = "", keep_input_open = true })
  opened[#opened + 1] = self
  self.child:wait_for("^open", 20000, "out")
  return self
end

function producer:tell(...)
  self.child.input:write(table.concat({ ... }, " ") .. "\n")
end

function producer:send(id, topic, is_kept, bytes)
  self:tell("send", id, topic, is_kept and 1 or 0, bytes or 20)
end

-- How it ended: "OK", or the status and why.
function producer:end_of(id, ms)
  local line = self.child:wait_for("^%l+ " .. id .. " ", ms or 30000, "out")
  return line:match("^end %S+ (%S+) ?(.*)$")
end

function producer:refusal_of(id)
  return self.child:wait_for("^refused " .. id .. " ", nil, "out"):match("^refused %S+ (%S+)$")
end

function producer:state()
  local from = #self.child.out + 1
  self:tell("state")
  return self.child:wait_for("^state ", nil, "out", from)
end

function producer:ids(topic)
  local ids = {}
  for i, record in ipairs(self.cluster:consume(self.prefix .. topic)) do
    ids[i] = record.key
  end
  table.sort(ids)
  return ids
end

local function close_all()
  for _, self in ipairs(opened) do
    if self.child.code == nil then
      self:tell("quit")
      self.child.input:close()
      assert.equal(0, self.child:wait(60000), self.child:text())
    end
    for _, line in ipairs(self.child.err) do
      assert.falsy(line:find("^%S+ error "), line)
    end
  end
  opened = {}
  runtime.clean()
end

local alone
local function node_alone()
  alone = alone or kafka.start({ nodes = 1, session_timeout_ms = 2000 })
  return alone
end

describe("the Kafka producer", function()
  after_each(close_all)

  kafka.it("ends a send once it is stored, with its key and headers", function()
    local sender = open(kafka.shared())
    sender:send("a", POSTBACKS, false)
    sender:send("b", DEAD, true, -1)
    assert.equal("OK", sender:end_of("a"))
    assert.equal("OK", sender:end_of("b"))
    local record = kafka.shared():consume(sender.prefix .. "postbacks")[1]
    assert.equal("a", record.key)
    assert.equal(("x"):rep(20), record.value)
    assert.same({ { "ce_subject", "acme" }, { "try", "1" } }, record.headers)
    record = kafka.shared():consume(sender.prefix .. "postbacks.dead")[1]
    assert.equal("b", record.key)
    assert.is_nil(record.value)
    assert.equal("state count=0 bytes=0 errors=0 down=0 acked=1 waiting=0", sender:state())
  end)

  kafka.it("ends hundreds, each once", function()
    local sender = open(kafka.shared())
    for i = 1, 500 do
      sender:send(("n%03d"):format(i), POSTBACKS, i % 2 == 0)
    end
    for i = 1, 500 do
      assert.equal("OK", sender:end_of(("n%03d"):format(i)))
    end
    assert.equal(500, #sender:ids("postbacks"))
    assert.equal(501, #sender.child.out)
  end)

  kafka.it("stores what is as large as may be, and says ELIMIT of what is larger", function()
    local sender = open(kafka.shared())
    sender:send("largest", POSTBACKS, false, 2 * 1024 * 1024 - 200)
    sender:send("larger", RETRY_5S, true, 2 * 1024 * 1024 + 100000)
    sender:send("huge", POSTBACKS, false, 3 * 1024 * 1024)
    sender:send("kept", RETRY_5S, true, 3 * 1024 * 1024)
    assert.equal("OK", sender:end_of("largest"))
    assert.equal("OK", sender:end_of("larger"))
    assert.equal("ELIMIT", sender:refusal_of("huge"))
    assert.same({ "ELIMIT", "it is larger than the topic takes (max.message.bytes)" }, { sender:end_of("kept") })
  end)

  kafka.it("says ELIMIT of a kept one that only the broker finds too large", function()
    local broker, prefix = kafka.shared(), kafka.prefix()
    broker:create(prefix .. "postbacks.retry.5s", { config = { ["max.message.bytes"] = 5000 } })
    local sender = open(broker, { prefix = prefix })
    sender:send("kept", RETRY_5S, true, 20000)
    assert.equal("ELIMIT", (sender:end_of("kept")))
    sender:send("small", RETRY_5S, true)
    assert.equal("OK", sender:end_of("small"))
  end)

  kafka.it("keeps a kept one until its topic is there", function()
    local broker, prefix = kafka.shared(), kafka.prefix()
    local sender = open(broker, { prefix = prefix, append_ms = 500 })
    sender:send("kept", RETRY_5S, true)
    sender:send("other", POSTBACKS, false)
    assert.equal("EAGAIN", (sender:end_of("other")))
    assert.matches("count=1 bytes=20 .* waiting=1", sender:state())
    broker:create(prefix .. "postbacks.retry.5s")
    assert.equal("OK", sender:end_of("kept"))
    assert.same({ "kept" }, sender:ids("postbacks.retry.5s"))
  end)

  kafka.it("ends everything when it is abandoned, and takes no more", function()
    local sender = open(kafka.shared(), { prefix = kafka.prefix() })
    sender:send("kept", RETRY_5S, true)
    sender:send("other", POSTBACKS, false)
    sender:tell("abandon")
    sender.child:wait_for("^abandoned", nil, "out")
    assert.equal("EAGAIN", (sender:end_of("kept")))
    assert.equal("EAGAIN", (sender:end_of("other")))
    sender:send("late", RETRY_5S, true)
    assert.equal("EAGAIN", sender:refusal_of("late"))
  end)

  kafka.it("goes on with a new handle when librdkafka gives the old one up", function()
    local sender = open(kafka.shared(), { idempotent = true })
    sender:send("before", POSTBACKS, false)
    assert.equal("OK", sender:end_of("before"))
    for round = 1, 3 do
      for i = 1, 20 do
        sender:send(("kept.%d.%d"):format(round, i), RETRY_5S, true)
      end
      sender:tell("fatal")
      sender:send("last." .. round, RETRY_5S, true)
      assert.equal("OK", sender:end_of("last." .. round))
      for i = 1, 20 do
        assert.equal("OK", sender:end_of(("kept.%d.%d"):format(round, i)))
      end
      eventually(function()
        local id = ("after.%d.%d"):format(round, #sender.child.out)
        sender:send(id, POSTBACKS, false)
        local line = sender.child:wait_for("^%l+ " .. id .. " ", nil, "out")
        return line:find("^end %S+ OK"), line
      end, nil, "a send that is stored")
    end
    assert.matches("count=0 bytes=0 ", sender:state())
  end)

  kafka.it_with_nodes("holds what is kept while the broker hangs, and fails the rest in time", function()
    local node = node_alone()
    local sender = open(node, { append_ms = 1500 })
    sender:send("before", POSTBACKS, false)
    assert.equal("OK", sender:end_of("before"))
    node:pause(1)
    sender:send("kept", RETRY_5S, true)
    sender:send("other", POSTBACKS, false)
    local status, why = sender:end_of("other")
    assert.truthy(status == "EAGAIN" or status == "EIO", status)
    assert.equal("no broker acknowledged it in time", why)
    assert.matches("count=1 bytes=20 errors=1 .* waiting=1", sender:state())
    node:resume(1)
    assert.equal("OK", sender:end_of("kept", 60000))
    assert.truthy(table.concat(sender:ids("postbacks.retry.5s"), " "):find("kept", 1, true))
    sender:send("after", POSTBACKS, false)
    assert.equal("OK", sender:end_of("after"))
  end)

  kafka.it_with_nodes("stores what is kept once a broker that was killed is back", function()
    local node = node_alone()
    local sender = open(node, { append_ms = 1500 })
    sender:send("before", RETRY_5S, true)
    assert.equal("OK", sender:end_of("before"))
    node:kill9(1)
    for i = 1, 50 do
      sender:send("kept" .. i, RETRY_5S, true)
    end
    sender:send("other", POSTBACKS, false)
    assert.not_equal("OK", (sender:end_of("other")))
    eventually(function() return sender:state():find("down=1", 1, true) end, nil, "no broker at all")
    node:start(1)
    for i = 1, 50 do
      assert.equal("OK", sender:end_of("kept" .. i, 60000))
    end
    local seen = {}
    for _, id in ipairs(sender:ids("postbacks.retry.5s")) do
      seen[id] = true
    end
    for i = 1, 50 do
      assert.is_true(seen["kept" .. i], "kept" .. i .. " is lost")
    end
    assert.matches("count=0 bytes=0 .* down=0 acked=1 waiting=0", sender:state())
  end)
end)
