local ffi = require("ffi")
local c = require("spec.support.cdef").load()

local function str(text)
  return ffi.new("struct mp_str", text, #text)
end

-- What C borrows must outlive the call.
local kept = {}
local function keep(value)
  kept[#kept + 1] = value
  return value
end

local function response(t)
  local r = keep(ffi.new("struct mp_response"))
  r.status = t.status or 0
  if t.error then
    r.error = keep(t.error)
  end
  r.headers = str(keep(t.headers or ""))
  r.body = str(keep(t.body or ""))
  return r
end

local function default(t)
  local v = ffi.new("struct mp_verdict")
  c.mp_verdict_default(response(t), v)
  assert.equal(-1, tonumber(v.delay_ms))
  return ffi.string(c.mp_verdict_name(v.kind)), ffi.string(v.why)
end

describe("the default verdict", function()
  for word, statuses in pairs({
    delivered = { 200, 201, 202, 204, 226, 299 },
    retry = { 401, 403, 408, 425, 429, 500, 501, 502, 503, 504, 599 },
    pause = { 410 },
    dead = { 300, 301, 302, 304, 307, 308, 400, 402, 404, 405, 409, 413, 422, 499, 600, 199 },
  }) do
    for _, status in ipairs(statuses) do
      it(("of %d is %s"):format(status, word), function()
        local got, why = default({ status = status })
        assert.equal(word, got)
        assert.truthy(why:find(tostring(status), 1, true), why)
      end)
    end
  end

  it("names the rule in a few words", function()
    assert.same({ "dead", "status 404" }, { default({ status = 404 }) })
    assert.same({ "pause", "410 Gone" }, { default({ status = 410 }) })
    assert.same({ "dead", "status 302: redirects are not followed" }, { default({ status = 302 }) })
  end)

  for _, name in ipairs({ "timeout", "dns_error", "connection_refused", "connection_reset",
    "network_unreachable", "tls_error", "network_error" }) do
    it("without an answer is retry: " .. name, function()
      assert.same({ "retry", name }, { default({ error = name }) })
    end)
  end

  it("of a refused address is dead, and says how to allow it", function()
    local word, why = default({ error = "blocked_address" })
    assert.equal("dead", word)
    assert.truthy(why:find("^blocked_address: .*%-%-egress%-allow"), why)
  end)
end)

local function retry_after(value, now)
  local headers = value and ("Content-Type: text/plain\r\nRETRY-after:  " .. value .. " \r\n") or ""
  return tonumber(c.mp_retry_after(response({ status = 503, headers = headers }), now or 0))
end

describe("Retry-After", function()
  local day = 24 * 60 * 60 * 1000
  for value, want in pairs({
    ["0"] = 0, ["120"] = 120000, ["00012"] = 12000, ["86400"] = day, ["86401"] = day,
    ["99999999999"] = day, ["99999999999999999999999999"] = day,
    ["+5"] = -1, ["-1"] = -1, ["1.5"] = -1, ["soon"] = -1, ["10, 20"] = -1, ["0x10"] = -1,
    ["10s"] = -1, [""] = -1, ["1 2"] = -1,
  }) do
    it(("reads %q as %d ms"):format(value, want), function()
      assert.equal(want, retry_after(value))
    end)
  end

  -- 784111777 s is Sun, 06 Nov 1994 08:49:37 GMT.
  for _, date in ipairs({ "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
    "Sun Nov  6 08:49:37 1994" }) do
    it("counts from now to the date " .. date, function()
      assert.equal(37000, retry_after(date, 784111740000))
      assert.equal(0, retry_after(date, 784111777000))
      assert.equal(0, retry_after(date, 984111777000))
      assert.equal(day, retry_after(date, 700000000000))
    end)
  end

  it("is none without the field, and two fields are none", function()
    assert.equal(-1, retry_after(nil))
    assert.equal(-1, retry_after("10\r\nRetry-After: 20"))
  end)
end)

local DEAD, RETRY = 3, 2

local function answers(list)
  local s = keep(ffi.new("struct mp_script"))
  local entries = keep(ffi.new("struct mp_answer[?]", #list))
  for i, a in ipairs(list) do
    local e = entries[i - 1]
    if a.status then
      e.statuses, e.status_count = keep(ffi.new("int[?]", #a.status, a.status)), #a.status
    end
    e.body = str(keep(a.body or ""))
    if a.json then
      local j = keep(ffi.new("struct mp_answer_json[?]", #a.json))
      for n, condition in ipairs(a.json) do
        j[n - 1].path = str(keep(condition[1]))
        j[n - 1].value_count = #condition - 1
        j[n - 1].values = keep(ffi.new("struct mp_str[?]", #condition))
        for k = 2, #condition do
          j[n - 1].values[k - 2] = str(keep(condition[k]))
        end
      end
      e.json, e.json_count = j, #a.json
    end
    e.verdict.kind = a[1]
    e.verdict.delay_ms = a.delay or -1
    e.verdict.why = a.why or ""
  end
  s.answers, s.answer_count = entries, #list
  return s
end

local function answer(list, t)
  local v = ffi.new("struct mp_verdict")
  if c.mp_verdict_answers(answers(list), response(t), v) then
    return tonumber(v.kind), ffi.string(v.why), tonumber(v.delay_ms)
  end
end

describe("answers", function()
  it("take the first entry that matches", function()
    local list = { { RETRY, status = { 404 }, delay = 5 }, { DEAD, status = { 404, 405 } } }
    assert.same({ RETRY, "answers: status 404", 5 }, { answer(list, { status = 404 }) })
    assert.same({ DEAD, "answers: status 405", -1 }, { answer(list, { status = 405 }) })
    assert.is_nil(answer(list, { status = 406 }))
  end)

  it("find a plain piece of the body", function()
    local list = { { DEAD, body = "E.R", why = "said so" } }
    assert.same({ DEAD, "said so", -1 }, { answer(list, { status = 200, body = "xE.Ry" }) })
    assert.is_nil(answer(list, { status = 200, body = "ERR" }))
    assert.is_nil(answer(list, { status = 200, body = "" }))
  end)

  it("need every condition of an entry", function()
    local list = { { DEAD, status = { 200 }, body = "no", json = { { "ok", "false" } } } }
    assert.equal(DEAD, (answer(list, { status = 200, body = '{"ok":false,"why":"no"}' })))
    assert.is_nil(answer(list, { status = 201, body = '{"ok":false,"why":"no"}' }))
    assert.is_nil(answer(list, { status = 200, body = '{"ok":false}' }))
    assert.is_nil(answer(list, { status = 200, body = '{"ok":true,"why":"no"}' }))
  end)

  it("compare JSON by meaning, not by spelling", function()
    local function has(want, body)
      return answer({ { DEAD, json = { { "a.b", want } } } }, { status = 200, body = body }) ~= nil
    end
    assert.is_true(has("190", '{"a":{"b":190}}'))
    assert.is_true(has("190", '{"a":{"b":1.9e2}}'))
    assert.is_true(has("190", '{"a.b":190.0}'))
    assert.is_false(has("190", '{"a":{"b":"190"}}'))
    assert.is_false(has("190", '{"a":{"b":191}}'))
    assert.is_false(has("12345678901234567890", '{"a":{"b":12345678901234567891}}'))
    assert.is_true(has('"caf\\u00e9"', '{"a":{"b":"café"}}'))
    assert.is_true(has('"café"', '{"a":{"b":"caf\\u00e9"}}'))
    assert.is_false(has('"x"', '{"a":{"b":"xy"}}'))
    assert.is_true(has("true", '{"a":{"b":true}}'))
    assert.is_false(has("null", "{}"))
    assert.is_true(has("null", '{"a":{"b":null}}'))
    assert.is_true(has("1", '{"a":[0,1],"a.b":1}'))
  end)

  it("match any of several values, and no body that is not JSON", function()
    local list = { { RETRY, json = { { "error.code", "1", "2", "4" } } } }
    assert.same({ RETRY, "answers: json error.code", -1 },
      { answer(list, { status = 400, body = ' {"error":{"code":4}} ' }) })
    assert.is_nil(answer(list, { status = 400, body = '{"error":{"code":4}' }))
    assert.is_nil(answer(list, { status = 400, body = "" }))
    assert.is_nil(answer(list, { error = "timeout" }))
  end)
end)
