local ffi = require("ffi")
local script = require("spec.support.script")
local c = require("spec.support.cdef").load()
ffi.cdef("int setenv(const char *name, const char *value, int overwrite);")

local VALUE = "canary/{x}"
local ENCODED = "canary%2F%7Bx%7D"

local function run(code)
  return script.run("local x = " .. code .. " return x", '{"id":7,"user":{"email":"a@b.example"},"n":1.50}')
end

local function text(code)
  local got, kind = run(code)
  return assert(got, kind)
end

local function fails(code, want)
  local got, err = run(code)
  assert.is_nil(got)
  assert.truthy(err:find("scripts/acme.lua:2: " .. want, 1, true), err)
end

--- What uri.macros makes of arguments while a script loads: as it is, and as it shows.
local function macros(arguments)
  local _, err = script.load("local text = uri.macros(" .. arguments .. ")\nerror(\"<\" .. tostring(text) .. \">\")")
  return err:match("^[^<]*<(.*)>$"), err
end

--- The url that a template gives with an event, or nil and the load's error.
local function expand(url, event)
  local s, err = script.load("return { url = " .. url .. " }")
  if not s then
    return nil, err
  end
  if s.url.kind == c.MP_LEAF_TEXT then
    return script.text_of(s.url.text)
  end
  local out, json = script.buffer(), script.slice(event)
  assert.equal(c.MP_OK, c.mp_template_expand(s.url.template_, c.mp_lookup_json, json, c.MP_ESCAPE_NONE, out))
  return script.text_of(c.mp_buf_str(out))
end

setup(function()
  ffi.C.setenv("MOONPOST_SECRET_KEY", VALUE, 1)
  ffi.C.setenv("MOONPOST_SECRET_PLAIN", "canary", 1)
  assert.equal(c.MP_OK, c.mp_script_watchdog_start())
end)
teardown(function()
  c.mp_script_watchdog_stop()
end)

describe("uri.encode", function()
  it("percent-encodes all but the unreserved", function()
    assert.equal("AZaz09-._~", text('uri.encode("AZaz09-._~")'))
    assert.equal("a%20b%26c%3Dd%2F%3F%23%25%2B%C3%BC%00%0A", text('uri.encode("a b&c=d/?#%+ü\\0\\n")'))
    assert.equal("15", text("uri.encode(15)"))
    assert.equal("", text('uri.encode("")'))
  end)

  it("keeps a secret one", function()
    assert.same({ ENCODED, "text", "[secret key]" }, { run('uri.encode(secret "key")') })
    assert.same({ "a%20" .. ENCODED .. "canary", "text", "[secret key+plain]" }, { run('uri.encode("a " .. secret "key" .. secret "plain")') })
  end)

  it("names what is no text", function()
    fails("uri.encode()", "uri.encode(text): the text is nil: pass a string or a secret")
    fails("uri.encode({})", "uri.encode(text): the text is a table: pass a string or a secret")
  end)
end)

