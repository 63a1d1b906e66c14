--- Deliveries as Kafka records, ours and those that another program wrote, without a broker.
local cjson = require("cjson")
local ffi = require("ffi")
local c = require("spec.support.cdef").load()
local slice = require("spec.support.slice")

local NOW = 1764000000000
local DAY = 24 * 3600 * 1000
local DEPTH = 128
local POSTBACKS, RETRY, DEAD = c.MP__KAFKA_POSTBACKS, c.MP__KAFKA_RETRY_2M, c.MP__KAFKA_DEAD

local texts = {
  "id", "partner", "lane", "event", "type", "source", "subject", "event_id", "partition_key", "endpoint_method",
  "endpoint_url",
}
local numbers = { "first_ms", "occurred_ms", "replays", "attempts", "last_status", "last_verdict", "due_ms", "last_ms" }

local function text(str)
  return str.length == 0 and "" or ffi.string(str.data, str.length)
end

local function as_table(record)
  local fields = {}
  for _, name in ipairs(texts) do
    fields[name] = text(record[name])
  end
  for _, name in ipairs(numbers) do
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
  raw.timestamp_ms = message.timestamp_ms or NOW - 5
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

local function read(message)
  local raw = raw_of(message)
  local out, err = ffi.new("struct mp_record *[1]"), ffi.new("struct mp_error")
  local notes = ffi.new("struct mp__kafka_notes")
  local status = c.mp__kafka_raw_read(raw, DEPTH, NOW, out, notes, err)
  if status ~= 0 then
    assert.equal(c.MP_EINVAL, status)
    return nil, ffi.string(err.text)
  end
  local record = as_table(out[0])
  c.mp_record_free(out[0])
  return record, { unknown_ms = tonumber(notes.unknown_ms), origin = text(notes.origin) }
end

local function read_dead(message)
  local raw = raw_of(message)
  local out, err = ffi.new("struct mp_record *[1]"), ffi.new("struct mp_error")
  local reason = ffi.new("struct mp_str[1]")
  local status = c.mp__kafka_raw_dead(raw, DEPTH, NOW, out, reason, err)
  if status ~= 0 then
    return nil, ffi.string(err.text)
  end
  local record = as_table(out[0])
  c.mp_record_free(out[0])
  return record, text(reason[0])
end

