--- The queue's engines, for the specs that every one of them must pass.
local harness = require("spec.support.queue_harness")
local process = require("spec.support.process")
local brokers = require("spec.support.kafka")

local engines = {}

-- Of a group whose members are killed often: as short as the specs' brokers allow.
local session = { "session.timeout.ms=1000", "heartbeat.interval.ms=300" }
local partitions = 2

local kafka = { name = "Kafka", spills = true, random_seeds = 1 }
local home -- the topics of the sentence that runs
local count = 0

local function make_topics(prefix)
  local done = process.run((os.getenv("MOONPOST_BUILD") or "build") .. "/moonpost", {
    args = { "topics", "create", "--kafka", kafka.broker.bootstrap, "--topic-prefix", prefix,
             "--partitions", tostring(partitions), "--replication", "1" },
    deadline_ms = 40000,
  })
  assert(done.code == 0, "could not make the topics of a spec:\n" .. done:text("out") .. done:text())
end

--- Topics of a name of their own.
function kafka.home()
  kafka.broker = brokers.shared()
  home = brokers.prefix()
  make_topics(home)
  return home
end

function kafka.open(prefix)
  return harness.start(kafka, prefix, { "--kafka", kafka.broker.bootstrap, prefix, unpack(session) })
end

--- Records behind all others of every partition: once they have come, the others had their time.
function kafka.fence(queue)
  count = count + 1
  local ids = {}
  for i = 1, 8 * partitions do
    ids[i] = ("fence%d-%d"):format(count, i)
  end
  assert(queue:append("fence", table.concat(ids, ",")) == "OK")
  for _, id in ipairs(ids) do
    queue:taken(id)
    queue:tell("settle", id)
  end
end

--- Waits until the group has committed all there is.
function kafka.stored(queue)
  harness.eventually(function()
    queue:tell("lag")
    local lag = queue:wait("lag")[2]
    return lag == "0", lag
  end, nil, "a commit of everything")
end

--- Runs `specs(engine)` for each engine; where there is no broker Kafka's are skipped, and say so.
function engines.each(specs)
  local words = getfenv(specs) -- busted's are known to the spec's file alone
  for _, engine in ipairs({ harness.embedded, kafka }) do
    words.describe("the " .. engine.name .. " queue", function()
      if engine == kafka and brokers.why_none() then
        brokers.it("keeps the promises that every engine makes", function() end)
      else
        specs(engine)
      end
    end)
  end
end

function engines.clean()
  harness.clean()
  if home then
    kafka.broker:delete_prefix(home)
    home = nil
  end
end

return engines
