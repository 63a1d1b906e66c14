local ffi = require("ffi")
local c = require("spec.support.cdef").load()
local slice = require("spec.support.slice")

local OK, EINVAL, ELIMIT = 0, -2, -3

local function check(text, depth)
  local value, fault = ffi.new("struct mp_str[1]"), ffi.new("struct mp_json_fault[1]")
  local status = c.mp_json_check(slice.of(text), depth or 128, value, fault)
  if status == OK then
    return status, slice.text(value[0])
  end
  return status, {
    offset = tonumber(fault[0].offset), line = fault[0].line, column = fault[0].column,
    reason = ffi.string(fault[0].reason),
  }
end

local function printable(text)
  return (text:gsub("[%c\128-\255]", function(byte)
    return ("\\%d"):format(byte:byte())
  end))
end

local function path(text, name)
  local found = ffi.new("struct mp_str[1]")
  if c.mp_json_path(slice.of(text), slice.of(name), found) then
    return slice.text(found[0])
  end
end

local function member(text, name)
  local found = ffi.new("struct mp_str[1]")
  if c.mp_json_member(slice.of(text), slice.of(name), found) then
    return slice.text(found[0])
  end
end

local function unescape(raw)
  local out = slice.buf()
  assert.equal(OK, c.mp_json_unescape(slice.of(raw), out))
  return slice.content(out)
end

