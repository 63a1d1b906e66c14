local probe = require("spec.support.ingest_probe")
local process = require("spec.support.process")
local raw = require("spec.support.raw_http")

local server

local function ask(...)
  return server:post(...)
end

local function refused(...)
  return server:problem(...)
end

local function accepted(count, path, body, ...)
  local answer = ask(path, body, ...)
  assert.equal(202, answer.status, answer.body)
  assert.equal("application/json", answer.headers["content-type"])
  assert.equal(count, answer.json.accepted)
  assert.equal(count, #answer.json.ids)
  local records = server:records(count)
  for i, record in ipairs(records) do
    assert.equal(answer.json.ids[i], record.id)
    assert.matches("^%x+%-%x+%-7%x+%-[89ab]%x+%-%x+$", record.id)
  end
  return records, answer
end

describe("taking events", function()
  setup(function()
    server = probe.start()
  end)
  after_each(raw.close_all)
  teardown(function()
    server:stop()
    process.kill_all()
  end)

  it("keeps an event's own bytes", function()
    local event = '{ "type":"a\\u0062",\t"n":12345678901234567890, "x":1.50,"e":1e400,"d":1,"d":2,"s":"\\/ü" }'
    local record = accepted(1, "/events/acme", " \r\n" .. event .. "\n")[1]
    assert.equal(event, record.event)
    assert.equal("ab", record.type)
    assert.equal("acme", record.partner)
    assert.equal("acme", record.lane)
    assert.equal(-1, record.occurred_ms)
  end)

  it("takes an array's items, each by its own bytes", function()
    local records = accepted(3, "/events/acme", '[{"a": 1.0},\n{"type":"t"} , {"type":7}]')
    assert.equal('{"a": 1.0}', records[1].event)
    assert.equal('{"type":"t"}', records[2].event)
    assert.equal("t", records[2].type)
    assert.equal("", records[3].type)
    accepted(0, "/events/acme", "[]")
  end)

  it("takes lines of JSON, and skips blank ones", function()
    local kind = "Content-Type: application/x-ndjson; charset=UTF-8"
    local records = accepted(3, "/events/acme", '{"a":1}\r\n\r\n \t\n{"a":2}\n\n {"a":3} ', kind)
    assert.equal('{"a":1}', records[1].event)
    assert.equal('{"a":3}', records[3].event)
    accepted(0, "/events/acme", "\n\n", kind)
    local status, name, problem = refused("/events/acme", '{}\n\n{"a":}\n', kind)
    assert.same({ 400, "malformed-json", 3, 6 }, { status, name, problem.line, problem.column })
    status, name, problem = refused("/events/acme", "{}\n\n[]\n", "Content-Type: application/ndjson")
    assert.same({ 422, "invalid-item", 1, 3 }, { status, name, problem.index, problem.line })
  end)

  it("takes what says it is JSON, or says nothing, or what clients say by habit", function()
    for _, kind in ipairs({ "application/json", "application/json; charset=\"utf-8\"", "text/json",
      "application/vnd.acme+json;v=1", "text/plain", "application/x-www-form-urlencoded", "" }) do
      accepted(1, "/events/acme", "{}", "Content-Type: " .. kind)
    end
    for _, kind in ipairs({ "image/png", "text/html", "application/xml", "multipart/form-data",
      "application/cloudevents+avro", "application/json; charset=latin1", "application/jsonx" }) do
      assert.equal(415, (refused("/events/acme", "{}", "Content-Type: " .. kind)))
    end
    assert.equal(415, (refused("/postback", "{}", "Content-Type: application/x-ndjson")))
    assert.equal(415, (refused("/events/acme", "{}", "Content-Encoding: gzip")))
    assert.equal(415, (refused("/events/acme", "{}", "Content-Encoding: identity", "Content-Encoding: gzip")))
    accepted(1, "/events/acme", "{}", "Content-Encoding: identity")
  end)

  it("tells where a body stops being JSON", function()
    local status, name, problem = refused("/events/acme", '{"a":1,\n "b":x}')
    assert.same({ 400, "malformed-json", 2, 6 }, { status, name, problem.line, problem.column })
    assert.matches("line 2, column 6", problem.detail, nil, true)
    for _, body in ipairs({ "", " ", "{", "{}{}", "[1,]", "\239\187\191{}", '{"a":"\255"}', "{'a':1}" }) do
      assert.equal(400, (refused("/events/acme", body)), body)
    end
  end)

  it("names the item that is no object", function()
    local status, name, problem = refused("/events/acme", '[{},{},"x"]')
    assert.same({ 422, "invalid-item", 2 }, { status, name, problem.index })
    assert.matches("item 2", problem.detail)
    for _, body in ipairs({ "1", "null", '"a"', "[[]]", "true" }) do
      assert.equal(422, (refused("/events/acme", body)))
    end
  end)

  it("answers 404 for partners that it does not know", function()
    for _, name in ipairs({ "nobody", "ACME", "acme%00", "..", "%2e%2e", ("a"):rep(65), ("a"):rep(500) }) do
      local status, problem = refused("/events/" .. name, "{}")
      assert.same({ 404, "unknown-partner" }, { status, problem }, name)
    end
    assert.equal("not-found", (select(2, refused("/events/", "{}"))))
    assert.equal(404, (refused("/events/acme/x", "{}")))
    accepted(1, "/events/%61cme", "{}")
  end)

  it("answers 405 with what is allowed", function()
    for path, allow in pairs({ ["/postback"] = "POST", ["/events/acme"] = "POST", ["/events"] = "POST",
      ["/healthz"] = "GET, HEAD", ["/readyz"] = "GET, HEAD", ["/metrics"] = "GET, HEAD" }) do
      for _, method in ipairs({ "PUT", "OPTIONS", "DELETE", "PROPFIND" }) do
        local answer = raw.ask(server.address, raw.request(method, path))
        assert.equal(405, answer.status)
        assert.equal(allow, answer.headers["allow"])
      end
    end
    assert.equal(405, raw.ask(server.address, raw.request("GET", "/events")).status)
    assert.equal(405, raw.ask(server.address, raw.request("POST", "/healthz")).status)
  end)

  describe("as CloudEvents", function()
    local binary = { "ce-specversion: 1.0", "ce-id: e-1", "ce-source: /shop", "CE-Type: order.paid" }

    it("in binary mode reads the attributes from fields", function()
      local record = accepted(1, "/events/acme", '{ "type":"own" }', "ce-subject: a%20%C3%BC%25",
        "ce-time: 2026-11-23T22:04:19.5+01:00", "ce-partitionkey: p", unpack(binary))[1]
      assert.equal('{ "type":"own" }', record.event)
      assert.same({ "order.paid", "/shop", "e-1", "a ü%", "p", 1795467859500 }, { record.type, record.source,
        record.event_id, record.subject, record.partition_key, record.occurred_ms })
    end)

    it("in structured mode takes the bytes of data", function()
      local kind = "Content-Type: application/cloudevents+json; charset=utf-8"
      local record = accepted(1, "/events/acme", '{"specversion":"1.0","id":"e\\u0031","source":"s","type":"t",'
        .. '"subject":null,"time":"2026-11-23T22:04:19Z","extra":1,"data": { "x":1.50 } }', kind)[1]
      assert.equal('{ "x":1.50 }', record.event)
      assert.same({ "t", "s", "e1", "" }, { record.type, record.source, record.event_id, record.subject })
    end)

    it("in batches names the item that is wrong", function()
      local kind = "Content-Type: application/cloudevents-batch+json"
      local function event(more)
        return '{"specversion":"1.0","id":"e","source":"s","type":"t"' .. more .. "}"
      end
      local records = accepted(2, "/events/acme", "[" .. event(',"data":{"a":1}') .. ","
        .. event(',"data":{"a":2}') .. "]", kind)
      assert.equal('{"a":2}', records[2].event)
      accepted(0, "/events/acme", "[]", kind)
      for more, what in pairs({ [""] = "no data", [',"data":[]'] = "not a JSON object",
        [',"data_base64":"e30="'] = "data_base64", [',"data":{},"time":"noon"'] = "time",
        [',"data":{},"subject":1'] = "subject", [',"data":{},"id":""'] = "id" }) do
        local status, name, problem = refused("/events/acme",
          "[" .. event(',"data":{}') .. "," .. event(more) .. "]", kind)
        assert.same({ 422, "invalid-item", 1 }, { status, name, problem.index }, more)
        assert.matches(what, problem.detail, nil, true)
      end
      assert.equal(422, (refused("/events/acme", event(',"data":{}'), kind)))
      assert.equal(422, (refused("/events/acme", "[" .. event(',"data":{}') .. "]",
        "Content-Type: application/cloudevents+json")))
    end)

    it("names the attribute that is missing or wrong", function()
      local function without(skipped, instead)
        local fields = {}
        for i, line in ipairs(binary) do
          fields[#fields + 1] = i ~= skipped and line or instead
        end
        local status, _, problem = refused("/events/acme", "{}", unpack(fields))
        assert.equal(422, status)
        return problem.detail
      end
      assert.matches("specversion is missing", without(1))
      assert.matches("id is missing", without(2))
      assert.matches("source is missing", without(3))
      assert.matches("type is missing", without(4, "ce-type:"))
      assert.matches("specversion is not 1.0", without(1, "ce-specversion: 0.3"))
      assert.equal(422, (refused("/events/acme", "{}", "ce-time: yesterday", unpack(binary))))
      assert.equal(422, (refused("/events/acme", "[{}]", unpack(binary))))
      assert.equal(422, (refused("/events/acme", "{}", "Content-Type: application/x-ndjson", unpack(binary))))
    end)
  end)

  it("fans an event out to those who subscribed to its type", function()
    local _, answer = accepted(3, "/events", '[{"type":"conversion.new"},{"type":"click"}]')
    local told = {}
    for i, delivery in ipairs(answer.json.deliveries) do
      assert.equal(answer.json.ids[i], delivery.id)
      told[i] = delivery.partner .. delivery.index
    end
    assert.same({ "acme0", "globex0", "globex1" }, told)
    local record = accepted(1, "/events", "{}")[1]
    assert.equal("globex", record.partner)
    local answer_to_none = ask("/events", "[]")
    assert.same({ accepted = 0, ids = {}, deliveries = {} }, answer_to_none.json)
    assert.equal('{"accepted":0,"ids":[],"deliveries":[]}', answer_to_none.body)
    assert.equal(422, (refused("/events", "[1]")))
  end)

  describe("as postbacks", function()
    local function body(endpoint, data)
      return '{"endpoint":' .. endpoint .. (data and ',"data":' .. data or "") .. "}"
    end
    local url = "http://Host.example/data?t={m}"
    local endpoint = '{"method":"get","url":"' .. url .. '"}'

    it("makes one delivery a data object, by any of its paths", function()
      for _, path in ipairs({ "/postback", "/i", "/ingest.php" }) do
        local records = accepted(2, path, body(endpoint, '[{"m": 1.0},{"type":"x"}]'))
        assert.same({ "postback", "GET", url, "postback http://host.example:80", '{"m": 1.0}' }, {
          records[1].partner, records[1].method, records[1].url, records[1].lane, records[1].event })
        assert.equal("x", records[2].type)
      end
    end)

    it("makes one with an empty event when there is no data", function()
      for _, data in ipairs({ "[]", false }) do
        assert.equal("{}", accepted(1, "/postback", body(endpoint, data))[1].event)
      end
    end)

    it("reads the last of two members, escapes, and a method that is not there", function()
      local record = accepted(1, "/postback",
        '{"endpoint":1,"other":{},"endpoint":{"url":"http:\\/\\/h\\/{x}?\\u0061","more":1}}')[1]
      assert.same({ "GET", "http://h/{x}?a", "postback http://h:80" }, { record.method, record.url, record.lane })
      local escaped = accepted(2, "/postback", body('{"url":"https:\\/\\/h:8443\\/"}',
        '[{"type":"a\\u0062"},{"type":"\\u0063d"}]'))
      assert.same({ "https://h:8443/", "ab" }, { escaped[1].url, escaped[1].type })
      assert.same({ "https://h:8443/", "cd" }, { escaped[2].url, escaped[2].type })
    end)

    it("never takes one template for another", function()
      local client = raw.connect(server.address)
      for i = 1000, 1999 do
        client:send(raw.request("POST", "/postback", {}, body('{"url":"http://h' .. i .. '/{x}"}')))
        assert.equal(202, client:answer().status)
        assert.equal("postback http://h" .. i .. ":80", server:records(1)[1].lane)
      end
    end)

    it("names what is wrong with the request", function()
      local function wrong(text, what)
        local status, _, problem = refused("/postback", text)
        assert.equal(422, status)
        assert.matches(what, problem.detail, nil, true)
        return problem
      end
      wrong("[]", "JSON object")
      wrong("{}", "endpoint is missing")
      wrong(body("[]"), "endpoint is not")
      wrong(body("{}"), "endpoint.url is missing")
      wrong(body('{"url":1}'), "endpoint.url is not a string")
      wrong(body(endpoint, "{}"), "data is not an array")
      wrong(body(endpoint, "null"), "data is not an array")
      assert.equal(1, wrong(body(endpoint, "[{},1]"), "item 1").index)
      for _, method in ipairs({ '"TRACE"', '""', "1", "null", '"GET "' }) do
        wrong(body('{"method":' .. method .. ',"url":"http://h/"}'), "endpoint.method")
      end
      for _, bad in ipairs({ "", "/data", "h.example/x", "ftp://h/", "http://", "http://{h}/", "http://h{x}/",
        "http://h:{p}/", "http://u@h/", "http://h:99999/", "http://h/{x", "http://h/{}", "http://h/x}" }) do
        wrong(body('{"url":"' .. bad .. '"}'), "endpoint.url")
      end
      assert.equal(422, (refused("/events/postback", "{}")))
    end)
  end)

  it("gives the same answer under the same Idempotency-Key", function()
    local key = "Idempotency-Key: " .. ("k"):rep(255)
    local first = ask("/events/acme", '[{"a":1},{"a":1}]', key)
    assert.equal(202, first.status)
    for i, record in ipairs(server:records(2)) do
      assert.equal(first.json.ids[i], record.id)
      assert.matches("^%x+%-%x+%-8", record.id)
    end
    assert.are_not.equal(first.json.ids[1], first.json.ids[2])
    local again = ask("/events/acme", '[{"a":1},{"a":1}]', "Idempotency-Key: \"" .. ("k"):rep(255) .. "\"")
    assert.equal(202, again.status)
    first.json.duplicate = true
    assert.same(first.json, again.json)
    local status, name = refused("/events/acme", '[{"a":1},{"a":2}]', key)
    assert.same({ 422, "idempotency-key-reused" }, { status, name })
    status = refused("/events/acme", '[{"a":1},{"a":1}]', key, "Content-Type: application/x-ndjson")
    assert.equal(422, status)
  end)

  it("keeps the keys of different paths apart, and the ids of different attributes", function()
    local key = "Idempotency-Key: shared"
    local one = ask("/events/acme", "{}", key).json
    local two = ask("/events/globex", "{}", key).json
    local three = ask("/events", "{}", key).json
    assert.is_nil(two.duplicate or three.duplicate)
    assert.are_not.equal(one.ids[1], two.ids[1])
    assert.equal("globex", three.deliveries[1].partner)
    local again = ask("/events", "{}", key).json
    assert.is_true(again.duplicate)
    assert.same(three.deliveries, again.deliveries)
    server:records(3)
    local function event(id)
      return ask("/events/acme", "{}", "Idempotency-Key: ce", "ce-id: " .. id, "ce-specversion: 1.0",
        "ce-source: s", "ce-type: t")
    end
    assert.equal(202, event("a").status)
    assert.is_true(event("a").json.duplicate)
    assert.equal(422, event("b").status)
    server:records(1)
  end)

  it("refuses an Idempotency-Key that is none", function()
    for _, key in ipairs({ "", '""', "a b", ("k"):rep(256), "ü" }) do
      local status, name = refused("/events/acme", "{}", "Idempotency-Key: " .. key)
      assert.same({ 400, "malformed-idempotency-key" }, { status, name }, key)
    end
    assert.equal(400, (refused("/events/acme", "{}", "Idempotency-Key: a", "Idempotency-Key: b")))
  end)

  it("counts requests by route and code, and deliveries by partner", function()
    local own = probe.start()
    raw.ask(own.address, raw.request("POST", "/events/acme", {}, "[{},{}]"))
    raw.ask(own.address, raw.request("POST", "/events", {}, '{"type":"conversion.x"}'))
    raw.ask(own.address, raw.request("GET", "/nowhere"))
    raw.ask(own.address, "nonsense\r\n\r\n")
    local answer = raw.ask(own.address, raw.request("GET", "/metrics"))
    assert.equal("text/plain; version=0.0.4; charset=utf-8", answer.headers["content-type"])
    for _, line in ipairs({
      'moonpost_ingest_requests_total{route="/events/{partner}",code="202"} 1',
      'moonpost_ingest_requests_total{route="/events",code="202"} 1',
      'moonpost_ingest_requests_total{route="none",code="404"} 1',
      'moonpost_ingest_requests_total{route="none",code="400"} 1',
      'moonpost_ingest_request_duration_seconds_count{route="/events/{partner}"} 1',
      'moonpost_accepted_total{partner="acme"} 3',
      'moonpost_accepted_total{partner="globex"} 1',
      "moonpost_ingest_connections ",
    }) do
      assert.is_truthy(answer.body:find(line, 1, true), line)
    end
    own:stop()
  end)
end)
