--- Apache Kafka in KRaft mode: nodes that are broker and controller, on loopback, in a folder that goes.
local uv = require("luv")
local cjson = require("cjson")
local client = require("spec.support.kafka.client")
local eventually = require("spec.support.eventually")
local home = require("spec.support.kafka.home")
local process = require("spec.support.process")

local nodes = {}
local methods = setmetatable({}, { __index = client })
methods.__index = methods
local clusters = {}
local deadline_ms = 90000

-- Below the ports that the kernel gives to clients: a killed node finds its own free again.
local first_port, last_port = 15000, 31999

local function random_number(below)
  local a, b, c = uv.random(3):byte(1, 3)
  return (a * 65536 + b * 256 + c) % below
end

local function is_free(port)
  local socket = uv.new_tcp()
  local ok = socket:bind("127.0.0.1", port) and socket:listen(1, function() end)
  socket:close()
  return ok and true or false
end

local function free_port(taken)
  local port
  repeat
    port = first_port + random_number(last_port - first_port + 1)
  until not taken[port] and is_free(port)
  taken[port] = true
  return port
end

-- 16 random bytes as 22 digits, as Kafka writes them, without those that begin an option.
local function cluster_id()
  local digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
  local id = {}
  for i = 1, 21 do
    local at = random_number(#digits) + 1
    id[i] = digits:sub(at, at)
  end
  return table.concat(id) .. "A"
end

local function properties(self, node)
  local voters, count = {}, #self.nodes
  for i, other in ipairs(self.nodes) do
    voters[i] = ("%d@127.0.0.1:%d"):format(other.id, other.controller_port)
  end
  local replicas = math.min(3, count)
  local session_ms = self.session_timeout_ms
  local lines = {
    "process.roles=broker,controller",
    "node.id=" .. node.id,
    "controller.quorum.voters=" .. table.concat(voters, ","),
    ("listeners=PLAINTEXT://127.0.0.1:%d,CONTROLLER://127.0.0.1:%d"):format(node.port, node.controller_port),
    "advertised.listeners=PLAINTEXT://127.0.0.1:" .. node.port,
    "controller.listener.names=CONTROLLER",
    "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "inter.broker.listener.name=PLAINTEXT",
    "log.dirs=" .. node.folder .. "/data",
    "broker.session.timeout.ms=" .. session_ms,
    "broker.heartbeat.interval.ms=" .. math.min(2000, math.floor(session_ms / 4)),
    "default.replication.factor=" .. replicas,
    "min.insync.replicas=" .. math.min(2, count),
    "unclean.leader.election.enable=false",
    "auto.leader.rebalance.enable=false", -- a leader moves when a spec moves it
    "auto.create.topics.enable=false",
    "message.max.bytes=" .. 2 * 1024 * 1024 + 64 * 1024,
    "group.initial.rebalance.delay.ms=0",
    "group.min.session.timeout.ms=1000",
    "offsets.topic.num.partitions=4",
    "offsets.topic.replication.factor=" .. replicas,
    "transaction.state.log.num.partitions=2",
    "transaction.state.log.replication.factor=" .. replicas,
    "transaction.state.log.min.isr=" .. math.min(2, count),
    "log.cleaner.dedupe.buffer.size=8388608", -- the default is a third of the heap
    "log.cleaner.backoff.ms=200", -- specs wait for it
  }
  for name, value in pairs(self.settings) do
    lines[#lines + 1] = name .. "=" .. tostring(value)
  end
  return table.concat(lines, "\n") .. "\n"
end

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

local function read(path)
  local file = io.open(path)
  local text = file and file:read("*a") or ""
  if file then
    file:close()
  end
  return text
end

-- One core's worth of compiler and collector: what starts fastest.
local function run_java(self, node, words)
  local args = {
    "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData",
    "-Djava.io.tmpdir=" .. node.folder, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
  }
  if self.archive then
    args[#args + 1] = "-XX:ArchiveClassesAtExit=" .. self.archive
  elseif home.has_archive() then
    args[#args + 1] = "-XX:SharedArchiveFile=" .. home.archive()
  end
  args[#args + 1] = "-cp"
  args[#args + 1] = self.classpath
  for _, word in ipairs(words) do
    args[#args + 1] = word
  end
  -- A file takes what it says: a pipe that no loop reads would stop it.
  local log = assert(uv.fs_open(node.folder .. "/log", "a", 420))
  local child = process.spawn(home.java(), { args = args, cwd = node.folder, log = log, stays = true })
  uv.fs_close(log)
  return child
end

local function said(node)
  return read(node.folder .. "/log"):sub(-4000)
end

local function format(self)
  local children = {}
  for i, node in ipairs(self.nodes) do
    assert(uv.fs_mkdir(node.folder, 448))
    write(node.folder .. "/properties", properties(self, node))
    children[i] = run_java({ classpath = self.classpath }, node, {
      "kafka.tools.StorageTool", "format", "-t", self.id, "-c", node.folder .. "/properties",
    })
  end
  for i, child in ipairs(children) do
    if child:wait(deadline_ms) ~= 0 then
      error("could not format a node of Kafka:\n" .. said(self.nodes[i]), 0)
    end
  end
end

local function launch(self, node)
  node.child = run_java(self, node, { "kafka.Kafka", node.folder .. "/properties" })
  node.pid = node.child.pid
end

local function connect(port)
  local socket = uv.new_tcp()
  local result = {}
  socket:connect("127.0.0.1", port, function(err)
    result.is_open = not err
    result.is_known = true
    socket:close()
  end)
  return result
end

local function wait_port(node)
  local attempt = connect(node.port)
  eventually(function()
    if node.child.code then
      error(("node %d of Kafka ended with code %d:\n%s"):format(node.id, node.child.code, said(node)), 0)
    end
    if nodes.is_interrupted then
      error("interrupted", 0)
    end
    if attempt.is_known and not attempt.is_open then
      attempt = connect(node.port)
    end
    return attempt.is_open
  end, deadline_ms, ("an open port of node %d of Kafka"):format(node.id))
end

-- It answers, and knows so many brokers.
local function wait_brokers(node, count)
  eventually(function()
    local ok, metadata = pcall(client.metadata, { bootstrap = "127.0.0.1:" .. node.port })
    return ok and #metadata.brokers >= count, ok and #metadata.brokers or metadata
  end, deadline_ms, ("%d brokers that node %d of Kafka knows"):format(count, node.id))
end

local function start_once(options)
  local root = os.getenv("MOONPOST_KAFKA_RUN") or os.getenv("TMPDIR") or "/tmp"
  local self = setmetatable({
    id = cluster_id(), nodes = {}, settings = options.settings or {},
    session_timeout_ms = options.session_timeout_ms or 9000,
    archive = options.archive, classpath = home.classpath(),
    folder = assert(uv.fs_mkdtemp(root .. "/moonpost-kafka-XXXXXX")),
  }, methods)
  clusters[self] = true
  local taken, addresses = {}, {}
  for i = 1, options.nodes or 1 do
    local port = free_port(taken)
    self.nodes[i] = { id = i, port = port, controller_port = free_port(taken), folder = self.folder .. "/" .. i }
    addresses[i] = "127.0.0.1:" .. port
  end
  self.bootstrap = table.concat(addresses, ",")
  local ok, err = pcall(function()
    format(self)
    for _, node in ipairs(self.nodes) do
      launch(self, node)
    end
    for _, node in ipairs(self.nodes) do
      wait_port(node)
    end
    for _, node in ipairs(self.nodes) do
      wait_brokers(node, #self.nodes)
    end
  end)
  if not ok then
    self:stop()
    return nil, err
  end
  return self
end

--- Starts a cluster and waits until all of it answers. `options`: `nodes` (1, or 3), `session_timeout_ms`
-- (of brokers at the controller; Kafka's 9 s), `settings` (further ones of the brokers, { name = value }).
-- It has `.bootstrap` and, beside a client's methods (client.lua), those below.
function nodes.start(options)
  local why = home.why_no_nodes()
  if why then
    error("could not start Kafka: " .. why, 2)
  end
  local self, err
  for _ = 1, 3 do
    self, err = start_once(options or {})
    -- A port was taken between our look and its start.
    if self or not tostring(err):find("Address already in use", 1, true) then
      break
    end
  end
  return self or error(err, 0)
end

--- Node `i`: `.id`, `.port`, `.pid` (nil while it is down), `.folder`, `.is_paused`.
function methods:node(i)
  return self.nodes[i] or error(("there is no node %s"):format(tostring(i)), 2)
end

-- Whom to ask: not those that would not answer.
function methods:alive()
  local addresses = {}
  for _, node in ipairs(self.nodes) do
    if node.pid and not node.is_paused then
      addresses[#addresses + 1] = "127.0.0.1:" .. node.port
    end
  end
  return #addresses > 0 and table.concat(addresses, ",") or self.bootstrap
end

function methods:kill9(i)
  local node = self:node(i)
  node.child:kill("sigkill")
  node.child:wait()
  node.pid, node.is_paused = nil, nil
end

--- Starts node `i` again, on its folder and ports, and waits until it answers. While a majority is down
-- none does: then `is_waiting` is false.
function methods:start(i, is_waiting)
  local node = self:node(i)
  if node.pid then
    error(("node %d runs"):format(i), 2)
  end
  launch(self, node)
  if is_waiting ~= false then
    wait_port(node)
    wait_brokers(node, 1)
  end
end

function methods:pause(i)
  local node = self:node(i)
  assert(uv.kill(node.pid, "sigstop"))
  node.is_paused = true
end

function methods:resume(i)
  local node = self:node(i)
  assert(uv.kill(node.pid, "sigcont"))
  node.is_paused = nil
end

--- The node that is the active controller, as the nodes have it on disk; nil while there is none.
-- (What clients are told is any broker that lives.)
function methods:controller()
  local newest
  for _, node in ipairs(self.nodes) do
    local ok, state = pcall(cjson.decode, read(node.folder .. "/data/__cluster_metadata-0/quorum-state"))
    if ok and (not newest or state.leaderEpoch > newest.leaderEpoch) then
      newest = state
    end
  end
  return newest and newest.leaderId > 0 and newest.leaderId or nil
end

--- Ends it and removes its folder. `is_orderly` lets the nodes end by themselves.
function methods:stop(is_orderly)
  for _, node in ipairs(self.nodes) do
    if node.child then
      node.child:kill(is_orderly and "sigterm" or "sigkill")
    end
  end
  for _, node in ipairs(self.nodes) do
    if node.child then
      node.child:wait(deadline_ms)
      node.pid = nil
    end
  end
  process.run("rm", { args = { "-rf", self.folder } })
  clusters[self] = nil
end

function nodes.stop_all()
  for cluster in pairs(clusters) do
    cluster:stop()
  end
end

--- For a program of its own: ends all, and the loop, whose open handles would take the interpreter with
-- them.
function nodes.leave()
  nodes.stop_all()
  uv.walk(function(handle)
    if not handle:is_closing() then
      handle:close()
    end
  end)
  uv.run()
end

return nodes
