--- `moonpost topics`, against real brokers.
local cjson = require("cjson")
local kafka = require("spec.support.kafka")
local process = require("spec.support.process")
local runtime = require("spec.support.runtime")

local names = {
  "postbacks", "postbacks.retry.5s", "postbacks.retry.30s", "postbacks.retry.2m", "postbacks.retry.10m",
  "postbacks.retry.1h", "postbacks.retry.6h", "postbacks.retry.24h", "postbacks.dead", "postbacks.partners",
}

-- Runs it and returns what it found: { topic = { ok = bool, [i] = text } }.
local function topics(code, what, cluster, prefix, ...)
  local child = process.run(runtime.binary(), {
    args = { "topics", what, "--kafka", cluster.bootstrap, "--topic-prefix", prefix, "--json", ... },
    deadline_ms = 60000,
  })
  assert.equal(code, child.code, child:text() .. child:text("out"))
  local found = {}
  for _, item in ipairs(cjson.decode(child:text("out")).items) do
    assert.equal(prefix, item.topic:sub(1, #prefix))
    local name = item.topic:sub(#prefix + 1)
    found[name] = found[name] or { ok = true }
    found[name].ok = found[name].ok and item.ok
    table.insert(found[name], item.text)
  end
  return found
end

local function says(topic, ...)
  local said = table.concat(topic, "\n")
  for _, text in ipairs({ ... }) do
    assert.truthy(said:find(text, 1, true), ("no %q in %q"):format(text, said))
  end
end

-- Topics as they are to be, but for some: { name = { partitions, replication, config } }.
local function topics_but(cluster, prefix, others)
  for name, options in pairs(others) do
    cluster:create(prefix .. name, options)
  end
  return topics(1, "create", cluster, prefix)
end

local good = { ["max.message.bytes"] = 4194304 }
local function config(changes)
  local all = {}
  for _, list in ipairs({ good, changes }) do
    for name, value in pairs(list) do
      all[name] = value
    end
  end
  return { config = all }
end

describe("moonpost topics", function()
  after_each(runtime.clean)

  kafka.it("makes what is missing and finds it well, time after time", function()
    local broker, prefix = kafka.shared(), kafka.prefix()
    local found = topics(1, "check", broker, prefix)
    for _, name in ipairs(names) do
      says(found[name], "is missing: `moonpost topics create` makes it")
    end
    found = topics(0, "create", broker, prefix, "--partitions", "3", "--replication", "1")
    for _, name in ipairs(names) do
      assert.is_true(found[name].ok)
      says(found[name], name == "postbacks.partners" and "made, 1 partition, 1 copy" or "made, 3 partitions, 1 copy")
    end
    assert.same(topics(0, "check", broker, prefix), topics(0, "create", broker, prefix))
  end)

  kafka.it("only notes that partitions are fewer than asked for", function()
    local broker, prefix = kafka.shared(), kafka.prefix()
    topics(0, "create", broker, prefix, "--partitions", "2")
    local found = topics(0, "check", broker, prefix, "--partitions", "12")
    says(found["postbacks.dead"], "fewer partitions than the 12 asked for")
    assert.equal(1, #found["postbacks.partners"])
  end)

  kafka.it("says what is wrong with the settings of one, and what mends it", function()
    local broker, prefix = kafka.shared(), kafka.prefix()
    local found = topics_but(broker, prefix, {
      ["postbacks"] = config({ ["cleanup.policy"] = "compact", ["retention.bytes"] = 1000000 }),
      ["postbacks.retry.6h"] = config({ ["retention.ms"] = 6 * 3600 * 1000 }),
      ["postbacks.retry.24h"] = config({ ["retention.ms"] = 26 * 3600 * 1000 }),
      ["postbacks.retry.5s"] = config({ ["message.timestamp.type"] = "LogAppendTime" }),
      ["postbacks.retry.30s"] = config({ ["unclean.leader.election.enable"] = true }),
      ["postbacks.retry.2m"] = { config = { ["max.message.bytes"] = 2097152 } },
      ["postbacks.dead"] = config({ ["cleanup.policy"] = "compact,delete" }),
      ["postbacks.partners"] = config({ ["cleanup.policy"] = "compact", ["min.insync.replicas"] = 2 }),
    })
    says(found["postbacks"], "cleanup.policy is compact", "Set it to delete", "retention.bytes is 1000000")
    says(found["postbacks.retry.6h"], "keeps records for 6h only", "Set retention.ms to -1, or to 7h or more")
    assert.is_true(found["postbacks.retry.24h"].ok)
    says(found["postbacks.retry.5s"], "LogAppendTime", "Set it to CreateTime")
    says(found["postbacks.retry.30s"], "unclean.leader.election.enable is true", "Set it to false")
    says(found["postbacks.retry.2m"], "max.message.bytes is 2097152", "Set it to 22")
    says(found["postbacks.dead"], "cleanup.policy is compact,delete", "Set it to compact")
    says(found["postbacks.partners"], "min.insync.replicas is 2 with one copy")
    says(found["postbacks.retry.10m"], "made, ")
    assert.is_false(topics(1, "check", broker, prefix)["postbacks"].ok)
  end)

  kafka.it("recognizes a topic that a broker made by itself", function()
    local broker, prefix = kafka.shared(), kafka.prefix()
    local found = topics_but(broker, prefix, { ["postbacks.dead"] = {}, ["postbacks.retry.1h"] = config({}) })
    says(found["postbacks.dead"], "has no settings of its own", "cleanup.policy is delete")
    assert.is_true(found["postbacks.retry.1h"].ok)
  end)

  kafka.it("gives the tiers their delay on top of --retention, and 0 for ever", function()
    local broker, prefix = kafka.shared(), kafka.prefix()
    topics(0, "create", broker, prefix, "--retention", "1h", "--partitions", "1")
    topics(0, "check", broker, prefix)
    topics(0, "create", broker, prefix .. "ever.", "--retention", "0", "--partitions", "1")
  end)

  kafka.it("prints a line a topic for people, and how a setting is changed", function()
    local broker, prefix = kafka.shared(), kafka.prefix()
    local args = { "topics", "check", "--kafka", broker.bootstrap, "--topic-prefix", prefix }
    local child = process.run(runtime.binary(), { args = args })
    assert.equal(1, child.code)
    assert.truthy(child.out[1]:find(prefix .. "postbacks", 1, true))
    assert.truthy(child.out[1]:find(" wrong  is missing", 1, true))
    assert.truthy(child:text("out"):find("kafka-configs.sh", 1, true))
  end)

  kafka.it_with_nodes("says when the copies cannot bear the loss of a broker", function()
    local three, prefix = kafka.start({ nodes = 3 }), kafka.prefix()
    local function copies(replication, in_sync)
      local options = config({ ["min.insync.replicas"] = in_sync })
      options.replication = replication
      return options
    end
    local found = topics_but(three, prefix, {
      ["postbacks.retry.5s"] = copies(1, 1), ["postbacks.retry.30s"] = copies(3, 1),
      ["postbacks.retry.2m"] = copies(3, 3), ["postbacks.retry.10m"] = copies(3, 2),
    })
    says(found["postbacks"], "made, 6 partitions, 3 copies of each record")
    says(found["postbacks.retry.5s"], "has 1 copy of each record and not 3")
    says(found["postbacks.retry.30s"], "min.insync.replicas is 1", "Set it to 2")
    says(found["postbacks.retry.2m"], "min.insync.replicas is 3 with 3 copies", "Set it to 2")
    assert.is_true(found["postbacks.retry.10m"].ok)
    three:kill9(three:leader(prefix .. "postbacks.retry.5s", 0))
    -- Each broker hears of it in its own time, and the dead one may be asked first.
    require("spec.support.eventually")(function()
      local has_answered
      has_answered, found = pcall(topics, 1, "check", three, prefix)
      local said = has_answered and table.concat(found["postbacks.retry.5s"], "\n") or found
      return has_answered and said:find("1 of its 1 partitions have no leader", 1, true), said
    end, 60000, "a partition without a leader")
    assert.is_true(found["postbacks"].ok)
  end)
end)

describe("moonpost topics without a cluster", function()
  local function ends(code, ...)
    local child = process.run(runtime.binary(), { args = { "topics", ... }, deadline_ms = 60000 })
    assert.equal(code, child.code, child:text() .. child:text("out"))
    return child:text()
  end

  it("exits 3 and says that none can be reached", function()
    local said = ends(3, "check", "--kafka", "127.0.0.1:1,127.0.0.1:2")
    assert.equal("moonpost: could not reach Kafka at 127.0.0.1:1,127.0.0.1:2: no broker can be reached", said)
  end)

  it("exits 2 and names the option when the words are wrong", function()
    local at = { "--kafka", "127.0.0.1:1" }
    assert.truthy(ends(2, "create"):find("--kafka", 1, true))
    assert.truthy(ends(2, "create", "--kafka", "nowhere:port"):find("--kafka", 1, true))
    for _, words in ipairs({ { "--partitions", "0" }, { "--replication", "101" }, { "--retention", "soon" },
                             { "--retention", "59m" },
                             { "--topic-prefix", "a/b" }, { "--kafka-config", "/nowhere" } }) do
      local said = ends(2, "create", at[1], at[2], unpack(words))
      assert.truthy(said:find(words[1], 1, true), said)
    end
    local said = ends(2, "check", at[1], at[2], "-X", "acks=0")
    assert.truthy(said:find("setting acks (-X): ", 1, true), said)
  end)

  it("takes settings from the environment, too", function()
    local child = process.run(runtime.binary(), {
      args = { "topics", "check" },
      env = { MOONPOST_KAFKA = "127.0.0.1:1", MOONPOST_KAFKA_SETTING = "acks=0" },
    })
    assert.equal(2, child.code)
    assert.truthy(child:text():find("setting acks", 1, true), child:text())
  end)
end)
