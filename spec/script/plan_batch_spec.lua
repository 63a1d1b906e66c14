local script = require("spec.support.script")
local c = require("spec.support.cdef").load()

local text = script.text_of

local function with(fields)
  return "return {\n  url = \"https://a.example/\",\n  " .. fields .. ",\n}\n"
end

local function load(fields)
  return assert(script.load(with(fields)))
end

local function fails(source, ...)
  local loaded, err = script.load(source)
  assert.is_nil(loaded)
  for _, part in ipairs({ ... }) do
    assert.is_truthy(err:find(part, 1, true), err .. " should say: " .. part)
  end
end

describe("a batch", function()
  setup(function()
    assert.equal(c.MP_OK, c.mp_script_watchdog_start())
  end)
  teardown(function()
    c.mp_script_watchdog_stop()
  end)

  it("has the contract's defaults", function()
    local batch = load("batch = {}").batch
    assert.equal(100, tonumber(batch.size))
    assert.equal(1000, tonumber(batch.wait_ms))
    assert.equal(1048576, tonumber(batch.bytes))
    assert.equal(0, tonumber(batch.by_count))
    assert.is_false(batch.is_ndjson)
    assert.is_false(batch.has_item)
  end)

  it("reads size, wait, bytes, by and format", function()
    local s = load([[batch = { size = 10000, wait = "1h", bytes = "16MiB", by = { "customer.id", "ctx.type" }, format = "ndjson" }]])
    assert.equal(10000, tonumber(s.batch.size))
    assert.equal(3600000, tonumber(s.batch.wait_ms))
    assert.equal(16777216, tonumber(s.batch.bytes))
    assert.equal("customer.id", text(s.batch.by[0]))
    assert.equal("ctx.type", text(s.batch.by[1]))
    assert.is_true(s.batch.is_ndjson)
    assert.equal(c.MP_BODY_DEFAULT, s.body_kind)
    assert.equal(1, tonumber(load("batch = { size = 1, wait = 0, bytes = 1 }").batch.bytes))
  end)

  it("places the items in the body, and pieces of an event in each", function()
    local s = load([[batch = { by = { "account" } }, item = { id = "{ctx.id}", v = number "{v}", f = function() end },
      body = { data = items, sent = "{ctx.attempt}", account = "{account}", s = json.string { i = items } }]])
    assert.is_true(s.batch.has_item)
    assert.equal(3, tonumber(s.batch.item.count))
    assert.equal(c.MP_LEAF_ITEMS, s.body.children[1].leaf.kind)
    assert.equal(c.MP_LEAF_ITEMS, s.body.children[2].leaf.node.children[0].leaf.kind)
    assert.equal(c.MP_BODY_JSON, s.body_kind)
    assert.equal(c.MP_BODY_DEFAULT, load("batch = {}, body = items").body_kind)
  end)

  it("may have a piece that is one value, text or a function's", function()
    assert.equal(c.MP_LEAF_VALUE, load("batch = {}, item = \"{payload}\"").batch.item.leaf.kind)
    assert.equal(c.MP_LEAF_BY, load("batch = {}, item = by(\"t\", { a = { 1 } }, { 2 })").batch.item.leaf.kind)
    assert.equal(c.MP_LEAF_FUNCTION, load("batch = {}, item = function() end").batch.item.leaf.kind)
  end)

  it("may use in url and headers what batch.by names, within it, and functions", function()
    assert.is_truthy(script.load([[return { url = "https://a.example/{customer.id}/{geo}/{ctx.partner}",
      batch = { by = { "customer", "country" } }, vars = { geo = by("country", { DE = "{country}" }, "x"), f = function() end },
      headers = { A = by("country", { DE = "{customer.name}" }), B = function() end, C = "{f}", D = hashed "{customer.mail}" } }]]))
    -- A var sees the event's own field, also one of its own name.
    assert.is_truthy(script.load([[return { url = "https://a.example/{geo}", batch = { by = { "geo" } },
      vars = { geo = by("geo", { DE = "{geo}" }) } }]]))
  end)

  it("may be judged by answers that split", function()
    local s = load([[batch = {}, answers = { { status = 200, body = "bad", "split" }, { status = 413, "split", "too large" } }]])
    assert.equal(c.MP_VERDICT_SPLIT, s.answers[0].verdict.kind)
    assert.equal("too large", require("ffi").string(s.answers[1].verdict.why))
  end)

  it("may have a body that is a function, or one for each case", function()
    assert.equal(c.MP_BODY_TEXT, load("batch = {}, body = function() end").body_kind)
    assert.equal(c.MP_BODY_TEXT, load("batch = { by = { \"k\" } }, body = by(\"k\", { a = function() end }, function() end)").body_kind)
    assert.equal(c.MP_BODY_JSON, load("batch = { by = { \"k\" } }, body = by(\"k\", { a = { items } }, { d = items })").body_kind)
  end)

  it("needs a url of its own, also for what comes in at /postback", function()
    local loaded, err = script.load("return { batch = {} }", "postback")
    assert.is_nil(loaded)
    assert.is_truthy(err:find("batch: a batch needs a url of its own", 1, true), err)
    assert.is_truthy(script.load(with("batch = {}"), "postback"))
  end)

  for _, case in ipairs({
    { with("batch = true"), "scripts/acme.lua:3: batch:", "is a boolean: write { size" },
    { with("batch = { 100 }"), "batch is a list: write names, size = …" },
    { with("batch = { sise = 1 }"), "scripts/acme.lua:3: unknown key `sise`: did you mean `size`?" },
    { with("batch = { size = 0 }"), "scripts/acme.lua:3: batch.size: it is 0: write a whole number from 1 to 10000" },
    { with("batch = { size = 10001 }"), "from 1 to 10000" },
    { with("batch = { size = 1.5 }"), "from 1 to 10000" },
    { with("batch = { size = \"10\" }"), "from 1 to 10000" },
    { with("batch = { wait = \"2h\" }"), "batch.wait: it is from 0 to 1h" },
    { with("batch = { wait = \"a while\" }"), "batch.wait: \"a while\" is no duration" },
    { with("batch = { bytes = \"17MiB\" }"), "batch.bytes: it is from 1 byte to 16MiB" },
    { with("batch = { bytes = 0 }"), "batch.bytes:", "from 1 to 16777216" },
    { with("batch = { bytes = \"much\" }"), "it is no size: write \"1MiB\"" },
    { with("batch = { by = \"customer\" }"), "batch.by: it is a string: write a list, { \"customer\" }" },
    { with("batch = { by = { \"{customer}\" } }"), "write the field's name alone, \"customer\"" },
    { with("batch = { by = { \"ctx.id\" } }"), "batch.by: ctx.id differs with each delivery" },
    { with("batch = { by = { " .. ("\"a\","):rep(17) .. " } }"), "more than 16" },
    { with("batch = { format = \"xml\" }"), "batch.format: it is \"json\" or \"ndjson\"" },
    { with("item = { a = 1 }"), "scripts/acme.lua:3: item: an item is a piece of a batch: add batch" },
    { with("batch = {}, form = { a = 1 }"), "form: a batch has no form: write item and body" },
    { with("batch = {}, body = { a = 1 }"), "body: a batch's body must say where its events stand" },
    { with("batch = {}, body = \"x\""), "body: a batch's body must say" },
    { with("batch = { by = { \"k\" } }, body = by(\"k\", { a = { items } })"), "in every case" },
    { with("batch = { by = { \"k\" } }, body = by(\"k\", { a = { items } }, { 1 })"), "in every case" },
    { with("batch = {}, body = { items, f = 1 }"), "mixes" },
    { with("batch = {}, body = { d = items, c = \"{country}\" }"), "body.c: {country} may differ within a batch: write batch = { by = { \"country\" } }" },
    { with("batch = { format = \"ndjson\" }, body = { items }"), "body: a batch of lines has nothing around them" },
    { with("batch = {}, method = \"GET\""), "scripts/acme.lua:3: batch: a GET has no body" },
    { "return { batch = {},\nurl = \"https://a.example/{x}\" }", "scripts/acme.lua:2: url: {x} may differ within a batch: write batch = { by = { \"x\" } }" },
    { "return { batch = { by = { \"x\" } }, url = \"https://a.example/{xy}\" }", "{xy} may differ" },
    { "return { batch = {}, url = \"https://a.example/{ctx.id}\" }", "{ctx.id} differs within a batch: only ctx.partner" },
    { "return { batch = {}, url = by(\"geo\", { DE = \"https://a.example/\" }) }", "{geo} may differ" },
    { "return { batch = { by = { \"geo\" } }, url = by(\"geo\", { DE = \"https://a.example/{x}\" }) }", "{x} may differ" },
    { "return { batch = {}, vars = { v = \"a{x}\" }, url = \"https://a.example/{v}\" }", "url: {x} may differ" },
    { "return { batch = {}, vars = { v = by(\"k\", { a = 1 }) }, url = \"https://a.example/{v}\" }", "{k} may differ" },
    { with("batch = {}, headers = { A = \"1\", B = \"{x}\" }"), "headers.B: {x} may differ" },
    { with("batch = {}, headers = { B = json.string { a = { \"{x}\" } } }"), "{x} may differ" },
  }) do
    it("refuses " .. case[1]:gsub("%s+", " "):sub(1, 100), function()
      fails(case[1], unpack(case, 2))
    end)
  end
end)
