--- Deliverers as a group: what each reads, what is committed, and what becomes of it when partitions
-- move. Against a real broker, through the queue's probe.
local eventually = require("spec.support.eventually")
local harness = require("spec.support.queue_harness")
local kafka = require("spec.support.kafka")
local offsets = require("spec.support.kafka_offsets")
local process = require("spec.support.process")

local engine = { name = "Kafka", spills = true }
local session = { "session.timeout.ms=1000", "heartbeat.interval.ms=300" }

local function member(world, ...)
  local args = { "--kafka", world.broker.bootstrap, world.prefix, unpack(session) }
  for _, word in ipairs({ ... }) do
    args[#args + 1] = word
  end
  return harness.start(engine, world.prefix, args)
end

local worlds = {}
worlds.__index = worlds

--- Topics of its own, of so many partitions.
local function world_of(partitions, broker)
  local self = setmetatable({ broker = broker or kafka.shared(), prefix = kafka.prefix() }, worlds)
  local done = process.run((os.getenv("MOONPOST_BUILD") or "build") .. "/moonpost", {
    args = { "topics", "create", "--kafka", self.broker.bootstrap, "--topic-prefix", self.prefix,
             "--partitions", tostring(partitions), "--replication", "1" },
    deadline_ms = 40000,
  })
  assert(done.code == 0, done:text("out") .. done:text())
  return self
end

function worlds:topic(name)
  return self.prefix .. "postbacks" .. (name and "." .. name or "")
end

--- Records as a stranger would write them, in order, into one partition.
function worlds:produce(ids, options)
  options = options or {}
  for _, id in ipairs(ids) do
    local headers = { { "ce_subject", options.partner or "acme" }, { "ce_id", id } }
    for name, value in pairs(options.headers or {}) do
      headers[#headers + 1] = { name, tostring(value) }
    end
    self.broker:produce(self:topic(options.topic), {
      partition = options.partition or 0, value = '{"id":"' .. id .. '"}', headers = headers,
    })
  end
end

function worlds:committed(partition, topic)
  return offsets.read(self.broker.bootstrap, self.prefix .. "moonpost", self:topic(topic), partition or 0)
end

--- Waits for this mark, and with `has_map` for (or against) a map of what is done beyond it.
function worlds:wait_committed(mark, has_map, partition)
  eventually(function()
    local offset, map = self:committed(partition)
    return offset == mark and (has_map == nil or (#map > 0) == has_map), offset
  end, nil, "a commit of " .. mark)
end

local function take(queue, ids)
  for _, id in ipairs(ids) do
    queue:taken(id)
  end
end

local function settle(queue, ids)
  for _, id in ipairs(ids) do
    queue:tell("settle", id)
  end
end

local function log_of(queue, pattern, from)
  return queue.child:wait_for(pattern, nil, "err", from)
end

--- Waits until it reads this many partitions of each topic, as it says in its log.
local function reads(queue, partitions)
  eventually(function()
    local last
    for _, line in ipairs(queue.child.err) do
      last = line:match("queue: reading (%d+) partitions") or (line:find("gave back", 1, true) and "0") or last
    end
    return last == tostring(partitions * 8), last
  end, nil, partitions .. " partitions of each topic")
end

--- Nothing comes that was not waited for: what is produced last has come, and all before it of its
-- partition were read before it.
local function nothing_else(world, queue, last, partition)
  world:produce({ last }, { partition = partition })
  queue:taken(last)
  local count = queue:count("take")
  assert.are.equal(0, count, queue.child:text("out"))
end

describe("a group of deliverers", function()
  after_each(harness.clean)

  kafka.it("gives nothing again after a kill that was done out of order", function()
    local world = world_of(2)
    local queue = member(world)
    world:produce({ "a1", "a2", "a3", "a4", "a5", "a6" })
    world:produce({ "last" }, { partition = 1 })
    take(queue, { "a1", "a2", "a3", "a4", "a5", "a6", "last" })
    settle(queue, { "a2", "a4", "a5", "last" })
    world:wait_committed(1, nil, 1) -- a commit is of one moment
    world:wait_committed(0, true)
    queue:die()
    queue = member(world)
    take(queue, { "a1", "a3", "a6" })
    nothing_else(world, queue, "b1")
    settle(queue, { "a1", "a3", "a6", "b1" })
    world:wait_committed(7, false)
    queue:close()
  end)

  kafka.it("shares the partitions with one that joins, and takes over those of one that leaves", function()
    local world = world_of(2)
    local first = member(world)
    reads(first, 2)
    local second = member(world)
    reads(first, 1)
    reads(second, 1)
    world:produce({ "a1", "a2" }, { partition = 0 })
    world:produce({ "b1", "b2" }, { partition = 1 })
    eventually(function()
      return first:count("take") == 2 and second:count("take") == 2
    end, nil, "two each")
    local ids = { first:wait("take")[2], first:wait("take")[2], second:wait("take")[2], second:wait("take")[2] }
    settle(first, { ids[1] })
    settle(second, { ids[3] })
    second:close()
    reads(first, 2)
    take(first, { ids[2], ids[4] }) -- what had not begun was given back, also what stays here
    nothing_else(world, first, "c1", 0)
    nothing_else(world, first, "c2", 1)
    first:close()
  end)

  kafka.it("waits for what has begun when it hands partitions over, and commits it", function()
    local world = world_of(1)
    local first = member(world)
    reads(first, 1)
    world:produce({ "a1", "a2" })
    take(first, { "a1", "a2" })
    first:tell("begin")
    first:tell("close")
    first:wait("recall")
    settle(first, { "a1", "a2" })
    first:wait("closed")
    assert.are.equal(2, (world:committed()))
    local second = member(world)
    nothing_else(world, second, "b1")
    second:close()
  end)

  kafka.it("waits two seconds at most for what has begun", function()
    local world = world_of(1)
    local first = member(world)
    reads(first, 1)
    world:produce({ "a1", "a2" })
    take(first, { "a1", "a2" })
    first:tell("begin")
    first:tell("close")
    first:wait("recall")
    settle(first, { "a2" })
    local second = member(world)
    second:taken("a1")
    nothing_else(world, second, "b1")
    second:close()
    first:wait("closed")
  end)

  kafka.it("lets one that slept past its session commit nothing, and lose nothing", function()
    local world = world_of(1)
    local sleeper = member(world)
    world:produce({ "a1", "a2", "a3" })
    take(sleeper, { "a1", "a2", "a3" })
    sleeper:tell("begin")
    sleeper.child:kill("sigstop")
    local other = member(world)
    take(other, { "a1", "a2", "a3" })
    other:tell("begin")
    settle(other, { "a1" })
    world:wait_committed(1)
    settle(sleeper, { "a1", "a2", "a3" }) -- read the moment it wakes
    sleeper.child:kill("sigcont")
    log_of(sleeper, "the group took our partitions away")
    assert.are.equal(1, (world:committed()))
    settle(other, { "a2", "a3" })
    world:wait_committed(3, false)
    sleeper:close()
    other:close()
  end)

  kafka.it("knows what it did when a lost partition comes back, also what is still in hand", function()
    local world = world_of(1)
    local queue = member(world)
    reads(queue, 1)
    world:produce({ "a1", "a2", "a3", "a4" })
    take(queue, { "a1", "a2", "a3", "a4" })
    queue:tell("begin")
    settle(queue, { "a2" })
    world:wait_committed(0, true)
    queue.child:kill("sigstop")
    -- Nobody else is there: an operator's look shows when its session is over, by an offset taken
    -- from outside, which a group with members refuses.
    eventually(function()
      return (pcall(offsets.set, world.broker.bootstrap, world.prefix .. "moonpost",
        world:topic("retry.24h"), 0, 0))
    end, nil, "a group without members")
    settle(queue, { "a3" })
    queue.child:kill("sigcont")
    log_of(queue, "the group took our partitions away")
    reads(queue, 1)
    nothing_else(world, queue, "b1")
    settle(queue, { "a1", "a4", "b1" })
    world:wait_committed(5, false)
    queue:close()
  end)

  kafka.it("does not retry what another did while the partition was away", function()
    local world = world_of(1)
    local sleeper = member(world)
    world:produce({ "a1" })
    take(sleeper, { "a1" })
    sleeper:tell("begin")
    sleeper.child:kill("sigstop")
    local other = member(world)
    take(other, { "a1" })
    settle(other, { "a1" })
    world:wait_committed(1)
    other:close()
    sleeper.child:kill("sigcont")
    log_of(sleeper, "the group took our partitions away")
    reads(sleeper, 1)
    sleeper:tell("retry", "a1", "0")
    nothing_else(world, sleeper, "b1")
    sleeper:wait_stat("waiting", 1)
    assert.are.equal(0, #world.broker:consume(world:topic("retry.5s")))
    sleeper:close()
  end)

  kafka.it("goes where an operator has set the group's offset", function()
    local world = world_of(1)
    local queue = member(world)
    world:produce({ "a1", "a2", "a3" })
    take(queue, { "a1", "a2", "a3" })
    settle(queue, { "a1", "a2", "a3" })
    world:wait_committed(3)
    queue:close()
    offsets.set(world.broker.bootstrap, world.prefix .. "moonpost", world:topic(), 0, 1)
    queue = member(world)
    take(queue, { "a2", "a3" })
    settle(queue, { "a2", "a3" })
    nothing_else(world, queue, "b1")
    settle(queue, { "b1" })
    world:wait_committed(4)
    queue:close()
  end)

  kafka.it("forgets what it kept when an operator has set the offset back meanwhile", function()
    local world = world_of(1)
    local queue = member(world)
    world:produce({ "a1", "a2", "a3" })
    take(queue, { "a1", "a2", "a3" })
    settle(queue, { "a1", "a2", "a3" })
    world:wait_committed(3)
    queue.child:kill("sigstop")
    eventually(function()
      return (pcall(offsets.set, world.broker.bootstrap, world.prefix .. "moonpost", world:topic(), 0, 1))
    end, nil, "a group without members")
    queue.child:kill("sigcont")
    take(queue, { "a2", "a3" })
    log_of(queue, "the group's offset is 1 and was 3")
    nothing_else(world, queue, "b1")
    queue:close()
  end)

  kafka.it("reads a topic that was deleted and made anew from its beginning", function()
    local world = world_of(1)
    local queue = member(world)
    world:produce({ "a1", "a2", "a3" })
    take(queue, { "a1", "a2", "a3" })
    settle(queue, { "a1", "a3" })
    world:wait_committed(1)
    world.broker:delete(world:topic())
    world.broker:create(world:topic(), { partitions = 1, replication = 1 })
    world:produce({ "b1", "b2" })
    take(queue, { "b1", "b2" })
    settle(queue, { "a2", "b1" }) -- what was in hand has nothing to do with the new log
    world:wait_committed(1, false)
    settle(queue, { "b2" })
    world:wait_committed(2, false)
    queue:close()
  end)

  kafka.it("puts a record that cannot be read among the dead letters and goes on", function()
    local world = world_of(1)
    local queue = member(world)
    world.broker:produce(world:topic(), { partition = 0, value = "no JSON", headers = { { "ce_subject", "acme" } } })
    world.broker:produce(world:topic(), { partition = 0, value = "{}" })
    world:produce({ "a1" })
    queue:taken("a1")
    settle(queue, { "a1" })
    world:wait_committed(3, false)
    local dead = world.broker:consume(world:topic("dead"))
    assert.are.equal(2, #dead)
    assert.is_truthy(dead[1].header.mp_reason)
    queue:close()
  end)

  kafka.it("reads a partition no further than its window, and leaves the others be", function()
    local world = world_of(2)
    local queue = member(world, "window=3")
    reads(queue, 2)
    world:produce({ "a1", "a2", "a3", "a4", "a5" }, { partition = 0 })
    take(queue, { "a1", "a2", "a3" })
    world:produce({ "b1" }, { partition = 1 })
    queue:taken("b1")
    assert.are.equal(0, queue:count("take"))
    settle(queue, { "a2" })
    queue:taken("a4")
    world:produce({ "b2" }, { partition = 1 })
    queue:taken("b2")
    assert.are.equal(0, queue:count("take"))
    settle(queue, { "a1", "a3" })
    queue:taken("a5")
    queue:close()
  end)

  kafka.it("holds the head of a tier until it is due, and what is behind it with it", function()
    local world = world_of(1)
    local queue = member(world)
    local now = os.time() * 1000
    world:produce({ "a1" }, { topic = "retry.2m", headers = { mp_due = now + 120000, mp_attempt = 1 } })
    world:produce({ "a2" }, { topic = "retry.2m", headers = { mp_due = now + 130000, mp_attempt = 1 } })
    world:produce({ "b1" })
    queue:taken("b1")
    queue:wait_stat("waiting", 2) -- b1, and the head alone
    queue:tell("shift", 100000)
    world:produce({ "b2" })
    queue:taken("b2")
    assert.are.equal(0, queue:count("take"))
    queue:tell("shift", 122000)
    local head = queue:taken("a1")
    assert.is_true(head.late_ms >= 0 and head.late_ms < 60000)
    assert.are.equal(1, head.attempts)
    queue:tell("shift", 132000)
    queue:taken("a2")
    queue:close()
  end)

  kafka.it("gives what is in the 5s tier by its due time, whatever its order there", function()
    local world = world_of(1)
    local queue = member(world)
    local now = os.time() * 1000
    local function retry(id, due_ms)
      world:produce({ id }, { topic = "retry.5s", headers = { mp_due = due_ms, mp_attempt = 1 } })
    end
    retry("late", now + 29000)
    retry("soon", now + 20000)
    retry("past", now - 1000)
    queue:taken("past")
    queue:wait_stat("waiting", 3)
    queue:tell("shift", 29000)
    for _, id in ipairs({ "soon", "late" }) do
      local taken = queue:wait("take")
      assert.are.equal(id, taken[2])
      assert.is_true(tonumber(taken[8]) >= 0)
    end
    queue:close()
  end)

  kafka.it_with_nodes("commits without the map when a broker takes no such metadata", function()
    local broker = kafka.start({ nodes = 1, settings = { ["offset.metadata.max.bytes"] = "1" } })
    local world = world_of(1, broker)
    local queue = member(world)
    world:produce({ "a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8" })
    take(queue, { "a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8" })
    settle(queue, { "a1", "a3", "a5", "a7", "a8" })
    log_of(queue, "offset.metadata.max.bytes is too low")
    eventually(function() return world:committed() == 1 end, nil, "a commit of 1")
    settle(queue, { "a2", "a4", "a6" })
    eventually(function() return world:committed() == 8 end, nil, "a commit of 8")
    queue:close()
    broker:stop()
  end)
end)
