--- Two requests of Kafka's protocol that neither kcat nor Debian's librdkafka can send: they move a leader.
local uv = require("luv")
local eventually = require("spec.support.eventually")

local wire = {}
local ELECT_LEADERS, ALTER_PARTITION_REASSIGNMENTS = 43, 45
local PREFERRED = 0
local timeout_ms = 15000

local function int(value, bytes)
  local out = {}
  for i = bytes, 1, -1 do
    out[i] = string.char(value % 256)
    value = math.floor(value / 256)
  end
  return table.concat(out)
end

local function int_at(text, at, bytes)
  local value = 0
  for i = at, at + bytes - 1 do
    value = value * 256 + (text:byte(i) or error("an answer of Kafka is cut off", 0))
  end
  return value
end

local function string16(text)
  return int(#text, 2) .. text
end

-- A compact length is one more than it, and a byte as long as that is below 128.
local function compact(count)
  assert(count < 127, "too long for this")
  return string.char(count + 1)
end

local no_tags = "\0"

local function exchange(address, request)
  local host, port = address:match("^(.-):(%d+)")
  local socket, answer, failure = uv.new_tcp(), "", nil
  socket:connect(host, tonumber(port), function(err)
    if err then
      failure = err
      return
    end
    socket:write(int(#request, 4) .. request)
    socket:read_start(function(read_err, chunk)
      failure = read_err or (not chunk and "closed") or nil
      answer = answer .. (chunk or "")
    end)
  end)
  local ok, err = pcall(eventually, function()
    return failure or (#answer >= 4 and #answer >= 4 + int_at(answer, 1, 4))
  end, timeout_ms, "an answer of Kafka")
  socket:close()
  if not ok or failure then
    error("could not ask Kafka: " .. tostring(failure or err), 0)
  end
  return answer:sub(5)
end

local function check(code, what)
  local ELECTION_NOT_NEEDED = 84
  if code ~= 0 and code ~= ELECTION_NOT_NEEDED then
    error(("Kafka refused to %s: error %d"):format(what, code), 0)
  end
end

--- Puts the partition's replicas in this order; the first is its preferred leader.
function wire.prefer_replicas(address, topic, partition, replicas)
  local ids = compact(#replicas)
  for _, id in ipairs(replicas) do
    ids = ids .. int(id, 4)
  end
  local answer = exchange(address, int(ALTER_PARTITION_REASSIGNMENTS, 2) .. int(0, 2) .. int(1, 4)
    .. string16("spec") .. no_tags .. int(timeout_ms, 4)
    .. compact(1) .. compact(#topic) .. topic
    .. compact(1) .. int(partition, 4) .. ids .. no_tags .. no_tags .. no_tags)
  -- correlation, tags, throttle time: then the whole's error, its text, and the partition's error.
  check(int_at(answer, 10, 2), "order the replicas")
  local text_length = math.max(0, answer:byte(12) - 1)
  local at = 13 + text_length + 1
  local name_length = answer:byte(at) - 1
  check(int_at(answer, at + 1 + name_length + 1 + 4, 2), "order the replicas")
end

--- Makes the preferred replica the leader.
function wire.elect_preferred(address, topic, partition)
  local answer = exchange(address, int(ELECT_LEADERS, 2) .. int(1, 2) .. int(1, 4) .. string16("spec")
    .. int(PREFERRED, 1) .. int(1, 4) .. string16(topic) .. int(1, 4) .. int(partition, 4)
    .. int(timeout_ms, 4))
  -- correlation, throttle time: then the whole's error, and each partition's.
  check(int_at(answer, 9, 2), "elect a leader")
  if int_at(answer, 11, 4) > 0 then
    local name_length = int_at(answer, 15, 2)
    check(int_at(answer, 17 + name_length + 4 + 4, 2), "elect a leader")
  end
end

return wire
