--- Templates, compiled and expanded on JSON, for the specs of them.
local ffi = require("ffi")
local assert = require("luassert")
local c = require("spec.support.cdef").load()
local slice = require("spec.support.slice")
local template = {}

local OK, EINVAL = 0, -2

--- Parts are texts, or { secret = name, value = text }.
local function compile(kind, ...)
  local given = { ... }
  local parts = ffi.new("struct mp_template_part[?]", #given + 1)
  for i, part in ipairs(given) do
    if type(part) == "table" then
      parts[i - 1].text, parts[i - 1].secret = slice.of(part.value), slice.of(part.secret)
    else
      parts[i - 1].text = slice.of(part)
    end
  end
  local out, err = ffi.new("struct mp_template *[1]"), ffi.new("struct mp_error")
  local status = c.mp_template_compile(parts, #given, kind, out, err)
  if status ~= OK then
    assert.equal(EINVAL, status)
    assert.is_true(out[0] == nil)
    return nil, ffi.string(err.text)
  end
  return ffi.gc(out[0], c.mp_template_free)
end

local function url(...)
  return compile(c.MP_TEMPLATE_URL, ...)
end

local function drop(...)
  return compile(c.MP_TEMPLATE_URL_DROP, ...)
end

local function text(...)
  return compile(c.MP_TEMPLATE_TEXT, ...)
end

local function expand(compiled, json, escape, shown, out)
  local event = ffi.new("struct mp_str[1]")
  event[0] = slice.of(json or "{}")
  out = out or slice.buf()
  local call = shown and c.mp_template_expand_shown or c.mp_template_expand
  local status = call(compiled, c.mp_lookup_json, event, escape or c.MP_ESCAPE_NONE, out)
  if status ~= OK then
    return nil, status
  end
  return slice.content(out)
end

local function from(pattern, json)
  return expand(assert(url(pattern)), json)
end

local function members(raw)
  local iter, key, value = ffi.new("struct mp_json_iter[1]"), ffi.new("struct mp_str[1]"), ffi.new("struct mp_str[1]")
  local str = slice.of(raw)
  c.mp_json_iter_init(iter, str)
  return function()
    if c.mp_json_iter_next(iter, key, value) then
      local name
      if key[0].length > 0 then
        local buf = slice.buf()
        assert(c.mp_json_unescape(key[0], buf) == OK)
        name = slice.content(buf)
      end
      return slice.text(value[0]), name
    end
  end
end

local function unquote(raw)
  local buf = slice.buf()
  assert(c.mp_json_unescape(slice.of(raw), buf) == OK)
  return slice.content(buf)
end

--- The cases of one file of the uritemplate-test suite, with its variables as raw JSON.
local function read_suite(path)
  local file = assert(io.open(path, "rb"))
  local raw = file:read("*a"):gsub("^%s+", ""):gsub("%s+$", "")
  file:close()
  local groups = {}
  for group, title in members(raw) do
    local parts = {}
    for value, name in members(group) do
      parts[name] = value
    end
    for case in members(parts.testcases) do
      local pair = {}
      for item in members(case) do
        pair[#pair + 1] = item
      end
      local answers = {}
      if pair[2]:sub(1, 1) == "[" then
        for answer in members(pair[2]) do
          answers[unquote(answer)] = true
        end
      else
        answers[unquote(pair[2])] = true
      end
      groups[#groups + 1] = { title = title, template = unquote(pair[1]), variables = parts.variables, answers = answers }
    end
  end
  return groups
end

template.compile = compile
template.url = url
template.drop = drop
template.text = text
template.expand = expand
template.from = from
template.read_suite = read_suite

return template
