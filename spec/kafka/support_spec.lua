--- The brokers of the Kafka specs themselves.
local uv = require("luv")
local eventually = require("spec.support.eventually")
local kafka = require("spec.support.kafka")
local process = require("spec.support.process")

local function seconds_of(fn)
  local began = uv.hrtime()
  local result = fn()
  return result, (uv.hrtime() - began) / 1e9
end

local function values_of(records)
  local values = {}
  for i, record in ipairs(records) do
    values[i] = record.value
  end
  return values
end

local three
local function three_nodes()
  if not three then
    local seconds
    three, seconds = seconds_of(function() return kafka.start({ nodes = 3, session_timeout_ms = 2000 }) end)
    print(("  three nodes of Kafka answered after %.1f s"):format(seconds))
  end
  return three
end

describe("the shared broker", function()
  kafka.it("gives a record back with its key, headers and value", function()
    local broker, seconds = seconds_of(kafka.shared)
    print(("  one node of Kafka answered after %.1f s"):format(seconds))
    local topic = kafka.prefix() .. "records"
    broker:create(topic, { partitions = 2 })
    local value = '{"price": 1.50, "name": "Ünïcode = \\"quoted\\""}\nand a second line'
    broker:produce(topic, {
      key = "acme", partition = 1, value = value,
      headers = { { "ce_type", "order.paid" }, { "ce_id", "a=b" }, { "ce_type", "twice" } },
    })
    local before = os.time() * 1000
    local records = broker:consume(topic)
    assert.equal(1, #records)
    local record = records[1]
    assert.equal(value, record.value)
    assert.equal("acme", record.key)
    assert.same({ { "ce_type", "order.paid" }, { "ce_id", "a=b" }, { "ce_type", "twice" } }, record.headers)
    assert.equal("a=b", record.header.ce_id)
    assert.equal(1, record.partition)
    assert.equal(0, record.offset)
    assert.is_true(math.abs(record.timestamp - before) < 60000)
  end)

  kafka.it("takes tombstones, empty values and many values at once", function()
    local broker, topic = kafka.shared(), kafka.prefix() .. "kinds"
    broker:create(topic, { config = { ["cleanup.policy"] = "compact" } })
    broker:produce(topic, { key = "gone" })
    broker:produce(topic, { key = "empty", value = "" })
    broker:produce(topic, { key = "many", values = { "one", "two", "three" } })
    local records = broker:consume(topic)
    assert.equal(5, #records)
    assert.is_nil(records[1].value)
    assert.equal("", records[2].value)
    assert.equal("three", records[5].value)
    assert.equal("many", records[3].key)
  end)

  kafka.it("makes no topic that nobody asked for, and deletes by name and by prefix", function()
    local broker, prefix = kafka.shared(), kafka.prefix()
    assert.has_error(function() broker:produce(prefix .. "typo", { value = "lost" }) end)
    for _, name in ipairs({ "a", "b.one", "b.two" }) do
      broker:create(prefix .. name)
    end
    local refused, why = pcall(broker.create, broker, prefix .. "a")
    assert.is_false(refused)
    assert.matches("already exists", why)
    assert.equal(1, #{ broker:leader(prefix .. "a", 0) })
    broker:delete_prefix(prefix .. "b.")
    local leaders = broker:leaders()
    assert.is_nil(leaders[prefix .. "b.one"])
    assert.is_nil(leaders[prefix .. "b.two"])
    assert.is_table(leaders[prefix .. "a"])
    broker:delete(prefix .. "a")
    assert.is_nil(broker:leaders()[prefix .. "a"])
  end)
end)

describe("three nodes", function()
  kafka.it_with_nodes("keep what was acknowledged when one is killed, and have it back", function()
    local cluster, topic = three_nodes(), kafka.prefix() .. "kept"
    cluster:create(topic, { partitions = 3 })
    cluster:produce(topic, { partition = 0, value = "before" })
    local killed = cluster:leader(topic, 0)
    cluster:kill9(killed)
    assert.is_nil(cluster:node(killed).pid)
    cluster:produce(topic, { partition = 0, value = "without it" })
    local heir = cluster:leader(topic, 0)
    assert.is_truthy(heir and heir ~= killed)
    local _, seconds = seconds_of(function() cluster:start(killed) end)
    print(("  a killed node of Kafka answered %.1f s after its restart"):format(seconds))
    assert.same({ "before", "without it" }, values_of(cluster:consume(topic)))
  end)

  kafka.it_with_nodes("move a leader, and say who is the controller", function()
    local cluster, topic = three_nodes(), kafka.prefix() .. "moved"
    cluster:create(topic)
    local first = cluster:leader(topic, 0)
    local second = cluster:move_leader(topic, 0)
    assert.not_equal(first, second)
    assert.equal(second, cluster:leader(topic, 0))
    assert.equal(first, cluster:move_leader(topic, 0, first))
    local controller = cluster:controller()
    cluster:kill9(controller)
    eventually(function()
      local now = cluster:controller()
      return now and now ~= controller, now
    end, nil, "another controller")
    cluster:start(controller)
  end)

  kafka.it_with_nodes("stop and go on", function()
    local cluster, topic = three_nodes(), kafka.prefix() .. "paused"
    cluster:create(topic)
    local paused = cluster:leader(topic, 0)
    cluster:pause(paused)
    eventually(function()
      local leader = cluster:leader(topic, 0)
      return leader and leader ~= paused, leader
    end, nil, "a leader that is awake")
    cluster:resume(paused)
    eventually(function()
      local replicas = #cluster:metadata(topic).brokers
      return replicas == 3, replicas
    end, nil, "the third broker's return")
  end)

  kafka.it_with_nodes("end with the interpreter that started them", function()
    local script = [[
      local nodes = require("spec.support.kafka.nodes")
      local cluster = nodes.start({ nodes = 1 })
      print(cluster:node(1).pid .. " " .. cluster.folder)
      io.stdout:flush()
      while true do require("luv").run("once") end
    ]]
    local child = process.spawn("luajit", { args = { "-e", script } })
    local line = child:wait_for("^%d+ ", 60000, "out")
    local pid, folder = line:match("^(%d+) (.*)")
    child:kill("sigkill")
    child:wait()
    eventually(function()
      return not uv.kill(tonumber(pid), 0), "still there"
    end, nil, "the end of the node")
    process.run("rm", { args = { "-rf", folder } })
  end)
end)
