--- What a spec asks of a cluster, through kcat and mp_kafka_admin: records in and out, topics, leaders.
-- Methods of anything that has `.bootstrap`.
local uv = require("luv")
local cjson = require("cjson")
local eventually = require("spec.support.eventually")
local process = require("spec.support.process")
local wire = require("spec.support.kafka.wire")

local client = {}
client.__index = client

-- Those that answer; a cluster of ours knows which.
local function whom(self)
  return self.alive and self:alive() or self.bootstrap
end

local function run(path, args, options)
  options = options or {}
  local child = process.run(path, {
    args = args, input = options.input, deadline_ms = options.deadline_ms or 60000,
  })
  if child.code ~= 0 then
    error(("%s %s ended with code %d:\n%s"):format(path:match("[^/]+$"), args[1], child.code, child:text()), 0)
  end
  return child
end

local function kcat(self, args, options)
  args[#args + 1] = "-b"
  args[#args + 1] = whom(self)
  for _, setting in ipairs({ "reconnect.backoff.ms=50", "reconnect.backoff.max.ms=500" }) do
    args[#args + 1] = "-X"
    args[#args + 1] = setting
  end
  return run("kcat", args, options)
end

local function admin(self, args)
  table.insert(args, 1, whom(self))
  run((os.getenv("MOONPOST_BUILD") or "build") .. "/mp_kafka_admin", args)
end

--- What `kcat -L -J` tells: `.brokers`, `.topics`, their `.partitions`.
function client.metadata(self, topic)
  local args = { "-L", "-J", "-m", "20" }
  if topic then
    args[#args + 1] = "-t"
    args[#args + 1] = topic
  end
  local child = kcat(self, args, { deadline_ms = 20000 })
  return cjson.decode(child:text("out"))
end

-- { [number] = partition }; empty when there is no such topic.
local function partitions_of(self, topic)
  local partitions = {}
  for _, item in ipairs(client.metadata(self, topic).topics) do
    for _, partition in ipairs(item.topic == topic and item.partitions or {}) do
      partitions[partition.partition] = partition
    end
  end
  return partitions
end

-- Waits until `holds(partitions)` of what every broker says: each learns of a change when it comes to it.
local function wait_agreed(self, topic, what, holds)
  for address in whom(self):gmatch("[^,]+") do
    eventually(function()
      return holds(partitions_of({ bootstrap = address }, topic))
    end, nil, ("%s of %s, as %s has it"):format(what, topic, address))
  end
end

--- The id of the broker that leads the partition; nil while there is none.
function client:leader(topic, partition)
  local found = partitions_of(self, topic)[partition]
  return found and found.leader > 0 and found.leader or nil
end

--- All leaders: { topic = { [partition] = id } }.
function client:leaders()
  local leaders = {}
  for _, item in ipairs(self:metadata().topics) do
    leaders[item.topic] = {}
    for _, partition in ipairs(item.partitions) do
      leaders[item.topic][partition.partition] = partition.leader > 0 and partition.leader or nil
    end
  end
  return leaders
end

--- Makes broker `to`, or the next replica, the leader; waits until all know and returns its id.
function client:move_leader(topic, partition, to)
  local found = partitions_of(self, topic)[partition]
    or error(("there is no partition %d of %s"):format(partition, topic), 2)
  local replicas = {}
  for i, replica in ipairs(found.replicas) do
    replicas[i] = replica.id
  end
  for i, id in ipairs(replicas) do
    if not to and id == found.leader then
      to = replicas[i % #replicas + 1]
    end
  end
  table.sort(replicas, function(a, b) return a ~= b and (a == to or (b ~= to and a < b)) end)
  if replicas[1] ~= to then
    error(("broker %s has no replica of %s [%d]"):format(tostring(to), topic, partition), 2)
  end
  wire.prefer_replicas(whom(self), topic, partition, replicas)
  wire.elect_preferred(whom(self), topic, partition)
  wait_agreed(self, topic, ("leader %d"):format(to), function(partitions)
    return partitions[partition] and partitions[partition].leader == to
  end)
  return to
end

--- Makes a topic and waits until all brokers know its leaders. `options`: `partitions` (1), `replication` (all brokers, 3 at
-- most), `config` { name = value }.
function client:create(topic, options)
  options = options or {}
  local replication = options.replication or math.min(3, #self:metadata().brokers)
  local args = { "create", topic, tostring(options.partitions or 1), tostring(replication) }
  for name, value in pairs(options.config or {}) do
    args[#args + 1] = ("%s=%s"):format(name, tostring(value))
  end
  admin(self, args)
  wait_agreed(self, topic, "leaders", function(partitions)
    local led = 0
    for _, partition in pairs(partitions) do
      led = led + (partition.leader > 0 and 1 or 0)
    end
    return led == (options.partitions or 1), led
  end)
end

function client:delete(...)
  admin(self, { "delete", ... })
end

--- Deletes all topics whose name begins so.
function client:delete_prefix(prefix)
  admin(self, { "delete-prefix", prefix })
end

-- As a file its bytes are the value, whatever they are.
local function produce_file(self, args, value)
  local file, path = uv.fs_mkstemp((os.getenv("TMPDIR") or "/tmp") .. "/moonpost-value-XXXXXX")
  uv.fs_write(file, value, 0)
  uv.fs_close(file)
  local list = { unpack(args) }
  list[#list + 1] = path
  local ok, err = pcall(kcat, self, list)
  uv.fs_unlink(path)
  if not ok then
    error(err, 0)
  end
end

--- Produces a record with acks=all: `key`, `value` (nil is Kafka's null: a tombstone), `headers` (a list of
-- { name, value } in order), `partition`; or with `values` many records in one go, without line breaks.
function client:produce(topic, record)
  local args = { "-P", "-t", topic, "-X", "acks=all", "-X", "linger.ms=0" }
  local function add(flag, value)
    args[#args + 1] = flag
    args[#args + 1] = value
  end
  if record.partition then
    add("-p", tostring(record.partition))
  end
  for _, header in ipairs(record.headers or {}) do
    add("-H", header[2] and header[1] .. "=" .. header[2] or header[1])
  end
  if (record.value or "") == "" and not record.values then
    -- kcat passes over what is empty, unless a key stands before it.
    add("-K", "\2")
    if not record.value then
      args[#args + 1] = "-Z"
    end
    kcat(self, args, { input = (record.key or "") .. "\2\n" })
    return
  end
  if record.key then
    add("-k", record.key)
  end
  if record.values then
    kcat(self, args, { input = table.concat(record.values, "\n") .. "\n" })
  else
    produce_file(self, args, record.value)
  end
end

local function known(value)
  if value == cjson.null then
    return nil
  end
  return value
end

local function decode(line)
  local from = cjson.decode(line)
  local record = {
    key = known(from.key), value = known(from.payload), partition = from.partition,
    offset = from.offset, timestamp = from.ts, headers = {}, header = {},
  }
  local words = known(from.headers) or {}
  for i = 1, #words, 2 do
    record.headers[#record.headers + 1] = { words[i], known(words[i + 1]) }
    record.header[words[i]] = known(words[i + 1])
  end
  return record
end

--- All records from the beginning to the end now, by partition and offset: `key`, `value`, `headers` (a
-- list of { name, value }), `header` { name = value }, `partition`, `offset`, `timestamp` (ms). Bytes that
-- are no UTF-8 do not come through unharmed.
function client:consume(topic)
  local child = kcat(self, {
    "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-J", "-X", "fetch.wait.max.ms=20",
  })
  local records = {}
  for i, line in ipairs(child.out) do
    records[i] = decode(line)
  end
  table.sort(records, function(a, b)
    if a.partition ~= b.partition then
      return a.partition < b.partition
    end
    return a.offset < b.offset
  end)
  return records
end

return client
