--- Random texts: the checker must agree with a plain reading of RFC 8259's grammar, and whatever
-- it passes must be walked to the end. Run under the sanitizers this also finds reads past the end.
local ffi = require("ffi")
local c = require("spec.support.cdef").load()
local slice = require("spec.support.slice")

-- The grammar, written for likeness and not for speed. Each function gives the place after what
-- it read, or nil.
local grammar = {}

local function space(text, at)
  return text:match("^[ \t\r\n]*()", at)
end

function grammar.utf8(text, at)
  for _, form in ipairs({
    "^[\194-\223][\128-\191]()", "^\224[\160-\191][\128-\191]()", "^[\225-\236\238\239][\128-\191][\128-\191]()",
    "^\237[\128-\159][\128-\191]()", "^\240[\144-\191][\128-\191][\128-\191]()",
    "^[\241-\243][\128-\191][\128-\191][\128-\191]()", "^\244[\128-\143][\128-\191][\128-\191]()",
  }) do
    local after = text:match(form, at)
    if after then
      return after
    end
  end
end

function grammar.string(text, at)
  at = text:match('^"()', at)
  while at and text:sub(at, at) ~= '"' do
    local byte = text:byte(at)
    if not byte or byte < 32 then
      return nil
    elseif byte >= 128 then
      at = grammar.utf8(text, at)
    elseif byte == 92 then
      at = text:match('^\\["\\/bfnrt]()', at) or text:match("^\\u%x%x%x%x()", at)
    else
      at = at + 1
    end
  end
  return at and at + 1
end

function grammar.number(text, at)
  at = text:match("^%-?0()", at) or text:match("^%-?[1-9]%d*()", at)
  if not at then
    return nil
  end
  if text:sub(at, at) == "." then
    at = text:match("^%.%d+()", at)
  end
  if at and text:match("^[eE]", at) then
    at = text:match("^[eE][+-]?%d+()", at)
  end
  return at
end

local function container(text, at, close, item)
  at = space(text, at + 1)
  if text:sub(at, at) == close then
    return at + 1
  end
  while true do
    at = item(text, at)
    at = at and space(text, at)
    local byte = at and text:sub(at, at)
    if byte == close then
      return at + 1
    elseif byte ~= "," then
      return nil
    end
    at = at + 1
  end
end

function grammar.member(text, at)
  at = grammar.string(text, space(text, at))
  at = at and text:match("^[ \t\r\n]*:()", at)
  return at and grammar.value(text, at)
end

function grammar.value(text, at)
  at = space(text, at)
  local byte = text:sub(at, at)
  if byte == "{" then
    return container(text, at, "}", grammar.member)
  elseif byte == "[" then
    return container(text, at, "]", grammar.value)
  elseif byte == '"' then
    return grammar.string(text, at)
  end
  return text:match("^true()", at) or text:match("^false()", at) or text:match("^null()", at) or grammar.number(text, at)
end

local function is_json(text)
  local after = grammar.value(text, 1)
  return after ~= nil and space(text, after) == #text + 1
end

local seeds = {
  '{"endpoint":{"method":"GET","url":"http://a/?t={x}"},"data":[{"mascot":"Gopher","n":1.50},{}]}',
  '[1,-0.5e+10,true,false,null,"\\u00e9\\n\\ud834\\udd1e\195\169\226\130\172\240\157\132\158",[[]],{"a":{"b":[]}}]',
  ' { "long key that is over eight" : "a string of more than sixteen bytes, \\"quoted\\"" } ',
  '"\\\\\\"\\/"', "-12.5E-3", "[[[[{}]]]]",
}
local pieces = {
  "{", "}", "[", "]", ",", ":", '"', "\\", "\\u", "0", "-", ".", "e", "1", " ", "\n", "\0", "\31", "\127", "\128", "\195", "\226\130",
  "\237\160\128", "\244\144", "true", "null", "\\ud800", "\255", "a", "/",
}

local function mutate(text)
  for _ = 1, math.random(1, 3) do
    local at, to = math.random(1, #text + 1), math.random(1, #text + 1)
    local kind = math.random(4)
    if kind == 1 then
      text = text:sub(1, at - 1) .. pieces[math.random(#pieces)] .. text:sub(at)
    elseif kind == 2 then
      text = text:sub(1, at - 1) .. text:sub(at + math.random(1, 3))
    elseif kind == 3 then
      text = text:sub(1, at - 1) .. pieces[math.random(#pieces)] .. text:sub(at + 1)
    else
      text = text:sub(1, at - 1) .. text:sub(to)
    end
    if #text > 400 then
      text = text:sub(1, 400)
    end
  end
  return text
end

-- The text ends where its memory does, so that a read past the end is caught.
local function exact(text)
  local bytes = ffi.gc(ffi.cast("char *", ffi.C.malloc(math.max(#text, 1))), ffi.C.free)
  ffi.copy(bytes, text, #text)
  return ffi.new("struct mp_str", bytes, #text), bytes
end

local function walk(raw, out)
  local iter, key, value = ffi.new("struct mp_json_iter[1]"), ffi.new("struct mp_str[1]"), ffi.new("struct mp_str[1]")
  local kind, count = tonumber(c.mp_json_kind(raw)), 1
  if kind == 5 then
    assert(c.mp_json_unescape(raw, out) == 0)
  end
  c.mp_json_iter_init(iter, raw)
  while c.mp_json_iter_next(iter, key, value) do
    if kind == 7 then
      local name = slice.buf()
      assert(c.mp_json_unescape(key[0], name) == 0)
      assert(c.mp_json_string_is(key[0], c.mp_buf_str(name)))
      local found = ffi.new("struct mp_str[1]")
      assert(c.mp_json_member(raw, c.mp_buf_str(name), found))
    end
    local inner = slice.text(value[0])
    assert(is_json(inner) and not inner:find("^%s") and not inner:find("%s$"), inner)
    count = count + walk(ffi.new("struct mp_str", value[0]), out)
  end
  return count
end

describe("random JSON texts", function()
  setup(function()
    ffi.cdef("void *malloc(size_t size); void free(void *memory);")
  end)

  it("are taken and refused as RFC 8259's grammar says, and walked to the end when taken", function()
    math.randomseed(20261123)
    local taken, refused = 0, 0
    local out = slice.buf()
    for round = 1, 6000 do
      local text = mutate(seeds[round % #seeds + 1])
      if round % 5 == 0 then
        text = mutate(text)
      end
      local str, bytes = exact(text)
      local value, fault = ffi.new("struct mp_str[1]"), ffi.new("struct mp_json_fault[1]")
      local status = c.mp_json_check(str, 128, value, fault)
      assert(is_json(text) == (status == 0), ("status %d for %q"):format(status, text))
      if status == 0 then
        taken = taken + 1
        c.mp_buf_reset(out)
        assert(walk(ffi.new("struct mp_str", value[0]), out) >= 1)
      else
        refused = refused + 1
        assert(fault[0].offset <= #text)
      end
      assert(bytes ~= nil)
    end
    assert.is_true(taken > 300, "too few were taken to mean anything: " .. taken)
    assert.is_true(refused > 300)
  end)
end)
