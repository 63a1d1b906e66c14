local ffi = require("ffi")
local script = require("spec.support.script")
local c = require("spec.support.cdef").load()
ffi.cdef("int setenv(const char *name, const char *value, int overwrite);")

local text = script.text_of
local KINDS = {
  [tonumber(c.MP_LEAF_NONE)] = "none", [tonumber(c.MP_LEAF_TEXT)] = "text", [tonumber(c.MP_LEAF_RAW)] = "raw",
  [tonumber(c.MP_LEAF_TEMPLATE)] = "template", [tonumber(c.MP_LEAF_VALUE)] = "value",
  [tonumber(c.MP_LEAF_FUNCTION)] = "function", [tonumber(c.MP_LEAF_BY)] = "by",
  [tonumber(c.MP_LEAF_STRING)] = "string", [tonumber(c.MP_LEAF_ITEMS)] = "items",
}
local MARKS = {
  [tonumber(c.MP_MARK_NONE)] = "", [tonumber(c.MP_MARK_TEXT)] = " text", [tonumber(c.MP_MARK_NUMBER)] = " number",
  [tonumber(c.MP_MARK_HASHED)] = " hashed", [tonumber(c.MP_MARK_XML)] = " xml",
}

-- A leaf in words: "value number x".
local function said(leaf)
  local words = KINDS[tonumber(leaf.kind)] .. MARKS[tonumber(leaf.mark)]
  return leaf.text.length > 0 and words .. " " .. text(leaf.text) or words
end

local function with(fields)
  return "return {\n  url = \"https://a.example/\",\n  " .. fields .. ",\n}\n"
end

local function load(fields)
  return assert(script.load(with(fields)))
end

-- The leaves of a table body, by key.
local function body(fields)
  local s = load("body = {" .. fields .. "}")
  local seen = {}
  for i = 0, tonumber(s.body.count) - 1 do
    seen[text(s.body.children[i].key)] = said(s.body.children[i].leaf)
  end
  return seen, s
end

