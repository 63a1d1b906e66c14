--- Requests, built from a script and an event, for the specs of them.
local ffi = require("ffi")
local assert = require("luassert")
local script = require("spec.support.script")
local c = require("spec.support.cdef").load()
local request_of = {}

ffi.cdef("int setenv(const char *name, const char *value, int replace);") -- for secrets

local text_of = script.text_of

-- The request; or nil, the word or status, and why.
local function build(source, event, more, name)
  local loaded = assert(script.load(source, name))
  local state
  if loaded.has_functions then
    local out = ffi.new("struct mp_script_state *[1]")
    assert(c.mp_script_state_new(loaded, out, nil) == c.MP_OK)
    state = ffi.gc(out[0], c.mp_script_state_free)
  end
  more = more or {}
  more.partner = name
  local context, kept = script.context(event or "{}", more)
  local request = ffi.new("struct mp_request")
  c.mp_request_init(request)
  local verdict, err = ffi.new("struct mp_verdict"), ffi.new("struct mp_error")
  local status = c.mp_request_build(loaded, state, context, request, verdict, err)
  local got = status == c.MP_OK and script.read(request) or nil
  if got and request.body_shown.length > 0 then
    got.body_shown = text_of(c.mp_buf_str(request.body_shown))
  end
  c.mp_request_fini(request)
  assert(kept)
  if status == c.MP_EDEAD then
    return nil, ffi.string(c.mp_verdict_name(verdict.kind)), ffi.string(verdict.why)
  elseif status ~= c.MP_OK then
    return nil, ffi.string(c.mp_status_name(status)), ffi.string(err.text)
  end
  return got
end

local function built(...)
  local request, word, why = build(...)
  assert(request, ("%s: %s"):format(word, why))
  return request
end

-- A script with this url and these fields.
local function with(url, fields)
  return ("return {\n  url = %q,\n  %s\n}\n"):format(url, fields or "")
end

local function url_of(template, event, fields, more)
  return built(with("https://a.example" .. template, fields), event, more).url
end

local function body_of(body, event, fields)
  local request = built(with("https://a.example/", "body = " .. body .. ", " .. (fields or "")), event)
  return request.body, request.headers["Content-Type"]
end

local function assert_dead(why, ...)
  assert.same({ "dead", why }, { select(2, build(...)) })
end

request_of.build = build
request_of.built = built
request_of.with = with
request_of.url_of = url_of
request_of.body_of = body_of
request_of.assert_dead = assert_dead

return request_of