describe("uri.expand", function()
  it("is RFC 6570, level 4, over a table's strings, numbers, booleans, lists and maps", function()
    for template_, want in pairs({
      ["https://a/{s}"] = "https://a/a%20b", ["https://a/{+s}"] = "https://a/a%20b", ["{n},{big},{b}"] = "1.5,12345678901234567890,true", ["{?l*}"] = "?l=1&l=x",
      ["{/l}"] = "/1,x", ["{?m*}"] = "?k=v", ["{&missing,s}"] = "&s=a%20b", ["{s:1}"] = "a", ["{m.k}{l.1}"] = "vx", ["{#s}"] = "#a%20b", ["{null}{none}{empty}."] = ".",
      ["{d.t}"] = "dotted", ["a%20ü"] = "a%20%C3%BC", [""] = "",
    }) do
      assert.equal(want, text(("uri.expand(%q, { s = 'a b', n = 1.5, big = '12345678901234567890', b = true, l = { 1, 'x' }, m = { k = 'v' }, null = json.null, none = {}, empty = '', ['d.t'] = 'dotted' })"):format(template_)), template_)
    end
  end)

  it("takes the event as it is", function()
    assert.equal("/7/a%40b.example?n=1.5", (script.run('return uri.expand("/{id}/{user.email}{?n}", event)', '{"id":7,"user":{"email":"a@b.example"},"n":1.5}')))
  end)

  it("hides what comes from secrets, and only that", function()
    for code, want in pairs({
      ['uri.expand("https://a/{x}?t=" .. secret "plain" .. "&y={y}", { x = 1, y = 2 })'] = { "https://a/1?t=canary&y=2", "https://a/1?t=[secret plain]&y=2" },
      ['uri.expand("https://a/{x}{?t,y}#end", { x = "v", t = secret "key", y = 2 })'] = { "https://a/v?t=" .. ENCODED .. "&y=2#end", "https://a/v[secret key]#end" },
      ['uri.expand("/{k}", { k = "u:" .. secret "key" })'] = { "/u%3A" .. ENCODED, "/[secret key]" },
      ['uri.expand("/{k}{j}", { k = secret "key", j = secret "plain" })'] = { "/" .. ENCODED .. "canary", "/[secret key][secret plain]" },
      ['uri.expand("{k,j}", { k = secret "key", j = secret "plain" })'] = { ENCODED .. ",canary", "[secret key+plain]" },
      ['uri.expand(secret "key" .. "{k}", { k = 1 })'] = { VALUE .. "1", "[secret key]1" },
    }) do
      assert.same({ want[1], "text", want[2] }, { run(code) }, code)
    end
    assert.same({ "/1", "text", nil }, { run('uri.expand("/{x}", { x = 1, unused = secret "key" })') })
  end)

  it("names what is wrong", function()
    fails('uri.expand("{x", {})', "uri.expand(template, values): column 1: `{` is not closed: write }, or %7B")
    fails('uri.expand("{x|y}", {})', "uri.expand(template, values): column 3: ")
    fails("uri.expand(nil, {})", "uri.expand(template, values): the template is a nil: pass a string")
    fails('uri.expand("x")', "uri.expand(template, values): the values are a nil: pass a table")
    fails('uri.expand("x", { 1, 2 })', "uri.expand(template, values): the table is a list: write names, { id = 1 }")
    fails('uri.expand("x", { 1, a = 2 })', "uri.expand(template, values): the table mixes list items and names")
    fails('uri.expand("x", { f = print_ })', "unknown global")
    fails('uri.expand("x", { f = type })', "uri.expand(template, values): `f` is a function: pass its result")
    fails('uri.expand("x", { l = { secret "key" } })', "a secret cannot be JSON")
  end)

  it("ends with the call's budget, however many expressions look into however much", function()
    for _, code in ipairs({
      'local t = ("{a}"):rep(300000) local v = { b = ("x"):rep(3000000) } return uri.expand(t, v)',
      'local v = { b = ("x"):rep(1000000), a = secret "key" } local t = ("{a}{b.c}"):rep(1000) return uri.expand(t, v)',
      'local t = ("{a}"):rep(3000) while true do pcall(uri.expand, t, { a = 1 }) end',
      'local x = ("ü"):rep(500000) while true do pcall(uri.encode, x) end',
    }) do
      local before = tonumber(c.mp_clock_mono_ms())
      local got, _, status = script.run(code)
      assert.is_nil(got)
      assert.equal(c.MP_EBUDGET, status)
      assert.is_true(tonumber(c.mp_clock_mono_ms()) - before < 1000, code)
    end
  end)
end)