-- Names of the cases in order, each with its result, and the default.
local function cases(by)
  local list = {}
  for i = 0, tonumber(by.case_count) - 1 do
    list[i + 1] = text(by.cases[i].value) .. "=" .. said(by.cases[i].result.leaf)
  end
  list[#list + 1] = "else " .. said(by.otherwise.leaf)
  return list
end

local function fails(source, ...)
  local loaded, err = script.load(source)
  assert.is_nil(loaded)
  for _, part in ipairs({ ... }) do
    assert.is_truthy(err:find(part, 1, true), err .. " should say: " .. part)
  end
end

describe("a marker", function()
  setup(function()
    assert.equal(c.MP_OK, c.mp_script_watchdog_start())
    ffi.C.setenv("MOONPOST_SECRET_MARK", "canary{x}", 1)
    ffi.C.setenv("MOONPOST_SECRET_BASE", "https://hidden.example/p", 1)
    ffi.C.setenv("MOONPOST_SECRET_LINE", "canary\n", 1)
    ffi.C.setenv("MOONPOST_SECRET_NO_URL", "canary://nowhere", 1)
  end)
  teardown(function()
    c.mp_script_watchdog_stop()
  end)

  it("marks values and templates in a body", function()
    assert.same({ t = "value text x", n = "value number x", h = "value hashed a.b", x = "value xml x",
      tt = "template text", nt = "template number", ht = "template hashed", xt = "template xml", plain = "value x" },
      (body([[t = text "{x}", n = number "{x}", h = hashed "{a.b}", x = xml "{x}", tt = text "a{x}",
        nt = number "{x}00", ht = hashed "{a}{b}", xt = xml "<a>{x}</a>", plain = "{x}"]])))
  end)

  it("of a constant is that constant, but for what is hashed at delivery", function()
    assert.same({ t = "text a", n = "raw 12.50", x = "text xml <a/>", h = "template hashed" },
      (body([[t = text "a", n = number " 12.50 ", x = xml "<a/>", h = hashed "A"]])))
    assert.equal("text 5", said(load("headers = { X = number \"5\" }").headers[0].leaf))
  end)

  it("may hold a secret", function()
    local seen = body([[t = text("k" .. secret "mark"), h = hashed(secret "mark"), l = literal("{" .. secret "mark" .. "}")]])
    assert.same({ t = "template text", h = "template hashed", l = "template" }, seen)
  end)

  it("literal keeps braces, also around a secret, which shows as its name", function()
    local _, s = body([[l = literal "{x} } {", s = literal("{" .. secret "mark" .. "}")]])
    assert.equal("{x} } {", text(s.body.children[0].leaf.text))
    local out = script.buffer()
    assert.equal(c.MP_OK, c.mp_template_expand(s.body.children[1].leaf.template_, nil, nil, c.MP_ESCAPE_NONE, out))
    assert.equal(c.MP_OK, c.mp_template_expand_shown(s.body.children[1].leaf.template_, nil, nil, c.MP_ESCAPE_NONE, out))
    assert.equal("{canary{x}}{[secret mark]}", text(c.mp_buf_str(out)))
  end)

  it("json.string holds a table, with markers of its own", function()
    local _, s = body([[p = json.string { n = number "{x}", l = { "{y}" }, s = json.string { z = "{z}" } }]])
    local node = s.body.children[0].leaf.node
    assert.equal("string", said(s.body.children[0].leaf))
    assert.equal(3, tonumber(node.count))
    assert.equal("value number x", said(node.children[1].leaf))
    assert.equal("string", said(node.children[2].leaf))
    assert.equal("string", said(load("form = { p = json.string { a = \"{a}\" } }").form[0].leaf))
  end)

  it("stands in headers, form, vars and a body that is text", function()
    local s = load([[headers = { A = hashed "{x}" }, body = xml [=[<a b="{x}">{y}</a>]=],
      vars = { v = number "{x}", w = literal "{w}" }]])
    assert.equal("value hashed x", said(s.headers[0].leaf))
    assert.equal(c.MP_BODY_TEXT, s.body_kind)
    assert.equal("template xml", said(s.body.leaf))
    assert.equal("value number x", said(s.vars[0].leaf))
    assert.equal("text {w}", said(s.vars[1].leaf))
    assert.equal("value text x", said(load("form = { f = text \"{x}\" }").form[0].leaf))
    assert.equal("template text", said(load("body = text \"a={x}\"").body.leaf))
    assert.equal("text {}", said(load("body = literal \"{}\"").body.leaf))
    assert.is_false(s.has_functions)
  end)

  describe("by", function()
    it("sorts its cases, and takes numbers and text as what they are called", function()
      local _, s = body([[b = by("k", { z = "{x}", a = 1, [17] = true, [1.5] = number "{n}", ["a b"] = hashed "{h}" }, "d")]])
      local by = s.body.children[0].leaf.by
      assert.equal("k", text(by.key))
      assert.same({ "1.5=value number n", "17=raw true", "a=raw 1", "a b=value hashed h", "z=value x", "else text d" }, cases(by))
    end)

    it("has no result for what it does not name when it has no default", function()
      local _, s = body([[b = by("k", { a = 1 })]])
      assert.same({ "a=raw 1", "else none" }, cases(s.body.children[0].leaf.by))
    end)

    it("may be inside another, and its key a function", function()
      local s = load([[headers = { X = by(function(event) return event.a end, { a = by("b", { c = "C" }, function() end) }, "d") }]])
      local by = s.headers[0].leaf.by
      assert.equal(0, tonumber(by.key.length))
      assert.equal(0, by["function"])
      assert.same({ "a=by", "else text d" }, cases(by))
      local inner = by.cases[0].result.leaf.by
      assert.equal(-1, inner["function"])
      assert.same({ "c=text C", "else function" }, cases(inner))
      assert.equal(1, inner.otherwise.leaf["function"])
      assert.is_true(s.has_functions)
    end)

    it("numbers its functions alike in every state", function()
      local list = {}
      for i = 1, 40 do
        list[i] = ("k%d = function() return \"%d\" end"):format(i, i)
      end
      local state, s = assert(script.state(with("headers = { X = by(\"k\", { " .. table.concat(list, ", ") .. " }) }")))
      local by = s.headers[0].leaf.by
      for i = 0, 39 do
        local leaf = by.cases[i].result.leaf
        assert.equal(text(by.cases[i].value), "k" .. script.leaf(state, leaf["function"], "{}"))
      end
    end)

    it("may choose tables in a body, or texts", function()
      local s = load([[body = by("k", { a = { x = "{x}" }, b = by("j", { c = { 1 } }) }, { y = 1 })]])
      assert.equal(c.MP_BODY_JSON, s.body_kind)
      assert.equal("by", said(s.body.leaf))
      assert.equal("value x", said(s.body.leaf.by.cases[0].result.children[0].leaf))
      assert.equal(c.MP_NODE_OBJECT, s.body.leaf.by.otherwise.kind)
      s = load([[body = by("k", { a = text "{x}", b = function() end }, "none")]])
      assert.equal(c.MP_BODY_TEXT, s.body_kind)
      assert.same({ "a=value text x", "b=function", "else text none" }, cases(s.body.leaf.by))
    end)

    it("declares the host of each of a url's results", function()
      local s = assert(script.load([[return { missing = "drop", url = by("geo", { DE = "https://eu.example/{x}",
        FR = by("city", { paris = secret "base" }), US = "https://us.example/" }, "https://eu.example/") }]]))
      local hosts = {}
      for i = 0, tonumber(s.host_count) - 1 do
        hosts[i + 1] = text(s.hosts[i])
      end
      assert.same({ "https://eu.example:443", "https://hidden.example:443", "https://us.example:443" }, hosts)
      assert.same({ "DE=template", "FR=by", "US=text https://us.example/", "else text https://eu.example/" }, cases(s.url.by))
    end)

    it("may give a url many hosts", function()
      local list = {}
      for i = 1, 200 do
        list[i] = ("[%d] = \"https://h%d.example/\""):format(i, i)
      end
      local s = assert(script.load("return { url = by(\"k\", { " .. table.concat(list, ", ") .. " }) }"))
      assert.equal(200, tonumber(s.host_count))
    end)
  end)

  it("names values for templates in vars, sorted", function()
    local s = load([[vars = { z = "{a}{b}", a = by("g", { x = 17 }), f = function() end, n = 5, b = true, v = "{x}", ["a.b"] = "c" }]])
    local seen = {}
    for i = 0, tonumber(s.var_count) - 1 do
      seen[i + 1] = text(s.vars[i].name) .. " " .. said(s.vars[i].leaf)
    end
    assert.same({ "a by", "a.b text c", "b raw true", "f function", "n raw 5", "v value x", "z template" }, seen)
    assert.is_true(s.has_functions)
  end)

  it("shows nothing of itself", function()
    for _, code in ipairs({ "tostring(number \"{x}\")", "tostring(items)", "tostring(by(\"k\", { a = 1 }))", "type(items)" }) do
      local loaded = assert(script.load("local s = " .. code .. "\nreturn { url = \"https://a.example/\" .. s }"))
      assert.equal("https://a.example/userdata", text(loaded.url.text))
    end
  end)

  -- What it says of a marker in a wrong place, or made wrongly: with the line, and what to write instead.
  for _, case in ipairs({
    { with("body = { a = items }"), "scripts/acme.lua:3: body.a: `items` is a batch's list: add batch = { size = 100 }" },
    { with("body = items"), "scripts/acme.lua:3: body:", "`items`" },
    { with("headers = { X = items }"), "headers.X: `items` stands in a body that is a table" },
    { with("batch = {}, item = { a = items }"), "item.a: `items`", "an item is one event's own piece" },
    { "return { url = items }", "scripts/acme.lua:1: url: `items` stands in a body" },
    { "return { url = number \"{x}\" }", "url: `number` cannot stand in a url: name it in vars" },
    { "return { url = xml \"https://a.example/{x}\" }", "`xml` cannot stand in a url" },
    { "return { url = json.string { a = 1 } }", "`json.string` cannot stand in a url: name it in vars, vars = { x = json.string { … } }" },
    { "return { url = literal \"https://a.example/{x}\" }", "write %7B and %7D" },
    { "return { url = by(\"geo\", { DE = 5 }) }", "scripts/acme.lua:1: url.DE: it is a number: write a string" },
    { "return { url = by(\"geo\", {\nDE = {} }) }", "scripts/acme.lua:2: url.DE: it is a table: write a string" },
    { "return { url = by(\"geo\", { DE = \"https://{x}.example/\" }) }", "url.DE:", "expressions begin after them" },
    { "return { url = by(\"geo\", { DE = function() end }) }", "url: a function needs hosts" },
    { "return { url = by(\"geo\", { DE = secret \"no_url\" }) }", "url.DE:", "http" },
    { with("body = json.string { a = 1 }"), "body: `json.string` is a string inside JSON: for a JSON body write the table alone" },
    { with("body = \"a={x}\""), "body: a string cannot hold { or }", "text \"…\"", "xml [[…]]", "literal \"…\"" },
    { with("body = by(\"k\", { a = \"{x}\" })"), "scripts/acme.lua:3: body.a: a string cannot hold { or }" },
    { with("body = by(\"k\", { a = { 1 }, b = \"x\" })"), "some results of `by` are tables and some are text" },
    { with("body = by(\"k\", { a = 5 })"), "body.a: it is a number: write a table, a string or a function" },
    { with("headers = { X = by(\"k\", { a = {} }) }"), "it is a table: write a string or a function, or json.string" },
    { with("headers = { X = by(\"k\", { a = \"a\\r\\nb\" }) }"), "headers.X:" },
    { with("headers = { X = by(\"{k}\", { a = 1 }) }"), "`by`'s key \"{k}\" has braces: write the field's name alone, \"k\"" },
    { with("headers = { X = by(\"k\", { [17] = 1, [\"17\"] = 2 }) }"), "`by` has the case 17 twice" },
    { with("body = { n = number \"12a\" }"), "body.n: \"12a\" is no number" },
    { with("body = { n = number \"{x\" }"), "body.n:", "column" },
    { with("vars = { ctx = 1 }"), "vars.ctx: ctx is the delivery's own" },
    { with("vars = { [\"ctx.id\"] = 1 }"), "vars.ctx.id: ctx is the delivery's own" },
    { with("vars = { [\"a-b\"] = 1 }"), "vars.a-b: no template can say this name" },
    { with("vars = { a = {} }"), "vars.a: it is a table: write a string or a function, or json.string" },
    { with("vars = { 1 }"), "vars: it is a list: write names" },
    { "\nlocal x = number \"{x}\" .. \"a\"", "scripts/acme.lua:2: `number` cannot be joined with ..: write it around the whole, number(a .. b)" },
    { "local x = \"https://\" .. by(\"k\", { a = 1 })", "scripts/acme.lua:1: `by` cannot be joined with ..: name it in vars" },
    { "local x = items .. \"\"", "`items` cannot be joined" },
    { "local x = items[1]", "scripts/acme.lua:1: `items` stands for a value of each event" },
    { "local x = number \"{x}\" * 100", "`number` stands for a value of each event, known only at delivery: use a function" },
    { "local x = number \"{x}\" < number \"{y}\"", "`number` stands for a value" },
    { "local x = #items", "`items` stands for a value" },
    { "local x = text(number \"{x}\")", "scripts/acme.lua:1: `text` around `number`: keep one of the two" },
    { "local x = hashed(by(\"k\", { a = 1 }))", "`hashed` around `by`: mark each of its results" },
    { "local x = number(5)", "`number` was given a number: write a string, number \"{name}\"" },
    { "local x = number()", "`number` was given nothing" },
    { "local x = text(\"a\", \"b\")", "`text` takes one string: join them with .." },
    { "local x = json.string \"a\"", "`json.string` takes one table" },
    { "local x = by \"k\"", "`by` takes a key and a table of cases" },
    { "local x = by(\"k\", {})", "`by` has no cases" },
    { "local x = by(5, {})", "`by` was given a number as its key" },
    { "local x = by(\"k\", { [true] = 1 })", "a case that is a boolean: write [\"true\"]" },
    { "local x = by(\"k\", { [items] = 1 })", "a case that is a userdata: cases are strings or numbers" },
    { "return { url = \"https://a.example/\" .. secret \"line\" }", "url: [secret line] has a space or a line's end" },
    { with("vars = (function() local t = {} for i = 1, 257 do t[\"v\" .. i] = i end return t end)()"), "vars: it has more than 256 entries" },
    { "local t = {} for i = 1, 1025 do t[i] = \"https://h\" .. i .. \".example/\" end return { url = by(\"k\", t) }", "more than 1024 hosts" },
    { "local s = secret \"mark\" for i = 1, 256 do s = s .. \"x\" end return { url = \"https://a.example/\" .. s }", "it has more than 256 pieces" },
    { "local x = by(\"k\", { a = 1 }, 2, 3)", "one default" },
    { "local x = nuber \"{x}\"", "unknown global `nuber`: did you mean `number`?" },
    { "number = 5", "`number` is Moonpost's own" },
  }) do
    it("refuses " .. case[1]:gsub("%s+", " "):sub(1, 90):gsub("%c", "?"), function()
      fails(case[1], unpack(case, 2))
      local _, err = script.load(case[1])
      assert.is_nil(err:find("canary", 1, true))
    end)
  end

  it("is refused in a function, where the value itself is at hand", function()
    local got, err = script.run("return number \"{x}\"")
    assert.is_nil(got)
    assert.is_truthy(err:find("in a function, return the value itself", 1, true), err)
  end)

  it("cannot be locked open", function()
    fails("items.x = 1", "`items` stands for")
    fails("local x = getmetatable(items)", "`getmetatable` is not available")
  end)

  it("inside itself is refused, and so is a table that grows without end", function()
    fails(with("headers = { X = (function() local t = { a = 1 } local b = by(\"k\", t) t.a = b return b end)() }"), "nested")
    fails(with("body = (function() local t = { a = 1 } local b = by(\"k\", t) t.a = b return b end)()"), "nested")
    fails(with("body = (function() local t = { 1 } for _ = 1, 60 do t = { t, t } end return t end)()"), "scripts/acme.lua")
    fails(with("headers = { X = (function() local t = by(\"k\", { a = 1 }) for _ = 1, 60 do t = by(\"k\", { a = t, b = t }) end return t end)() }"),
      "scripts/acme.lua")
    fails(with("body = (function() local s, t = (\"x\"):rep(1000000), {} for i = 1, 100 do t[i] = s end return t end)()"),
      "the script's table is over 16 MiB when compiled")
  end)

  it("finds the line of a key in the table returned, not of a like name before it", function()
    fails("local headers = { X = 1 }\nlocal function f(request)\n  request.headers = { Host = 1 }\nend\nreturn {\n  url = \"https://a.example/\",\n"
      .. "  accepts = function() local headers = 5 return headers end,\n  headers = {\n    X = \"a\",\n    Host = \"b\",\n  },\n}\n",
      "scripts/acme.lua:10: headers.Host:")
    fails("local t = {\n  url = \"https://a.example/\",\n  heads = 1,\n}\nreturn t\n", "scripts/acme.lua:3: unknown key `heads`")
  end)
end)
