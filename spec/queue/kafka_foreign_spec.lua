--- Kafka records that another program wrote, sound and malformed, without a broker.
local ffi = require("ffi")
local c = require("spec.support.cdef").load()
local records = require("spec.support.records")
local slice = require("spec.support.slice")

local NOW, DAY =
  records.NOW, records.DAY
local read, text =
  records.read, records.text

after_each(records.forget)

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
      ['{"url":""}'] = "mp_endpoint: could not use the url: it is not absolute: it begins with neither https:// nor http://",
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