describe("uri.macros", function()
  it("makes expressions of every platform's macros", function()
    for url, want in pairs({
      ["?a={click_id}"] = "?a={click_id}", ["?a={{click_id}}"] = "?a={click_id}", ["?a={{ click_id }}"] = "?a={click_id}", ["?a=${CLICK}"] = "?a={CLICK}",
      ["?a=%%CLICK%%"] = "?a={CLICK}", ["?a=(click_id)"] = "?a={click_id}", ["?a=[click_id]"] = "?a={click_id}", ["?a=#click_id#"] = "?a={click_id}",
      ["/{a}/(b)/[c]/#d#/${e}/%%f%%/{{g}}"] = "/{a}/{b}/{c}/{d}/{e}/{f}/{g}", ["?a=#A##B#"] = "?a={A}{B}", ["x[A][B]y"] = "x{A}{B}y", ["{user.email}"] = "{user.email}",
      ["?a=_{sub1}_"] = "?a=_{sub1}_", [""] = "", ["plain"] = "plain",
    }) do
      assert.equal(want, macros(("%q"):format(url)), url)
    end
  end)

  it("leaves what only looks like a macro", function()
    for url, want in pairs({
      ["?price=$100&x=$x"] = "?price=$100&x=$x", ["/page#fragment"] = "/page#fragment", ["/page#top?x=#CLICK#"] = "/page#top?x={CLICK}", ["/a_(2)/b"] = "/a_(2)/b", ["items[0]=[ID]"] = "items[0]={ID}",
      ["items[]=1"] = "items[]=1", ["user[id]=[id]"] = "user[id]={id}", ["user[a][0][id]=(id)"] = "user[a][0][id]={id}", ["a%20b%2Fc%AD%20"] = "a%20b%2Fc%AD%20", ["%CLICK%"] = "%CLICK%",
      ["100%% sure%%"] = "100%% sure%%", ["(not a name)"] = "(not a name)", ["[x"] = "[x", ["#x"] = "#x", ["()[]##"] = "()[]##", ["(a-b)"] = "(a-b)", ["(a..b)(.a)(a.)"] = "(a..b)(.a)(a.)", ["$"] = "$",
      ["(" .. ("a"):rep(200) .. ")"] = "(" .. ("a"):rep(200) .. ")",
    }) do
      assert.equal(want, macros(("%q"):format(url)), url)
    end
  end)

  it("writes a brace that stays as %7B or %7D, so that the template holds", function()
    for url, want in pairs({
      ["{?a,b}"] = "%7B?a,b%7D", ["{"] = "%7B", ["}"] = "%7D", ["{a"] = "%7Ba", ["a}"] = "a%7D", ["{}"] = "%7B%7D", ["{{}}"] = "%7B%7B%7D%7D", ["${}"] = "$%7B%7D", ["{{x}"] = "%7B{x}", ["{x}}"] = "{x}%7D",
      ["{{{x}}}"] = "%7B{x}%7D", ['{"a":1}'] = '%7B"a":1%7D', ["{0}"] = "%7B0%7D",
    }) do
      assert.equal(want, macros(("%q"):format(url)), url)
      assert(script.load(("return { url = uri.macros(%q) }"):format("https://a.example/" .. url)))
    end
  end)

  it("converts, with names, exactly those", function()
    local names = [[{ CLICK_ID = "click_id", payout = "conversion.payout", ["aff-sub"] = "sub", id = "ctx.id" }]]
    for url, want in pairs({
      ["?c={CLICK_ID}&p={{payout}}&s=[aff-sub]&i=(id)"] = "?c={click_id}&p={conversion.payout}&s={sub}&i={ctx.id}", ["(Payout)[PAYOUT]#other#"] = "(Payout)[PAYOUT]#other#",
      ["${CLICK_ID}%%CLICK_ID%%#CLICK_ID#"] = "{click_id}{click_id}{click_id}", ["/wiki/Foo_(bar)/(id)"] = "/wiki/Foo_(bar)/{ctx.id}", ["user[id]=[id]"] = "user[id]={ctx.id}",
    }) do
      assert.equal(want, macros(("%q, %s"):format(url, names)), url)
    end
  end)

  it("refuses a name in braces that it does not know, which would be sent as it stands", function()
    for arguments, name in pairs({
      ['"?c={clickid}", { click_id = "c" }'] = "clickid", ['"{a}", {}'] = "a", ['"${other}", { a = "a" }'] = "other", ['"{{ x }}", { a = "a" }'] = "x",
      ['"?d={date:Y-m-d}"'] = "date:Y-m-d", ['"?s={status:lead=0}"'] = "status:lead=0", ['"{a b}"'] = "a b",
    }) do
      local got, err = macros(arguments)
      assert.is_nil(got, arguments)
      assert.truthy(err:find('uri.macros(text, names): {' .. name .. '} is none that it knows: put ["' .. name
        .. '"] = "<our name>" into names, or write %7B for a brace that is meant', 1, true), err)
    end
  end)

  it("gives a url that expands", function()
    assert.equal("https://a.example/pb?cid=a%20b&p=1.50&lit=%7B0%7D",
      expand('uri.macros("https://a.example/pb?cid={{CLICK}}&p=#PAYOUT#&lit={0}", { CLICK = "click_id", PAYOUT = "payout" })', '{"click_id":"a b","payout":1.50}'))
  end)

  it("lets a name be any expression that a template can have", function()
    assert.equal("https://a.example/?u=a/b&s=abc", expand([[uri.macros("https://a.example/?u=[URL]&s=[SHORT]", { URL = "+page", SHORT = "id:3" })]], '{"page":"a/b","id":"abcdef"}'))
  end)

  it("reads nothing inside a secret", function()
    assert.equal("?t=[secret key]&c={c}", macros('"?t=" .. secret "key" .. "&c=[c]"'))
    assert.equal("https://a.example/?t=" .. VALUE .. "&c=1%20", expand([[uri.macros("https://a.example/?t=" .. secret "key" .. "&c=[c]")]], '{"c":"1 "}'))
  end)

  it("names what is wrong", function()
    for arguments, want in pairs({
      [""] = "uri.macros(text): the text is a nil: pass a string", ["{}"] = "uri.macros(text): the text is a table: pass a string", ['"x", 1'] = "uri.macros(text, names): names is a number: pass a table",
      ['"x", { "a" }'] = 'uri.macros(text, names): names is a table such as { CLICK_ID = "click_id" }', ['"x", { A = 1 }'] = "uri.macros(text, names): names.A is a number: write the name of a value, such as \"click_id\"",
      ['"x", { A = "b c" }'] = "uri.macros(text, names): names.A: column 3: a space may not stand in a name", ['"x", { A = "b}{c" }'] = nil, ['"x", { A = "" }'] = "uri.macros(text, names): names.A: column 2: a name was expected",
      ['"x", { A = secret "key" }'] = "uri.macros(text, names): names.A is a userdata: write the name of a value",
    }) do
      local got, err = macros(arguments)
      assert.is_nil(got, arguments)
      assert.truthy(err:find("scripts/acme.lua:1: " .. want, 1, true), err)
    end
    fails('uri.macros("x")', "uri.macros makes a template: call it while the script loads, outside its functions")
  end)

  it("ends a load that converts for ever", function()
    local before = tonumber(c.mp_clock_mono_ms())
    local got, err = script.load('local x = ("({[#"):rep(50000)\nwhile true do pcall(uri.macros, x) end')
    assert.is_nil(got)
    assert.truthy(err:find("processor time", 1, true), err)
    assert.is_true(tonumber(c.mp_clock_mono_ms()) - before < 1000)
  end)
end)
