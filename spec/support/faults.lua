--- What the specs of faults on Kafka share: topics of their own, Moonposts on them, a fake partner, and
-- the books over all of it.
local uv = require("luv")
local eventually = require("spec.support.eventually")
local kafka = require("spec.support.kafka")
local ledger = require("spec.support.ledger")
local partner = require("spec.support.partner")
local process = require("spec.support.process")
local runtime = require("spec.support.runtime")

local faults = {}
local methods = {}
methods.__index = methods

--- How often a fault is repeated: a few times, or as MOONPOST_ROUNDS says for a long run.
function faults.rounds(few)
  return tonumber(os.getenv("MOONPOST_ROUNDS")) or few
end

-- A member that was killed is out of its group after a second.
local session = { "-X", "session.timeout.ms=1000", "-X", "heartbeat.interval.ms=300" }

local function make_topics(bootstrap, prefix, options)
  local done = process.run(runtime.binary(), {
    args = { "topics", "create", "--kafka", bootstrap, "--topic-prefix", prefix,
             "--partitions", tostring(options.partitions or 3),
             "--replication", tostring(options.replication or 1) },
    deadline_ms = 60000,
  })
  assert(done.code == 0, "could not make the topics:\n" .. done:text("out") .. done:text())
end

--- `options`: `cluster`, `handler` (the partner's), `script` (its further members), `replication`,
-- `partitions`. Nothing runs on it yet.
function faults.world(options)
  local self = setmetatable({
    cluster = options.cluster, runtimes = {}, options = options,
    prefix = kafka.prefix(),
  }, methods)
  self.partner = partner.new({ handler = options.handler })
  self.books = ledger.new({
    partner = self.partner, runtimes = self.runtimes, waiting = function() return self:waiting() end,
  })
  make_topics(self.cluster.bootstrap, self.prefix, options)
  return self
end

--- Some fail first, half of them after a while, so that retries and attempts under way are among what must
-- survive.
function faults.fails_some(request)
  local n = request.headers["moonpost-attempt"] == "1" and request.body:match('"n":(%d+)[,}]')
  -- Few enough that no breaker opens.
  return n and n % 20 == 3 and { status = 503, delay_ms = 100 } or n and n % 20 == 7 and 503 or 200
end

-- Java's String.hashCode, by which a group has its partition of __consumer_offsets.
local function java_hash(text)
  local hash = 0
  for i = 1, #text do
    hash = bit.tobit(bit.lshift(hash, 5) - hash + text:byte(i))
  end
  return hash
end

--- The node that the world's group commits to.
function methods:coordinator()
  local partition = bit.band(java_hash(self.prefix .. "moonpost"), 0x7fffffff) % 4
  return self.cluster:leader("__consumer_offsets", partition)
end

--- What the retry topics put off to a time to come, as a set of ids: a lane's breaker does so, too, and
-- tells no attempt log.
function methods:waiting()
  local newest, waiting = {}, {}
  for _, tier in ipairs({ "5s", "30s", "2m", "10m" }) do
    for _, record in ipairs(self.cluster:consume(self.prefix .. "postbacks.retry." .. tier)) do
      local id = record.header.ce_id
      if not newest[id] or newest[id].timestamp < record.timestamp then
        newest[id] = record
      end
    end
  end
  for id, record in pairs(newest) do
    waiting[id] = tonumber(record.header.mp_due or 0) > (os.time() - 2) * 1000 or nil
  end
  return waiting
end

--- Starts one in `role` (all) and waits until it is ready.
function methods:start(role)
  local flags = { "--kafka", self.cluster.bootstrap, "--topic-prefix", self.prefix,
                  "--role", role or "all", unpack(session) }
  local rt = runtime.start({
    flags = flags,
    scripts = {
      acme = ('return { method = "POST", url = "%s", retry = { schedule = { "1s", "1s", "1s" } } %s }')
        :format(self.partner:url("/hook"), self.options.script or ""),
    },
  })
  table.insert(self.runtimes, rt)
  return rt
end

--- Lets the world turn for `ms`: for faults that are a length of time, or that come at a random one.
function faults.let_pass(ms)
  local until_at = uv.hrtime() + ms * 1e6
  eventually(function() return uv.hrtime() >= until_at end, ms + 60000)
end

return faults