--- A draft of these fields; the rest as a plain delivery has it.
local function record_of(fields)
  local record = ffi.new("struct mp_record")
  local all = {
    id = "id-1", partner = "acme", event = "{}", first_ms = NOW - 100, due_ms = NOW, occurred_ms = -1,
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
local function headers_of(record, topic, notes)
  local fields = ffi.new("struct mp__kafka_fields")
  assert.equal(0, c.mp__kafka_fields_write(fields, record, topic, notes and notes_of(notes), NOW))
  local list, map = {}, {}
  for i = 0, tonumber(fields.count) - 1 do
    local name = text(c.mp__kafka_head_name(fields.list[i].head))
    list[#list + 1] = { name, text(fields.list[i].value) }
    assert.is_nil(map[name], name)
    map[name] = list[#list][2]
  end
  c.mp__kafka_fields_fini(fields)
  return map, list
end

local function key_of(record, topic)
  local out = slice.buf()
  assert.equal(0, c.mp__kafka_record_key(record, topic, out))
  return slice.content(out)
end

--- What a reader of the topic gets.
local function sent(record, topic, notes)
  local _, list = headers_of(record, topic, notes)
  return { value = text(record.event), key = key_of(record, topic), headers = list,
           timestamp_ms = topic == POSTBACKS and tonumber(record.first_ms) or NOW - 3 }
end

after_each(function()
  kept = {}
end)

describe("a record that another program wrote", function()
  it("needs a partner and a JSON object, and nothing else", function()
    local record, notes = read({ value = '{"a":1.50}', headers = { ce_subject = "acme" }, timestamp_ms = NOW - 77 })
    assert.same({
      id = "postbacks-3-17", partner = "acme", lane = "acme", event = '{"a":1.50}', type = "", source = "", subject = "",
      event_id = "", partition_key = "", endpoint_method = "", endpoint_url = "", first_ms = NOW - 77, occurred_ms = -1,
      replays = 0, attempts = 0, last_status = 0, last_verdict = 0, due_ms = NOW, last_ms = 0,
    }, record)
    assert.same({ unknown_ms = 0, origin = "" }, notes)
  end)

  it("without a timestamp is accepted now", function()
    assert.equal(NOW, read({ headers = { ce_subject = "acme" }, timestamp_ms = -1 }).first_ms)
  end)

  it("says in its headers what it is", function()
    local record, notes = read({
      key = "acme/customer 42",
      headers = {
        ce_specversion = "1.0", ce_id = "e-1", ce_source = "/shop", ce_type = "order.paid", ce_subject = "acme",
        ce_time = "2026-11-23T22:04:19.5+01:00", ["content-type"] = "text/plain", mp_attempt = "7", mp_due = "1764000000001",
        mp_first = "1763999000000", mp_status = "503", mp_event_id = "own", mp_subject = "s", mp_replays = "2",
        mp_unknown = "1763999900000", mp_origin = "x-1-2", mp_last = "1763999999999", mp_verdict = "pause",
        mp_endpoint = '{"method":"put","url":"https://a.example/x"}', other = "let be", ce_custom = "too", mp_new = "too",
      },
    })
    assert.same({
      id = "e-1", partner = "acme", lane = "acme", event = "{}", type = "order.paid", source = "/shop", subject = "s",
      event_id = "own", partition_key = "customer 42", endpoint_method = "PUT", endpoint_url = "https://a.example/x",
      first_ms = 1763999000000, occurred_ms = 1795467859500, replays = 2, attempts = 7, last_status = 503,
      last_verdict = c.MP_VERDICT_PAUSE, due_ms = 1764000000001, last_ms = 1763999999999,
    }, record)
    assert.same({ unknown_ms = 1763999900000, origin = "x-1-2" }, notes)
  end)

  it("is delivered with the object's own bytes, without what is around them", function()
    local value = ' \r\n\t{ "b" : [ 1e0, "\\u00e9" ],\n "a":{} } \n'
    local record = read({ value = value, headers = { ce_subject = "acme" } })
    assert.equal('{ "b" : [ 1e0, "\\u00e9" ],\n "a":{} }', record.event)
  end)

  it("may have any bytes in its texts, and of two headers of one name the last holds", function()
    local bytes = "\0\1\n\255\"\\é"
    local record = read({ headers = {
      { "ce_subject", "other" }, { "ce_type", "one" }, { "ce_subject", "acme" }, { "ce_type", bytes }, { "ce_id", bytes },
      { "ce_source", bytes }, { "mp_subject", bytes }, { "mp_event_id", bytes }, { "mp_attempt", "x" }, { "mp_attempt", "1" },
    } })
    assert.equal("acme", record.partner)
    assert.equal(1, record.attempts)
    for _, name in ipairs({ "type", "id", "source", "subject", "event_id" }) do
      assert.equal(bytes, record[name], name)
    end
  end)

  it("is read by the exact names of its headers", function()
    for _, name in ipairs({ "", "c", "ce_subjec", "ce_subject2", "CE_SUBJECT", "ce-subject", "mp_subject", "ce_\tsubject",
      "ce_specversio", "ce_partitionkey_", ("x"):rep(16), ("x"):rep(300) }) do
      local none, why = read({ headers = { [name] = "acme" } })
      assert.is_nil(none, name)
      assert.equal("ce_subject is missing: it names the partner", why)
    end
    for head = 0, c.MP__KAFKA_HEADS - 1 do
      local raw = ffi.new("struct mp__kafka_raw")
      c.mp__kafka_raw_head(raw, c.mp__kafka_head_name(head).data, slice.of("x"))
      for other = 0, c.MP__KAFKA_HEADS - 1 do
        assert.equal(head == other, raw.heads[other].length == 1)
      end
    end
  end)

  it("has a null header as if it had none", function()
    local headers = { { "ce_subject", "acme" } }
    for head = 0, c.MP__KAFKA_HEADS - 1 do
      local name = text(c.mp__kafka_head_name(head))
      if name ~= "ce_subject" then
        headers[#headers + 1] = { name, false }
      end
    end
    assert.same(read({ headers = { ce_subject = "acme" } }), read({ headers = headers }))
  end)

  it("has no text where its header is empty", function()
    local empty = { ce_subject = "acme" }
    for _, name in ipairs({ "ce_id", "ce_type", "ce_source", "ce_time", "ce_specversion", "mp_event_id", "mp_subject" }) do
      empty[name] = ""
    end
    assert.same(read({ headers = { ce_subject = "acme" } }), read({ headers = empty }))
  end)

  it("has its partition key from CloudEvents' attribute or our form of the key", function()
    local function key(message)
      message.headers = { ce_subject = "acme", ce_id = "e-1", ce_partitionkey = message.attribute }
      return read(message).partition_key
    end
    assert.equal("c/4", key({ key = "acme/c/4" }))
    assert.equal("", key({ key = "acme/e-1" }))
    assert.equal("", key({ key = "acme/" }))
    assert.equal("", key({ key = "acme" }))
    assert.equal("", key({ key = "acme2/x" }))
    assert.equal("", key({ key = "customer-42" }))
    assert.equal("", key({ key = "" }))
    assert.equal("c", key({ key = "c", attribute = "c" }))
    assert.equal("c", key({ key = "acme/d", attribute = "c" }))
  end)

  it("without an id has the end of its origin for one when its topic's name is long", function()
    local record = read({ headers = { ce_subject = "acme" }, topic = ("x"):rep(240) .. "postbacks", partition = 2147483647,
                          offset = 9007199254740991 })
    local origin = ("x"):rep(240) .. "postbacks-2147483647-9007199254740991"
    assert.equal(128, #record.id)
    assert.equal(origin:sub(-128), record.id)
  end)

  it("for postback has its lane from its endpoint", function()
    local function postback(endpoint)
      return read({ headers = { ce_subject = "postback", mp_endpoint = endpoint } })
    end
    local record = postback(' { "url" : "HTTPS:\\/\\/A.example\\u002fx?y={z}" } ')
    assert.equal("postback https://a.example:443", record.lane)
    assert.equal("HTTPS://A.example/x?y={z}", record.endpoint_url)
    assert.equal("GET", record.endpoint_method)
    record = postback('{"method":"x","method":"De\\u006cete","url":"http://[::1]:8/","more":[[1]]}')
    assert.equal("postback http://[::1]:8", record.lane)
    assert.equal("DELETE", record.endpoint_method)
  end)
end)

describe("a malformed record", function()
  local function why(message)
    message.headers = message.headers or {}
    message.headers.ce_subject = message.headers.ce_subject == nil and "acme" or message.headers.ce_subject
    local record, said = read(message)
    assert.is_nil(record)
    return said
  end

  it("is refused with what is wrong with its value", function()
    for value, said in pairs({
      [false] = "it has no value",
      [""] = "the value is not JSON: line 1, column 1: the text ends where a value was expected",
      ['{"a":\n1,}'] = "the value is not JSON: line 2, column 3: a string was expected for the member's name",
      ["\239\187\191{}"] = "the value is not JSON: line 1, column 1: a byte order mark is not allowed",
      ['{"a":"\255"}'] = "the value is not JSON: line 1, column 7: not valid UTF-8",
      ["{}{}"] = "the value is not JSON: line 1, column 3: nothing may follow the value",
      ["[{}]"] = "the value is no JSON object",
      ["null"] = "the value is no JSON object",
      ['{"a":' .. ("["):rep(128) .. ("]"):rep(128) .. "}"] =
        "the value is not JSON: line 1, column 133: nested too deep",
    }) do
      assert.equal(said, why({ value = value }))
    end
    assert.is_table(read({ headers = { ce_subject = "acme" },
                           value = '{"a":' .. ("["):rep(127) .. ("]"):rep(127) .. "}" }))
  end)

  it("is refused with the header that cannot be read", function()
    local time = " is not a Unix time in milliseconds, ten years ahead at most"
    local count = " is not a number of 1 to 9 digits"
    local far = ("%.0f"):format(NOW + 3650 * DAY + 1)
    local cases = {
      ce_subject = { { "", " is missing: it names the partner" }, { false, " is missing: it names the partner" } },
      ce_id = { { ("x"):rep(129), " has more than 128 bytes" } },
      ce_specversion = { { "0.3", " is not 1.0" }, { "1", " is not 1.0" } },
      ce_time = { { "yesterday", " is not an RFC 3339 time" }, { "2026-11-23", " is not an RFC 3339 time" } },
      mp_status = { { "1000", " is not a status of 1 to 3 digits" }, { "ok", " is not a status of 1 to 3 digits" } },
      mp_verdict = { { "fine", " is no verdict" }, { "", " is no verdict" } },
    }
    for _, name in ipairs({ "Acme", "a b", "-", "", "acme/", ("x"):rep(65), "\0" }) do
      table.insert(cases.ce_subject, name ~= "" and { name, " is no partner's name" } or nil)
    end
    for _, name in ipairs({ "mp_due", "mp_first", "mp_unknown", "mp_last" }) do
      cases[name] = { { far, time } }
    end
    for _, name in ipairs({ "mp_attempt", "mp_replays" }) do
      cases[name] = { { "1234567890", count } }
    end
    for name, list in pairs(cases) do
      local said = list[1][2]
      if name:find("^mp_") and name ~= "mp_verdict" then
        for _, value in ipairs({ "", "-1", "+1", " 1", "1 ", "1.0", "1e3", "0x10", "1\n", "\0", "９", ("9"):rep(19), ("9"):rep(40),
          "18446744073709551617" }) do -- 2 to the power of 64, and one
          list[#list + 1] = { value, said }
        end
      end
      for _, case in ipairs(list) do
        assert.equal(name .. case[2], why({ headers = { [name] = case[1] } }), name)
      end
    end
    assert.is_table(read({ headers = { ce_subject = "acme", mp_due = ("%.0f"):format(NOW + 3650 * DAY), mp_first = "0",
                                       mp_attempt = "000999999", mp_status = "000", mp_verdict = "none" } }))
  end)

  it("of postback is refused with what is wrong with its endpoint", function()
    local methods = "mp_endpoint has a method that is none of GET, HEAD, POST, PUT, PATCH, DELETE"
    local cases = {
      [false] = "mp_endpoint is missing, which postback's records must have",
      [""] = "mp_endpoint is no JSON object",
      ["x"] = "mp_endpoint is no JSON object",
      ['["http://a/"]'] = "mp_endpoint is no JSON object",
      ["{}"] = "mp_endpoint has no url that is a string",
      ['{"url":1}'] = "mp_endpoint has no url that is a string",
      ['{"url":"http://a/","method":1}'] = methods,
      ['{"url":"http://a/","method":null}'] = methods,
      ['{"url":"http://a/","method":"TRACE"}'] = methods,
      ['{"url":"http://a/","method":""}'] = methods,
      ['{"url":""}'] = "mp_endpoint: could not use the url: it is not absolute, or neither http nor https",
      ['{"url":"http://u@a/"}'] = "mp_endpoint: could not use the url: it has user information",
      ['{"url":"http://a\\u0000b/"}'] = "mp_endpoint: could not use the url: it has a space or control byte in its host",
      ['{"url":"http://{a}/"}'] = "mp_endpoint: could not use the url: it has an expression before its path",
    }
    for endpoint, said in pairs(cases) do
      assert.equal(said, why({ headers = { ce_subject = "postback", mp_endpoint = endpoint } }))
    end
    assert.equal("mp_endpoint is no JSON object", why({ headers = { mp_endpoint = "x" } }))
  end)
end)

describe("our record", function()
  it("has CloudEvents' headers, and ours only where they say something", function()
    local _, list = headers_of(record_of(), POSTBACKS)
    assert.same({
      { "ce_subject", "acme" }, { "ce_id", "id-1" }, { "ce_specversion", "1.0" }, { "ce_type", "moonpost.untyped" },
      { "ce_source", "urn:moonpost:unnamed" }, { "content-type", "application/json" },
    }, list)
    local full = record_of({
      type = "t", source = "/s", subject = "sub", event_id = "e", partition_key = "k", occurred_ms = 1764000000123,
      attempts = 3, last_status = 503, last_verdict = c.MP_VERDICT_RETRY, replays = 1, due_ms = NOW + 9, last_ms = NOW - 1,
      endpoint_method = "POST", endpoint_url = 'http://a/"\\é{x}',
    })
    local common = {
      ce_subject = "acme", ce_id = "id-1", ce_specversion = "1.0", ce_type = "t", ce_source = "/s",
      ce_time = "2025-11-24T16:00:00.123Z", ["content-type"] = "application/json", mp_event_id = "e", mp_subject = "sub",
      mp_attempt = "3", mp_status = "503", mp_replays = "1", mp_first = "1763999999900",
      mp_endpoint = '{"method":"POST","url":"http://a/\\"\\\\é{x}"}',
    }
    assert.same(common, (headers_of(full, POSTBACKS)))
    common.mp_due, common.mp_unknown = "1764000000009", "5"
    assert.same(common, (headers_of(full, RETRY, { unknown_ms = 5 })))
    common.mp_due, common.mp_unknown = nil, nil
    common.mp_reason, common.mp_origin, common.mp_last = "410 Gone", "postbacks-0-1", "1763999999999"
    common.ce_partitionkey = "k"
    assert.same(common, (headers_of(full, DEAD, { reason = "410 Gone", origin = "postbacks-0-1" })))
  end)

  it("has a time from 1970 on, its first moment too", function()
    assert.equal("1970-01-01T00:00:00.000Z", (headers_of(record_of({ occurred_ms = 0 }), POSTBACKS)).ce_time)
    assert.is_nil((headers_of(record_of({ occurred_ms = -1000 }), POSTBACKS)).ce_time)
  end)

  it("has a retry's due time and acceptance, also without an attempt", function()
    local headers = headers_of(record_of({ due_ms = 77 }), c.MP__KAFKA_RETRY_24H)
    assert.equal("77", headers.mp_due)
    assert.equal("1763999999900", headers.mp_first)
    assert.is_nil(headers.mp_attempt)
  end)

  it("died now when nothing was ever tried", function()
    assert.equal(tostring(NOW), (headers_of(record_of(), DEAD)).mp_last:match("^%d+$"))
    assert.equal("", (headers_of(record_of(), DEAD)).mp_reason)
  end)

  it("keeps of a long reason what fits, with no character cut in two", function()
    local reason = (headers_of(record_of(), DEAD, { reason = ("é"):rep(600) })).mp_reason
    assert.equal(("é"):rep(512), reason)
    reason = (headers_of(record_of(), DEAD, { reason = "x" .. ("é"):rep(600) })).mp_reason
    assert.equal("x" .. ("é"):rep(511), reason)
    assert.equal(("y"):rep(1024), (headers_of(record_of(), DEAD, { reason = ("y"):rep(1024) })).mp_reason)
  end)

  it("says a verdict only where it is not the usual one", function()
    for kind, name in pairs({ [c.MP_VERDICT_NONE] = "none", [c.MP_VERDICT_DEAD] = "dead", [c.MP_VERDICT_PAUSE] = "pause" }) do
      local record = record_of({ attempts = 1, last_verdict = kind })
      assert.equal(name, (headers_of(record, RETRY)).mp_verdict)
      assert.equal(kind, read(sent(record, RETRY)).last_verdict)
    end
    local record = record_of({ attempts = 1, last_verdict = c.MP_VERDICT_RETRY })
    assert.is_nil((headers_of(record, RETRY)).mp_verdict)
    assert.equal(c.MP_VERDICT_RETRY, read(sent(record, RETRY)).last_verdict)
  end)

  it("has a key that spreads a partner, or keeps its partition key together", function()
    local record = record_of({ replays = 12 })
    assert.equal("acme/id-1", key_of(record, POSTBACKS))
    assert.equal("acme/id-1", key_of(record, RETRY))
    assert.equal("acme/id-1/12", key_of(record, DEAD))
    record = record_of({ partition_key = "c/42" })
    assert.equal("acme/c/42", key_of(record, POSTBACKS))
    assert.equal("acme/c/42", key_of(record, RETRY))
    assert.equal("acme/id-1/0", key_of(record, DEAD))
    local out = slice.buf(6)
    assert.equal(c.MP_ELIMIT, c.mp__kafka_record_key(record, POSTBACKS, out))
    assert.equal(0, tonumber(out[0].length))
  end)

  it("fits in two mebibytes with all that it may come to have", function()
    local room = 2 * 1024 * 1024 - 4096 - 2 * #"acme" - 2 * #"id-1"
    local event = "{" .. (" "):rep(room - 2) .. "}"
    assert.is_true(c.mp__kafka_record_fits(record_of({ event = event })))
    assert.is_false(c.mp__kafka_record_fits(record_of({ event = event .. " " })))
    for _, name in ipairs({ "type", "source", "subject", "event_id", "partition_key", "endpoint_method", "endpoint_url" }) do
      assert.is_false(c.mp__kafka_record_fits(record_of({ event = event, [name] = "x" })), name)
    end
    -- What is counted is never less than what is there.
    local long = ("\"\\\1é"):rep(300)
    local record = record_of({
      id = ("i"):rep(128), partner = ("p"):rep(64), type = long, source = long, subject = long, event_id = long,
      partition_key = long, endpoint_method = "DELETE", endpoint_url = long:rep(8), occurred_ms = NOW, replays = 999999999,
      attempts = 999999999, last_status = 999, last_verdict = c.MP_VERDICT_SKIPPED,
    })
    local bytes = #key_of(record, DEAD)
    local _, list = headers_of(record, DEAD, { reason = ("r"):rep(2000), origin = ("o"):rep(288), unknown_ms = NOW })
    for _, header in ipairs(list) do
      bytes = bytes + #header[1] + #header[2] + 10
    end
    event = "{" .. (" "):rep(2 * 1024 * 1024 - bytes - 2) .. "}"
    record.event.data, record.event.length = event, #event
    assert.is_false(c.mp__kafka_record_fits(record))
  end)
end)

describe("a round trip", function()
  math.randomseed(os.time())
  local seed = math.random(2 ^ 31)

  local function maybe(value)
    return math.random(2) == 1 and value or nil
  end

  local function bytes(max)
    local list = {}
    for i = 1, math.random(1, max) do
      list[i] = string.char(math.random(3) == 1 and math.random(0, 255) or math.random(97, 122))
    end
    return table.concat(list)
  end

  local function random_fields()
    local fields = {
      id = bytes(128), partner = maybe("a-b_c") or "0", type = maybe(bytes(40)), source = maybe(bytes(40)),
      subject = maybe(bytes(40)), event_id = maybe(bytes(40)), partition_key = maybe(bytes(40)),
      event = '{"n":' .. math.random() .. "}", first_ms = NOW - math.random(0, 10 ^ 9), occurred_ms = maybe(math.random(0, 2 ^ 42)),
      replays = maybe(math.random(999)),
    }
    if math.random(4) == 1 then
      fields.partner, fields.endpoint_method = "postback", maybe("GET") or "PATCH"
      fields.endpoint_url = "http://h.example:81/" .. bytes(30):gsub("[\128-\255]", "~")
      fields.lane = "postback http://h.example:81"
    end
    return fields
  end

  local function spend(fields)
    fields.due_ms, fields.attempts = NOW + math.random(-10 ^ 9, 10 ^ 9), maybe(math.random(1, 60))
    if fields.attempts then
      fields.last_status, fields.last_verdict = maybe(math.random(100, 599)), math.random(0, 5)
    end
  end

  local function same(fields, again)
    fields.lane = fields.lane or fields.partner
    fields.occurred_ms = fields.occurred_ms or -1
    for _, name in ipairs(texts) do
      assert.equal(fields[name] or "", again[name], name .. ", seed " .. seed)
    end
    for _, name in ipairs(numbers) do
      if name ~= "due_ms" and name ~= "last_ms" then
        assert.equal(fields[name] or 0, again[name], name .. ", seed " .. seed)
      end
    end
  end

  it("through postbacks changes nothing", function()
    math.randomseed(seed)
    for _ = 1, 300 do
      local fields = random_fields()
      fields.replays = nil
      local again = read(sent(record_of(fields), POSTBACKS))
      same(fields, again)
      assert.equal(NOW, again.due_ms)
    end
  end)

  it("through a retry tier changes nothing", function()
    math.randomseed(seed)
    for _ = 1, 300 do
      local fields = random_fields()
      spend(fields)
      local again, notes = read(sent(record_of(fields), RETRY, { unknown_ms = fields.first_ms }))
      same(fields, again)
      assert.equal(fields.due_ms, again.due_ms)
      assert.equal(fields.first_ms, notes.unknown_ms)
    end
  end)

  it("through the dead letters and back changes nothing", function()
    math.randomseed(seed)
    for _ = 1, 300 do
      local fields = random_fields()
      spend(fields)
      fields.last_ms = maybe(NOW - 12345)
      local again, reason = read_dead(sent(record_of(fields), DEAD, { reason = "status 500", origin = "postbacks-1-2" }))
      same(fields, again)
      assert.equal("status 500", reason)
      assert.equal(fields.last_ms or NOW, again.last_ms)
    end
  end)
end)

describe("a dead letter's key", function()
  local function parse(key)
    local partner, id, replays = ffi.new("struct mp_str[1]"), ffi.new("struct mp_str[1]"), ffi.new("uint32_t[1]")
    local str = slice.of(key)
    if c.mp__kafka_dead_key_parse(str, partner, id, replays) then
      return { text(partner[0]), text(id[0]), tonumber(replays[0]) }
    end
  end

  it("names partner, id and replays", function()
    assert.same({ "acme", "id-1", 0 }, parse("acme/id-1/0"))
    assert.same({ "acme", "a/b/7", 12 }, parse("acme/a/b/7/12"))
    assert.same({ "acme", "/", 999999999 }, parse("acme///999999999"))
    assert.same({ "a", ("x"):rep(128), 1 }, parse("a/" .. ("x"):rep(128) .. "/1"))
    assert.same({ "-", "postbacks-0-17", 0 }, parse("-/postbacks-0-17"))
    assert.same({ "-", ("y"):rep(120) .. "-123-456", 0 }, parse("-/" .. ("y"):rep(200) .. "-123-456"))
  end)

  it("is told from any other", function()
    for _, key in ipairs({
      "", "/", "//", "acme", "acme/", "acme/id", "acme//0", "acme/id/", "acme/id/x", "acme/id/1x", "acme/id/-1", "acme/id/1234567890",
      "Acme/id/0", "/id/0", "-/", "-", "a/" .. ("x"):rep(129) .. "/1",
    }) do
      assert.is_nil(parse(key), key)
    end
  end)
end)

describe("a dead letter", function()
  it("that was malformed is shown with its bytes", function()
    local message = {
      value = '[1, 2] ', key = "-/postbacks-0-17", topic = "postbacks.dead", timestamp_ms = 5000,
      headers = { mp_reason = "the value is no JSON object", mp_last = "7000", mp_origin = "postbacks-0-17", mp_attempt = "x" },
    }
    local record, reason = read_dead(message)
    assert.equal("the value is no JSON object", reason)
    assert.same({ "-", "-", "postbacks-0-17", "[1, 2]", 5000, 7000, 0, "" }, {
      record.partner, record.lane, record.id, record.event, record.first_ms, record.last_ms, record.attempts, record.type,
    })
    for value, event in pairs({ [""] = '""', ["{"] = '"{"', ["a\0\255\"\n"] = '"a\\u0000\239\191\189\\"\\n"', ["null"] = "null" }) do
      message.value = value
      record = read_dead(message)
      assert.equal(event, record.event)
      cjson.decode("[" .. record.event .. "]")
    end
  end)

  it("that was malformed stays so though it reads well now", function()
    local record = read_dead({ key = "-/postbacks-0-17", headers = { ce_subject = "acme" } })
    assert.equal("-", record.partner)
  end)

  it("that cannot be read is shown as malformed, whatever its key", function()
    for _, key in ipairs({ "", "x", "acme/id-1/0", "-", "-/" }) do
      local record = read_dead({ key = key, topic = "postbacks.dead", headers = { mp_last = "x" } })
      assert.same({ "-", "postbacks.dead-3-17", NOW - 5 }, { record.partner, record.id, record.last_ms })
    end
  end)

  it("is none without a value", function()
    local none, why = read_dead({ value = false, key = "acme/id-1/0" })
    assert.is_nil(none)
    assert.equal("it has no value", why)
  end)

  it("has its partition key from its header alone", function()
    local headers = { ce_subject = "acme", ce_id = "id-1" }
    assert.equal("", read_dead({ key = "acme/id-1/0", headers = headers }).partition_key)
    headers.ce_partitionkey = "k"
    assert.equal("k", read_dead({ key = "acme/id-1/0", headers = headers }).partition_key)
  end)
end)
