--- Our deliveries as Kafka records and back, and dead letters, without a broker.
local cjson = require("cjson")
local ffi = require("ffi")
local c = require("spec.support.cdef").load()
local records = require("spec.support.records")
local slice = require("spec.support.slice")

local NOW, POSTBACKS, RETRY, DEAD =
  records.NOW, records.POSTBACKS, records.RETRY, records.DEAD
local read, read_dead, record_of, headers_of, key_of, sent, text =
  records.read, records.read_dead, records.record_of, records.headers_of, records.key_of, records.sent, records.text

after_each(records.forget)

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
    for _, name in ipairs(records.texts) do
      assert.equal(fields[name] or "", again[name], name .. ", seed " .. seed)
    end
    for _, name in ipairs(records.numbers) do
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
