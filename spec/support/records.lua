--- Deliveries as Kafka records (src/queue/kafka_record.h), called from Lua without a broker.
local assert = require("luassert")
local ffi = require("ffi")
local c = require("spec.support.cdef").load()
local slice = require("spec.support.slice")

local records = {
  NOW = 1764000000000, DAY = 24 * 3600 * 1000, DEPTH = 128,
  POSTBACKS = c.MP__KAFKA_POSTBACKS, RETRY = c.MP__KAFKA_RETRY_2M, DEAD = c.MP__KAFKA_DEAD,
}

records.texts = {
  "id", "partner", "lane", "event", "type", "source", "subject", "event_id", "partition_key", "endpoint_method",
  "endpoint_url",
}
records.numbers = { "first_ms", "occurred_ms", "replays", "attempts", "last_status", "last_verdict", "due_ms", "last_ms" }

function records.text(str)
  return str.length == 0 and "" or ffi.string(str.data, str.length)
end

local function as_table(record)
  local fields = {}
  for _, name in ipairs(records.texts) do
    fields[name] = records.text(record[name])
  end
  for _, name in ipairs(records.numbers) do
    fields[name] = tonumber(record[name])
  end
  return fields
end

local kept = {} -- what a struct only borrows

--- headers: a list of { name, value }, or of names to values; false is a null value.
local function raw_of(message)
  local raw = ffi.new("struct mp__kafka_raw")
  local function keep(value)
    local str = slice.of(value)
    kept[#kept + 1] = str
    return str
  end
  if message.value ~= false then
    raw.value = keep(message.value or "{}")
  end
  raw.key = keep(message.key or "")
  local topic = message.topic or "postbacks"
  kept[#kept + 1] = topic
  raw.topic, raw.partition, raw.offset = topic, message.partition or 3, message.offset or 17
  raw.timestamp_ms = message.timestamp_ms or records.NOW - 5
  local function head(name, value)
    c.mp__kafka_raw_head(raw, name, value and keep(value) or ffi.new("struct mp_str"))
  end
  for name, value in pairs(message.headers or {}) do
    if type(name) == "number" then
      head(value[1], value[2])
    else
      head(name, value)
    end
  end
  return raw
end

function records.read(message)
  local raw = raw_of(message)
  local out, err = ffi.new("struct mp_record *[1]"), ffi.new("struct mp_error")
  local notes = ffi.new("struct mp__kafka_notes")
  local status = c.mp__kafka_raw_read(raw, records.DEPTH, records.NOW, out, notes, err)
  if status ~= 0 then
    assert.equal(c.MP_EINVAL, status)
    return nil, ffi.string(err.text)
  end
  local record = as_table(out[0])
  c.mp_record_free(out[0])
  return record, { unknown_ms = tonumber(notes.unknown_ms), origin = records.text(notes.origin) }
end

function records.read_dead(message)
  local raw = raw_of(message)
  local out, err = ffi.new("struct mp_record *[1]"), ffi.new("struct mp_error")
  local reason = ffi.new("struct mp_str[1]")
  local status = c.mp__kafka_raw_dead(raw, records.DEPTH, records.NOW, out, reason, err)
  if status ~= 0 then
    return nil, ffi.string(err.text)
  end
  local record = as_table(out[0])
  c.mp_record_free(out[0])
  return record, records.text(reason[0])
end

--- A draft of these fields; the rest as a plain delivery has it.
function records.record_of(fields)
  local record = ffi.new("struct mp_record")
  local all = {
    id = "id-1", partner = "acme", event = "{}", first_ms = records.NOW - 100, due_ms = records.NOW, occurred_ms = -1,
  }
  for name, value in pairs(fields or {}) do
    all[name] = value
  end
  for name, value in pairs(all) do
    if type(value) == "string" then
      kept[#kept + 1] = value
      record[name].data, record[name].length = value, #value
    else
      record[name] = value
    end
  end
  if record.lane.length == 0 then
    record.lane = record.partner
  end
  return record
end

local function notes_of(fields)
  local notes = ffi.new("struct mp__kafka_notes")
  for name, value in pairs(fields or {}) do
    if name == "origin" then
      value = slice.of(value)
    end
    kept[#kept + 1] = value
    notes[name] = value
  end
  return notes
end

--- The headers of a record in their order, and by name.
function records.headers_of(record, topic, notes)
  local fields = ffi.new("struct mp__kafka_fields")
  assert.equal(0, c.mp__kafka_fields_write(fields, record, topic, notes and notes_of(notes), records.NOW))
  local list, map = {}, {}
  for i = 0, tonumber(fields.count) - 1 do
    local name = records.text(c.mp__kafka_head_name(fields.list[i].head))
    list[#list + 1] = { name, records.text(fields.list[i].value) }
    assert.is_nil(map[name], name)
    map[name] = list[#list][2]
  end
  c.mp__kafka_fields_fini(fields)
  return map, list
end

function records.key_of(record, topic)
  local out = slice.buf()
  assert.equal(0, c.mp__kafka_record_key(record, topic, out))
  return slice.content(out)
end

--- What a reader of the topic gets.
function records.sent(record, topic, notes)
  local _, list = records.headers_of(record, topic, notes)
  return { value = records.text(record.event), key = records.key_of(record, topic), headers = list,
           timestamp_ms = topic == records.POSTBACKS and tonumber(record.first_ms) or records.NOW - 3 }
end

--- After each sentence: lets go of what structs borrowed.
function records.forget()
  kept = {}
end

return records
