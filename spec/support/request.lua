--- Requests, built from a script and an event, for the specs of them.
local ffi = require("ffi")
local assert = require("luassert")
local script = require("spec.support.script")
local c = require("spec.support.cdef").load()
local request_of = {}

ffi.cdef("int setenv(const char *name, const char *value, int replace);") -- for secrets

local text_of = script.text_of

-- What a script without functions is called with is no state.
local function loaded_with_state(source, name)
  local loaded = assert(script.load(source, name))
  if not loaded.has_functions then
    return loaded
  end
  local out = ffi.new("struct mp_script_state *[1]")
  assert(c.mp_script_state_new(loaded, out, nil) == c.MP_OK)
  return loaded, ffi.gc(out[0], c.mp_script_state_free)
end

local function refusal(status, verdict, err)
  if status == c.MP_EDEAD then
    return ffi.string(c.mp_verdict_name(verdict.kind)), ffi.string(verdict.why)
  end
  return ffi.string(c.mp_status_name(status)), ffi.string(err.text)
end

-- The request; or nil, the word or status, and why.
local function build(source, event, more, name)
  local loaded, state = loaded_with_state(source, name)
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
  if status ~= c.MP_OK then
    return nil, refusal(status, verdict, err)
  end
  return got
end

local function new_item(max)
  local item = ffi.new("struct mp_item")
  c.mp_buf_init(item.wire, max or 1048576)
  c.mp_buf_init(item.shown, max or 1048576)
  return item
end

-- The piece of one event, as it is sent and as it is shown; or nil, the word or status, and why.
local function item(source, event, more)
  local loaded, state = loaded_with_state(source)
  local context, kept = script.context(event, more)
  local verdict, err = ffi.new("struct mp_verdict"), ffi.new("struct mp_error")
  local piece = ffi.gc(new_item(more and more.max), function(it)
    c.mp_buf_fini(it.wire)
    c.mp_buf_fini(it.shown)
  end)
  local status = c.mp_item_build(loaded, state, context, piece, verdict, err)
  assert(kept)
  if status ~= c.MP_OK then
    return nil, refusal(status, verdict, err)
  end
  return text_of(c.mp_buf_str(piece.wire)), text_of(c.mp_buf_str(piece.shown))
end

-- The request of a batch of these events, whose ids are "id-1", "id-2", …
local function batch(source, events, more)
  local loaded, state = loaded_with_state(source)
  local members, items, keep = ffi.new("const struct mp_record *[?]", #events), ffi.new("struct mp_item[?]", #events), {}
  local verdict, err = ffi.new("struct mp_verdict"), ffi.new("struct mp_error")
  local whole
  for i, event in ipairs(events) do
    local context, kept = script.context(event, { id = "id-" .. i, attempt = i })
    keep[i], members[i - 1], items[i - 1] = kept, context.record, new_item()
    whole = whole or context
    assert(c.mp_item_build(loaded, state, context, items[i - 1], verdict, err) == c.MP_OK, ffi.string(err.text))
  end
  whole.members, whole.items, whole.member_count = members, items, #events
  whole.batch_id, whole.attempt = script.slice("batch-1"), #events
  local request = ffi.new("struct mp_request")
  c.mp_request_init(request)
  local status = more and more.stamp and c.mp_request_stamp(request, whole, "9") or c.MP_OK
  if status == c.MP_OK then
    status = c.mp_request_build(loaded, state, whole, request, verdict, err)
  end
  local got = status == c.MP_OK and script.read(request) or nil
  if got and request.body_shown.length > 0 then
    got.body_shown = text_of(c.mp_buf_str(request.body_shown))
  end
  c.mp_request_fini(request)
  for i = 0, #events - 1 do
    c.mp_buf_fini(items[i].wire)
    c.mp_buf_fini(items[i].shown)
  end
  assert(keep)
  if status ~= c.MP_OK then
    return nil, refusal(status, verdict, err)
  end
  return got
end

-- What mp_batch_key gives.
local function key(source, event, more)
  local context, kept = script.context(event, more)
  local out = script.buffer()
  assert(c.mp_batch_key(assert(script.load(source)), context.record, out) == c.MP_OK)
  assert(kept)
  return text_of(c.mp_buf_str(out))
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
request_of.item, request_of.batch, request_of.key = item, batch, key

return request_of
