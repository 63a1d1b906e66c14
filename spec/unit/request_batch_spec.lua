--- Batches: each event's piece, what goes together, and the request of them all.
local ffi = require("ffi")
local c = require("spec.support.cdef").load()
local script = require("spec.support.script")
local request_of = require("spec.support.request")

local item, batch, key, with = request_of.item, request_of.batch, request_of.key, request_of.with

local function batching(fields, given)
  return with("https://a.example/", "batch = { " .. (given or "") .. " }, " .. (fields or ""))
end

local function refused(...)
  local piece, word, why = item(...)
  assert.is_nil(piece)
  return word .. ": " .. why
end

local function bodies(fields, events, given)
  local request = assert(batch(batching(fields, given), events))
  return request.body, request.headers["Content-Type"]
end

describe("a batch", function()
  setup(function()
    assert.equal(c.MP_OK, c.mp_script_watchdog_start())
    ffi.C.setenv("MOONPOST_SECRET_TOKEN", "s3cret", 1)
  end)
  teardown(function()
    c.mp_script_watchdog_stop()
  end)

  describe("piece", function()
    it("is the event's own bytes without an item", function()
      assert.equal('{ "b" : 1.50,"a":12345678901234567890 }', (item(batching(), '{ "b" : 1.50,"a":12345678901234567890 }')))
    end)

    it("is the item, of this event alone", function()
      assert.equal('{"id":"0191-id","name":"é","v":1.50,"w":"n-7"}', (item(
        batching('vars = { w = "n-{n}" }, item = { name = "{name}", id = "{ctx.id}", v = number "{v}", gone = "{gone}", w = "{w}" }'),
        '{"name":"é","v":"1.50","n":7}')))
      assert.equal('"7"', (item(batching('item = text "{n}"'), '{"n":7}')))
      assert.equal("{}", (item(batching('item = { a = "{n}" }'), "{}")))
      assert.equal('{"a":[1,{"x":2}]}', (item(batching("item = function(event) return { a = { 1, event } } end"), '{"x":2}')))
    end)

    it("is dead or skipped as a delivery is", function()
      assert.equal("dead: missing a", refused(batching('required = { "a" }'), "{}"))
      assert.equal("dead: expired", refused(batching('max_age = "1d"'), "{}", { first_ms = 0, now_ms = 86400001 }))
      assert.equal("skipped: no", refused(batching('accepts = function() return false, "no" end'), "{}"))
      assert.equal("dead: n is no number", refused(batching('item = { number "{n}" }'), '{"n":"a"}'))
      assert.equal("dead: there is no item for it", refused(batching('item = by("k", { a = { 1 } })'), '{"k":"b"}'))
      assert.equal("dead: there is no item for it", refused(batching("item = function() end"), "{}"))
      assert.truthy(refused(batching('item = { function() error("no") end }'), "{}"):find("^ESCRIPT: scripts/acme.lua:"))
    end)

    it("is dead when it is larger than it may be", function()
      assert.equal("dead: item over 10 bytes", refused(batching('item = { a = "{a}" }'), '{"a":"0123456789"}', { max = 10 }))
      assert.equal("dead: item over 10 bytes", refused(batching(), '{"a":"0123456789"}', { max = 10 }))
    end)

    it("hides its secrets, and shows nothing apart when it has none", function()
      assert.same({ '{"k":"s3cret"}', '{"k":"[secret token]"}' }, { item(batching('item = { k = secret "token" }'), "{}") })
      assert.same({ '{"k":1}', "" }, { item(batching('headers = { ["X-A"] = secret "token" }, item = { k = 1 }'), "{}") })
    end)
  end)

  describe("key", function()
    it("is what batch.by names, as it was sent", function()
      local source = batching("", 'by = { "a", "b.c", "ctx.type" }')
      assert.equal('["x",1.50,"click"]', key(source, '{"a":"x","b":{"c":1.50}}', { type = "click" }))
      assert.equal("[null,null,null]", key(source, '{"a":null,"b":{"c":[]}}'))
      assert.equal('[[1],null,null]', key(source, '{"a":[1]}'))
      assert.equal("[]", key(batching(), '{"a":1}'))
      assert.not_equal(key(source, '{"a":"1"}'), key(source, '{"a":1}'))
    end)

    it("takes vars and defaults", function()
      local source = batching('vars = { a = by("geo", { DE = "eu" }, "us") }, defaults = { b = "d" }', 'by = { "a", "b" }')
      assert.equal('["eu","d"]', key(source, '{"geo":"DE","a":"x"}'))
      assert.equal('["us",1]', key(source, '{"b":1}'))
    end)

    it("is the delivery's own when only Lua could tell", function()
      local source = batching('vars = { a = function(event) return event.x end }', 'by = { "a" }')
      assert.equal('"id-7"', key(source, '{"x":1}', { id = "id-7" }))
      assert.equal('"id-8"', key(batching('vars = { a = number "{x}" }', 'by = { "a" }'), '{"x":"y"}', { id = "id-8" }))
    end)
  end)

  describe("request", function()
    local events = { '{"a":1}', '{ "a":\n2 }', '{"a":"x"}' }

    it("is the list of pieces without a body", function()
      assert.same({ '[{"a":1},{ "a":\n2 },{"a":"x"}]', "application/json" }, { bodies("", events) })
      assert.same({ "[[1],[2]]", "application/json" }, { bodies('item = { "{a}" }', { events[1], events[2] }) })
      assert.same({ '[{"a":1}]', "application/json" }, { bodies("body = items", { events[1] }) })
      assert.equal("POST", batch(batching(), events).method)
    end)

    it("is a line each with ndjson, also of an event that has lines itself", function()
      assert.same({ '{"a":1}\n{ "a": 2 }\n{"a":"x"}\n', "application/x-ndjson" }, { bodies("", events, 'format = "ndjson"') })
    end)

    it("places the pieces in the body, with a secret beside them that does not show", function()
      local request = batch(batching('item = { v = "{a}", s = secret "token" }, body = { data = items, access_token = secret "token" }'), events)
      assert.equal('{"access_token":"s3cret","data":[{"s":"s3cret","v":1},{"s":"s3cret","v":2},{"s":"s3cret","v":"x"}]}', request.body)
      assert.equal('{"access_token":"[secret token]","data":[{"s":"[secret token]","v":1},{"s":"[secret token]","v":2},{"s":"[secret token]","v":"x"}]}',
        request.body_shown)
      request = batch(batching('body = { data = items, access_token = secret "token" }'), { events[1] })
      assert.equal('{"access_token":"[secret token]","data":[{"a":1}]}', request.body_shown)
      assert.equal([[{"payload":"{\"list\":[{\"a\":1}]}"}]], (bodies("body = { payload = json.string { list = items } }", { events[1] })))
    end)

    it("takes url and headers from the first member", function()
      local source = [=[return { url = "https://a.example/{c}/{v}", batch = { by = { "c" } }, vars = { v = by("c", { x = "X" }) },
        headers = { ["X-C"] = "{c}", ["X-P"] = "{ctx.partner}" } }]=]
      local request = batch(source, { '{"c":"x","n":1}', '{"c":"x","n":2}' })
      assert.equal("https://a.example/x/X", request.url)
      assert.same({ "x", "acme" }, { request.headers["X-C"], request.headers["X-P"] })
    end)

    it("gives functions and hooks the batch's context", function()
      local request = batch([[return { url = "https://a.example/", batch = {},
        headers = { ["X-Ids"] = function(event, ctx, request) return ctx.id .. " " .. table.concat(ctx.ids, " ") .. " " .. #request.body end },
        request = function(event, request, ctx) request.headers["X-Attempt"] = tostring(ctx.attempt) end }]], { "{}", "{}" })
      assert.same({ "batch-1 id-1 id-2 7", "2" }, { request.headers["X-Ids"], request.headers["X-Attempt"] })
    end)

    it("is stamped with the batch and its highest attempt", function()
      local headers = batch(batching(), { "{}", "{}" }, { stamp = true }).headers
      assert.same({ "batch-1", "2" }, { headers["Moonpost-Id"], headers["Moonpost-Attempt"] })
    end)

    it("asks nothing again that each piece was asked", function()
      local source = batching([[required = { "a" }, accepts = function(event, ctx)
        if ctx.ids then error("called for a batch") end return true end,
        vars = { a = function(event, ctx) if ctx.ids then error("called for a batch") end return event.n end }, item = { "{a}" }]])
      assert.equal("[[1],[2]]", batch(source, { '{"n":1}', '{"n":2}' }).body)
    end)

    it("is dead when a var that its url needs cannot be made", function()
      local source = [[return { url = "https://a.example/{v}", batch = { by = { "n" } }, vars = { v = number "{n}" } }]]
      local loaded = assert(script.load(source))
      assert.is_false(loaded.has_functions)
      local _, word, why = batch((source:gsub("vars", 'item = { 1 }, vars')), { '{"n":"x"}' })
      assert.same({ "dead", "n is no number" }, { word, why })
    end)
  end)

  it("tried is a batch of one", function()
    local function try(source, event)
      local loaded = assert(script.load(source))
      local t = ffi.new("struct mp_try")
      c.mp_request_init(t.request)
      local partner = "acme"
      t.partner, t.event, t.attempt = script.slice(partner), script.slice(event), 1
      c.mp_request_try(loaded, nil, t)
      local got = t.status == c.MP_OK and script.read(t.request) or nil
      local reason = ffi.string(t.reason)
      c.mp_request_fini(t.request)
      assert(partner)
      return got, reason
    end
    local request = try(batching('item = { "{a}", "{ctx.id}" }, body = { data = items }'), '{"a":1}')
    local id = request.headers["Moonpost-Id"]
    assert.equal(36, #id)
    assert.equal('{"data":[[1,"' .. id .. '"]]}', request.body)
    assert.equal("dead: missing a", select(2, try(batching('required = { "a" }'), "{}")))
  end)
end)