local function walk(text)
  local keys, values = {}, {}
  local iter = ffi.new("struct mp_json_iter[1]")
  local key, value = ffi.new("struct mp_str[1]"), ffi.new("struct mp_str[1]")
  local raw = slice.of(text)
  c.mp_json_iter_init(iter, raw)
  while c.mp_json_iter_next(iter, key, value) do
    keys[#keys + 1] = slice.text(key[0])
    values[#values + 1] = slice.text(value[0])
  end
  return values, keys
end

describe("the JSON checker", function()
  local allowed = {
    "null", "true", "false", "0", "-0", "-0.0", "1", "-1", "10", "0.5", "1.50", "1e400", "1E+2", "1e-2", "0e1", "0e+1",
    "123456789012345678901234567890", "-0.000000000000000000000000000000000000000000000000000000000001",
    '""', '"a"', '"\\""', '"\\\\"', '"\\/"', '"\\b\\f\\n\\r\\t"', '"\\u0000"', '"\\uD834\\uDd1e"', '"\\ud800"', '"\\uDFAA"',
    '"\\u0012\\u00e9"', '"/"', '"\127"', '"\195\169"', '"\226\130\172"', '"\240\157\132\158"', '"\244\143\191\191"',
    '"\239\191\191"', '"\226\128\168"', '"\238\128\128"', '"\237\159\191"',
    "[]", "{}", "[ ]", "{ }", " [] ", "\t\r\n [1 , 2\n]\n", "[1,2,3]", "[[]]", "[[],[[]]]", "[{}]", "[null,1,\"1\",{}]",
    '{"":0}', '{"a":1}', '{"a":1,"a":2}', '{ "a" : [ 1 , { "b" : null } ] , "c" : "d" }', '{"a\\u0000b":"c"}', '{"a":[]}',
    '["a",\n4\n,1]', "[1E22]", "[-123]", "[0e+1]", "[1e1]", "[20e1]", "[123.456e78]", '{"min":-1.0e+28,"max":1.0e+28}',
  }
  for _, text in ipairs(allowed) do
    it("takes " .. printable(text), function()
      local status, value = check(text)
      assert.equal(OK, status)
      assert.equal(text:match("^[ \t\r\n]*(.-)[ \t\r\n]*$"), value)
    end)
  end

  local forbidden = {
    "", " ", "\n", "nul", "nulll", "NULL", "True", "tru", "truth", "fals", "nan", "NaN", "Infinity", "-Infinity", "-", "+1", "--1", "- 1",
    "01", "-01", "00", "1.", ".5", "-.5", "1.e1", "1e", "1e+", "1e-", "1E", "0x1", "0x42", "1_000", "1a", "1 2", "1,", "2.e3", "1ea", "0.3e", "0.e1",
    "9.3e+", "0e", "0e+", "\239\188\145", "1+2", "0.1.2", "1.0e", "1eE2", "-foo", "-1x", "12 3",
    '"', '"a', '\'a\'', '"\\', '"\\"', '"\\x00"', '"\\a"', '"\\u"', '"\\u00"', '"\\u00A"', '"\\u00g0"', '"\\u 123"', '"\\UA66D"', '"\\ud800\\u"', '"\\ud800\\u1"',
    '"\1"', '"\n"', '"\t"', '"a\0b"', '"\31"', '"\\\9"', '"\\\195\169"', '"\\{0xF0}"', '"a"b"', 'a', 'a"', '"\\uD800\\"',
    '"\128"', '"\191"', '"\192\175"', '"\193\191"', '"\224\159\191"', '"\224\128\128"', '"\237\160\128"', '"\237\191\191"', '"\240\143\191\191"',
    '"\244\144\128\128"', '"\245\128\128\128"', '"\255"', '"\254"', '"\195"', '"\195(" ', '"\226\130"', '"\226(\161"', '"\240\157\132"', '"\240(\140\188"',
    "[", "]", "[[", "[]]", "[1", "[1,", "[1,]", "[,1]", "[,]", "[1 2]", "[1,,2]", "[,", "[\"\"", "[\"\",", "[1\n,1\n,1", "[*]", "[a]", "[1:2]", "[\"x\"\"y\"]", "[}",
    "[1}", "[\"a\",\n4\n,1,", "[3[4]]", "[inner]", "[\"x\"]]", "[x", "[\f]", "[\239\187\191]", "[-]", "[\\n]", "[1]x", "[][]", "[]#", "<.>", "[<null>]", "[True]",
    "{", "}", "{]", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{\"a\" 1}", "{\"a\",1}", "{a:1}", "{'a':1}", "{1:1}", "{,}", "{\"a\"::1}",
    "{\"a\":1 \"b\":2}", "{\"a\":1}}", "{\"a\":1}#", "{\"a\":/*c*/1}", "{\"a\":1}//", "{null:1}", "{\"a\":1,,\"b\":2}", "{:1}", "{\"a\":}", "{\"x\"x:1}", "{[: \"x\"}\n",
    "{\"a\":\"b\",\"c\"}", "{\"a\":true} \"x\"", "\239\187\191{}", "\239\187\191", "\254\255", "\11", "\f1", "1\0", "\0", "\194\160 1", "[1]\194\160", "\226\129\160",
    "*", "!", "{\"a\": tru}", "[1,\11]", "{\"\1\":1}", "&", "[\"\\u00A\"]", "{\"a\"\195\169:1}",
  }
  for _, text in ipairs(forbidden) do
    it("refuses " .. printable(text), function()
      local status, fault = check(text)
      assert.equal(EINVAL, status)
      assert.is_true(fault.offset <= #text)
      assert.is_true(#fault.reason > 0)
    end)
  end

  it("finds a bad byte at every place of a long string, whatever the word it falls in", function()
    for place = 1, 40 do
      for _, bad in ipairs({ "\1", "\31", "\128", "\n", "\255", "\\x" }) do
        local text = '"' .. ("x"):rep(place - 1) .. bad .. ("y"):rep(40 - place) .. '"'
        local status, fault = check(text)
        assert.equal(EINVAL, status)
        assert.equal(place + (bad == "\\x" and 1 or 0), fault.offset)
      end
      local good = '"' .. ("x"):rep(place - 1) .. "\\n\195\169\127 !" .. ("y"):rep(40 - place) .. '"'
      assert.equal(OK, (check(good)))
    end
  end)

  it("tells line, column and reason of the fault", function()
    local _, fault = check('{\n  "a": 1,\n  "b" 2\n}')
    assert.same({ offset = 18, line = 3, column = 7, reason = "a colon was expected" }, fault)
    _, fault = check("[1 2]")
    assert.same({ offset = 3, line = 1, column = 4, reason = "a comma or ] was expected" }, fault)
    _, fault = check('{"a":1 "b":2}')
    assert.equal("a comma or } was expected", fault.reason)
    _, fault = check("\239\187\191{}")
    assert.same({ offset = 0, line = 1, column = 1, reason = "a byte order mark is not allowed" }, fault)
    _, fault = check("[01]")
    assert.equal("a number may not begin with 0", fault.reason)
    _, fault = check("{} {}")
    assert.equal("nothing may follow the value", fault.reason)
  end)

  it("counts containers for the depth, and takes exactly the limit", function()
    assert.equal(OK, (check("[[]]", 2)))
    local status, fault = check("[[[]]]", 2)
    assert.equal(ELIMIT, status)
    assert.same({ 2, "nested too deep" }, { fault.offset, fault.reason })
    assert.equal(OK, (check('{"a":[1,{}],"b":[[]]}', 3)))
    assert.equal(ELIMIT, (check('{"a":[1,{"b":{}}]}', 3)))
    assert.equal(OK, (check("1", 0)))
    assert.equal(ELIMIT, (check("[]", 0)))
  end)

  it("stands a hundred thousand brackets, and remembers which kind each level is", function()
    assert.equal(ELIMIT, (check(("["):rep(100000), 4294967295)))
    assert.equal(EINVAL, (check(("["):rep(1000), 4294967295)))
    local open, close = {}, {}
    for i = 1, 3000 do
      local object = i % 3 == 0
      open[i] = object and '{"k":' or "["
      close[3001 - i] = object and "}" or "]"
    end
    local text = table.concat(open) .. "1" .. table.concat(close)
    assert.equal(OK, (check(text, 3000)))
    assert.equal(EINVAL, (check((text:gsub("%]", "}", 1)), 3000)))
  end)

  it("works without anywhere to put the value and the fault", function()
    assert.equal(OK, c.mp_json_check(slice.of("{}"), 8, nil, nil))
    assert.equal(EINVAL, c.mp_json_check(slice.of("{"), 8, nil, nil))
    assert.equal(EINVAL, c.mp_json_check(ffi.new("struct mp_str"), 8, nil, nil))
  end)
end)

describe("the JSON walkers", function()
  it("tell a token's kind by its first byte", function()
    local kinds = { [""] = 0, null = 1, ["false"] = 2, ["true"] = 3, ["-1"] = 4, ["7"] = 4, ['"a"'] = 5, ["[]"] = 6, ["{}"] = 7 }
    for text, kind in pairs(kinds) do
      assert.equal(kind, tonumber(c.mp_json_kind(slice.of(text))))
    end
  end)

  it("walk lists and objects in order, tokens as they were sent", function()
    local values = walk('[ 1.50 ,"a,]\\"", [1,[2]],{"x":"}"} , null,true ]')
    assert.same({ "1.50", '"a,]\\""', "[1,[2]]", '{"x":"}"}', "null", "true" }, values)
    local members, keys = walk('{ "a" : 1 ,"b\\"":{"c":[ ] },"a":1e400}')
    assert.same({ '"a"', '"b\\""', '"a"' }, keys)
    assert.same({ "1", '{"c":[ ] }', "1e400" }, members)
    assert.same({}, (walk("[ ]")))
    assert.same({}, (walk("{}")))
    assert.same({}, (walk("12")))
    assert.same({}, (walk("")))
  end)

  it("find a member by its unescaped name, the last of several", function()
    assert.equal("2", member('{"a":1,"a":2}', "a"))
    assert.equal("3", member('{"\\u0061":3}', "a"))
    assert.equal("4", member('{"a\\/b":4}', "a/b"))
    assert.equal("5", member('{"\\ud83d\\ude00":5}', "\240\159\152\128"))
    assert.equal("6", member('{"":6}', ""))
    assert.equal("7", member('{"a\\u0000b":7}', "a\0b"))
    assert.is_nil(member('{"ab":1}', "a"))
    assert.is_nil(member('{"a\\n":1}', "a\\n"))
    assert.is_nil(member('{"x":{"a":1}}', "a"))
    assert.is_nil(member("[1]", "0"))
  end)

  it("reach along a path, from 0 in lists", function()
    local event = '{"user":{"email":"a@b"},"items":[{"id":7},{"id":8}],"a.b":{"c":1},"a":{"b":{"c":2},"b.c":3,"d":4}}'
    assert.equal('"a@b"', path(event, "user.email"))
    assert.equal("7", path(event, "items.0.id"))
    assert.equal("8", path(event, "items.1.id"))
    assert.is_nil(path(event, "items.2.id"))
    assert.is_nil(path(event, "items.01.id"))
    assert.is_nil(path(event, "items.-1"))
    assert.is_nil(path(event, "items.length"))
    assert.is_nil(path(event, "user.email.x"))
    assert.is_nil(path(event, "user."))
    assert.is_nil(path(event, ""))
  end)

  it("let a key that has the dots itself win, at every level", function()
    assert.equal("1", path('{"a":{"b":2},"a.b":1}', "a.b"))
    assert.equal("1", path('{"a":{"b":{"c":2},"b.c":1}}', "a.b.c"))
    assert.equal("1", path('{"a":{"b.c":2},"a.b":{"c":1}}', "a.b.c"))
    assert.equal("2", path('{"a":{"b.c":2},"a.b":{"x":1}}', "a.b.c"))
    assert.equal("null", path('{"a.b":null,"a":{"b":1}}', "a.b"))
  end)

  it("reach along a path of very many dots without losing themselves", function()
    local text = ('{"a":'):rep(60) .. "1" .. ("}"):rep(60)
    assert.equal("1", path(text, ("a."):rep(59) .. "a"))
    assert.is_nil(path(text, ("a."):rep(60) .. "b"))
  end)

  it("unescape to the bytes that were meant", function()
    assert.equal("", unescape('""'))
    assert.equal("plain \195\169", unescape('"plain \195\169"'))
    assert.equal('"\\/\b\f\n\r\t', unescape('"\\"\\\\\\/\\b\\f\\n\\r\\t"'))
    assert.equal("\0|\127|\194\128|\223\191|\224\160\128|\239\191\191", unescape('"\\u0000|\\u007f|\\u0080|\\u07FF|\\u0800|\\uffff"'))
    assert.equal("\240\157\132\158x", unescape('"\\uD834\\udd1ex"'))
  end)

  it("give U+FFFD for a lone surrogate and keep what follows it", function()
    local fffd = "\239\191\189"
    assert.equal(fffd .. "a", unescape('"\\ud800a"'))
    assert.equal(fffd, unescape('"\\udc00"'))
    assert.equal(fffd .. "A", unescape('"\\ud800\\u0041"'))
    assert.equal(fffd .. "\240\157\132\158", unescape('"\\ud834\\ud834\\udd1e"'))
    assert.equal(fffd .. fffd, unescape('"\\udd1e\\ud834"'))
    assert.equal(fffd .. "\n", unescape('"\\ud800\\n"'))
  end)

  it("leave the buffer as it was when an unescaped string does not fit", function()
    local out = slice.buf(5)
    assert.equal(OK, c.mp_buf_append_text(out, "ab"))
    assert.equal(ELIMIT, c.mp_json_unescape(slice.of('"c\\nde"'), out))
    assert.equal("ab", slice.content(out))
  end)
end)

describe("the JSON writer", function()
  local function write(text)
    local out = slice.buf()
    assert.equal(OK, c.mp_json_write_string(out, slice.of(text)))
    return slice.content(out)
  end

  it("escapes what must be and nothing else", function()
    assert.equal('""', write(""))
    assert.equal('"a/b\'<>\127\195\169\226\128\168"', write("a/b'<>\127\195\169\226\128\168"))
    assert.equal('"\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u001f\\u000b"', write('"\\\b\f\n\r\t\0\31\11'))
  end)

  it("writes U+FFFD once for each broken character", function()
    local fffd = "\239\191\189"
    assert.equal('"a' .. fffd .. 'b"', write("a\255b"))
    assert.equal('"' .. fffd .. 'A"', write("\226\130A"))
    assert.equal('"' .. fffd .. '"', write("\240\159\152"))
    assert.equal('"' .. fffd .. fffd .. '"', write("\192\128"))
    assert.equal('"' .. fffd .. fffd .. fffd .. '"', write("\237\160\128"))
    assert.equal('"x' .. fffd .. '"', write("x\195"))
    assert.equal('"\195\169' .. fffd .. '\195\169"', write("\195\169\195\195\169"))
  end)

  it("writes what the checker takes and unescaping gives back", function()
    math.randomseed(7)
    for _ = 1, 300 do
      local bytes = {}
      for i = 1, math.random(0, 30) do
        bytes[i] = string.char(math.random(0, 127))
      end
      local text = table.concat(bytes)
      local written = write(text)
      assert.equal(OK, (check(written)))
      assert.equal(text, unescape(written))
      assert.is_true(c.mp_json_string_is(slice.of(written), slice.of(text)))
    end
  end)

  it("leaves the buffer as it was when the string does not fit", function()
    local out = slice.buf(6)
    assert.equal(OK, c.mp_buf_append_text(out, "ab"))
    assert.equal(ELIMIT, c.mp_json_write_string(out, slice.of("cd\n")))
    assert.equal("ab", slice.content(out))
  end)
end)
